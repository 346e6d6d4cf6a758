"""A frame fitted into a network's input without changing its proportions, and the way back to the frame's pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.faces import Floats, Frame


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


def fit(frame: Frame, canvas: Frame, *, centred: bool) -> Letterbox:
    """Shrink or enlarge a frame [h, w, 3] into a canvas [h', w', 3], black around it, in place.

    Shrinking averages over areas: a face of 20 pixels in the canvas keeps what it had, and does not flicker.
    """
    import cv2

    height, width = frame.shape[:2]
    room_y, room_x = canvas.shape[:2]
    scale = min(room_x / width, room_y / height)
    w, h = max(round(width * scale), 1), max(round(height * scale), 1)
    x, y = ((room_x - w) // 2, (room_y - h) // 2) if centred else (0, 0)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # halving by whole pixels has a fast path, and gives the same mean
    while frame.shape[0] >= 4 * h and not (frame.shape[0] % 2 or frame.shape[1] % 2):
        size = (frame.shape[1] // 2, frame.shape[0] // 2)
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    canvas[:] = 0
    canvas[y : y + h, x : x + w] = cv2.resize(frame, (w, h), interpolation=how)
    return Letterbox(x, y, w / width, h / height)
