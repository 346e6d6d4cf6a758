"""`warp`: the mouth that the picture shows, bent into the wanted shape, with a mouth's inside drawn where it opens.

For stills, and for people whose video never opens the mouth: there is nothing to carry over.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.mouth.bend import Bend, Goal
from models.mouth.blend import rounded
from models.mouth.geometry import TOUCHING, Axes, Floats, Range, apply
from models.mouth.lips import Lips, sides
from models.mouth.meeting import PRESS, edge_at, lip_light, meet, without_edges
from models.mouth.rewrite import Drawn
from models.mouth.schedule import Schedule
from models.mouth.window import Sheet, Window

Picture = npt.NDArray[np.uint8]

#: how far mouth and jaw open in speech, over the face height, and how much narrower and wider than at rest the mouth
#: gets, up to a width that speakers reach: see docs/generators.md
_OPEN, _JAW, _NARROW, _WIDE, _WIDEST = 0.1, 0.1, 0.87, 1.24, 0.4
#: the front teeth: their height over the face height, how much of the gap they cover at most, and the gaps between
#: which they come into the light
_TEETH, _TEETH_SHARE = 0.032, 0.55
_DIM, _LIT = 0.015, 0.04
#: enamel in the light that falls on the lips, dark of the throat and of the tongue as shares of the lips' colour
_ENAMEL = np.array([0.68, 0.64, 0.58], np.float32)
_THROAT = np.array([0.20, 0.12, 0.12], np.float32)
_TONGUE = np.array([0.62, 0.42, 0.42], np.float32)


def speaking_range(measures: Floats) -> Range:
    """A range of speech for a person of whom only the mouth at rest is known, from measures [n, 4]."""
    rest = np.nanmedian(measures, 0)
    closed = min(float(rest[0]), TOUCHING / 2)
    low = np.array([closed, rest[1] * _NARROW, rest[2] * 0.8, rest[3] - 0.005], np.float32)
    wide = max(float(rest[1]), min(float(rest[1]) * _WIDE, _WIDEST))
    high = np.array([closed + _OPEN, wide, rest[2] * 1.2, rest[3] + _JAW], np.float32)
    return Range(low, high)


class Warp:
    """Draws crops after a schedule."""

    name = "warp"

    def __init__(self, schedule: Schedule, reach: Range) -> None:
        """`reach`: the range that the path's units are of, for instance `speaking_range`."""
        self._schedule, self._reach = schedule, reach

    def draw(self, index: int, time: float, crop: Picture, placement: Floats, landmarks: Floats) -> Drawn:
        """The crop uint8 [s, s, 3] of packet `index` with its new mouth; `landmarks` [468, 2] in the frame's pixels."""
        target = apply(placement, landmarks)
        axes = Axes.of(target)
        own = Lips.of(target, axes)
        if own.gap < TOUCHING * axes.height:
            own = own.shut()
        lips = self._lips(time, own, axes.height)
        come = without_edges(own, lips, axes.height)
        goal = Goal(lips, come, axes.height, sides(target, axes))
        window = Window.holding(axes, axes.leave(goal.corners), crop.shape)
        sheet, bend = Sheet(window, goal, step=1), Bend(goal, come, hanging=True)
        part = rounded(sheet.maps(window, bend).picture(crop, window))
        if lips.gap > 1:
            depth = bend.depth(sheet.spots)
            part = _open(part, window, lips, own, depth, crop)
        picture = crop.copy()
        window.of(picture)[...] = part
        meet(picture, window, lips, own)
        return Drawn(picture, window.changed(crop, picture))

    def _lips(self, time: float, own: Lips, height: float) -> Lips:
        """The lips to draw: the frame's `own`, with the wanted gap and breadth, pressed together where they shall."""
        wanted, shut = self._schedule.mouth(time)
        raw = self._reach.raw(wanted) * height
        gap = 0.0 if shut else max(0.0, float(raw[0]) - float(self._reach.low[0]) * height)
        lips = own.shaped(gap, float(np.clip(raw[1], own.breadth * 0.8, own.breadth * 1.2)), height)
        return lips.pressed(PRESS * height * self._schedule.pressed(time))


def _open(picture: Picture, window: Window, lips: Lips, own: Lips, depth: Floats, crop: Picture) -> Picture:
    """Draw what shows in the new gap below what the old one showed."""
    import cv2

    height = window.axes.height
    across, down = window.local()
    light = lip_light(crop, window, own)
    inside = _interior(across, down, height, lips, light, teeth=own.gap < TOUCHING * height)
    right, left = lips.edges[1, 0, 0], lips.edges[1, -1, 0]
    between = _rise((across - right) / 2) * _rise((left - across) / 2)
    between *= np.clip(edge_at(lips.edges[2], across) - down + 0.5, 0, 1)
    cover = cv2.GaussianBlur(_rise(depth / max(1.0, height / 150)) * between, (0, 0), max(0.6, height / 300))
    mixed = picture + (inside - picture) * cover[..., None]
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _interior(
    across: Floats, down: Floats, height: float, lips: Lips, light: tuple[Floats, float], teeth: bool
) -> Floats:
    """Throat, tongue and (if wanted) upper front teeth, float32 [h, w, 3], for pixels at `across`, `down` [h, w]."""
    colour, level = light
    middle = lips.edges[1:3, :, :].mean((0, 1))
    half = max(lips.breadth / 2, 1.0)
    side = np.clip(np.abs(across - middle[0]) / half, 0, 1)
    upper, lower = edge_at(lips.edges[1], across), edge_at(lips.edges[2], across)
    gap = np.maximum(lower - upper, 1e-3)
    place = np.clip((down - upper) / gap, 0, 1)
    dim = (1 - 0.55 * side**2) * (0.45 + 0.55 * np.sin(np.pi * np.clip(place, 0.05, 0.95)))
    picture = colour * _THROAT * (0.6 + 0.4 * dim)[..., None]
    tongue = _rise((place - 0.55) / 0.25) * _rise((0.75 - side) / 0.3) * _rise((gap - 0.03 * height) / (0.03 * height))
    picture += (colour * _TONGUE * dim[..., None] - picture) * (0.8 * tongue)[..., None]
    if teeth:
        tall = np.minimum(_TEETH * height * (1 - 0.35 * side**2), gap * _TEETH_SHARE)
        away = down - upper
        edge = max(0.8, height / 250)
        show = _rise((tall - away) / edge + 0.5) * _rise((0.78 - side) / 0.18)
        show *= _rise((gap / height - _DIM) / (_LIT - _DIM))
        shade = 0.62 + 0.38 * _rise(away / (0.02 * height))
        enamel = level * _ENAMEL * (shade * (1 - 0.45 * side**2) * _joints(across - middle[0], height))[..., None]
        picture += (enamel - picture) * show[..., None]
    return np.asarray(picture, np.float32)


def _joints(across: Floats, height: float) -> Floats:
    """A little darker where two teeth meet; front teeth are about a 35th of the face height wide."""
    wide = height / 35
    off = np.abs((across / wide + 0.5) % 1 - 0.5) * wide
    return np.asarray(1 - 0.10 * np.exp(-((off / max(0.7, height / 450)) ** 2)), np.float32)


def _rise(x: Floats) -> Floats:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)
