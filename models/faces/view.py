"""What is looked at: a frame in RGB, or a picture kept otherwise, of which only the parts asked for become RGB."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from models.faces import Floats, Frame


class View(Protocol):
    """A picture that is looked at in parts. Like a frame it has a `shape`, and `view[rows, columns]` is RGB."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, 3)"""
        ...

    def __getitem__(self, part: tuple[slice, slice]) -> Frame:
        """The pixels of a part, RGB uint8 [rows, columns, 3]; not to be written to."""
        ...

    def whole(self, width: int, height: int) -> Frame:
        """All of it in another size, RGB uint8 [height, width, 3]; shrinking averages."""
        ...

    def grey(self, width: int, height: int) -> Floats:
        """The luma [height, width] of all of it, 0..255. A few thousand of its pixels say enough."""
        ...

    def warped(self, to_view: Floats, out: Floats) -> None:
        """Fill `out` [3, height, width] with red, green and blue (0..1) where a map [2, 3] leads to from its pixels.

        Where the map leads farther than from one pixel to the next, pixels are averaged. Beyond the view's edges its
        outermost pixels go on.
        """
        ...


class FrameView:
    """A `View` of a frame in RGB."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.shape = frame.shape

    def __getitem__(self, part: tuple[slice, slice]) -> Frame:
        return self._frame[part]

    def whole(self, width: int, height: int) -> Frame:
        """See `View`. Over areas: a face of 20 pixels keeps what it had, and does not flicker."""
        import cv2

        frame = halved(self._frame, 2 * width, 2 * height)
        how = cv2.INTER_AREA if min(width / frame.shape[1], height / frame.shape[0]) < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(frame, (width, height), interpolation=how), np.uint8)

    def grey(self, width: int, height: int) -> Floats:
        """See `View`."""
        import cv2

        few = sampled(self._frame, width, height)
        return np.asarray(cv2.cvtColor(few, cv2.COLOR_RGB2GRAY), np.float32)

    def warped(self, to_view: Floats, out: Floats) -> None:
        """See `View`."""
        import cv2

        size = out.shape[:0:-1]
        reach = Reach.of(to_view, size, self.shape, (1, 1))
        part = shrunk(self._frame[reach.rows, reach.columns], reach.by)
        found = warp(cv2.cvtColor(part, cv2.COLOR_RGB2RGBA), reach.onto, size)
        np.multiply(found.transpose(2, 0, 1), np.float32(1 / 255), out=out)


def view_of(picture: Frame | View) -> View:
    """A frame [h, w, 3] as a view; a view as it is."""
    return FrameView(picture) if isinstance(picture, np.ndarray) else picture


def halved(samples: Any, width: int, height: int) -> Any:
    """Samples [h, w] or [h, w, n], halved as long as that leaves no less than a size, and as there are whole halves.

    That has a fast path, and what is averaged over areas afterwards has the same mean.
    """
    import cv2

    (rows, columns), halves = samples.shape[:2], samples
    while rows >= 2 * height and columns >= 2 * width and not (rows % 2 or columns % 2):
        rows, columns = rows // 2, columns // 2
        halves = cv2.resize(halves, (columns, rows), interpolation=cv2.INTER_AREA)
    return halves


def sampled(samples: Any, width: int, height: int) -> Any:
    """Samples [h, w] or [h, w, n] in a much smaller size, of 36 each."""
    import cv2

    few = cv2.resize(samples, (width * 6, height * 6), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(few, (width, height), interpolation=cv2.INTER_AREA)


def resized(samples: Any, size: tuple[int, int]) -> Any:
    """Samples [h, w] or [h, w, n] in another size (w, h), averaged where it is less than half as large."""
    import cv2

    if samples.shape[1::-1] == size:
        return samples
    less = 2 * size[0] <= samples.shape[1] and 2 * size[1] <= samples.shape[0]
    return cv2.resize(samples, size, interpolation=cv2.INTER_AREA if less else cv2.INTER_LINEAR)


def shrunk(samples: Any, by: int) -> Any:
    """Samples [h, w] or [h, w, n], averaged in blocks of so many each way."""
    return resized(samples, (samples.shape[1] // by, samples.shape[0] // by))


class Reach(NamedTuple):
    """The pixels of a view that a map reaches, of how many one is made each way, and the map that leads there."""

    rows: slice
    columns: slice
    by: int
    onto: npt.NDArray[np.float64]

    @classmethod
    def of(cls, to_view: Floats, size: tuple[int, ...], shape: tuple[int, ...], steps: tuple[int, int]) -> Reach:
        """For a picture of `size` (w, h) out of a view of `shape` (h, w, …).

        Where the map leads over several pixels they are to be averaged by a whole factor: sampling them directly would
        pick some, and pass their noise on to what is found. Blocks are counted from the first pixel, so that they stand
        still. Rows and columns begin at multiples of `steps` (down, across).
        """
        (a, b, x), (c, d, y) = to_view.tolist()
        by = max(int(min(math.hypot(a, b), math.hypot(c, d), *shape[:2])), 1)
        wide, high = size[0] - 1, size[1] - 1
        columns = _blocks(x + min(a * wide, 0) + min(b * high, 0), x + max(a * wide, 0) + max(b * high, 0), by)
        rows = _blocks(y + min(c * wide, 0) + min(d * high, 0), y + max(c * wide, 0) + max(d * high, 0), by)
        columns, rows = _stepped(columns, by, steps[1], shape[1]), _stepped(rows, by, steps[0], shape[0])
        # pixel i of the fewer stands for i·by … i·by + by - 1: its centre lies between them
        x, y = ((at + 0.5 - part.start) / by - 0.5 for at, part in ((x, columns), (y, rows)))
        return cls(rows, columns, by, np.array([[a / by, b / by, x], [c / by, d / by, y]]))


def _blocks(low: float, high: float, by: int) -> slice:
    """The pixels from one to another, and what interpolation and averaging of `by` pixels want around them."""
    return slice(math.floor(low) - by, math.ceil(high) + 1 + by)


def _stepped(part: slice, by: int, step: int, most: int) -> slice:
    """A part inside 0 … most, beginning at a multiple of `step` blocks of `by`; at least one block, and whole ones."""
    first = min(max(part.start, 0), most - by) // (by * step) * by * step
    last = min(max(part.stop, first + by), most)
    return slice(first, first + (last - first) // by * by)


def warp(four: Any, onto: npt.NDArray[np.float64], size: tuple[int, ...]) -> Any:
    """The first three channels of samples [h, w, 4] from where a map [2, 3] leads to from a picture of `size` (w, h).

    OpenCV 5 warps four channels in less than half the time of three, and with the same result but for rounding.
    """
    import cv2

    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(four, onto, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return cv2.cvtColor(found, cv2.COLOR_RGBA2RGB)
