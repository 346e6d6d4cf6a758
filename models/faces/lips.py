"""The lips of a face mesh, looked at again and closer: the mesh alone places them as it expects on such a face, and
misses what is unusual. A part of "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time" (Grishchenko et al.
2020); tools/convert_lips.py tells which.
"""

from __future__ import annotations

import numpy as np

from models.faces import Floats, Frame
from models.faces.mesh import INPUT, region_of_landmarks, seen
from models.faces.weights import embedded
from models.onnx import open_network

#: points of the mesh in the order in which the network gives them: outer edge, inner edge, and two lines between
POINTS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409),
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415),
    *(76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408),
    *(62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407),
)
#: pixels of the picture for a cell of the map of features; the sides of that map and of the window out of it, in cells
_CELL = 4
_MAP, _WINDOW = INPUT // _CELL, 16
#: how much larger than the box around the lips the window is
_MARGIN = 1.5
_LIPS = np.array(POINTS)
#: the middles of the window's cells, in cells of the window
_CELLS = np.stack(np.meshgrid(*[np.arange(_WINDOW) + 0.5] * 2), -1)


class LipMesh:
    """The network. `lips(frame, landmarks)` gives the landmarks with other lips."""

    def __init__(self, device: str = "auto", threads: int = 1) -> None:
        path, sha256 = embedded("face_lips")
        self.network = open_network(path, device, threads=threads, sha256=sha256)
        self._picture = np.zeros((1, 3, INPUT, INPUT), np.float32)

    def __call__(self, frame: Frame, landmarks: Floats) -> Floats:
        """`landmarks` [468, 2], the mesh of a face in `frame` (its pixels) → a copy in which the 80 points of the lips
        are found anew."""
        region = region_of_landmarks(landmarks)
        to_frame = region.to_frame()
        np.multiply(seen(frame, region).transpose(2, 0, 1), np.float32(1 / 255), out=self._picture[0])
        window = _window((landmarks[_LIPS] - to_frame[:, 2]) @ np.linalg.inv(to_frame[:, :2]).T)
        places = _CELLS @ window[:, :2].T + window[:, 2] - 0.5
        grid = (2 * places / (_MAP - 1) - 1).astype(np.float32)[None]
        (found,) = self.network.session.run(None, {"image": self._picture, "grid": grid})
        inside = np.asarray(found).reshape(-1, 2) @ window[:, :2].T + window[:, 2] * _CELL
        lips = landmarks.astype(np.float32)
        lips[_LIPS] = inside @ to_frame[:, :2].T + to_frame[:, 2]
        return lips


def _window(points: Floats) -> Floats:
    """The map [2, 3] from the window's cells to those of the picture, for lips [80, 2] in the picture's pixels.

    The window lies upright on the line between the corners and is stretched to the lips' box.
    """
    right, left = points[0], points[10]
    angle = np.arctan2(left[1] - right[1], left[0] - right[0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = points / _CELL @ turn
    low, high = upright.min(0), upright.max(0)
    linear = turn * ((high - low) * _MARGIN / _WINDOW)
    middle = turn @ (low + high) / 2
    return np.asarray(np.concatenate([linear, (middle - linear @ np.full(2, _WINDOW / 2))[:, None]], 1), np.float32)
