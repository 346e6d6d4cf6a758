"""The warp from one shape of the lips to another, in the upright axes of a face (`geometry.Axes`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.mouth.geometry import Floats
from models.mouth.lips import Lips

#: beside the corners of the mouth a bend fades out within this, over the face height, and before the face ends
_REACH, _LEAST_REACH = 0.28, 0.08
#: spacing of the tables that curves are sampled into, pixels
_STEP = 0.5


@dataclass(frozen=True)
class Bend:
    """A warp from the shape `to` back to the shape `come`: where the pixel of a new picture comes from.

    Columns of pixels are mapped piecewise linearly between seven levels: nose, the four edges, jaw, neck; sideways it
    is a stretch between the corners that fades towards nose and chin. Beside the mouth all of it fades out before the
    face ends at `sides` (right and left, across), so that nothing behind the face moves with it. What
    shows in a gap hangs from the upper lip, as teeth do: where the gap gets smaller the lower lip covers it from below.
    One that gets larger is stretched, or, where `hanging`, the last of it goes on below, to be drawn over.
    `height`: of the face, pixels.
    """

    to: Lips
    come: Lips
    height: float
    sides: tuple[float, float]
    hanging: bool = False

    def __call__(self, across: Floats, down: Floats) -> tuple[Floats, Floats, Floats]:
        """Local coordinates [h, w] of pixels → those of their origins, and a depth: how many pixels below what the old
        gap shows, hanging from the upper lip, a pixel lies (0 above it, and unless `hanging`)."""
        start = float(across.min()) - 1
        columns = np.arange(start, float(across.max()) + 2, _STEP, dtype=np.float32)
        origin = self._sideways(columns)
        to, come = self._levels(self.to, columns), self._levels(self.come, origin)
        come = to + (come - to) * self._beside(columns)
        slope, offset = _pieces(to, come, self.hanging)
        column = ((across - start) * (1 / _STEP)).astype(np.intp)
        piece = np.zeros(across.shape, np.uint8)
        for level in to:
            piece += down >= level.take(column)
        flat = piece * np.intp(len(columns)) + column
        new_down = down * slope.take(flat) + offset.take(flat)
        new_across = across + (origin - columns).take(column) * self._fade(down)
        depth = np.zeros_like(down)
        if self.hanging:
            below = down + (come[2] - to[2] - come[3])[column]
            depth = np.where(piece >= 3, np.maximum(below, 0), 0).astype(np.float32)
            # what will be drawn in the gap goes over the edge of the lip, not over the chin below it
            new_down -= np.where(piece == 3, depth, 0)
        return new_across, new_down, depth

    @property
    def corners(self) -> Floats:
        """Of the upright box beyond which nothing moves, [4, 2] across and down."""
        left, _, _, right = self._ends
        return np.array([[x, y] for y in (0, self._neck) for x in (left, right)], np.float32)

    @property
    def _neck(self) -> float:
        return float(max(self.to.jaw[:, 1].max(), self.come.jaw[:, 1].max())) + 0.16 * self.height

    @cached_property
    def _ends(self) -> tuple[float, float, float, float]:
        """Across: where the bend begins, the corners, and where it ends."""
        right, left = (float(corner[0]) for corner in self.to.corners)
        most, least = _REACH * self.height, _LEAST_REACH * self.height
        room = [min(max(far, least), most) for far in (right - self.sides[0], self.sides[1] - left)]
        return right - room[0], right, left, left + room[1]

    def _sideways(self, columns: Floats) -> Floats:
        ends = self._ends
        shifts = [0, self.come.corners[0][0] - ends[1], self.come.corners[1][0] - ends[2], 0]
        return np.asarray(columns + np.interp(columns, ends, shifts), np.float32)

    def _beside(self, columns: Floats) -> Floats:
        """1 between the corners, 0 where the bend ends."""
        share = np.interp(columns, self._ends, [0, 1, 1, 0])
        return np.asarray(share * share * (3 - 2 * share), np.float32)

    def _fade(self, down: Floats) -> Floats:
        """1 at the lips, 0 at the nose and half way to the chin."""
        top, bottom = self.to.edges[0, :, 1].min(), self.to.edges[3, :, 1].max()
        above = np.clip(down / max(float(top), 1.0), 0, 1)
        below = np.clip(1 - (down - bottom) / max(float(self.to.chin[1] - bottom), 1.0), 0, 1)
        return np.asarray(above * below, np.float32)

    def _levels(self, lips: Lips, columns: Floats) -> Floats:
        edges = [np.interp(columns, np.maximum.accumulate(edge[:, 0]), edge[:, 1]) for edge in lips.edges]
        line = np.interp(columns, np.maximum.accumulate(lips.jaw[:, 0]), lips.jaw[:, 1])
        jaw = np.maximum(line, edges[3] + 1)
        nose = np.zeros_like(columns)
        return np.stack([nose, *edges, jaw, np.full_like(columns, self._neck)]).astype(np.float32)


def _pieces(to: Floats, come: Floats, hanging: bool) -> tuple[Floats, Floats]:
    """Slope and offset [8, columns] of the map between levels [7, columns]; outside of them it moves nothing."""
    to = np.maximum.accumulate(to, 0)
    come = np.maximum.accumulate(come, 0)
    slope = np.ones((8, to.shape[1]), np.float32)
    offset = np.zeros_like(slope)
    length = to[1:] - to[:-1]
    slope[1:7] = np.where(length > 1e-3, (come[1:] - come[:-1]) / np.maximum(length, 1e-3), 0)
    slope[3] = 1 if hanging else np.minimum(slope[3], 1)
    offset[1:7] = come[:-1] - slope[1:7] * to[:-1]
    return slope, offset
