"""The blink of an eye in a still picture: when, and how its upper lid is drawn over it.

The lid is bent, not drawn: lashes and the rim of the lid go down as they are, the skin between them and the brow is
stretched, and the eye stays behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.head.path import smooth
from models.mouth.cut import Box
from models.mouth.geometry import Floats
from models.mouth.paste import Placed

Picture = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]

#: of the mesh, corner to corner: the edges of both lids, and the fold above the upper one
RIGHT = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133),
    (33, 7, 163, 144, 145, 153, 154, 155, 133),
    (226, 247, 30, 29, 27, 28, 56, 190, 243),
)
LEFT = (
    (362, 398, 384, 385, 386, 387, 388, 466, 263),
    (362, 382, 381, 380, 374, 373, 390, 249, 263),
    (463, 414, 286, 258, 257, 259, 260, 467, 446),
)
#: seconds for each of which there is one blink: 17 a minute, as people do at rest, who speak 26 (Bentivoglio et al.
#: 1997, Analysis of blink rate patterns in normal subjects)
EVERY = 3.5
#: seconds in which an eye closes, is closed, and opens
CLOSING, CLOSED, OPENING = 0.1, 0.04, 0.2
#: how far above its edge the skin of a lid is stretched, over its distance from the fold
SKIN = 1.6
#: over the breadth of the eye: the rim with its lashes, how far a closed lid reaches below the edge of the lower one,
#: and what of the eye at its corners closes less and less
RIM, BELOW, CORNER = 0.15, 0.02, 0.12
#: an eye of fewer pixels does not blink
SMALL = 6.0
#: what differs along an open eye (its white, its iris) at least, over the lightness of its lid. The mesh does not tell
#: open eyes from shut ones. In 176 frames of seven clips, 8 of the 11 that are shut have less, and 4 that droop
OPEN = 0.38
#: of the mesh, both ends of the bridge of the nose, and the inner corners of the eyes
BRIDGE, INNER = (8, 195), (133, 362)
#: a line across the bridge of the nose that stands out more, over its lightness, is of glasses. In 87 frames of eight
#: people without, nothing has 0.06; a dark rim drawn on them, 1.2 % of the face height thick, has 0.23 and more
RIMS = 0.1


def closed(time: float, seed: int = 0) -> float:
    """How far the eyes are closed at a time in seconds, 0 to 1; they are open at first."""
    turn = int(time // EVERY)
    if turn < 0:
        return 0.0
    begun = EVERY * (turn + np.random.default_rng((seed, turn)).uniform(0.15, 0.85))
    return smooth((time - begun) / CLOSING) * (1 - smooth((time - begun - CLOSING - CLOSED) / OPENING))


class Blink:
    """Both eyes of landmarks [468, 2] as far as they lie within a picture and are large enough."""

    def __init__(self, landmarks: Floats, picture: Box) -> None:
        points = landmarks.astype(np.float64)
        eyes = [Eye([points[list(edge)] for edge in edges]) for edges in (RIGHT, LEFT)]
        self.eyes = [eye for eye in eyes if eye.breadth >= SMALL and eye.box.within(picture) == eye.box]
        self._bridge = Bridge(points)

    def lids(self, see: Callable[[Box], Picture], share: float) -> list[Placed]:
        """The eyes closed by `share`; none where they look shut, or are behind glasses, whose rims would be bent.

        `see` shows a part of the picture, uint8 [h, w, 3] RGB.
        """
        seen = [see(eye.box) for eye in self.eyes]
        open_ = [eye.openness(one) for eye, one in zip(self.eyes, seen, strict=True)]
        if not seen or np.mean(open_) < OPEN or self._bridge.line(see(self._bridge.box)) > RIMS:
            return []
        return [eye.closed(one, share) for eye, one in zip(self.eyes, seen, strict=True)]


class Bridge:
    """The bridge of a nose, of landmarks [468, 2]: bare skin, or what holds glasses."""

    def __init__(self, landmarks: Doubles) -> None:
        top, end = landmarks[list(BRIDGE)]
        across = 0.1 * (landmarks[INNER[1]] - landmarks[INNER[0]])
        down, aside = np.linspace(0, 1, 65)[:, None, None], np.linspace(-1, 1, 9)[:, None]
        points = top + down * (end - top) + aside * across
        low, high = np.floor(points.min((0, 1))).astype(int), np.ceil(points.max((0, 1))).astype(int) + 1
        self.box = Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        self._x, self._y = (points - low).astype(np.float32).transpose(2, 0, 1)

    def line(self, seen: Picture) -> float:
        """How much the line across that stands out most does, over the lightness of the whole."""
        import cv2

        grey = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY).astype(np.float32)
        rows = cv2.remap(grey, self._x, self._y, cv2.INTER_LINEAR).mean(1, keepdims=True)
        fine, coarse = (cv2.GaussianBlur(rows, (1, 63), sigma, borderType=cv2.BORDER_REPLICATE) for sigma in (2, 9))
        return float(np.abs(fine - coarse).max() / max(float(np.median(rows)), 1))


class Eye:
    """An open eye in a picture; `box` holds it up to the brow.

    `edges`: points [n, 2] from corner to corner along the upper lid, the lower lid, and the fold above.
    """

    def __init__(self, edges: Sequence[Doubles]) -> None:
        self._edges = edges
        across = edges[0][-1] - edges[0][0]
        self.breadth = float(np.hypot(*across))
        across = across / max(self.breadth, 1e-6)
        self._turn = np.stack([across, [-across[1], across[0]]])
        tall = SKIN * float(np.abs((edges[2] - edges[0]) @ self._turn[1]).max())
        beyond = np.concatenate([edges[0] - tall * self._turn[1], edges[1]])
        low, high = np.floor(beyond.min(0)).astype(int) - 2, np.ceil(beyond.max(0)).astype(int) + 3
        self.box = Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))

    def openness(self, seen: Picture) -> float:
        """How much differs along the eye, over the lightness of its lid; `seen` as for `closed`."""
        import cv2

        grey = cv2.GaussianBlur(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), (0, 0), 0.8).astype(np.float32)
        upper, lower, fold = (edge - self.box[:2] for edge in self._edges)
        middle = (upper + lower) / 2
        places = np.linspace(0.15, 0.85, 25) * self.breadth
        along = [np.interp(places, (middle - middle[0]) @ self._turn[0], line) for line in middle.T]
        eye, lid = (
            cv2.remap(grey, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR) for x, y in (along, fold.T)
        )
        return float((np.percentile(eye, 90) - np.percentile(eye, 10)) / max(float(np.median(lid)), 1))

    def closed(self, seen: Picture, share: float) -> Placed:
        """The eye with its lid down by `share` of the way, of `seen` uint8 [h, w, 3], which is the picture in `box`."""
        import cv2

        x, y = self._local
        lid, way, top = self._lid
        edge = lid + share * way
        rim = np.minimum(RIM * self.breadth, 0.6 * (lid - top))
        stretched = top + (lid - rim - top) * np.maximum(y - top, 0) / np.maximum(edge - rim - top, 1e-3)
        source = np.where(y < edge - rim, stretched, np.minimum(y, edge) - share * way)
        by = np.where((y > top) & (y < edge + 1), source - y, 0)
        columns = np.arange(by.shape[1]) + by * self._turn[1, 0]
        rows = np.arange(by.shape[0])[:, None] + by * self._turn[1, 1]
        taken = cv2.remap(
            seen, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        inside = (y > top) & (x > 0) & (x < self.breadth)
        mask = np.where(inside, np.clip(edge - y + 0.5, 0, 1) * 255, 0)
        return Placed(self.box, np.asarray(taken, np.uint8), mask.astype(np.uint8))

    @cached_property
    def _local(self) -> tuple[Doubles, Doubles]:
        """Of the pixels in `box`: how far they lie from the outer corner, along the eye and below the line across."""
        left, top, right, bottom = self.box
        pixels = np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), -1)
        local = (pixels - self._edges[0][0]) @ self._turn.T
        return local[..., 0], local[..., 1]

    @cached_property
    def _lid(self) -> tuple[Doubles, Doubles, Doubles]:
        """At each pixel's place along the eye: the edge of the open lid, its way down, and where its skin begins."""
        along = np.clip(self._local[0], 0, self.breadth)
        lines = ((edge - self._edges[0][0]) @ self._turn.T for edge in self._edges)
        upper, lower, fold = (_through(line, along) for line in lines)
        near = np.clip(np.minimum(along, self.breadth - along) / (CORNER * self.breadth), 0, 1)
        whole = near * near * (3 - 2 * near)
        way = np.maximum(lower + BELOW * self.breadth - upper, 0) * whole
        return upper, way, upper - SKIN * np.maximum(upper - np.minimum(fold, 0), 0)


def _through(points: Doubles, along: Doubles) -> Doubles:
    """The curve of the fourth degree nearest to points [n, 2]: its height at each place."""
    return np.asarray(np.polyval(np.polyfit(points[:, 0], points[:, 1], 4), along), np.float64)
