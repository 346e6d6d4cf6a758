"""Parts of a picture of planes, seen as RGB and drawn into; the samples around what is drawn stay as they are.

What `ToRGB` does to whole pictures is done here to a rectangle, in floating point. Chroma is placed as there: on the
left samples, and in the middle of the rows. It is brought to full size by linear interpolation, and back by the same
kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, cached_property
from typing import Any, Literal

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
        self._arrays: dict[str, Floats] = {}
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
        planes = [self._taken("luma", luma[box.top : box.bottom, box.left : box.right])]
        planes += [self._at_full_size(name, plane, box) for name, plane in zip("uv", chroma, strict=True)]
        return self.shown(planes)

    def shown(self, planes: Sequence[Floats]) -> Picture:
        """Luma and chroma of one size (h, w), in the units of the samples, as RGB uint8 (h, w, 3)."""
        import cv2

        shape = (*planes[0].shape, 3)
        yuv = cv2.merge(planes, dst=self._work("yuv", shape))
        rgb = cv2.transform(yuv, self._back, dst=self._work("rgb", shape))
        if self._tones is not None:
            rgb = self._tones.result().there(rgb / np.float32(255))
        cv2.threshold(rgb, 0, 0, cv2.THRESH_TOZERO, dst=rgb)
        return np.asarray(cv2.convertScaleAbs(rgb), np.uint8)

    def spread(self, yuv: Samples, out: Floats) -> None:
        """Fill `out` (3, h, w) with red, green and blue, 0..1, of luma and chroma (h, w, 3)."""
        import cv2

        if self._tones is not None:
            rgb = self.shown([np.asarray(plane, np.float32) for plane in cv2.split(yuv)])
            np.multiply(rgb.transpose(2, 0, 1), np.float32(1 / 255), out=out)
            return
        whole = 255 if yuv.dtype == np.uint8 else 65535
        coded = cv2.transform(yuv, self._back * (whole / 255))
        np.multiply(coded.transpose(2, 0, 1), np.float32(1 / whole), out=out)

    def lightness(self, luma: Samples) -> Floats:
        """Samples of luma as 0..255 from black to white."""
        row = self._rows[0]
        return np.asarray((luma - np.float32(row[3])) / np.float32(row[:3].sum()), np.float32)

    def draw(self, image: Picture, placed: Placed) -> None:
        """Mix a drawing into `image`, as far as its mask says.

        Samples of luma change where the mask is above 0, those of chroma where it is above 0 on any pixel of theirs.
        """
        import cv2

        if self.layout.is_rgb:
            mix(self.see(image, placed.box), placed.picture, placed.mask)
            return
        box, picture, mask = self._on_chroma(placed)
        rgb = picture if self._tones is None else self._tones.result().back(picture) * np.float32(255)
        rgb = np.asarray(self._taken("rgb", rgb))
        shares = np.multiply(mask, np.float32(1 / 255), out=self._work("shares", mask.shape))
        luma, *chroma = samples_of(image, self.layout)
        drawn = cv2.transform(rgb, self._rows[:1], dst=self._work("luma", mask.shape))
        self._blend(luma[box.top : box.bottom, box.left : box.right], drawn, shares)
        down, across = self.layout.steps
        part = slice(box.top // down, -(-box.bottom // down)), slice(box.left // across, -(-box.right // across))
        size = (mask.shape[1] // across, mask.shape[0] // down)
        means = np.asarray(cv2.resize(shares, size, interpolation=cv2.INTER_AREA), np.float32)
        for row, plane in zip(self._rows[1:], chroma, strict=True):
            full = cv2.transform(rgb, row[None], dst=self._work("full", mask.shape))
            self._blend(plane[part], self._at_chroma_size(np.asarray(full, np.float32)), means)

    @cached_property
    def _back(self) -> npt.NDArray[np.float64]:
        """The 3×4 map from YUV to RGB (0..255)."""
        inverse = np.linalg.inv(self._rows[:, :3])
        return np.column_stack([inverse, -inverse @ self._rows[:, 3]])

    def _at_full_size(self, name: str, plane: Samples, box: Box) -> Floats:
        """Chroma of the box's pixels."""
        import cv2

        down, across = self.layout.steps
        if (down, across) == (1, 1):
            return self._taken(name, plane[box.top : box.bottom, box.left : box.right])
        top, left = max(box.top // down - 1, 0), box.left // across
        few = self._taken("few", plane[top : -(-box.bottom // down) + 1, left : -(-box.right // across) + 1])
        # between rows chroma lies as cv2.resize has it, but not between columns
        rows = cv2.resize(few, (few.shape[1], few.shape[0] * down), interpolation=cv2.INTER_LINEAR)
        full = self._work(name, (rows.shape[0], rows.shape[1] * across))
        full[:, ::across] = rows
        for step in range(1, across):
            between = cv2.addWeighted(rows[:, :-1], 1 - step / across, rows[:, 1:], step / across, 0)
            full[:, step:-across:across], full[:, step - across] = between, rows[:, -1]
        y, x = box.top - top * down, box.left - left * across
        return full[y : y + box.bottom - box.top, x : x + box.right - box.left]

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

    def _at_chroma_size(self, full: Floats) -> Floats:
        """What is told of each pixel (h, w), where the picture has samples of chroma."""
        import cv2

        (down, across), (x, y) = self.layout.steps, self._kernels
        anchor, smooth = (len(x) // 2, down // 2), self._work("smooth", full.shape)
        cv2.sepFilter2D(full, cv2.CV_32F, x, y, dst=smooth, anchor=anchor, borderType=cv2.BORDER_REPLICATE)
        return np.ascontiguousarray(smooth[::down, ::across])

    @cached_property
    def _kernels(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Across and down, those that bring full size to chroma's."""
        down, across = self.layout.steps
        y = _triangle(np.arange(0.5 - down, down), down) if down > 1 else np.ones(1)
        return _triangle(np.arange(1.0 - across, across), across), y

    def _blend(self, samples: Samples, drawn: Any, shares: Floats) -> None:
        """Change samples in place to those drawn, as far as `shares` (0..1) say; both may reach beyond them."""
        rows, columns = samples.shape
        under, change = self._taken("under", samples), drawn[:rows, :columns]
        change -= under
        change *= shares[:rows, :columns]
        under += change
        np.rint(under, out=under)
        samples[...] = np.clip(under, 0, (1 << self.layout.bits) - 1, out=under)

    def _work(self, name: str, shape: tuple[int, ...]) -> Floats:
        """An array to fill; the one of before, since fresh pages cost more than what is computed in them."""
        size = math.prod(shape)
        if name not in self._arrays or self._arrays[name].size < size:
            self._arrays[name] = np.empty(size, np.float32)
        return self._arrays[name][:size].reshape(shape)

    def _taken(self, name: str, values: npt.NDArray[Any]) -> Floats:
        """Values as floats, in an array of that name."""
        work = self._work(name, values.shape)
        work[...] = values
        return work


def canvas_of(caps: Caps, pixels: Literal["rgb", "source"]) -> Canvas:
    """For the pictures that come to a stage: `frame`, or with `source` the `planes` that the stream's facts tell of."""
    if pixels == "source":
        layout, colour = Layout(**caps.stream["layout"]), caps.stream["colour"]
        tones = None
        if is_hdr(colour) and not layout.is_rgb:
            tones = _tones_of(caps.stream["video"])
        return Canvas(layout, colour, tones)
    height, width, _ = caps.shapes["frame"]
    return Canvas(Layout(RGB, width, height), NOTHING_SAID)


@cache
def _tones_of(video: str) -> Future[Tones]:
    """The tones of a video, once for all stages of a process: libswscale takes seconds to find the map."""
    return ThreadPoolExecutor(1).submit(Tones, video)


def _triangle(offsets: npt.NDArray[np.float64], step: int) -> npt.NDArray[np.float64]:
    """The weights of linear interpolation between samples that lie `step` apart, at offsets from one of them."""
    weights = step - np.abs(offsets)
    return np.asarray(weights / weights.sum(), np.float64)
