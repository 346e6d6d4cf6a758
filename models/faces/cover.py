"""Faces made unrecognisable: an ellipse over each, blurred, with a soft edge."""

from __future__ import annotations

import numpy as np

from models.faces import Floats, Frame

#: how much of the ellipse's radius the soft edge takes; all of it lies outside the face
EDGE = 0.25


def cover(picture: Frame, faces: Floats, strength: float, margin: float) -> int:
    """Blur faces [n, >=4] in a picture [h, w, 3], in place; returns how many lay in it.

    Each face is reduced to 1 / `strength` cells across before it is blurred, so what is lost does not depend on the
    resolution and cannot be sharpened back. `margin` is how much larger than its box the ellipse is, in box sides.
    """
    covered = 0
    for face in faces:
        covered += _cover_one(picture, face, strength, margin)
    return covered


def _cover_one(picture: Frame, face: Floats, strength: float, margin: float) -> bool:
    import cv2

    height, width = picture.shape[:2]
    x, y = (face[:2] + face[2:4]) / 2
    # an ellipse that holds the whole box is √2 as wide; faces fill their boxes, so their corners need not be held
    radius = (face[2:4] - face[:2]) * (0.5 + margin)
    reach = radius * (1 + EDGE)
    left, right = np.clip([x - reach[0], x + reach[0] + 1], 0, width).astype(int)
    top, bottom = np.clip([y - reach[1], y + reach[1] + 1], 0, height).astype(int)
    if right <= left or bottom <= top:
        return False
    part = picture[top:bottom, left:right]
    cells = max(float(face[2] - face[0]) * strength, 1.0)
    columns, rows = max(round((right - left) / cells), 1), max(round((bottom - top) / cells), 1)
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (3, 3), 0.8)
    blurred = cv2.resize(small, (right - left, bottom - top), interpolation=cv2.INTER_CUBIC)
    weight = _ellipse(np.arange(left, right) - x, np.arange(top, bottom) - y, radius)
    part[:] = np.rint(part + weight[..., None] * (blurred.astype(np.float32) - part))
    return True


def _ellipse(across: Floats, down: Floats, radius: Floats) -> Floats:
    """1 inside the ellipse, falling to 0 over its soft edge: [rows, columns]."""
    far = np.hypot(across[None] / radius[0], down[:, None] / radius[1])
    ramp = np.clip((1 + EDGE - far) / EDGE, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)
