"""The face mesh of MediaPipe (Kartynnik et al. 2019, "Real-time Facial Surface Geometry from Monocular Video on Mobile
GPUs"): 468 points of one face out of a square, upright region around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.faces import Floats, Frame
from models.faces.boxes import around
from models.faces.detector import sigmoid
from models.faces.view import View, view_of
from models.faces.weights import embedded
from models.onnx import open_network

POINTS = 468
#: outer corners of the person's right and left eye
EYES = (33, 263)
#: right eye, left eye (each the mean of its corners), nose tip, right and left corner of the mouth
FIVE = ((33, 133), (362, 263), (1,), (61,), (291,))
#: how much larger than the box of the face the region is: what the network was trained with
MARGIN = 1.5
INPUT = 192


@dataclass(frozen=True)
class Region:
    """A square of a frame: its centre in pixels, its side, and how far it is turned (radians, clockwise as seen)."""

    x: float
    y: float
    side: float
    angle: float

    def to_frame(self) -> Floats:
        """The affine map [2, 3] from the network's pixels to the frame's."""
        scale = self.side / INPUT
        turn = np.array([[np.cos(self.angle), -np.sin(self.angle)], [np.sin(self.angle), np.cos(self.angle)]]) * scale
        middle = (INPUT - 1) / 2
        shift = np.array([self.x, self.y]) - turn @ [middle, middle]
        return np.concatenate([turn, shift[:, None]], 1).astype(np.float32)


def region_of_face(face: Floats) -> Region:
    """Where to look for the mesh of a detected face [15]; upright where the detector gives no points."""
    right, left = face[5:7], face[7:9]
    across = left - right
    angle = float(np.arctan2(across[1], across[0])) if np.isfinite(across).all() else 0.0
    x, y = (face[:2] + face[2:4]) / 2
    return Region(float(x), float(y), float(np.max(face[2:4] - face[:2])) * MARGIN, angle)


def region_of_landmarks(landmarks: Floats) -> Region:
    """Where to look for the mesh next, from the points [468, 2] found last."""
    across = landmarks[EYES[1]] - landmarks[EYES[0]]
    angle = float(np.arctan2(across[1], across[0]))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    box = around(landmarks @ turn.T)
    x, y = turn.T @ (box[:2] + box[2:]) / 2
    return Region(float(x), float(y), float(np.max(box[2:] - box[:2])) * MARGIN, angle)


def five_points(landmarks: Floats) -> Floats:
    """Eyes, nose tip and corners of the mouth [5, 2] of landmarks [468, 2], as detectors give them."""
    return np.stack([landmarks[list(points)].mean(0) for points in FIVE]).astype(np.float32)


def face_of_landmarks(landmarks: Floats, score: float) -> Floats:
    """Landmarks [468, 2] as a row [15] of `faces`: the box around them, and five of them."""
    return np.concatenate([around(landmarks), [score], five_points(landmarks).ravel()]).astype(np.float32)


class Mesh:
    """The network. `mesh(picture, region)` gives landmarks [468, 2] in its pixels and a face's presence, 0..1."""

    def __init__(self, device: str = "auto", threads: int = 1) -> None:
        path, sha256 = embedded("face_landmark")
        self.network = open_network(path, device, threads=threads, sha256=sha256)
        self._tensor = np.zeros((1, 3, INPUT, INPUT), np.float32)

    def __call__(self, picture: Frame | View, region: Region) -> tuple[Floats, float]:
        to_frame = region.to_frame()
        view_of(picture).warped(to_frame, self._tensor[0])
        outputs = self.network.run(self._tensor).values()
        points = next(value for value in outputs if value.size == POINTS * 3).reshape(POINTS, 3)[:, :2]
        logit = next(value for value in outputs if value.size == 1)
        landmarks = points @ to_frame[:, :2].T + to_frame[:, 2]
        return np.asarray(landmarks, np.float32), float(sigmoid(logit.ravel())[0])
