"""The lips of a face mesh, looked at again and closer: the mesh alone places them as it expects on such a face, and
misses what is unusual. A part of "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time" (Grishchenko et al.
2020); tools/convert_lips.py tells which.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.faces import Floats, Frame
from models.faces.mesh import INPUT, region_of_landmarks
from models.faces.view import View, view_of
from models.faces.weights import embedded
from models.onnx import open_network

Cells = npt.NDArray[np.intp]

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
#: how many cells before and after one the network's first layers look at for it
_BEFORE, _AFTER = 1, 2
#: how much larger than the box around the lips the window is
_MARGIN = 1.5
_LIPS = np.array(POINTS)
#: the middles of the window's cells, in cells of the window
_CELLS = np.stack(np.meshgrid(*[np.arange(_WINDOW) + 0.5] * 2), -1)


class LipMesh:
    """The network. `lips(picture, landmarks)` gives the landmarks with other lips.

    Of the picture that the network was made for only the part is looked at that the window depends on: the same to the
    network, for a third of the work.
    """

    def __init__(self, device: str = "auto", threads: int = 1) -> None:
        path, sha256 = embedded("face_lips")
        self.network = open_network(path, device, threads=threads, sha256=sha256)
        self._picture = np.zeros(3 * INPUT * INPUT, np.float32)

    def __call__(self, picture: Frame | View, landmarks: Floats) -> Floats:
        """`landmarks` [468, 2], the mesh of a face in `picture` (its pixels) → a copy in which the 80 points of the
        lips are found anew."""
        to_frame = region_of_landmarks(landmarks).to_frame()
        window = _window((landmarks[_LIPS] - to_frame[:, 2]) @ np.linalg.inv(to_frame[:, :2]).T)
        places = _CELLS @ window[:, :2].T + window[:, 2] - 0.5
        first, cells = _part(places)
        columns, rows = cells * _CELL
        part = self._picture[: 3 * rows * columns].reshape(1, 3, rows, columns)
        onto = to_frame.copy()
        onto[:, 2] += to_frame[:, :2] @ (first * _CELL)
        view_of(picture).warped(onto, part[0])
        grid = (2 * (places - first) / (cells - 1) - 1).astype(np.float32)[None]
        (found,) = self.network.session.run(None, {"image": part, "grid": grid})
        inside = np.asarray(found).reshape(-1, 2) @ window[:, :2].T + window[:, 2] * _CELL
        lips = landmarks.astype(np.float32)
        lips[_LIPS] = inside @ to_frame[:, :2].T + to_frame[:, 2]
        return lips


def _part(places: Floats) -> tuple[Cells, Cells]:
    """First column and row, and columns and rows, of the cells that features at places [..., 2] are made of.

    They are taken between two cells each way, and a cell's own depend on the pixels of one before it and two after.
    """
    around = places.reshape(-1, 2)
    first = np.clip(np.floor(around.min(0)).astype(int) - _BEFORE, 0, _MAP - _BEFORE - _AFTER)
    last = np.clip(np.floor(around.max(0)).astype(int) + 1 + _AFTER, first + _BEFORE + _AFTER, _MAP - 1)
    return first, last + 1 - first


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
