"""The warp from one shape of the lips to another, in the upright axes of a face (`geometry.Axes`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.mouth.geometry import Floats
from models.mouth.lips import Lips

Places = npt.NDArray[np.intp]

#: beside the corners of the mouth a bend fades out within this, over the face height
_REACH, _LEAST_REACH = 0.28, 0.08
#: below the jaw it fades out within this, over the face height
_NECK = 0.16
#: spacing of the tables that curves are sampled into, pixels
_STEP = 1.0
#: more than any face is broad, in pixels
_APART = 1e6


class Spots(NamedTuple):
    """Pixels `across` and `down` as a goal has them: `column` of its tables, `piece` between which levels (0 above all,
    7 below all), and `fade` of what moves sideways. All of one shape."""

    across: Floats
    down: Floats
    column: Places
    piece: Places
    fade: Floats

    def part(self, rows: slice, columns: slice) -> Spots:
        """Those of some rows and columns."""
        across, down, column, piece, fade = self
        place = (rows, columns)
        return Spots(across[place], down[place], column[place], piece[place], fade[place])


@dataclass(frozen=True)
class Goal:
    """The shape that lips shall take: what all bends to it have in common.

    `come`: the lips of the picture; what moves ends below the lower of both jaws. `height`: of the face, pixels.
    `sides`: right and left end of the face, across.
    """

    to: Lips
    come: Lips
    height: float
    sides: tuple[float, float]

    @property
    def corners(self) -> Floats:
        """Of the upright box beyond which nothing moves, [4, 2] across and down."""
        left, _, _, right = self.ends
        return np.array([[left, 0], [right, 0], [left, self._neck], [right, self._neck]], np.float32)

    @cached_property
    def ends(self) -> tuple[float, float, float, float]:
        """Across: where bends begin, the corners, and where they end."""
        right, left = (float(corner[0]) for corner in self.to.corners)
        most, least = _REACH * self.height, _LEAST_REACH * self.height
        room = [min(max(far, least), most) for far in (right - self.sides[0], self.sides[1] - left)]
        return right - room[0], right, left, left + room[1]

    @cached_property
    def columns(self) -> Floats:
        """Across, every `_STEP` pixels; before the first and after the last nothing moves."""
        return np.arange(self.ends[0] - _STEP, self.ends[3] + 2 * _STEP, _STEP, dtype=np.float32)

    @cached_property
    def beside(self) -> Floats:
        """By columns: 1 between the corners, 0 where bends end."""
        share = np.interp(self.columns, self.ends, [0, 1, 1, 0])
        return np.asarray(share * share * (3 - 2 * share), np.float32)

    @cached_property
    def levels(self) -> Floats:
        """Nose, the four edges, jaw and neck, down, rising: [7, columns]."""
        return self.levels_of(self.to, self.columns)

    def levels_of(self, lips: Lips, columns: Floats) -> Floats:
        """As `levels`, of other lips at other columns."""
        lines = np.concatenate([lips.edges, lips.jaw[None]])
        curves = np.maximum.accumulate(lines[..., 0], 1)
        # one call for all curves: they lie side by side, so far apart that none is met from another
        place = np.arange(5)[:, None] * _APART
        inside = np.minimum(np.maximum(columns, curves[:, :1]), curves[:, -1:])
        found = np.empty((7, len(columns)), np.float32)
        found[1:6] = np.interp(inside + place, (curves + place).ravel(), lines[..., 1].ravel())
        found[0], found[6] = 0, self._neck
        np.maximum(found[5], found[4] + 1, out=found[5])
        return np.asarray(np.maximum.accumulate(found, 0, out=found), np.float32)

    def spots(self, across: Floats, down: Floats) -> Spots:
        """Where pixels [h, w] lie."""
        last = len(self.columns) - 1
        column = ((across - self.columns[0]) * (1 / _STEP) + 0.5).astype(np.intp)
        column = np.minimum(np.maximum(column, 0), last)
        piece = np.zeros(across.shape, np.uint8)
        for level in self.levels:
            piece += down >= level.take(column)
        return Spots(across, down, column, piece.astype(np.intp), self._fade(down))

    def _fade(self, down: Floats) -> Floats:
        """1 at the lips, 0 at the nose and half way to the chin."""
        top, bottom = float(self.to.edges[0, :, 1].min()), float(self.to.edges[3, :, 1].max())
        far = max(float(self.to.chin[1]) - bottom, 1.0)
        fade = np.minimum(down * np.float32(1 / max(top, 1.0)), (bottom + far - down) * np.float32(1 / far))
        return np.asarray(np.minimum(np.maximum(fade, 0), 1), np.float32)

    @cached_property
    def _neck(self) -> float:
        return float(max(self.to.jaw[:, 1].max(), self.come.jaw[:, 1].max())) + _NECK * self.height


class _Table(NamedTuple):
    """A bend by the goal's columns: how far each comes from sideways [columns], its levels [7, columns], and between
    the goal's levels slope and offset [8, columns] of the map down."""

    shift: Floats
    levels: Floats
    slope: Floats
    offset: Floats


@dataclass(frozen=True)
class Bend:
    """A warp from the shape `goal` back to the shape `come`: where the pixel of a new picture comes from.

    Columns of pixels are mapped piecewise linearly between seven levels: nose, the four edges, jaw, neck; sideways it
    is a stretch between the corners that fades towards nose and chin. Beside the mouth all of it fades out before the
    face ends, so that nothing behind the face moves with it. What shows in a gap hangs from the upper lip, as teeth do:
    where the gap gets smaller the lower lip covers it from below. One that gets larger is stretched, or, where
    `hanging`, the last of it goes on below, to be drawn over.
    """

    goal: Goal
    come: Lips
    hanging: bool = False

    def __call__(self, spots: Spots) -> tuple[Floats, Floats]:
        """Where pixels come from, across and down."""
        table = self._table
        flat = spots.piece * len(table.shift)
        flat += spots.column
        down = table.slope.take(flat)
        down *= spots.down
        down += table.offset.take(flat)
        across = table.shift.take(spots.column)
        across *= spots.fade
        across += spots.across
        if self.hanging:
            # what will be drawn in the gap goes over the edge of the lip, not over the chin below it
            down -= np.where(spots.piece == 3, self.depth(spots), 0)
        return across, down

    def depth(self, spots: Spots) -> Floats:
        """How many pixels below what the old gap shows, hanging from the upper lip, a pixel lies; 0 above it."""
        come, to = self._table.levels, self.goal.levels
        below = spots.down + (come[2] - to[2] - come[3])[spots.column]
        return np.where(spots.piece >= 3, np.maximum(below, 0), 0).astype(np.float32)

    @cached_property
    def _table(self) -> _Table:
        goal, ends = self.goal, self.goal.ends
        shifts = [0, float(self.come.corners[0][0]) - ends[1], float(self.come.corners[1][0]) - ends[2], 0]
        shift = np.interp(goal.columns, ends, shifts).astype(np.float32)
        levels = goal.levels_of(self.come, goal.columns + shift) - goal.levels
        levels *= goal.beside
        levels += goal.levels
        return _Table(shift, levels, *_pieces(goal.levels, levels, self.hanging))


def _pieces(to: Floats, come: Floats, hanging: bool) -> tuple[Any, Any]:
    """Slope and offset [8, columns] of the map between levels [7, columns]; outside of them it moves nothing."""
    slope = np.ones((8, to.shape[1]), np.float32)
    offset = np.zeros_like(slope)
    # in a piece of no length lies no pixel
    np.divide(come[1:] - come[:-1], np.maximum(to[1:] - to[:-1], 1e-3), out=slope[1:7])
    slope[3] = 1 if hanging else np.minimum(slope[3], 1)
    np.subtract(come[:-1], slope[1:7] * to[:-1], out=offset[1:7])
    return slope, offset
