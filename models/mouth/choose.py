"""Which exemplar each packet shows: a path through the bank that follows the wanted mouth, fits the head and rarely
jumps.

Packets are chosen for in blocks, each decoded by itself by dynamic programming (Viterbi) with a margin of packets on
both sides. So the choice for a packet is a pure function of its index: any worker finds the same, in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from models.mouth.geometry import Floats

#: packets that are decoded together, and how many more on both sides count (about a second ahead at 25 per second)
BLOCK = 50
MARGIN = 25
#: exemplars that are considered for a packet: those whose own cost is the least
CANDIDATES = 64
#: a quarter of a person's range is about a standard deviation; weights of aperture, width, protrusion, jaw in these
SHAPE_WEIGHTS = np.array([1.5, 2.5, 0.3, 0.1], np.float32)
#: an exemplar that is less open than wanted counts as so much farther away: lips can cover what an open mouth shows,
#: but what a closed one hides would have to be stretched
UNSEEN = 1.5
#: degrees of yaw, pitch and roll that cost as much as a standard deviation of shape
POSE_TOLERANCE = np.array([2.5, 3.0, 8.0], np.float32)
POSE_WEIGHT = 0.5
#: a jump costs this much at most, and this much a frame
JUMP = 1.6
JUMP_PER_FRAME = 0.3
#: a mouth that must be closed costs this for every tenth of the range that an exemplar's lips are from touching
OPEN_WHEN_CLOSED = 3.0
#: a mouth is compared with so many of those most like it; one that is less sharp than their median by this share, as a
#: blur by 0.3 % of the face height makes it, costs as much as a head that is off by its tolerance, and rising alike
LIKE = 25
BLUR_TOLERANCE = 0.06
#: what no other cost reaches
BARRED = 1e4
#: exemplars that are compared with all others at once, to bound memory
_AT_ONCE = 256


@dataclass(frozen=True)
class Wanted:
    """What some packets shall show: `units` [t, 4] of the person's range, `shut` [t], and `pose` [t, 3] (NaN
    unknown)."""

    units: Floats
    shut: npt.NDArray[np.bool_]
    pose: Floats


def own_costs(wanted: Wanted, units: Floats, poses: Floats, touching: float) -> Floats:
    """What each exemplar costs for each packet [t, n]; exemplars by `units` [n, 4] and `poses` [n, 3].

    `touching`: the aperture, in units, at which lips touch.
    """
    lack = (wanted.units[:, None] - units[None]) * 4
    lack[..., 0] *= np.where((lack[..., 0] > 0) & ~wanted.shut[:, None], UNSEEN, 1)
    shape = lack**2 @ SHAPE_WEIGHTS
    turn = np.nan_to_num((wanted.pose[:, None] - poses[None]) / POSE_TOLERANCE)
    shut = wanted.shut[:, None] * np.maximum(units[None, :, 0] - touching, 0) * 10 * OPEN_WHEN_CLOSED
    return np.asarray(shape + POSE_WEIGHT * np.minimum(turn * turn, 30).sum(-1) + shut, np.float32)


def blurred(units: Floats, poses: Floats, sharpness: Floats) -> Floats:
    """What each exemplar costs for being less sharp [n] than those of like shape and pose; their `sharpness` [n].

    Motion blurs some mouths of a video, and a blurred mouth shows in a sharp face.
    """
    log, count = np.log(np.maximum(sharpness, 1e-3)), min(LIKE, len(units))
    lack = np.empty(len(units), np.float32)
    for first in range(0, len(units), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        apart = own_costs(Wanted(units[some], np.zeros(len(units[some]), bool), poses[some]), units, poses, 0.0)
        lack[some] = np.median(log[np.argpartition(apart, count - 1, 1)[:, :count]], 1) - log[some]
    return np.asarray(POSE_WEIGHT * (np.maximum(lack, 0) / BLUR_TOLERANCE) ** 2, np.float32)


def decode(costs: Floats, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The cheapest path [t] through own costs [t, n] and jumps between the source frames [n] of the exemplars.

    The frame that follows, or the same one, costs nothing beyond its own; others cost by how far they lie apart.
    """
    steps, count = costs.shape
    keep = min(CANDIDATES, count)
    picks = np.argpartition(costs, keep - 1, 1)[:, :keep] if keep < count else np.tile(np.arange(count), (steps, 1))
    best = costs[0, picks[0]]
    back = np.zeros((steps, keep), np.int64)
    for t in range(1, steps):
        step = frames[picks[t]][None] - frames[picks[t - 1]][:, None]
        jump = np.minimum(JUMP, JUMP_PER_FRAME * np.minimum(np.abs(step), np.abs(step - 1)))
        total = best[:, None] + jump
        back[t] = total.argmin(0)
        best = total[back[t], np.arange(keep)] + costs[t, picks[t]]
    place = int(best.argmin())
    path = np.empty(steps, np.int64)
    for t in range(steps - 1, -1, -1):
        path[t] = picks[t, place]
        place = int(back[t, place])
    return path


class Chooser:
    """Answers which exemplar packet `index` shows."""

    def __init__(
        self,
        wanted: Callable[[int, int], Wanted],
        units: Floats,
        poses: Floats,
        frames: npt.NDArray[np.int64],
        barred: npt.NDArray[np.bool_],
        touching: float,
        sharpness: Floats,
    ) -> None:
        """`wanted(start, stop)` tells what packets [start, stop) shall show; exemplars by rows of the arrays, of which
        the `barred` are taken only where all are; `touching` as for `own_costs`, `sharpness` as for `blurred`."""
        self._wanted, self._units, self._poses, self._frames = wanted, units, poses, frames
        self._touching = touching
        self._always = blurred(units, poses, sharpness) + np.where(barred, BARRED, 0).astype(np.float32)
        self._block = lru_cache(maxsize=4)(self._decode_block)

    def __call__(self, index: int) -> int:
        """The row of the exemplar for packet `index`; negative indices count as 0."""
        block, place = divmod(max(0, index), BLOCK)
        return int(self._block(block)[place])

    def _decode_block(self, block: int) -> npt.NDArray[np.int64]:
        start = max(0, block * BLOCK - MARGIN)
        stop = (block + 1) * BLOCK + MARGIN
        costs = own_costs(self._wanted(start, stop), self._units, self._poses, self._touching) + self._always
        path = decode(costs, self._frames)
        return path[block * BLOCK - start :][:BLOCK]
