"""The part of a crop that is worked on, and the pictures of it that bends make, at full and at lesser resolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.mouth.bend import Bend
from models.mouth.geometry import JAW, Axes, Floats, compose
from models.mouth.lips import Lips

Picture = npt.NDArray[np.uint8]

#: maps of warps are smooth: every second pixel of them is computed
_STEP = 2
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
    def around(cls, target: Floats, lips: Lips, axes: Axes, shape: tuple[int, ...]) -> Window:
        """All that a new mouth may touch: lower face, chin and the neck under it."""
        jaw = axes.enter(target[LOWER_FACE])
        low = min(float(jaw[:, 0].min()), -0.3 * axes.height)
        high = max(float(jaw[:, 0].max()), 0.3 * axes.height)
        bottom = max(float(jaw[:, 1].max()), float(lips.chin[1])) + 0.18 * axes.height
        corners = np.array([[low, -0.12 * axes.height], [high, -0.12 * axes.height], [low, bottom], [high, bottom]])
        return cls._holding(axes, axes.leave(corners.astype(np.float32)), (0, 0, shape[1], shape[0]))

    def within(self, points: Floats) -> Window:
        """The part of this window that holds `points` [n, 2] (crop pixels)."""
        height, width = self.shape
        return Window._holding(self.axes, points, (self.left, self.top, self.left + width, self.top + height))

    @classmethod
    def _holding(cls, axes: Axes, points: Floats, bounds: tuple[int, int, int, int]) -> Window:
        low = np.clip(np.floor(points.min(0)), bounds[:2], [bounds[2] - 8, bounds[3] - 8]).astype(int)
        high = np.clip(np.ceil(points.max(0)) + 1, low + 8, bounds[2:]).astype(int)
        return cls(axes, int(low[0]), int(low[1]), int(high[0]), int(high[1]))

    def of(self, picture: Picture) -> Picture:
        """This part of a crop, a view."""
        return picture[self.top : self.top + self.shape[0], self.left : self.left + self.shape[1]]

    def local(self, step: int = 1, beyond: int = 0) -> tuple[Floats, Floats]:
        """Where the middles of blocks of `step` pixels lie in the face's axes, with `beyond` blocks more on each
        side."""
        first = (step - 1) / 2 - beyond * step
        rows, columns = (-(-n // step) + 2 * beyond for n in self.shape)
        x = np.arange(columns, dtype=np.float32) * step + (self.left + first - self.axes.origin[0])
        y = np.arange(rows, dtype=np.float32)[:, None] * step + (self.top + first - self.axes.origin[1])
        (a, b), (c, d) = self.axes.across, self.axes.down
        return np.asarray(x * a + y * b, np.float32), np.asarray(x * c + y * d, np.float32)

    def bent(self, source: Picture, bend: Bend, affine: Floats | None = None) -> tuple[Picture, Floats]:
        """The window's pixels of `source` after `bend`, and the bend's depth; `affine` [2, 3] leads from crop pixels to
        those of `source`. Where depth is not asked for (`hanging`) the map is made for every second pixel only."""
        import cv2

        step = 1 if bend.hanging else _STEP
        maps, depth = self._maps(bend, affine, step, beyond=step - 1)
        if step > 1:
            height, width = self.shape
            size = (maps[0].shape[1] * step, maps[0].shape[0] * step)
            fine = [cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in maps]
            maps = [np.ascontiguousarray(one[step : step + height, step : step + width]) for one in fine]
        picture = cv2.remap(source, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(picture, np.uint8), depth

    def _maps(self, bend: Bend, affine: Floats | None, step: int, beyond: int = 0) -> tuple[list[Floats], Floats]:
        """Where in the source the middles of blocks of `step` pixels come from (x and y), and the bend's depth."""
        across, down, depth = bend(*self.local(step, beyond))
        o, a, d = self.axes.origin, self.axes.across, self.axes.down
        lead = np.array([[a[0], d[0], o[0]], [a[1], d[1], o[1]]], np.float32)
        m = lead if affine is None else compose(affine, lead)
        return [across * m[i, 0] + (down * m[i, 1] + m[i, 2]) for i in (0, 1)], depth

    def coarsely_bent(self, source: Picture, bend: Bend, affine: Floats, block: int) -> Floats:
        """As `coarse` of `bent`, for a fraction of the work: float32 [rows, columns, 3]."""
        import cv2

        maps, _ = self._maps(bend, affine, block)
        height, width = source.shape[:2]
        size = (-(-width // block), -(-height // block))
        small = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
        x, y = ((one + 0.5) * (n / full) - 0.5 for one, n, full in zip(maps, size, (width, height), strict=True))
        picture = cv2.remap(small, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(picture, np.float32)

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

    def beside(self, lips: Lips) -> Floats:
        """float32 of this window's shape: 1 on the lips and close to them, fading to 0 further away."""
        import cv2

        lines = self.axes.leave(np.concatenate([lips.edges[0], lips.edges[3]]))
        away = cv2.distanceTransform(cv2.bitwise_not(self.polygon(lines)), cv2.DIST_L2, 3)
        return np.asarray(eased((_FAR * self.axes.height - away) / ((_FAR - _NEAR) * self.axes.height)), np.float32)

    def changed(self, crop: Picture, picture: Picture) -> Picture:
        """The crop's mask: 255 where `picture` differs from `crop` in this window, 0 elsewhere."""
        import cv2

        mask = np.zeros(crop.shape[:2], np.uint8)
        same = cv2.inRange(cv2.absdiff(self.of(crop), self.of(picture)), (0, 0, 0), (0, 0, 0))
        self.of(mask)[...] = cv2.bitwise_not(same)
        return mask


def eased(share: Floats) -> Floats:
    """0 below 0, 1 above 1, smooth between."""
    share = np.clip(share, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
