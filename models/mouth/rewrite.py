"""`rewrite`: the person's own mouth, chosen from the bank, carried over, bent the last bit, blended in.

After Video Rewrite (Bregler, Covell, Slaney, SIGGRAPH 1997): the video already shows this person's lips, teeth and jaw
in most of the shapes that speech needs, at its own resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.mouth.align import align
from models.mouth.bank import Bank
from models.mouth.blend import blend, soften
from models.mouth.choose import Chooser
from models.mouth.geometry import CHEEKS, JAW, Axes, Floats, Range, apply, invert
from models.mouth.lips import Bend, Lips
from models.mouth.schedule import Schedule

Picture = npt.NDArray[np.uint8]

#: an exemplar's gap and breadth may be bent by this much: over the face height and as shares
_GAP_REACH, _GAP_SHARE, _BREADTH_SHARE = 0.02, 0.5, 0.2
#: the feather of the carried lower face, over the face height
_FEATHER = 0.07
#: how far inside the jaw line it ends, and that part of the jaw line
_INSET = 0.02
_LOWER_JAW = JAW[2:-2]
#: the shares of the exemplars before, at and after a packet where it jumps
_DISSOLVE = (0.25, 0.5, 0.25)


@dataclass(frozen=True)
class Drawn:
    """`picture` uint8 [s, s, 3] and `mask` uint8 [s, s]: 255 where the picture differs, feathered to 0 around it."""

    picture: Picture
    mask: Picture


class Rewrite:
    """Draws crops after a schedule."""

    name = "rewrite"

    def __init__(self, bank: Bank, schedule: Schedule, reach: Range) -> None:
        """`reach`: the range that the path's units are of. Raises ValueError for an empty bank."""
        if not len(bank):
            raise ValueError("the bank holds no mouth to take")
        self._bank, self._schedule, self._reach = bank, schedule, reach
        self._choose = Chooser(schedule.wanted, reach.units(bank.measures()), bank.poses(), bank.frame)
        self._shapes = np.stack([_shape(landmarks) for landmarks in bank.landmarks])

    def draw(self, index: int, time: float, crop: Picture, placement: Floats, landmarks: Floats) -> Drawn:
        """The crop uint8 [s, s, 3] of packet `index` with its new mouth; `landmarks` [468, 2] in the frame's pixels."""
        target = apply(placement, landmarks)
        axes = Axes.of(target)
        wanted, shut = self._schedule.mouth(time)
        picks = [self._choose(index + offset) for offset in (-1, 0, 1)]
        lips = self._lips(picks, target, axes, wanted, shut)
        window = Window.around(target, lips, axes, crop.shape)
        under, _ = window.bent(crop, Bend(_own(target, axes).with_chin(lips.chin), _own(target, axes), axes.height))
        over = self._carried(window, self._shares(picks), target, axes, lips)
        inside = window.polygon(_outline(target, self._jaw(picks[1], target), axes, lips))
        alpha = soften(inside, round(_FEATHER * axes.height))
        return window.laid(crop, blend(under, over, inside, alpha))

    def _lips(self, picks: list[int], target: Floats, axes: Axes, wanted: Floats, shut: bool) -> Lips:
        """The lips to draw: the exemplar's, steadied over its neighbours, with the wanted gap and breadth."""
        row = picks[1]
        carried = Lips.of(apply(align(self._bank.landmarks[row], target), self._bank.landmarks[row]), axes)
        shift = (np.tensordot(_DISSOLVE, self._shapes[picks], 1) - self._shapes[row]) * axes.height
        steady = Lips(carried.edges + shift[:-1].reshape(4, 11, 2), carried.chin + shift[-1])
        raw = self._reach.raw(wanted) * axes.height
        gap = 0.0 if shut else max(0.0, float(raw[0]))
        slack = _GAP_REACH * axes.height + _GAP_SHARE * steady.gap
        gap = min(gap, steady.gap + slack)
        breadth = np.clip(raw[1], steady.breadth * (1 - _BREADTH_SHARE), steady.breadth * (1 + _BREADTH_SHARE))
        return steady.shaped(gap, float(breadth))

    def _jaw(self, row: int, target: Floats) -> Floats:
        exemplar = self._bank.landmarks[row]
        return apply(align(exemplar, target), exemplar[list(_LOWER_JAW)])

    def _shares(self, picks: list[int]) -> dict[int, float]:
        """Which exemplars show, with what share: neighbours only where the choice jumps."""
        frames = self._bank.frame[picks]
        shares = {picks[1]: _DISSOLVE[1]}
        for side in (0, 2):
            flows = abs(int(frames[side]) - int(frames[1])) <= 1
            row = picks[1] if flows else picks[side]
            shares[row] = shares.get(row, 0.0) + _DISSOLVE[side]
        return shares

    def _carried(self, window: Window, shares: dict[int, float], target: Floats, axes: Axes, lips: Lips) -> Picture:
        import cv2

        mixed: Picture | None = None
        total = 0.0
        for row, share in shares.items():
            onto = align(self._bank.landmarks[row], target)
            own = Lips.of(apply(onto, self._bank.landmarks[row]), axes)
            back = _compose(self._bank.placement[row], invert(onto))
            picture, _ = window.bent(self._bank.crop(row), Bend(lips, own, axes.height), back)
            total += share
            mixed = (
                picture
                if mixed is None
                else np.asarray(cv2.addWeighted(mixed, 1 - share / total, picture, share / total, 0), np.uint8)
            )
        assert mixed is not None
        return mixed


class Window:
    """The part of a crop that is worked on, with its pixels in the axes of the face."""

    def __init__(self, axes: Axes, left: int, top: int, right: int, bottom: int) -> None:
        self.axes, self.left, self.top = axes, left, top
        self.shape = (bottom - top, right - left)
        x = np.arange(left, right, dtype=np.float32) - axes.origin[0]
        y = np.arange(top, bottom, dtype=np.float32)[:, None] - axes.origin[1]
        self.across = x * axes.across[0] + y * axes.across[1]
        self.down = x * axes.down[0] + y * axes.down[1]

    @classmethod
    def around(cls, target: Floats, lips: Lips, axes: Axes, shape: tuple[int, ...]) -> Window:
        """All that a new mouth may touch: lower face, chin and the neck under it."""
        jaw = axes.enter(target[list(_LOWER_JAW)])
        low = min(float(jaw[:, 0].min()), -0.3 * axes.height)
        high = max(float(jaw[:, 0].max()), 0.3 * axes.height)
        bottom = max(float(jaw[:, 1].max()), float(lips.chin[1])) + 0.18 * axes.height
        corners = np.array([[low, -0.12 * axes.height], [high, -0.12 * axes.height], [low, bottom], [high, bottom]])
        points = axes.leave(corners.astype(np.float32))
        left, top = np.maximum(np.floor(points.min(0)), 0).astype(int)
        right, bottom_ = np.minimum(np.ceil(points.max(0)) + 1, [shape[1], shape[0]]).astype(int)
        return cls(axes, int(left), int(top), max(int(right), int(left) + 8), max(int(bottom_), int(top) + 8))

    def bent(self, source: Picture, bend: Bend, affine: Floats | None = None) -> tuple[Picture, Floats]:
        """The window's pixels of `source` after `bend`, and the bend's depth; `affine` [2, 3] leads from crop pixels to
        those of `source`."""
        import cv2

        across, down, depth = bend(self.across, self.down)
        o, a, d = self.axes.origin, self.axes.across, self.axes.down
        lead = np.array([[a[0], d[0], o[0]], [a[1], d[1], o[1]]], np.float32)
        m = lead if affine is None else _compose(affine, lead)
        x = across * m[0, 0] + down * m[0, 1] + m[0, 2]
        y = across * m[1, 0] + down * m[1, 1] + m[1, 2]
        picture = cv2.remap(source, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(picture, np.uint8), depth

    def polygon(self, points: Floats) -> Picture:
        """255 inside the convex hull of `points` [n, 2] (crop pixels)."""
        import cv2

        mask = np.zeros(self.shape, np.uint8)
        hull = cv2.convexHull((points - (self.left, self.top)).astype(np.float32))
        cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), 255, lineType=cv2.LINE_AA, shift=4)
        return mask

    def laid(self, crop: Picture, part: Picture) -> Drawn:
        """The whole crop with `part` in this window, and the mask of what changed."""
        import cv2

        picture = crop.copy()
        rows, columns = slice(self.top, self.top + self.shape[0]), slice(self.left, self.left + self.shape[1])
        picture[rows, columns] = part
        changed = (cv2.absdiff(crop[rows, columns], part).max(2) > 0).astype(np.uint8) * 255
        changed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        mask = np.zeros(crop.shape[:2], np.uint8)
        mask[rows, columns] = changed
        return Drawn(picture, mask)


def _own(target: Floats, axes: Axes) -> Lips:
    return Lips.of(target, axes)


def _outline(target: Floats, carried: Floats, axes: Axes, lips: Lips) -> Floats:
    """Points around what is carried over: cheeks beside the nose, and inside of both jaw lines (`carried` [13, 2] is
    the exemplar's), so that no background comes along."""
    jaws = np.stack([axes.enter(target[list(_LOWER_JAW)]), axes.enter(carried)])
    sink = lips.chin[1] - jaws[:, len(_LOWER_JAW) // 2, 1]
    ease = np.clip(1 - np.abs(jaws[..., 0] - lips.chin[0]) / (0.3 * axes.height), 0, 1)
    jaws[..., 1] += sink[:, None] * ease
    middle = lips.edges[0, [0, -1]].mean(0)
    rays = jaws - middle
    lengths = np.linalg.norm(rays, axis=-1)
    nearest = np.take_along_axis(rays, lengths.argmin(0)[None, :, None], 0)[0]
    short = 1 - _INSET * axes.height / np.maximum(lengths.min(0), 1)
    return np.concatenate([target[list(CHEEKS)], axes.leave(middle + nearest * short[:, None])])


def _shape(landmarks: Floats) -> Floats:
    """Edges and chin of the lips in the face's own axes over its height, [45, 2]."""
    axes = Axes.of(landmarks)
    lips = Lips.of(landmarks, axes)
    return np.asarray(np.concatenate([lips.edges.reshape(-1, 2), lips.chin[None]]) / axes.height, np.float32)


def _compose(outer: Floats, inner: Floats) -> Floats:
    """The affine map that does `inner` first, then `outer`."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.concatenate([linear, (outer[:, :2] @ inner[:, 2] + outer[:, 2])[:, None]], 1).astype(np.float32)
