"""`rewrite`: the person's own mouth, chosen from the bank, carried over, bent the last bit, blended in.

After Video Rewrite (Bregler, Covell, Slaney, SIGGRAPH 1997): the video already shows this person's lips, teeth and jaw
in most of the shapes that speech needs, at its own resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.mouth.align import align
from models.mouth.bank import Bank
from models.mouth.blend import light, restored, soften
from models.mouth.choose import Chooser
from models.mouth.cover import HIDDEN, Look
from models.mouth.geometry import CHEEKS, JAW, NOSE_BASE, TOUCHING, Axes, Floats, Range, apply, compose, invert
from models.mouth.lips import EDGES, LOWER_JAW, Bend, Lips, sides
from models.mouth.schedule import Schedule

Picture = npt.NDArray[np.uint8]

#: an exemplar's gap and breadth may be bent by this much: over the face height and as shares
_GAP_REACH, _GAP_SHARE, _BREADTH_SHARE = 0.02, 0.5, 0.2
#: the feather of the carried lower face, over the face height
_FEATHER = 0.07
#: how far inside the jaw line it ends, the part of the jaw line, and all that bounds it beside the nose
_INSET = 0.02
_LOWER_JAW = np.array(JAW[2:-2])
_AROUND = np.array([*CHEEKS, *_LOWER_JAW])
_CHIN = JAW.index(152) - 2 + len(CHEEKS)
#: maps of warps are smooth: every second pixel of them is computed
_STEP = 2
#: the shares of the exemplars before, at and after a packet where it jumps
_DISSOLVE = (0.25, 0.5, 0.25)
#: details smaller than this, over the face height, do not dissolve
_COARSE = 0.012
#: so far from the lips the exemplar's own details end, and within how much the light around a point is taken; both over
#: the face height
_NEAR, _FAR, _LIGHT_REACH = 0.02, 0.07, 0.12


@dataclass(frozen=True)
class Drawn:
    """`picture` uint8 [s, s, 3] and `mask` uint8 [s, s]: 255 where the picture differs from the crop,
    0 elsewhere; the picture itself fades into the crop. `covered`: whether something before the mouth was left as it
    is."""

    picture: Picture
    mask: Picture
    covered: bool = False


class Rewrite:
    """Draws crops after a schedule."""

    name = "rewrite"

    def __init__(self, bank: Bank, schedule: Schedule, reach: Range) -> None:
        """`reach`: the range that the path's units are of. Raises ValueError for an empty bank."""
        if not len(bank):
            raise ValueError("the bank holds no mouth to take")
        self._bank, self._schedule, self._reach = bank, schedule, reach
        self._look = Look(bank)
        units = reach.units(bank.measures())
        touching = float(reach.units(np.full(4, TOUCHING, np.float32))[0])
        self._choose = Chooser(schedule.wanted, units, bank.poses(), bank.frame, self._look.covered, touching)
        self._shapes = np.stack([_shape(landmarks) for landmarks in bank.landmarks])

    def draw(self, index: int, time: float, crop: Picture, placement: Floats, landmarks: Floats) -> Drawn:
        """The crop uint8 [s, s, 3] of packet `index` with its new mouth; `landmarks` [468, 2] in the frame's pixels."""
        import cv2

        target = apply(placement, landmarks)
        cover, hidden = self._look.cover(crop, target)
        if hidden > HIDDEN:
            return Drawn(crop, np.zeros(crop.shape[:2], np.uint8), covered=True)
        face = _Face(target, self._bank)
        axes = face.axes
        wanted, shut = self._schedule.mouth(time)
        picks = [self._choose(index + offset) for offset in (-1, 0, 1)]
        lips = self._lips(picks, face, wanted, shut)
        window = Window.around(target, lips, axes, crop.shape)
        picture = crop.copy()
        # the frame's own mouth takes the new shape too, so that no part of it looks out from under what is laid over it
        bend = face.bend(lips, Lips.of(target, axes))
        moved = window.within(axes.leave(bend.corners))
        moved.of(picture)[...] = moved.bent(crop, bend)[0]
        outline = _outline(target, face.carried(picks[1], _AROUND), axes, lips)
        core = window.within(outline)
        inside = core.polygon(outline)
        over = self._carried(core, self._shares(picks), face, lips)
        part = core.of(picture)
        over = _at_home(core, part, over, inside, lips)
        alpha = soften(inside, round(_FEATHER * axes.height))
        part[...] = cv2.blendLinear(over, part, alpha, 1 - alpha)
        covered = bool(cover.any())
        if covered:
            picture = np.asarray(cv2.blendLinear(crop, picture, cover, 1 - cover), np.uint8)
        return Drawn(picture, window.changed(crop, picture), covered)

    def _lips(self, picks: list[int], face: _Face, wanted: Floats, shut: bool) -> Lips:
        """The lips to draw: the exemplar's, steadied over its neighbours, with the wanted gap and breadth."""
        row, height = picks[1], face.axes.height
        carried = face.lips(row)
        shift = (np.tensordot(_DISSOLVE, self._shapes[picks], 1) - self._shapes[row]) * height
        steady = Lips(carried.edges + shift[:4], carried.jaw + shift[4])
        raw = self._reach.raw(wanted) * height
        gap = 0.0 if shut else max(0.0, float(raw[0]))
        slack = _GAP_REACH * height + _GAP_SHARE * steady.gap
        gap = min(gap, steady.gap + slack)
        breadth = np.clip(raw[1], steady.breadth * (1 - _BREADTH_SHARE), steady.breadth * (1 + _BREADTH_SHARE))
        return steady.shaped(gap, float(breadth), height)

    def _shares(self, picks: list[int]) -> dict[int, float]:
        """Which exemplars show, with what share: neighbours only where the choice jumps."""
        frames = self._bank.frame[picks]
        shares = {picks[1]: _DISSOLVE[1]}
        for side in (0, 2):
            flows = abs(int(frames[side]) - int(frames[1])) <= 1
            row = picks[1] if flows else picks[side]
            shares[row] = shares.get(row, 0.0) + _DISSOLVE[side]
        return shares

    def _carried(self, window: Window, shares: dict[int, float], face: _Face, lips: Lips) -> Picture:
        """The chosen exemplar as it will show, in the light and shade of all that have a share.

        What is finer than `_COARSE` is the chosen one's alone: pictures that are mixed are soft.
        """
        import cv2

        # lips that shall touch leave out what lies between them, the dark line of nearly closed ones too
        margin = TOUCHING * face.axes.height if lips.gap == 0 else 0.0
        parts = {row: (face.bend(lips, face.lips(row).parted(margin)), face.back(row)) for row in shares}
        chosen = next(iter(parts))
        bend, back = parts.pop(chosen)
        alone, _ = window.bent(self._bank.crop(chosen), bend, back)
        if not parts:
            return alone
        block = max(2, round(_COARSE * face.axes.height))
        base = window.coarse(alone, block)
        shift = np.zeros(base.shape, np.float32)
        for row, (bend, back) in parts.items():
            shift += shares[row] * (window.coarsely_bent(self._bank.crop(row), bend, back, block) - base)
        # teeth of two mouths shine through each other: between the lips only the chosen one shows
        shift *= 1 - window.coarse(window.gap(lips), block)[..., None]
        return np.asarray(cv2.add(alone, window.fine(shift, block), dtype=cv2.CV_8U), np.uint8)


class _Face:
    """The face of one crop, `target` [468, 2] in its pixels, and the exemplars of `bank` laid over it."""

    def __init__(self, target: Floats, bank: Bank) -> None:
        self.axes = Axes.of(target)
        self._target, self._bank = target, bank
        self._sides = sides(target, self.axes)
        self._onto: dict[int, Floats] = {}

    def carried(self, row: int, points: npt.NDArray[np.intp]) -> Floats:
        """Points of the mesh of an exemplar where they come to lie, crop pixels."""
        return apply(self._placed(row), self._bank.landmarks[row][points])

    def lips(self, row: int) -> Lips:
        """The lips of an exemplar where they come to lie."""
        return Lips(self.axes.enter(self.carried(row, EDGES)), self.axes.enter(self.carried(row, LOWER_JAW)))

    def back(self, row: int) -> Floats:
        """The map [2, 3] from the crop's pixels to those of an exemplar's picture."""
        return compose(self._bank.placement[row], invert(self._placed(row)))

    def bend(self, to: Lips, come: Lips) -> Bend:
        """How the lips `come` take the shape of `to` in this face."""
        return Bend(to, come, self.axes.height, self._sides)

    def _placed(self, row: int) -> Floats:
        if row not in self._onto:
            self._onto[row] = align(self._bank.landmarks[row], self._target)
        return self._onto[row]


class Window:
    """The part of a crop that is worked on: `left`, `top` and `shape` (height, width) in the crop's pixels."""

    def __init__(self, axes: Axes, left: int, top: int, right: int, bottom: int) -> None:
        self.axes, self.left, self.top = axes, left, top
        self.shape = (bottom - top, right - left)

    @classmethod
    def around(cls, target: Floats, lips: Lips, axes: Axes, shape: tuple[int, ...]) -> Window:
        """All that a new mouth may touch: lower face, chin and the neck under it."""
        jaw = axes.enter(target[_LOWER_JAW])
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
        return np.asarray(_eased((_FAR * self.axes.height - away) / ((_FAR - _NEAR) * self.axes.height)), np.float32)

    def changed(self, crop: Picture, picture: Picture) -> Picture:
        """The crop's mask: 255 where `picture` differs from `crop` in this window, 0 elsewhere."""
        import cv2

        mask = np.zeros(crop.shape[:2], np.uint8)
        same = cv2.inRange(cv2.absdiff(self.of(crop), self.of(picture)), (0, 0, 0), (0, 0, 0))
        self.of(mask)[...] = cv2.bitwise_not(same)
        return mask


def _at_home(window: Window, own: Picture, over: Picture, inside: Picture, lips: Lips) -> Picture:
    """The exemplar `over` in the light of `own`, the frame's picture, and away from the lips with its details.

    Pores, stubble and grain that are the frame's neither change where the choice jumps nor have gone soft on the way.
    """
    import cv2

    block = max(2, round(_COARSE * window.axes.height))
    skin = 1 - window.beside(lips)
    difference = cv2.subtract(own, over, dtype=cv2.CV_32F)
    coarse = window.coarse(difference, block)
    weights = window.coarse(cv2.copyTo(skin, inside), block)
    lighter = window.fine(light(coarse, weights, _LIGHT_REACH * window.axes.height / block), block)
    details = cv2.multiply(cv2.subtract(difference, window.fine(coarse, block)), cv2.merge([skin] * 3))
    return restored(np.asarray(cv2.add(over, cv2.add(lighter, details), dtype=cv2.CV_8U), np.uint8))


def _outline(target: Floats, carried: Floats, axes: Axes, lips: Lips) -> Floats:
    """Points around what is carried over: under the nose, and cheeks and jaw inside of where both the target and the
    exemplar (`carried`, its points _AROUND) have them, so that no background comes along."""
    both = np.stack([axes.enter(target[_AROUND]), axes.enter(carried)])
    sink = lips.chin[1] - both[:, _CHIN, 1]
    ease = np.clip(1 - np.abs(both[..., 0] - lips.chin[0]) / (0.3 * axes.height), 0, 1)
    ease *= np.clip((both[..., 1] - lips.edges[3, :, 1].max()) / (0.1 * axes.height), 0, 1)
    both[..., 1] += sink[:, None] * ease
    middle = lips.edges[0, [0, -1]].mean(0)
    rays = both - middle
    lengths = np.linalg.norm(rays, axis=-1)
    nearest = np.take_along_axis(rays, lengths.argmin(0)[None, :, None], 0)[0]
    short = 1 - _INSET * axes.height / np.maximum(lengths.min(0), 1)
    return np.concatenate([target[list(NOSE_BASE)], axes.leave(middle + nearest * short[:, None])])


def _eased(share: Floats) -> Floats:
    """0 below 0, 1 above 1, smooth between."""
    share = np.clip(share, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _shape(landmarks: Floats) -> Floats:
    """Edges of the lips and jaw line in the face's own axes over its height, [5, 11, 2]."""
    axes = Axes.of(landmarks)
    lips = Lips.of(landmarks, axes)
    return np.asarray(np.concatenate([lips.edges, lips.jaw[None]]) / axes.height, np.float32)
