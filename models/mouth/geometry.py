"""What is measured on a face mesh: the shape of the mouth, the pose of the head, and the frame of axes of one face.

Landmarks are the 468 points of MediaPipe's face mesh in pixels (x right, y down). Lengths are given over the face
height 2·|10-1| (top of the forehead to the tip of the nose, twice), which speech does not change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: the four edges of the lips, each from the person's right corner (left in the picture) to the left one
UPPER_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
UPPER_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LOWER_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
#: the jaw line from ear to ear through the chin
JAW = (132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361)
#: points that speech does not move: corners of the eyes, bridge and sides of the nose, temples, front of the ears
STABLE = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 98, 327, 2, 234, 454, 127, 356, 93, 323)
#: beside the mouth: what the lower face covers (the jaw line comes on top)
CHEEKS = (205, 147, 192, 425, 376, 416)
#: under the nose
NOSE_BASE = (2, 98, 327)

MEASURES = ("aperture", "width", "protrusion", "jaw")
#: lips that are less far apart than this, over the face height, touch: half a pixel of the picture that the networks
#: see, less than can be told. Closed mouths measure 0.0006 to 0.0017 (docs/generators.md)
TOUCHING = 0.004
#: differences that look about equally large, in units of the face height: aperture, width, protrusion, jaw
SCALE = np.array([0.02, 0.016, 0.012, 0.02], np.float32)
#: the same for yaw, pitch (degrees) and roll (degrees)
POSE_SCALE = np.array([5.0, 5.0, 10.0], np.float32)
#: what `measure` measures between
_FROM, _TO = [13, 61, 0, 152, 14, 10], [14, 291, 13, 1, 17, 1]
#: corners of the eyes: both of the right, both of the left
_EYES = [33, 133, 362, 263]


def face_height(landmarks: Floats) -> Floats:
    """Twice the distance from forehead to nose tip, [...], of landmarks [..., 468, 2]."""
    return np.asarray(2 * np.linalg.norm(landmarks[..., 10, :] - landmarks[..., 1, :], axis=-1), np.float32)


def measure(landmarks: Floats) -> Floats:
    """Aperture, width, protrusion, jaw of landmarks [..., 468, 2] as [..., 4] over the face height.

    Aperture is |13-14|, width |61-291|, jaw |152-1|. Protrusion does not show from the front; what does is how thick
    the red of the lips looks, |0-13| + |14-17|: it grows when they are pushed out and vanishes when they are pressed.
    """

    apart = np.linalg.norm(landmarks[..., _FROM, :] - landmarks[..., _TO, :], axis=-1)
    apart[..., 2] += apart[..., 4]
    return np.asarray(apart[..., :4] / (2 * apart[..., 5:]), np.float32)


def pose(landmarks: Floats) -> Floats:
    """Yaw, pitch and roll of landmarks [..., 468, 2] in degrees, as [..., 3]: coarse, but of fixed points only.

    Pitch: how far the nose tip lies below the eyes, over half the face
    height, about 0.45 when one looks straight ahead; a twentieth is taken for five degrees. Roll: the line of the eyes.
    """
    roll = _roll(landmarks)
    away = landmarks[..., 1, :] - landmarks[..., _EYES, :].mean(-2)
    drop = (away[..., 1] * np.cos(roll) - away[..., 0] * np.sin(roll)) / np.maximum(face_height(landmarks) / 2, 1e-6)
    found = np.empty((*landmarks.shape[:-2], 3), np.float32)
    found[..., 0], found[..., 1], found[..., 2] = yaw(landmarks), (drop - 0.45) * 100, np.degrees(roll)
    return found


def yaw(landmarks: Floats) -> Floats:
    """How far the heads of landmarks [..., 468, 2] are turned, degrees [...].

    On a head whose nose stands 1.1 half widths before the axis through the ears, turning by the angle y moves it to
    0.5 + 0.55·tan(y) of the way between them.
    """
    right, left, nose = (landmarks[..., point, :] for point in (234, 454, 1))
    across, off = left - right, nose - right
    between = _dot(off, across) / np.maximum(_dot(across, across), 1e-6)
    return np.asarray(np.degrees(np.arctan((between - 0.5) / 0.55)), np.float32)


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1], np.float32)


def _roll(landmarks: Floats) -> Floats:
    """The angle of the line of the eyes, radians [...]."""
    eyes = landmarks[..., _EYES, :]
    line = (eyes[..., 2, :] + eyes[..., 3, :]) - (eyes[..., 0, :] + eyes[..., 1, :])
    return np.asarray(np.arctan2(line[..., 1], line[..., 0]), np.float32)


@dataclass(frozen=True)
class Axes:
    """The upright axes of one face: `origin` under the nose (point 2), `across` and `down` unit vectors, `height`
    in px."""

    origin: Floats
    across: Floats
    down: Floats
    height: float

    @classmethod
    def of(cls, landmarks: Floats) -> Axes:
        """The axes of landmarks [468, 2]; across follows the line of the eyes."""
        (a, b), (c, d), (e, f), (g, h), top, nose = landmarks[[*_EYES, 10, 1]].tolist()
        angle = math.atan2(f + h - b - d, e + g - a - c)
        across = np.array([math.cos(angle), math.sin(angle)], np.float32)
        down = np.array([-across[1], across[0]], np.float32)
        return cls(np.asarray(landmarks[2], np.float32), across, down, 2 * math.dist(top, nose))

    def enter(self, points: Floats) -> Floats:
        """Pixels [..., 2] → (across, down) in pixels from the origin."""
        return np.asarray((points - self.origin) @ self._turn.T, np.float32)

    def leave(self, local: Floats) -> Floats:
        """The inverse of `enter`."""
        return np.asarray(local @ self._turn + self.origin, np.float32)

    @cached_property
    def _turn(self) -> Floats:
        return np.array([self.across, self.down], np.float32)


@dataclass(frozen=True)
class Range:
    """What a person's mouth does: the 2nd and 98th percentile of each measure, float32 [4], over the face height."""

    low: Floats
    high: Floats

    @classmethod
    def of(cls, measures: Floats) -> Range:
        """Of measures [n, 4]; rows with NaN are left out. Raises ValueError where no row is left."""
        known = measures[np.isfinite(measures).all(1)]
        if not len(known):
            raise ValueError("no frame of the survey shows a face, so there is no mouth to measure")
        low, high = np.percentile(known, [2, 98], axis=0).astype(np.float32)
        return cls(low, high)

    def raw(self, units: Floats) -> Floats:
        """Units (0 = 2nd percentile, 1 = 98th) [..., 4] → over the face height."""
        return np.asarray(self.low + units * (self.high - self.low), np.float32)

    def units(self, raw: Floats) -> Floats:
        """The inverse of `raw`; a measure that never moved is 0."""
        return np.asarray((raw - self.low) / np.maximum(self.high - self.low, 1e-6), np.float32)


def apply(affine: Floats, points: Floats) -> Floats:
    """The affine map [2, 3] on points [..., 2]."""
    return np.asarray(points @ affine[:, :2].T + affine[:, 2], np.float32)


def invert(affine: Floats) -> Floats:
    """The inverse of an affine map [2, 3]. Raises ZeroDivisionError where it has none."""
    (a, b, x), (c, d, y) = affine.tolist()
    k = a * d - b * c
    return np.array([[d / k, -b / k, (b * y - d * x) / k], [-c / k, a / k, (c * x - a * y) / k]], np.float32)


def compose(outer: Floats, inner: Floats) -> Floats:
    """The affine map [2, 3] that does `inner` first, then `outer`."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.concatenate([linear, (outer[:, :2] @ inner[:, 2] + outer[:, 2])[:, None]], 1).astype(np.float32)
