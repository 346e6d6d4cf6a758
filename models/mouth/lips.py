"""The lips as four edges and a jaw line, and how they are given another shape.

All in the upright axes of a face (`geometry.Axes`): `across` and `down` from the point under the nose, in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from models.mouth.geometry import JAW, LOWER_INNER, LOWER_OUTER, UPPER_INNER, UPPER_OUTER, Axes, Floats

#: points of the four edges, from the outside of the upper lip to that of the lower, [4, 11]
EDGES = np.array([UPPER_OUTER, UPPER_INNER, LOWER_INNER, LOWER_OUTER])
#: points of the jaw line below the mouth, [11], the chin in the middle
LOWER_JAW = np.array(JAW[3:-3])
#: of a wider gap, how much the lower lip (and with it the jaw) takes; the upper lip moves little
_JAW_SHARE = 0.75
#: of the lower lip's move, how much the chin follows; beside the chin the jaw line follows less, and not at all
#: beyond this distance, over the face height
_CHIN_SHARE = 0.6
_CHIN_FLAT, _CHIN_REACH = 0.1, 0.42
#: so far before its end a face ends beside the mouth, over the face height
_INSET = 0.03


@dataclass(frozen=True)
class Lips:
    """`edges` float32 [4, 11, 2]: upper outer, upper inner, lower inner, lower outer, each from corner to corner;
    `jaw` float32 [11, 2]: the lower jaw line, from right to left, its middle the tip of the chin (point 152)."""

    edges: Floats
    jaw: Floats

    @classmethod
    def of(cls, landmarks: Floats, axes: Axes) -> Lips:
        """The lips of landmarks [468, 2] (pixels) in `axes`."""
        return cls(axes.enter(landmarks[EDGES]), axes.enter(landmarks[LOWER_JAW]))

    @property
    def chin(self) -> Floats:
        """The tip of the chin [2]."""
        return np.asarray(self.jaw[5], np.float32)

    @property
    def gap(self) -> float:
        """Between the inner edges at their middle (13-14), pixels."""
        return math.dist(self.edges[2, 5].tolist(), self.edges[1, 5].tolist())

    @property
    def corners(self) -> tuple[Floats, Floats]:
        """Right and left corner of the outer edge (61, 291)."""
        return self.edges[0, 0], self.edges[0, -1]

    @property
    def breadth(self) -> float:
        """Between the corners (61-291), pixels."""
        return math.dist(self.edges[0, -1].tolist(), self.edges[0, 0].tolist())

    def shaped(self, gap: float, breadth: float, height: float) -> Lips:
        """The same lips with another gap and breadth in pixels, corners level: edges part in a parabola, and close in
        the shape in which they are open, so that no corner of a smile stays open. `height`: of the face, pixels."""
        middle = (self.edges[0, 0] + self.edges[0, -1]) / 2
        edges = self.edges.copy()
        edges[..., 0] = middle[0] + (edges[..., 0] - middle[0]) * (breadth / max(self.breadth, 1.0))
        off = edges[..., 0] - middle[0]
        half = np.maximum(np.abs(off[:, [0, -1]]).min(1), 1.0)
        bow = np.maximum(1 - (off / half[:, None]) ** 2, 0)
        wider = gap - self.gap
        down = wider * _JAW_SHARE
        if wider < 0 or gap == 0:
            parted = np.maximum(edges[2, :, 1] - edges[1, :, 1], 0)
            parting = np.broadcast_to(parted * (gap / max(self.gap, 1e-3) - 1), edges.shape[:2])
        else:
            parting = wider * bow
        edges[:2, :, 1] -= parting[:2] * (1 - _JAW_SHARE)
        edges[2:, :, 1] += parting[2:] * _JAW_SHARE
        jaw = self.jaw.copy()
        beside = np.abs(jaw[:, 0] - self.chin[0]) / height
        away = np.minimum(np.maximum((beside - _CHIN_FLAT) / (_CHIN_REACH - _CHIN_FLAT), 0), 1)
        jaw[:, 1] += down * _CHIN_SHARE * (0.5 + 0.5 * np.cos(np.pi * away))
        return Lips(_uncrossed(edges), jaw)

    def shut(self) -> Lips:
        """The same lips, touching."""
        edges = self.edges.copy()
        edges[1:3, :, 1] = edges[1:3, :, 1].mean(0)
        return replace(self, edges=edges)

    def parted(self, by: float) -> Lips:
        """The same lips, each inner edge by so many pixels (as far as the lips are thick) farther from the other where
        they are open."""
        edges = self.edges.copy()
        ease = np.clip((edges[2, :, 1] - edges[1, :, 1]) / max(by, 1e-3), 0, 1) * by
        edges[1, :, 1] = np.maximum(edges[1, :, 1] - ease, (edges[0, :, 1] + edges[1, :, 1]) / 2)
        edges[2, :, 1] = np.minimum(edges[2, :, 1] + ease, (edges[3, :, 1] + edges[2, :, 1]) / 2)
        return replace(self, edges=edges)

    def pressed(self, by: float) -> Lips:
        """The same lips rolled in: each outer edge by so many pixels (at most two fifths of the lip) nearer."""
        edges = self.edges.copy()
        edges[0, :, 1] += np.minimum(by, 0.4 * (edges[1, :, 1] - edges[0, :, 1]))
        edges[3, :, 1] -= np.minimum(by, 0.4 * (edges[3, :, 1] - edges[2, :, 1]))
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


def sides(landmarks: Floats, axes: Axes) -> tuple[float, float]:
    """Where the face ends beside the mouth, `across` in pixels: right and left, of landmarks [468, 2]."""
    line = axes.enter(landmarks[list(JAW)])
    level = float(axes.enter(landmarks[[61, 291]])[:, 1].mean())
    middle = len(JAW) // 2
    right, left = line[: middle + 1], line[: middle - 1 : -1]
    ends = [float(np.interp(level, np.maximum.accumulate(half[:, 1]), half[:, 0])) for half in (right, left)]
    return ends[0] + _INSET * axes.height, ends[1] - _INSET * axes.height
