"""Parts of a picture of planes, seen as RGB and drawn into; the samples around what is drawn stay as they are.

What `ToRGB` does to whole pictures is done here to a rectangle, in floating point. Chroma is placed as there: on the
left samples, and in the middle of the rows. It is brought to full size by linear interpolation, and back by the same
kernel.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from graph.stage import Caps
from models.mouth.cut import Box
from models.mouth.paste import Placed, mix
from stages.media.colour import NOTHING_SAID, Colour, is_hdr, matrix_for, range_for, yuv_rows
from stages.media.planes import RGB, Layout, Samples, samples_of
from stages.media.tones import Tones

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Canvas:
    """Pictures of one layout and colour, whose parts are seen as RGB with 8 bits and drawn into.

    A picture is uint8 in the layout's shape, or flat. With `tones` it is HDR, which is seen as SDR.
    """

    def __init__(self, layout: Layout, colour: Colour, tones: Future[Tones] | None = None) -> None:
        self.layout = layout
        self._tones = tones
        self.whole = Box(0, 0, layout.width, layout.height)
        self._rows = yuv_rows(matrix_for(colour, layout.width, layout.height), layout.bits, range_for(colour) == 2)

    @property
    def is_hdr(self) -> bool:
        """Whether pictures are seen through tone mapping."""
        return self._tones is not None

    def see(self, image: Picture, box: Box) -> Picture:
        """The pixels of a box, uint8 (h, w, 3) RGB; of a picture in RGB they are a view."""
        if self.layout.is_rgb:
            return image.reshape(self.layout.shape)[box.top : box.bottom, box.left : box.right]
        luma, *chroma = samples_of(image, self.layout)
        part = luma[box.top : box.bottom, box.left : box.right].astype(np.float32)
        return self._rgb(np.dstack([part, *(self._at_full_size(plane, box) for plane in chroma)]))

    def draw(self, image: Picture, placed: Placed) -> None:
        """Mix a drawing into `image`, as far as its mask says.

        Samples of luma change where the mask is above 0, those of chroma where it is above 0 on any pixel of theirs.
        """
        if self.layout.is_rgb:
            mix(self.see(image, placed.box), placed.picture, placed.mask)
            return
        box, picture, mask = self._on_chroma(placed)
        shares, most = np.asarray(mask / np.float32(255), np.float32), (1 << self.layout.bits) - 1
        yuv = self._yuv(picture)
        luma, *chroma = samples_of(image, self.layout)
        _blend(luma[box.top : box.bottom, box.left : box.right], yuv[:, :, 0], shares, most)
        down, across = self.layout.steps
        part = slice(box.top // down, -(-box.bottom // down)), slice(box.left // across, -(-box.right // across))
        few = self._at_chroma_size(yuv[:, :, 1:])
        means = np.asarray(shares.reshape(few.shape[0], down, few.shape[1], across).mean((1, 3)), np.float32)
        for number, plane in enumerate(chroma):
            _blend(plane[part], few[:, :, number], means, most)

    @cached_property
    def _back(self) -> npt.NDArray[np.float64]:
        """The 3×4 map from YUV to RGB (0..255)."""
        inverse = np.linalg.inv(self._rows[:, :3])
        return np.column_stack([inverse, -inverse @ self._rows[:, 3]])

    def _rgb(self, yuv: Floats) -> Picture:
        import cv2

        rgb = cv2.transform(yuv, self._back)
        if self._tones is not None:
            rgb = self._tones.result().there(rgb / np.float32(255))
        return np.asarray(cv2.convertScaleAbs(np.maximum(rgb, 0)), np.uint8)

    def _yuv(self, picture: Picture) -> Floats:
        import cv2

        rgb = picture.astype(np.float32)
        if self._tones is not None:
            rgb = self._tones.result().back(picture) * np.float32(255)
        return np.asarray(cv2.transform(rgb, self._rows), np.float32)

    def _at_full_size(self, plane: Samples, box: Box) -> Floats:
        """Chroma of the box's pixels."""
        import cv2

        down, across = self.layout.steps
        first = max(box.top // down - 1, 0), max(box.left // across - 1, 0)
        part = plane[first[0] : -(-box.bottom // down) + 1, first[1] : -(-box.right // across) + 1].astype(np.float32)
        if (down, across) == (1, 1):
            return part[box.top - first[0] :, box.left - first[1] :][: box.bottom - box.top, : box.right - box.left]
        onto = np.array(
            [
                [1 / across, 0, box.left / across - first[1]],
                [0, 1 / down, (box.top + 0.5) / down - 0.5 - first[0]],
            ]
        )
        size = (box.right - box.left, box.bottom - box.top)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(part, onto, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)

    def _on_chroma(self, placed: Placed) -> Placed:
        """The same with whole samples of chroma: nothing more is drawn, but for what lies beyond an odd edge."""
        import cv2

        down, across = self.layout.steps
        box = placed.box
        left, top = box.left // across * across, box.top // down * down
        right, bottom = -(-box.right // across) * across, -(-box.bottom // down) * down
        beyond = box.top - top, bottom - box.bottom, box.left - left, right - box.right
        picture = cv2.copyMakeBorder(placed.picture, *beyond, cv2.BORDER_REPLICATE)
        mask = cv2.copyMakeBorder(placed.mask, *beyond, cv2.BORDER_CONSTANT, value=0)
        if right > self.whole.right:
            mask[:, self.whole.right - right :] = mask[:, self.whole.right - right - 1, None]
        if bottom > self.whole.bottom:
            mask[self.whole.bottom - bottom :] = mask[self.whole.bottom - bottom - 1]
        return Placed(Box(left, top, right, bottom), np.asarray(picture, np.uint8), np.asarray(mask, np.uint8))

    def _at_chroma_size(self, chroma: Floats) -> Floats:
        """Both planes of chroma (h, w, 2) with as few samples as the picture has."""
        import cv2

        down, across = self.layout.steps
        x = _triangle(np.arange(1.0 - across, across), across)
        y = _triangle(np.arange(0.5 - down, down), down) if down > 1 else np.ones(1)
        anchor = (len(x) // 2, down // 2)
        full = cv2.sepFilter2D(chroma, cv2.CV_32F, x, y, anchor=anchor, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(full[::down, ::across], np.float32)


def canvas_of(caps: Caps, pixels: Literal["rgb", "source"]) -> Canvas:
    """For the pictures that come to a stage: `frame`, or with `source` the `planes` that the stream's facts tell of."""
    if pixels == "source":
        layout, colour = Layout(**caps.stream["layout"]), caps.stream["colour"]
        tones = None
        if is_hdr(colour) and not layout.is_rgb:
            # libswscale takes seconds to find the map, for which stages need not wait in turn
            tones = ThreadPoolExecutor(1).submit(Tones, caps.stream["video"])
        return Canvas(layout, colour, tones)
    height, width, _ = caps.shapes["frame"]
    return Canvas(Layout(RGB, width, height), NOTHING_SAID)


def _triangle(offsets: npt.NDArray[np.float64], step: int) -> npt.NDArray[np.float64]:
    """The weights of linear interpolation between samples that lie `step` apart, at offsets from one of them."""
    weights = step - np.abs(offsets)
    return np.asarray(weights / weights.sum(), np.float64)


def _blend(samples: Samples, drawn: Floats, shares: Floats, most: int) -> None:
    """Change samples (0..most) in place to those drawn, as far as `shares` (0..1) say; both may reach beyond them."""
    rows, columns = samples.shape
    under = samples.astype(np.float32)
    mixed = under + (drawn[:rows, :columns] - under) * shares[:rows, :columns]
    samples[...] = np.rint(mixed).clip(0, most).astype(samples.dtype)
