"""`rewrite`: the person's own mouth, chosen from the bank, carried over, bent the last bit, blended in.

After Video Rewrite (Bregler, Covell, Slaney, SIGGRAPH 1997): the video already shows this person's lips, teeth and jaw
in most of the shapes that speech needs, at its own resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.mouth.align import Alignment
from models.mouth.bank import Bank
from models.mouth.bend import Bend, Goal
from models.mouth.blend import light, restored, rounded, soften
from models.mouth.choose import Chooser
from models.mouth.cover import HIDDEN, Look
from models.mouth.geometry import CHEEKS, JAW, NOSE_BASE, TOUCHING, Axes, Floats, Range, apply, compose, invert
from models.mouth.lips import EDGES, LOWER_JAW, Lips, sides
from models.mouth.meeting import PRESS, meet, without_edges
from models.mouth.schedule import Schedule
from models.mouth.window import LOWER_FACE, STEP, Sheet, Window

Picture = npt.NDArray[np.uint8]

#: an exemplar's gap and breadth may be bent by this much: over the face height and as shares
_GAP_REACH, _GAP_SHARE, _BREADTH_SHARE = 0.02, 0.5, 0.2
#: the feather of the carried lower face, over the face height
_FEATHER = 0.07
#: how far inside the jaw line it ends, and all that bounds it beside the nose
_INSET = 0.02
_AROUND = np.array([*CHEEKS, *LOWER_FACE])
#: what is read of an exemplar's mesh: the edges of its lips (44), its lower jaw (11), and those around
_POINTS = np.concatenate([EDGES.ravel(), LOWER_JAW, _AROUND])
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
        self._laid, self._points = Alignment(bank.landmarks), bank.landmarks[:, _POINTS]
        units = reach.units(bank.measures())
        touching = float(reach.units(np.full(4, TOUCHING, np.float32))[0])
        covered, sharp = self._look.covered, bank.sharpness
        self._choose = Chooser(schedule.wanted, units, bank.poses(), bank.frame, covered, touching, sharp)
        self._shapes = np.stack([_shape(landmarks) for landmarks in bank.landmarks])

    def draw(self, index: int, time: float, crop: Picture, placement: Floats, landmarks: Floats) -> Drawn:
        """The crop uint8 [s, s, 3] of packet `index` with its new mouth; `landmarks` [468, 2] in the frame's pixels."""
        import cv2

        target = apply(placement, landmarks)
        cover = self._look.cover(crop, target)
        if cover is not None and cover.hidden > HIDDEN:
            return Drawn(crop, np.zeros(crop.shape[:2], np.uint8), covered=True)
        face = _Face(target, self._laid, self._points)
        axes, own = face.axes, Lips.of(target, face.axes)
        wanted, shut = self._schedule.mouth(time)
        picks = [self._choose(index + offset) for offset in (-1, 0, 1)]
        lips = self._lips(picks, face, wanted, shut, self._schedule.pressed(time))
        goal = Goal(lips, own, axes.height, sides(target, axes))
        outline = _outline(target, face.around(picks[1]), axes, lips)
        window = Window.holding(axes, np.concatenate([axes.leave(goal.corners), outline]), crop.shape)
        sheet, picture = Sheet(window, goal), crop.copy()
        # the frame's own mouth takes the new shape too, so that no part of it looks out from under what is laid over it
        moved = sheet.maps(window, Bend(goal, own)).picture(crop, window)
        window.of(picture)[...] = rounded(moved)
        core = window.within(outline)
        inside = core.polygon(outline)
        over = self._over(sheet, core, core.of(picture), inside, self._shares(picks), face)
        alpha = soften(inside, round(_FEATHER * axes.height))
        blended = cv2.blendLinear(over, window.part(moved, core), alpha, 1 - alpha)
        core.of(picture)[...] = rounded(np.asarray(blended, np.float32))
        meet(picture, core, lips, face.lips(picks[1]), swept=STEP)
        if cover is not None:
            picture = np.asarray(cv2.blendLinear(crop, picture, cover.mask, 1 - cover.mask), np.uint8)
        return Drawn(picture, window.changed(crop, picture), cover is not None)

    def _lips(self, picks: list[int], face: _Face, wanted: Floats, shut: bool, press: float) -> Lips:
        """The lips to draw: the exemplar's, steadied over its neighbours, with the wanted gap and breadth.

        `press`, 0..1: how far they shall press against each other.
        """
        row, height = picks[1], face.axes.height
        carried = face.lips(row)
        shift = sum(share * self._shapes[pick] for share, pick in zip(_DISSOLVE, picks, strict=True))
        shift = (shift - self._shapes[row]) * height
        steady = Lips(carried.edges + shift[:4], carried.jaw + shift[4])
        raw = self._reach.raw(wanted) * height
        gap = 0.0 if shut else max(0.0, float(raw[0]))
        slack = _GAP_REACH * height + _GAP_SHARE * steady.gap
        gap = min(gap, steady.gap + slack)
        breadth = np.clip(raw[1], steady.breadth * (1 - _BREADTH_SHARE), steady.breadth * (1 + _BREADTH_SHARE))
        shaped = steady.shaped(gap, float(breadth), height)
        # lips that touched when they were seen press as they do
        parted = min(1.0, carried.gap / (2 * TOUCHING * height))
        return shaped.pressed(PRESS * height * press * parted)

    def _shares(self, picks: list[int]) -> dict[int, float]:
        """Which exemplars show, with what share: neighbours only where the choice jumps."""
        frames = self._bank.frame[picks]
        shares = {picks[1]: _DISSOLVE[1]}
        for side in (0, 2):
            flows = abs(int(frames[side]) - int(frames[1])) <= 1
            row = picks[1] if flows else picks[side]
            shares[row] = shares.get(row, 0.0) + _DISSOLVE[side]
        return shares

    def _over(
        self, sheet: Sheet, core: Window, own: Picture, inside: Picture, shares: dict[int, float], face: _Face
    ) -> Floats:
        """`own`, the frame's picture in the window `core`, with the chosen exemplar's mouth in it and in its light.

        Away from the lips only what is coarser than `_COARSE` is the exemplars': pores, stubble and grain that are the
        frame's neither change where the choice jumps nor have gone soft on the way.
        """
        import cv2

        lips, height = sheet.goal.to, face.axes.height
        block = max(2, round(_COARSE * height))
        bends = {row: Bend(sheet.goal, without_edges(face.lips(row), lips, height)) for row in shares}
        maps = {row: sheet.maps(core, bend, self._back(face, row)) for row, bend in bends.items()}
        chosen, *others = shares
        mouth = self._bank.crop(chosen)
        base = maps[chosen].coarse(mouth, block)
        apart = change = base - core.coarse(own, block)
        if others:
            shift = sum(shares[row] * (maps[row].coarse(self._bank.crop(row), block) - base) for row in others)
            # teeth of two mouths shine through each other: between the lips only the chosen one shows
            change = apart + shift * (1 - core.coarse(core.gap(lips), block)[..., None])
        near = core.around(lips)
        beside = near.beside(lips)
        skin = (inside > 0).astype(np.float32)
        core.part(skin, near)[...] *= 1 - beside
        change = change - light(change, core.coarse(skin, block), _LIGHT_REACH * height / block)
        over = np.asarray(cv2.add(own, core.fine(change, block), dtype=cv2.CV_32F), np.float32)
        details = maps[chosen].picture(mouth, near) - core.part(own, near)
        details -= core.part(core.fine(apart, block), near)
        details *= cv2.merge([beside] * 3)
        core.part(over, near)[...] += details
        return restored(over)

    def _back(self, face: _Face, row: int) -> Floats:
        """The map [2, 3] from the crop's pixels to those of an exemplar's picture."""
        return compose(self._bank.placement[row], invert(face.onto(row)))


class _Face:
    """The face of one crop, `target` [468, 2] in its pixels, and the exemplars laid over it: `points` [n, 72, 2], those
    of `_POINTS` of each."""

    def __init__(self, target: Floats, laid: Alignment, points: Floats) -> None:
        self.axes = Axes.of(target)
        self._target, self._laid, self._points = target, laid, points
        self._onto: dict[int, Floats] = {}
        self._seen: dict[int, Floats] = {}

    def lips(self, row: int) -> Lips:
        """The lips of an exemplar where they come to lie."""
        points = self._local(row)
        return Lips(points[:44].reshape(4, 11, 2), points[44:55])

    def around(self, row: int) -> Floats:
        """What bounds the lower face of an exemplar where it comes to lie, in the face's axes."""
        return self._local(row)[55:]

    def onto(self, row: int) -> Floats:
        """The map [2, 3] from the pixels of an exemplar's frame to those of the crop."""
        if row not in self._onto:
            self._onto[row] = self._laid.onto(row, self._target)
        return self._onto[row]

    def _local(self, row: int) -> Floats:
        if row not in self._seen:
            self._seen[row] = self.axes.enter(apply(self.onto(row), self._points[row]))
        return self._seen[row]


def _outline(target: Floats, carried: Floats, axes: Axes, lips: Lips) -> Floats:
    """Points around what is carried over: under the nose, and cheeks and jaw inside of where both the target and the
    exemplar (`carried`, those of its mesh, in the axes) have them, so that no background comes along."""
    both = np.stack([axes.enter(target[_AROUND]), carried])
    sink = lips.chin[1] - both[:, _CHIN, 1]
    ease = np.maximum(1 - np.abs(both[..., 0] - lips.chin[0]) / (0.3 * axes.height), 0)
    below = (both[..., 1] - lips.edges[3, :, 1].max()) / (0.1 * axes.height)
    ease *= np.minimum(np.maximum(below, 0), 1)
    both[..., 1] += sink[:, None] * ease
    middle = (lips.edges[0, 0] + lips.edges[0, -1]) / 2
    rays = both - middle
    lengths = np.hypot(rays[..., 0], rays[..., 1])
    nearest = np.where((lengths[0] <= lengths[1])[:, None], rays[0], rays[1])
    short = 1 - _INSET * axes.height / np.maximum(np.minimum(lengths[0], lengths[1]), 1)
    return np.concatenate([target[list(NOSE_BASE)], axes.leave(middle + nearest * short[:, None])])


def _shape(landmarks: Floats) -> Floats:
    """Edges of the lips and jaw line in the face's own axes over its height, [5, 11, 2]."""
    axes = Axes.of(landmarks)
    lips = Lips.of(landmarks, axes)
    return np.asarray(np.concatenate([lips.edges, lips.jaw[None]]) / axes.height, np.float32)
