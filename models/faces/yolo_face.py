"""YOLO trained on faces with five points, exported without its suppression (YOLOv8's layout)."""

from __future__ import annotations

import numpy as np

from models.faces.detector import Candidates, Detector, Outputs


class YoloFace(Detector):
    """One output [1, 20, n]: centre and sides of the box, score, and x, y, visibility of five points, in pixels."""

    factor = 1 / 255

    def decode(self, outputs: Outputs, height: int, width: int) -> Candidates:
        (output,) = outputs.values()
        columns = output[0][:, output[0, 4] >= self.score]
        centre, half = columns[:2].T, columns[2:4].T / 2
        points = columns[5:].T.reshape(-1, 5, 3)[..., :2]
        return Candidates(np.concatenate([centre - half, centre + half], 1), columns[4], points)
