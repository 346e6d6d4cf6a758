"""SCRFD (Guo et al. 2021, "Sample and Computation Redistribution for Efficient Face Detection")."""

from __future__ import annotations

import numpy as np

from models.faces import Floats
from models.faces.detector import Candidates, Detector, Outputs, cells

STRIDES = (8, 16, 32)
ANCHORS = 2


class Scrfd(Detector):
    """Three strides with two anchors a cell; scores, distances from the cell to the box's sides, and points.

    The same outputs are those of InsightFace's RetinaFace (`det_10g`). They are told apart by their shapes: one column
    for scores, four for boxes, ten for points, and more rows the smaller the stride.
    """

    mean = (127.5, 127.5, 127.5)
    factor = 1 / 128

    def decode(self, outputs: Outputs, height: int, width: int) -> Candidates:
        flat = [value.reshape(-1, value.shape[-1]) for value in outputs.values()]
        scores, distances, offsets = (_by_rows(flat, columns) for columns in (1, 4, 10))
        parts = []
        for stride, score, sides, points in zip(STRIDES, scores, distances, offsets, strict=True):
            good = np.flatnonzero(score[:, 0] >= self.score)
            centre = cells(height, width, stride, ANCHORS)[good] * stride
            low = centre - sides[good, :2] * stride
            high = centre + sides[good, 2:] * stride
            five = centre[:, None] + points[good].reshape(-1, 5, 2) * stride
            parts.append((np.concatenate([low, high], 1), score[good, 0], five))
        return Candidates(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _by_rows(arrays: list[Floats], columns: int) -> list[Floats]:
    """The arrays of that many columns, those with the most rows first."""
    return sorted((array for array in arrays if array.shape[1] == columns), key=len, reverse=True)
