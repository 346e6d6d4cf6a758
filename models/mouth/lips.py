"""The lips as four edges and a chin, how they are given another shape, and the warp from one shape to another.

All in the upright axes of a face (`geometry.Axes`): `across` and `down` from the point under the nose, in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.mouth.geometry import LOWER_INNER, LOWER_OUTER, UPPER_INNER, UPPER_OUTER, Axes, Floats

#: points of the four edges, from the outside of the upper lip to that of the lower, [4, 11]
EDGES = np.array([UPPER_OUTER, UPPER_INNER, LOWER_INNER, LOWER_OUTER])
#: of a wider gap, how much the lower lip (and with it the jaw) takes; the upper lip moves little
_JAW_SHARE = 0.75
#: of the lower lip's move, how much the chin follows
_CHIN_SHARE = 0.6
#: spacing of the tables that curves are sampled into, pixels
_STEP = 0.5


@dataclass(frozen=True)
class Lips:
    """`edges` float32 [4, 11, 2]: upper outer, upper inner, lower inner, lower outer, each from corner to corner;
    `chin` float32 [2]: the tip of the chin (point 152)."""

    edges: Floats
    chin: Floats

    @classmethod
    def of(cls, landmarks: Floats, axes: Axes) -> Lips:
        """The lips of landmarks [468, 2] (pixels) in `axes`."""
        return cls(axes.enter(landmarks[EDGES]), axes.enter(landmarks[152]))

    @property
    def gap(self) -> float:
        """Between the inner edges at their middle (13-14), pixels."""
        return float(np.linalg.norm(self.edges[2, 5] - self.edges[1, 5]))

    @property
    def corners(self) -> tuple[Floats, Floats]:
        """Right and left corner of the outer edge (61, 291)."""
        return self.edges[0, 0], self.edges[0, -1]

    @property
    def breadth(self) -> float:
        """Between the corners (61-291), pixels."""
        return float(np.linalg.norm(self.edges[0, -1] - self.edges[0, 0]))

    def moved(self, shift: Floats) -> Lips:
        """All of it by `shift` [2]."""
        return Lips(self.edges + shift, self.chin + shift)

    def shaped(self, gap: float, breadth: float) -> Lips:
        """The same lips with another gap and breadth in pixels: the edges part in a parabola, corners stay level."""
        middle = self.edges[0, [0, -1]].mean(0)
        edges = self.edges.copy()
        edges[..., 0] = middle[0] + (edges[..., 0] - middle[0]) * (breadth / max(self.breadth, 1.0))
        off = edges[..., 0] - middle[0]
        half = np.maximum(np.abs(off[:, [0, -1]]).min(1), 1.0)
        bow = np.clip(1 - (off / half[:, None]) ** 2, 0, 1)
        wider = gap - self.gap
        down = wider * _JAW_SHARE
        edges[:2, :, 1] -= bow[:2] * (wider - down)
        edges[2:, :, 1] += bow[2:] * down
        chin = self.chin + np.array([0, down * _CHIN_SHARE], np.float32)
        return Lips(_uncrossed(edges), chin)

    def shut(self) -> Lips:
        """The same lips, touching."""
        edges = self.edges.copy()
        edges[1:3, :, 1] = edges[1:3, :, 1].mean(0)
        return replace(self, edges=edges)


def _uncrossed(edges: Floats) -> Floats:
    """Where the inner edges have passed each other, both at their middle; outer edges never inside inner ones."""
    edges = edges.copy()
    crossed = edges[1, :, 1] > edges[2, :, 1]
    middle = (edges[1, :, 1] + edges[2, :, 1]) / 2
    for inner in (1, 2):
        edges[inner, crossed, 1] = middle[crossed]
    edges[0, :, 1] = np.minimum(edges[0, :, 1], edges[1, :, 1])
    edges[3, :, 1] = np.maximum(edges[3, :, 1], edges[2, :, 1])
    return edges


@dataclass(frozen=True)
class Bend:
    """A warp from the shape `to` back to the shape `come`: where the pixel of a new picture comes from.

    Columns of pixels are mapped piecewise linearly between seven levels: nose, the four edges, chin, neck; sideways it
    is a stretch between the corners that fades towards cheeks, nose and chin. A gap that closes vanishes (no pixel
    comes from it). One that opens is stretched, or, where `hanging`, keeps its size and hangs from the upper lip, as
    teeth do. `height`: of the face, pixels.
    """

    to: Lips
    come: Lips
    height: float
    hanging: bool = False

    def __call__(self, across: Floats, down: Floats) -> tuple[Floats, Floats, Floats]:
        """Local coordinates [h, w] of pixels → those of their origins, and a depth: how many pixels below what the old
        gap shows a pixel of the new gap lies (0 everywhere else, and unless `hanging`)."""
        start = float(across.min()) - 1
        columns = np.arange(start, float(across.max()) + 2, _STEP, dtype=np.float32)
        origin = self._sideways(columns)
        to, come = self._levels(self.to, columns), self._levels(self.come, origin)
        slope, offset = _pieces(to, come, self.hanging)
        column = ((across - start) * (1 / _STEP)).astype(np.int32)
        piece = np.zeros(across.shape, np.int32)
        for level in to:
            piece += down >= level[column]
        flat = piece * len(columns) + column
        new_down = down * slope.ravel()[flat] + offset.ravel()[flat]
        new_across = across + (origin - columns)[column] * self._fade(down)
        depth = np.zeros_like(down)
        if self.hanging:
            depth = np.where(piece == 3, np.maximum(new_down - come[3][column], 0), 0).astype(np.float32)
        return new_across, new_down, depth

    def _sideways(self, columns: Floats) -> Floats:
        (a, b), (c, d) = self.to.corners, self.come.corners
        reach = 0.28 * self.height
        known = [a[0] - reach, a[0], b[0], b[0] + reach]
        return np.asarray(np.interp(columns, known, [a[0] - reach, c[0], d[0], b[0] + reach]), np.float32)

    def _fade(self, down: Floats) -> Floats:
        """1 at the lips, 0 at the nose and half way to the chin."""
        top, bottom = self.to.edges[0, :, 1].min(), self.to.edges[3, :, 1].max()
        above = np.clip(down / max(float(top), 1.0), 0, 1)
        below = np.clip(1 - (down - bottom) / max(float(self.to.chin[1] - bottom), 1.0), 0, 1)
        return np.asarray(above * below, np.float32)

    def _levels(self, lips: Lips, columns: Floats) -> Floats:
        edges = [np.interp(columns, np.maximum.accumulate(edge[:, 0]), edge[:, 1]) for edge in lips.edges]
        reach = np.clip((np.abs(columns - self.to.chin[0]) / self.height - 0.1) / 0.32, 0, 1)
        sink = (lips.chin[1] - self.to.chin[1]) * (0.5 + 0.5 * np.cos(np.pi * reach))
        chin = np.maximum(self.to.chin[1] + sink, edges[3] + 1)
        neck = np.maximum(self.to.chin[1], self.come.chin[1]) + 0.16 * self.height
        nose = np.zeros_like(columns)
        return np.stack([nose, *edges, chin, np.full_like(columns, neck)]).astype(np.float32)


def _pieces(to: Floats, come: Floats, hanging: bool) -> tuple[Floats, Floats]:
    """Slope and offset [8, columns] of the map between levels [7, columns]; outside of them it moves nothing."""
    to = np.maximum.accumulate(to, 0)
    come = np.maximum.accumulate(come, 0)
    slope = np.ones((8, to.shape[1]), np.float32)
    offset = np.zeros_like(slope)
    length = to[1:] - to[:-1]
    slope[1:7] = np.where(length > 1e-3, (come[1:] - come[:-1]) / np.maximum(length, 1e-3), 0)
    if hanging:
        slope[3] = 1
    offset[1:7] = come[:-1] - slope[1:7] * to[:-1]
    return slope, offset
