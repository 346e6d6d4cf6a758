"""What covers a mouth: a hand, a cup, a microphone that passes before it.

A person's bank tells what the lower face looks like: small pictures of it, laid over each other by the points that
speech does not move. Where a frame's is far from the middle of all of them, farther than they are from each other,
something else is seen. What is there in more than half of the bank, such as a beard, belongs to the face.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.mouth.align import Alignment
from models.mouth.bank import Bank
from models.mouth.geometry import CHEEKS, JAW, LOWER_OUTER, NOSE_BASE, UPPER_OUTER, Axes, Floats, apply, compose

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

#: cells of the small picture's side, and what it shows around the point under the nose, over the face height
_SIDE, _ACROSS, _DOWN = 32, (-0.36, 0.36), (0.0, 0.64)
#: a cell is covered where it is off by more than this many median deviations and by this many levels of 255 more
_DEVIATIONS, _LEVELS = 6.0, 28.0
#: light that changes over all of the face by up to so many levels is nothing
_DIMMER = 25.0
#: fewer cells in one piece are a shadow or a wrinkle
_LEAST = 24
#: fewer mouths tell too little of a face, and more than these need not be looked at
_FEWEST, _MOST = 12, 400
#: where more than this share of the lips is covered there is nothing to draw
HIDDEN = 0.6
#: points around the lower face
_FACE = [*NOSE_BASE, *CHEEKS, *JAW[4:-4]]


class Cover(NamedTuple):
    """`mask` float32 of the crop's shape, 0 .. 1: where something covers the lower face; `hidden`: the share of the
    lips that it hides."""

    mask: Floats
    hidden: float


class Look:
    """What the lower face of a person looks like, and where it does not."""

    def __init__(self, bank: Bank) -> None:
        """`bank`: of the person. With fewer than twelve mouths nothing is ever found to be covered."""
        self.known = len(bank) >= _FEWEST
        #: which mouths of the bank are covered, [n]
        self.covered: Mask = np.zeros(len(bank), bool)
        if not self.known:
            return
        poses = bank.poses()
        self._face: Floats = bank.landmarks[int(np.abs(poses - np.median(poses, 0)).sum(1).argmin())]
        self._laid = Alignment(self._face[None])
        axes = Axes.of(self._face)
        corners = np.array([[x, y] for y in _DOWN for x in _ACROSS], np.float32) * axes.height
        first, right, below, _ = axes.leave(corners)
        linear = np.stack([right - first, below - first], 1) / _SIDE
        self._spread_out = np.concatenate([linear, (first + linear @ np.full(2, 0.5))[:, None]], 1).astype(np.float32)
        self._inside = _hull(self._face[_FACE], self._spread_out)
        self._seen = np.flatnonzero(self._inside)
        self._lips = _hull(self._face[[*UPPER_OUTER, *LOWER_OUTER]], self._spread_out) & self._inside
        rows = np.unique(np.linspace(0, len(bank) - 1, _MOST).astype(int))
        targets = [apply(bank.placement[n], bank.landmarks[n]) for n in rows]
        ontos = [self._onto(target) for target in targets]
        small = np.stack([self._small(bank.crop(n), onto) for n, onto in zip(rows, ontos, strict=True)])
        self._middle = np.median(small, 0)
        small -= self._light(small)
        self._middle = np.median(small, 0)
        self._usual = _DEVIATIONS * np.median(np.abs(small - self._middle), 0) + _LEVELS
        seen = zip(small, targets, ontos, strict=True)
        self.covered[rows] = [self._off(one, target, onto).any() for one, target, onto in seen]

    def cover(self, crop: Picture, target: Floats) -> Cover | None:
        """What covers the lower face of landmarks `target` [468, 2] (crop pixels), if anything does."""
        import cv2

        if not self.known:
            return None
        onto = self._onto(target)
        small = self._small(crop, onto)
        off = self._off(small - self._light(small), target, onto)
        if not off.any():
            return None
        grown = cv2.dilate(off.astype(np.float32), np.ones((3, 3), np.uint8))
        mask = cv2.warpAffine(grown, onto, (crop.shape[1], crop.shape[0]), flags=cv2.INTER_LINEAR)
        return Cover(np.asarray(mask, np.float32), float(off[self._lips].mean()))

    def _onto(self, target: Floats) -> Floats:
        """The map [2, 3] from the cells of the small picture to the pixels that landmarks `target` are of."""
        return compose(self._laid.onto(0, target), self._spread_out)

    def _small(self, crop: Picture, onto: Floats) -> Floats:
        """The lower face, float32 [side, side, 3]."""
        import cv2

        shrink = max(1, int(math.hypot(*onto[:, 0].tolist())))
        # by a whole factor: anything else takes several times as long
        least, most = [], []
        for size, (k, m, first) in zip(crop.shape[1::-1], onto.tolist(), strict=True):
            ends = [first + i * k + j * m for i in (0, _SIDE) for j in (0, _SIDE)]
            last = max(1, size // shrink)
            least.append(min(max(int(min(ends) // shrink) - 1, 0), last - 1))
            most.append(max(min(int(max(ends) // shrink) + 3, last), least[-1] + 1))
        part = crop[least[1] * shrink : most[1] * shrink, least[0] * shrink : most[0] * shrink]
        few = (most[0] - least[0], most[1] - least[1])
        less = cv2.resize(part, few, interpolation=cv2.INTER_AREA)
        there = onto / shrink
        there[:, 2] -= least
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        small = cv2.warpAffine(less, there, (_SIDE, _SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(small, np.float32)

    def _light(self, small: Floats) -> Floats:
        """How much lighter than usual small pictures [..., side, side, 3] are as a whole, [..., 1, 1, 3]."""
        seen = (small - self._middle).reshape(*small.shape[:-3], -1, 3).take(self._seen, axis=-2)
        half = seen.shape[-2] // 2
        light = np.minimum(np.maximum(np.partition(seen, half, axis=-2)[..., half, :], -_DIMMER), _DIMMER)
        return np.asarray(light[..., None, None, :], np.float32)

    def _off(self, small: Floats, target: Floats, onto: Floats) -> Mask:
        """Cells that show something else, in pieces that are large enough, each filled to its hull: lips look so
        different from one moment to the next that what is before them is told by what is around them."""
        import cv2

        far = np.abs(small - self._middle) > self._usual
        off = (far[..., 0] | far[..., 1] | far[..., 2]) & self._inside
        filled = np.zeros((_SIDE, _SIDE), np.uint8)
        if np.count_nonzero(off) < _LEAST:
            return filled > 0
        # what lies beyond the jaw of a head that is turned away is no face
        own = _hull(target[_FACE], onto)
        off &= cv2.erode(own.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
        count, labels, stats, _ = cv2.connectedComponentsWithStats(off.astype(np.uint8), connectivity=4)
        for piece in range(1, count):
            if stats[piece, cv2.CC_STAT_AREA] >= _LEAST:
                cells = np.argwhere(labels == piece)[:, ::-1].astype(np.int32)
                cv2.fillConvexPoly(filled, cv2.convexHull(cells), 1)
        return filled > 0


def _hull(points: Floats, spread_out: Floats) -> Mask:
    """The cells inside points [n, 2] of a picture that `spread_out` [2, 3] leads to from the cells."""
    import cv2

    mask = np.zeros((_SIDE, _SIDE), np.uint8)
    cells = (points - spread_out[:, 2]) @ np.linalg.inv(spread_out[:, :2]).T
    cv2.fillConvexPoly(mask, cv2.convexHull(cells.round().astype(np.int32)), 1)
    return mask > 0
