"""A frame fitted into a network's input without changing its proportions, and the way back to the frame's pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.faces import Floats, Frame
from models.faces.view import View, view_of


@dataclass(frozen=True)
class Letterbox:
    """Where a frame lies in a canvas: its left, top edge at `x`, `y`, its pixels `scale_x`, `scale_y` as large."""

    x: int
    y: int
    scale_x: float
    scale_y: float

    def back(self, points: Floats) -> Floats:
        """Points [..., 2] of the canvas, measured from its edge, as pixels of the frame."""
        edges = (points - np.array([self.x, self.y])) / np.array([self.scale_x, self.scale_y])
        return np.asarray(edges - 0.5, np.float32)


def fit(picture: Frame | View, canvas: Frame, *, centred: bool) -> Letterbox:
    """Shrink or enlarge a frame or a view [h, w, 3] into a canvas [h', w', 3], black around it, in place."""
    height, width = picture.shape[:2]
    room_y, room_x = canvas.shape[:2]
    scale = min(room_x / width, room_y / height)
    w, h = max(round(width * scale), 1), max(round(height * scale), 1)
    x, y = ((room_x - w) // 2, (room_y - h) // 2) if centred else (0, 0)
    canvas[:] = 0
    canvas[y : y + h, x : x + w] = view_of(picture).whole(w, h)
    return Letterbox(x, y, w / width, h / height)
