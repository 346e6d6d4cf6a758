"""The part of a crop that is worked on, and the pictures that bends make of it, in full and coarser."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.mouth.bend import Bend, Goal
from models.mouth.blend import eased
from models.mouth.geometry import JAW, Axes, Floats, compose
from models.mouth.lips import Lips

Picture = npt.NDArray[np.uint8]

#: maps of warps are smooth: every second pixel of them is computed
STEP = 2
#: from the lips an exemplar's own details fade out between these, over the face height
_NEAR, _FAR = 0.02, 0.07
#: the part of the jaw line that bounds a lower face
LOWER_FACE = np.array(JAW[2:-2])


class Window:
    """The part of a crop that is worked on: `left`, `top` and `shape` (height, width) in the crop's pixels."""

    def __init__(self, axes: Axes, left: int, top: int, right: int, bottom: int) -> None:
        self.axes, self.left, self.top = axes, left, top
        self.shape = (bottom - top, right - left)

    @classmethod
    def holding(cls, axes: Axes, points: Floats, shape: tuple[int, ...]) -> Window:
        """The part of a crop of `shape` that holds `points` [n, 2] (crop pixels)."""
        return cls._holding(axes, points, (0, 0, shape[1], shape[0]))

    def within(self, points: Floats) -> Window:
        """The part of this window that holds `points` [n, 2] (crop pixels); it begins at a step of this one's maps."""
        height, width = self.shape
        return Window._holding(self.axes, points, (self.left, self.top, self.left + width, self.top + height))

    @classmethod
    def _holding(cls, axes: Axes, points: Floats, bounds: tuple[int, int, int, int]) -> Window:
        import cv2

        left, top, width, height = cv2.boundingRect(np.asarray(points, np.float32))
        box = []
        for low, long, first, last in zip((left, top), (width, height), bounds[:2], bounds[2:], strict=True):
            start = min(max(low, first), last - 8)
            start -= (start - first) % STEP
            box.append((start, min(max(low + long + 1, start + 8), last)))
        (left, right), (top, bottom) = box
        return cls(axes, left, top, right, bottom)

    def of(self, picture: Picture) -> Picture:
        """This part of a crop, a view."""
        return picture[self.top : self.top + self.shape[0], self.left : self.left + self.shape[1]]

    def part(self, array: npt.NDArray[Any], inner: Window) -> npt.NDArray[Any]:
        """Of an array of this window's shape what a window inside of it holds, a view."""
        top, left = inner.top - self.top, inner.left - self.left
        return array[top : top + inner.shape[0], left : left + inner.shape[1]]

    def local(self, step: int = 1, beyond: int = 0) -> tuple[Floats, Floats]:
        """Where the middles of blocks of `step` pixels lie in the face's axes, with `beyond` blocks more on each
        side."""
        first = (step - 1) / 2 - beyond * step
        rows, columns = (-(-n // step) + 2 * beyond for n in self.shape)
        x = np.arange(columns, dtype=np.float32) * step + (self.left + first - self.axes.origin[0])
        y = np.arange(rows, dtype=np.float32)[:, None] * step + (self.top + first - self.axes.origin[1])
        (a, b), (c, d) = self.axes.across, self.axes.down
        return x * a + y * b, x * c + y * d

    def coarse(self, picture: npt.NDArray[Any], block: int) -> Floats:
        """The means over blocks of `block` pixels of a picture of this window's shape, float32."""
        import cv2

        height, width = self.shape
        beyond = (0, -height % block, 0, -width % block)
        whole = cv2.copyMakeBorder(picture, *beyond, cv2.BORDER_REPLICATE)
        size = (whole.shape[1] // block, whole.shape[0] // block)
        return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.float32)

    def fine(self, coarse: Floats, block: int) -> Floats:
        """The smooth picture of this window's shape whose means over blocks were given."""
        import cv2

        height, width = self.shape
        size = (coarse.shape[1] * block, coarse.shape[0] * block)
        return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)[:height, :width], np.float32)

    def polygon(self, points: Floats) -> Picture:
        """255 inside the convex hull of `points` [n, 2] (crop pixels)."""
        import cv2

        mask = np.zeros(self.shape, np.uint8)
        hull = cv2.convexHull((points - (self.left, self.top)).astype(np.float32))
        cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), 255, lineType=cv2.LINE_AA, shift=4)
        return mask

    def gap(self, lips: Lips) -> Floats:
        """float32 of this window's shape: 1 between the inner edges of `lips`, 0 beyond them, soft at the edge."""
        import cv2

        mask = np.zeros(self.shape, np.float32)
        around = self.axes.leave(np.concatenate([lips.edges[1], lips.edges[2][::-1]])) - (self.left, self.top)
        cv2.fillPoly(mask, [np.round(around).astype(np.int32)], 1.0)
        sigma = max(0.6, self.axes.height / 200)
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32)

    def around(self, lips: Lips) -> Window:
        """The part of this window where `beside` is above 0."""
        lines, room = lips.edges[::3].reshape(-1, 2), _FAR * self.axes.height + 1
        (left, top), (right, bottom) = lines.min(0) - room, lines.max(0) + room
        corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]], np.float32)
        return self.within(self.axes.leave(corners))

    def beside(self, lips: Lips) -> Floats:
        """float32 of this window's shape: 1 on the lips and close to them, fading to 0 further away."""
        import cv2

        lines = self.axes.leave(lips.edges[::3].reshape(-1, 2))
        away = cv2.distanceTransform(cv2.bitwise_not(self.polygon(lines)), cv2.DIST_L2, 3)
        return eased((_FAR * self.axes.height - away) * (1 / ((_FAR - _NEAR) * self.axes.height)))

    def changed(self, crop: Picture, picture: Picture) -> Picture:
        """The crop's mask: 255 where `picture` differs from `crop` in this window, 0 elsewhere."""
        import cv2

        mask = np.zeros(crop.shape[:2], np.uint8)
        same = cv2.inRange(cv2.absdiff(self.of(crop), self.of(picture)), (0, 0, 0), (0, 0, 0))
        cv2.bitwise_not(same, dst=self.of(mask))
        return mask


class Sheet:
    """The pixels of a window as a goal has them, every `step`th and, where that is not each, one more on each side."""

    def __init__(self, window: Window, goal: Goal, step: int = STEP) -> None:
        self.goal = goal
        self._window, self._step = window, step
        self.spots = goal.spots(*window.local(step, int(step > 1)))

    def maps(self, part: Window, bend: Bend, affine: Floats | None = None) -> Maps:
        """Where the pixels of a part of the window come from.

        `affine` [2, 3] leads from crop pixels to those of the picture, where that is another one than the crop.
        """
        axes = self._window.axes
        across, down = bend(self.spots.part(*_slices(self._window, part, self._step)))
        lead = np.array([[*axes.across, 0], [*axes.down, 0], [*axes.origin, 1]], np.float32)
        lead = lead.T[:2] if affine is None else compose(affine, lead.T[:2])
        return Maps(part, self._step, *_mapped(lead, across, down))


class Maps:
    """Where in a source the pixels of a window come from: x and y of those that a sheet of this step has."""

    def __init__(self, window: Window, step: int, x: Floats, y: Floats) -> None:
        self._window, self._step, self._x, self._y = window, step, x, y

    def picture(self, source: Picture, part: Window) -> Floats:
        """A part of the window as `source` uint8 [h, w, 3] shows it, float32."""
        import cv2

        step, (height, width) = self._step, part.shape
        place = _slices(self._window, part, step)
        taken, (x, y) = _taken(source, self._x[place], self._y[place])
        if step > 1:
            inner = (slice(step, step + height), slice(step, step + width))
            x, y = (_larger(one, step)[inner] for one in (x, y))
        # in floats OpenCV's cubic takes two thirds of the time
        drawn = cv2.remap(taken.astype(np.float32), x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(drawn, np.float32)

    def coarse(self, source: Picture, block: int) -> Floats:
        """About the means over blocks of the window's picture, for a fraction of the work: float32, as
        `Window.coarse`."""
        import cv2

        # four of each block, among those of steps
        k = block / 2 / self._step
        first = (k - 1) / 2 + int(self._step > 1)
        onto = np.array([[k, 0, first], [0, k, first]])
        size = (-(-self._window.shape[1] // block) * 2, -(-self._window.shape[0] // block) * 2)
        flags, edge = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
        at = [cv2.warpAffine(one, onto, size, None, flags, edge) for one in (self._x, self._y)]
        half = block // 2
        taken, (x, y) = _taken(source, np.asarray(at[0], np.float32), np.asarray(at[1], np.float32), half)
        if half > 1:
            few = (taken.shape[1] // half, taken.shape[0] // half)
            taken = np.asarray(cv2.resize(taken, few, interpolation=cv2.INTER_AREA), np.uint8)
            x, y = ((one - np.float32((half - 1) / 2)) * np.float32(1 / half) for one in (x, y))
        # OpenCV 5 maps four channels linearly in half the time of three
        whole = cv2.cvtColor(taken, cv2.COLOR_RGB2RGBA).astype(np.float32)
        four = cv2.cvtColor(cv2.remap(whole, x, y, cv2.INTER_LINEAR, borderMode=edge), cv2.COLOR_RGBA2RGB)
        return np.asarray(cv2.resize(four, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)


def _slices(window: Window, part: Window, step: int) -> tuple[slice, slice]:
    """Rows and columns of a part of a window in a sheet of it."""
    beyond = 2 * int(step > 1)
    top, left = (part.top - window.top) // step, (part.left - window.left) // step
    height, width = (-(-n // step) + beyond for n in part.shape)
    return slice(top, top + height), slice(left, left + width)


def _larger(few: Floats, step: int) -> Floats:
    import cv2

    return np.asarray(cv2.resize(few, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR), np.float32)


def _mapped(affine: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    (a, b, c), (d, e, f) = affine.tolist()
    return x * a + (y * b + c), x * d + (y * e + f)


def _taken(source: Picture, x: Floats, y: Floats, block: int = 1) -> tuple[Picture, tuple[Floats, Floats]]:
    """The part of `source`, whole blocks of it, that the maps `x` and `y` lead to, and the maps to there."""
    import cv2

    sides, moved = [], []
    for size, one in zip(source.shape[1::-1], (x, y), strict=True):
        low, high, _, _ = cv2.minMaxLoc(one)
        least = int(low) - 2 * block
        most = min(-(-(int(high) + 3 * block - least) // block) * block, size // block * block)
        start = min(max(least, 0), size - most)
        sides.append(slice(start, start + most))
        moved.append(one - np.float32(start))
    return source[sides[1], sides[0]], (moved[0], moved[1])
