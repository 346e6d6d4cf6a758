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
from models.mouth.bend import Bend
from models.mouth.blend import light, restored, soften
from models.mouth.choose import Chooser
from models.mouth.cover import HIDDEN, Look
from models.mouth.geometry import CHEEKS, JAW, NOSE_BASE, TOUCHING, Axes, Floats, Range, apply, compose, invert
from models.mouth.lips import EDGES, LOWER_JAW, Lips, sides
from models.mouth.schedule import Schedule
from models.mouth.window import LOWER_FACE, Window

Picture = npt.NDArray[np.uint8]

#: an exemplar's gap and breadth may be bent by this much: over the face height and as shares
_GAP_REACH, _GAP_SHARE, _BREADTH_SHARE = 0.02, 0.5, 0.2
#: the feather of the carried lower face, over the face height
_FEATHER = 0.07
#: how far inside the jaw line it ends, and all that bounds it beside the nose
_INSET = 0.02
_AROUND = np.array([*CHEEKS, *LOWER_FACE])
_CHIN = JAW.index(152) - 2 + len(CHEEKS)
#: the shares of the exemplars before, at and after a packet where it jumps
_DISSOLVE = (0.25, 0.5, 0.25)
#: details smaller than this, over the face height, do not dissolve
_COARSE = 0.012
#: within how much the light around a point is taken, over the face height
_LIGHT_REACH = 0.12


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
        covered, sharp = self._look.covered, bank.sharpness
        self._choose = Chooser(schedule.wanted, units, bank.poses(), bank.frame, covered, touching, sharp)
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


def _shape(landmarks: Floats) -> Floats:
    """Edges of the lips and jaw line in the face's own axes over its height, [5, 11, 2]."""
    axes = Axes.of(landmarks)
    lips = Lips.of(landmarks, axes)
    return np.asarray(np.concatenate([lips.edges, lips.jaw[None]]) / axes.height, np.float32)
