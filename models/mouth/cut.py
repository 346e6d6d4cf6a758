"""Where a crop is cut out of a frame: a square around the lower face, or the box around a face that networks take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.mouth.geometry import Axes, Floats
from models.mouth.survey import Survey

Picture = npt.NDArray[np.uint8]

#: above the point under the nose and below the chin, over the face height: what a crop of the lower face holds
ABOVE, BELOW = 0.14, 0.20
#: the least width of the lower face, over the face height
_BREADTH = 0.85
#: a crop never has longer sides
MOST = 512


class Box(NamedTuple):
    """A rectangle of whole pixels; `right` and `bottom` are the first ones that are not in it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        """Whether no pixel is in it."""
        return self.left >= self.right or self.top >= self.bottom

    def within(self, other: Box) -> Box:
        """The part that lies in another box."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Box(left, top, min(self.right, other.right), min(self.bottom, other.bottom))

    def inside(self, placement: Floats) -> Floats:
        """The map [2, 3] from this box's pixels to where `placement` maps those of the frame."""
        onto = placement.copy()
        onto[:, 2] += placement[:, :2] @ np.array([self.left, self.top], np.float32)
        return onto


def lower_face_size(survey: Survey) -> int:
    """The side in pixels, a multiple of 16, that holds the lower face of nearly every frame, at most 512."""
    table = survey.table()
    known = table[np.isfinite(table["height"])]
    if not len(known):
        return 64
    tall = known["height"] * (known["measures"][:, 3] + ABOVE + BELOW)
    tilt = np.radians(np.abs(known["pose"][:, 2]))
    sides = np.maximum(tall, known["height"] * _BREADTH) * (np.cos(tilt) + 0.6 * np.sin(tilt))
    return int(min(MOST, -(-np.percentile(sides, 99.5) // 16) * 16))


def lower_face(landmarks: Floats, size: int) -> Floats:
    """The map [2, 3] from the frame to a square of `size` around the lower face of landmarks [468, 2].

    It moves by whole pixels, so that nothing is resampled, unless the face is too large for the square.
    """
    axes = Axes.of(landmarks)
    chin = float(axes.enter(landmarks[152])[1])
    middle = axes.leave(np.array([0, (chin + (BELOW - ABOVE) * axes.height) / 2], np.float32))
    need = max(chin + (ABOVE + BELOW) * axes.height, 0.7 * axes.height)
    if need <= size * 1.05:
        left, top = np.round(middle - size / 2)
        return np.array([[1, 0, -left], [0, 1, -top]], np.float32)
    k = size / need
    return np.array([[k, 0, size / 2 - middle[0] * k], [0, k, size / 2 - middle[1] * k]], np.float32)


def face_box(landmarks: Floats, size: int) -> Floats:
    """The map [2, 3] from the frame to a square of `size` that the box around landmarks [468, 2] is stretched to.

    The box goes from the forehead to the chin, as the face detector's does that Wav2Lip's crops come from.
    """
    low, high = landmarks.min(0), landmarks.max(0)
    k = size / (high - low + 1)
    return np.array([[k[0], 0, (0.5 - low[0]) * k[0] - 0.5], [0, k[1], (0.5 - low[1]) * k[1] - 0.5]], np.float32)


def shift_of(placement: Floats) -> tuple[int, int] | None:
    """Left and top of the crop in the frame where the map moves by whole pixels only, else None."""
    (a, b, x), (c, d, y) = placement.tolist()
    if (a, b, c, d) == (1, 0, 0, 1) and x.is_integer() and y.is_integer():
        return int(-x), int(-y)
    return None


def needed(placement: Floats, size: int, height: int, width: int) -> Box:
    """The part of a frame of that size that `cut_out` looks at for a crop of `size`: at least one pixel."""
    import cv2

    shift = shift_of(placement)
    if shift is None:
        back = cv2.invertAffineTransform(placement)
        corners = np.array([[x, y] for x in (0, size - 1) for y in (0, size - 1)], np.float32)
        points = corners @ back[:, :2].T + back[:, 2]
        low, high = np.floor(points.min(0)).astype(int) - 2, np.ceil(points.max(0)).astype(int) + 3
        left, top, right, bottom = (int(edge) for edge in (*low, *high))
    else:
        (left, top), (right, bottom) = shift, (shift[0] + size, shift[1] + size)
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return Box(left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height))


def cut_out(frame: Picture, placement: Floats, crop: Picture) -> None:
    """Fill `crop` uint8 [s, s, 3] from the frame; beyond the frame's edges its outermost pixels go on."""
    import cv2

    size = crop.shape[0]
    shift = shift_of(placement)
    if shift is None:
        flags = cv2.INTER_LINEAR
        cv2.warpAffine(frame, placement, (size, size), dst=crop, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return
    height, width = frame.shape[:2]
    left, top = shift
    x0, y0 = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    x1, y1 = min(max(left + size, x0 + 1), width), min(max(top + size, y0 + 1), height)
    above, before = max(0, min(size - (y1 - y0), y0 - top)), max(0, min(size - (x1 - x0), x0 - left))
    beyond = (above, size - (y1 - y0) - above, before, size - (x1 - x0) - before)
    cv2.copyMakeBorder(frame[y0:y1, x0:x1], *beyond, cv2.BORDER_REPLICATE, dst=crop)
