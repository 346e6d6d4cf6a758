"""What the movement of a head does to a picture: where each of its pixels goes.

There is nothing behind the head in a still, so the picture is bent: the head moves as a whole, and neck, shoulders and
what is beside it follow less and less. A turn moves what is nearer (the nose) further than what is not (the ears), as
on a ball, so that the outline of the head stays where it is.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.head.path import Pose
from models.mouth.cut import Box
from models.mouth.geometry import Axes, Floats

#: how far the crown lies above the top of the mesh, over the face height
CROWN = 0.3
#: half the breadth of a head over that of its mesh, and over half its height at least
BREADTH, SLIM = 1.12, 0.62
#: how far the tip of the nose lies before the axis that heads turn about, over the face height
DEPTH = 0.42
#: radii of the head (1: its outline) at which a turn ends, up to which all moves alike, and where nothing moves
TURNS, RIGID, STILL = 1.2, 1.05, 2.2
#: how far below the chin the neck bends, over the face height
NECK = 0.35
#: what of a nod the whole head takes part in, since the neck bends too
BOWS = 0.35
#: within so much of the picture's border movement fades, over the face height
FADE = 0.5
#: pixels of the border that stay as they are, and the multiple of pixels that the part which moves begins and ends at
ALIGN = 4
#: nodes of the field for a face height: what it does between them is linear
NODES = 40


class Field:
    """Where a head takes the pixels around it, of landmarks [468, 2] in a picture of `width` × `height` pixels.

    `box` holds all that moves; it is empty where the face is too near to the border, or too small, to move at all.
    """

    def __init__(self, landmarks: Floats, width: int, height: int) -> None:
        self._axes = Axes.of(landmarks)
        points = self._axes.enter(landmarks) / self._axes.height
        top, self._chin = float(points[10, 1]) - CROWN, float(points[152, 1])
        side = points[[234, 454], 0]
        self._tall = (self._chin - top) / 2
        self._broad = max(float(np.ptp(side)) / 2 * BREADTH, SLIM * self._tall)
        self._middle = np.array([side.mean(), (self._chin + top) / 2], np.float32)
        self._inside = Box(ALIGN, ALIGN, width // ALIGN * ALIGN - ALIGN, height // ALIGN * ALIGN - ALIGN)
        self.box = self._reach()

    def _reach(self) -> Box:
        """The part of the picture that moves."""
        middle = self._axes.leave(self._middle * self._axes.height)
        reach = STILL * self._axes.height * np.hypot(self._broad * self._axes.across, self._tall * self._axes.down)
        low, high = (middle - reach) // ALIGN * ALIGN, -(-(middle + reach) // ALIGN) * ALIGN
        return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1])).within(self._inside)

    def moved(self, pose: Pose) -> Floats:
        """How far the pixels of `box` move, float32 [rows, columns, 2], pixels (right, down), at its nodes.

        Node (i, j) stands for the middle of its part of the box, which the nodes divide evenly.
        """
        return np.asarray(np.tensordot(np.array(pose, np.float32), self._bases, 1), np.float32)

    @cached_property
    def _bases(self) -> Floats:
        """What each number of a pose does, by one unit: [6, rows, columns, 2]."""
        local = self._axes.enter(self._nodes) / self._axes.height
        away = (local - self._middle) / np.array([self._broad, self._tall], np.float32)
        radius = np.hypot(away[..., 0], away[..., 1])
        free = self._free()
        near = DEPTH * np.square(np.maximum(1 - np.square(radius / TURNS), 0)) * free
        whole = (1 - _smooth((radius - RIGID) / (STILL - RIGID))) * free
        none = np.zeros_like(near)
        lever = local - np.array([self._middle[0], self._chin + NECK], np.float32)
        bases = [
            (near, none),
            (none, near + DEPTH * BOWS * whole),
            (-lever[..., 1] * whole, lever[..., 0] * whole),
            (whole, none),
            (none, whole),
            ((local[..., 0] - self._middle[0]) * whole, (local[..., 1] - self._middle[1]) * whole),
        ]
        turned = np.stack([np.stack(one, -1) for one in bases]) * self._axes.height
        return np.asarray(turned @ np.stack([self._axes.across, self._axes.down]), np.float32)

    @cached_property
    def _nodes(self) -> Floats:
        """Where the nodes lie in the picture, [rows, columns, 2]."""
        left, top, right, bottom = self.box
        x, y = (
            start + (np.arange(count) + 0.5) * (end - start) / count - 0.5
            for start, end in ((left, right), (top, bottom))
            for count in [max(2, round((end - start) / self._axes.height * NODES))]
        )
        return np.stack(np.meshgrid(x, y), -1).astype(np.float32)

    def _free(self) -> Floats:
        """How far each node may move for the picture's border, 0 to 1."""
        low = self._nodes - np.array(self._inside[:2], np.float32)
        high = np.array(self._inside[2:], np.float32) - 1 - self._nodes
        free = _smooth(np.stack([low, high]) / (FADE * self._axes.height))
        return np.asarray(free.prod((0, -1)), np.float32)


def _smooth(share: npt.NDArray[np.floating]) -> Floats:
    """From 0 to 1 without a jolt at either end."""
    share = np.clip(share, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
