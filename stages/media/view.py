"""Pictures in planes as those look at them who look for faces: small, in parts, and never as a whole in RGB."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from graph.stage import Packet
from models.faces import Floats, Frame
from models.faces.view import Reach, View, halved, resized, sampled, shrunk, warp
from models.mouth.cut import Box
from stages.media.planes import Samples, samples_of
from stages.media.region import Canvas, Picture


class PlanesView:
    """A `View` of a picture, uint8 (bytes,), in a canvas's layout and colour.

    Planes are made smaller one by one, and only what is left of them becomes RGB.
    """

    def __init__(self, canvas: Canvas, image: Picture) -> None:
        self.shape = (canvas.layout.height, canvas.layout.width, 3)
        self._canvas, self._image = canvas, image
        self._luma, *self._chroma = samples_of(image, canvas.layout)

    def __getitem__(self, part: tuple[slice, slice]) -> Frame:
        """See `View`. Where pixels are left out chroma is that of the nearest sample."""
        (top, bottom, down), (left, right, across) = (
            one.indices(size) for one, size in zip(part, self.shape, strict=False)
        )
        if (down, across) == (1, 1):
            return self._canvas.see(self._image, Box(left, top, right, bottom))
        steps = self._canvas.layout.steps
        rows, columns = np.arange(top, bottom, down), np.arange(left, right, across)
        near = np.ix_(rows // steps[0], columns // steps[1])
        return self._canvas.shown(_floats(self._luma[part], *(plane[near] for plane in self._chroma)))

    def whole(self, width: int, height: int) -> Frame:
        """See `View`. Chroma may lie off by less than half a sample of its own."""
        import cv2

        if width > self.shape[1] or height > self.shape[0]:
            shown = self._canvas.see(self._image, self._canvas.whole)
            return np.asarray(cv2.resize(shown, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        planes = (_smaller(plane, width, height) for plane in (self._luma, *self._chroma))
        return self._canvas.shown(_floats(*planes))

    def grey(self, width: int, height: int) -> Floats:
        """See `View`."""
        import cv2

        if not self._canvas.is_hdr:
            return self._canvas.lightness(sampled(self._luma, width, height))
        planes = (sampled(plane, width, height) for plane in (self._luma, *self._chroma))
        return np.asarray(cv2.cvtColor(self._canvas.shown(_floats(*planes)), cv2.COLOR_RGB2GRAY), np.float32)

    def warped(self, to_view: Floats, out: Floats) -> None:
        """See `View`. Chroma may lie off by less than half a sample of its own."""
        import cv2

        (down, across), size = self._canvas.layout.steps, out.shape[:0:-1]
        reach = Reach.of(to_view, size, self.shape, (down, across))
        luma = shrunk(self._luma[reach.rows, reach.columns], reach.by)
        rows = slice(reach.rows.start // down, -(-reach.rows.stop // down))
        columns = slice(reach.columns.start // across, -(-reach.columns.stop // across))
        fit = ((columns.stop - columns.start) * across // reach.by, (rows.stop - rows.start) * down // reach.by)
        both = (resized(plane[rows, columns], fit)[: luma.shape[0], : luma.shape[1]] for plane in self._chroma)
        four = np.empty((*luma.shape, 4), luma.dtype)
        # what cv2.merge puts together is not in the cache, and warped in four times the time
        cv2.mixChannels([luma, *both], [four], [0, 0, 1, 1, 2, 2])
        self._canvas.spread(warp(four, reach.onto, size), out)


def picture_of(packet: Packet, canvas: Canvas, pixels: Literal["rgb", "source"]) -> Frame | View:
    """The picture of a packet to a stage that has this canvas: what is RGB as a frame."""
    if pixels == "rgb":
        return np.asarray(packet.frame, np.uint8)
    planes = np.asarray(packet.planes, np.uint8)
    return planes.reshape(canvas.layout.shape) if canvas.layout.is_rgb else PlanesView(canvas, planes)


def _floats(*planes: Samples) -> list[Floats]:
    return [np.asarray(plane, np.float32) for plane in planes]


def _smaller(samples: Samples, width: int, height: int) -> Any:
    """Samples in a smaller size: halved, which averages all of them, and what is left of the way between two each."""
    return resized(halved(samples, width, height), (width, height))
