"""Masks in a crop, of the shape of the face in it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from models.mouth.blend import soften
from models.mouth.geometry import CHEEKS, JAW, LOWER_OUTER, NOSE_BASE, UPPER_OUTER, Floats, apply, face_height

Mask = npt.NDArray[np.uint8]
MaskName = Literal["mouth", "lower_face", "box"]

#: how wide masks fade to 0, and how far around the lips `mouth` reaches, over the face height
_FEATHER, _AROUND = 0.06, 0.10


def network_mask(landmarks: Floats, placement: Floats, size: int, first_row: int = 0) -> Mask:
    """Where a network's picture may be used, uint8 [size, size]: all below the eyes, fading out at the crop's border.

    The networks are given the upper half, so nothing there is theirs to change. `first_row`: of those that they draw.
    """
    points = apply(placement, landmarks)
    eyes = float(points[[33, 133, 362, 263], 1].mean())
    nose = float(points[2, 1])
    mask = np.zeros((size, size), np.uint8)
    mask[int(np.clip((eyes + nose) / 2, first_row, size - 2)) :] = 255
    return np.asarray(np.round(soften(mask, max(2, size // 12)) * 255), np.uint8)


def face_mask(name: MaskName, landmarks: Floats, placement: Floats, size: int) -> Mask:
    """The part `name` of the face of landmarks [468, 2] in a crop, uint8 [size, size], feathered inwards.

    `mouth`: the lips and what is around them; `lower_face`: from the nose to the chin, inside the line of the jaw;
    `box`: everything.
    """
    import cv2

    if name == "box":
        return np.full((size, size), 255, np.uint8)
    points = apply(placement, landmarks)
    height = float(face_height(points))
    if name == "mouth":
        lips = points[list(UPPER_OUTER + LOWER_OUTER)]
        middle = lips.mean(0)
        away = lips - middle
        outline = lips + away * (_AROUND * height / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1))
    else:
        outline = points[list(CHEEKS + NOSE_BASE + JAW[2:-2])]
    mask = np.zeros((size, size), np.uint8)
    hull = cv2.convexHull(outline.astype(np.float32))
    cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), 255, lineType=cv2.LINE_AA, shift=4)
    return np.asarray(np.round(soften(mask, round(_FEATHER * height)) * 255), np.uint8)
