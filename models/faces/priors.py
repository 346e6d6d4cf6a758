"""Detectors that move boxes of set sizes ("priors"), as SSD does (Liu et al. 2016, 2.2): RetinaFace and S3FD."""

from __future__ import annotations

import numpy as np

from models.faces import Floats
from models.faces.detector import Candidates, Detector, Outputs, cells, probabilities

#: by how much the centre and the size of a prior are moved by an output of 1
VARIANCES = (0.1, 0.2)
#: mean of ImageNet's blue, green and red, as Caffe's networks take it
CAFFE_MEAN = (104.0, 117.0, 123.0)


def moved(priors: Floats, values: Floats) -> Floats:
    """Boxes [n, 4] of priors [n, 4] (centre, sides) and the network's values [n, 4]."""
    centre = priors[:, :2] + values[:, :2] * VARIANCES[0] * priors[:, 2:]
    half = priors[:, 2:] * np.exp(values[:, 2:] * VARIANCES[1]) / 2
    return np.concatenate([centre - half, centre + half], 1)


class RetinaFace(Detector):
    """RetinaFace (Deng et al. 2020): three strides, two square priors a cell; three outputs over all priors.

    Boxes [1, n, 4], classes [1, n, 2] and points [1, n, 10].
    """

    bgr = True
    mean = CAFFE_MEAN
    layers = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))

    def decode(self, outputs: Outputs, height: int, width: int) -> Candidates:
        by_columns = {value.shape[-1]: value.reshape(-1, value.shape[-1]) for value in outputs.values()}
        scores = probabilities(by_columns[2])
        good = np.flatnonzero(scores >= self.score)
        priors = self._priors(height, width)[good]
        points = by_columns[10][good].reshape(-1, 5, 2) * VARIANCES[0] * priors[:, None, 2:] + priors[:, None, :2]
        return Candidates(moved(priors, by_columns[4][good]), scores[good], points)

    def _priors(self, height: int, width: int) -> Floats:
        parts = []
        for stride, sides in self.layers:
            centres = (cells(height, width, stride, len(sides)) + 0.5) * stride
            lengths = np.tile(np.array(sides, np.float32), len(centres) // len(sides))
            parts.append(np.concatenate([centres, lengths[:, None], lengths[:, None]], 1))
        return np.concatenate(parts)


class S3fd(Detector):
    """S3FD (Zhang et al. 2017): six strides of one prior four strides wide; gives no points, so these are NaN.

    Twelve feature maps, classes [1, 2, h, w] and boxes [1, 4, h, w], told apart by their shapes.
    """

    bgr = True
    mean = CAFFE_MEAN
    multiple = 128
    strides = (4, 8, 16, 32, 64, 128)

    def decode(self, outputs: Outputs, height: int, width: int) -> Candidates:
        maps = sorted(outputs.values(), key=lambda value: value.shape[2] * value.shape[3], reverse=True)
        classes = [value for value in maps if value.shape[1] == 2]
        moves = [value for value in maps if value.shape[1] == 4]
        parts = []
        for stride, pair, move in zip(self.strides, classes, moves, strict=True):
            scores = probabilities(pair[0].reshape(2, -1).T)
            good = np.flatnonzero(scores >= self.score)
            centres = (cells(height, width, stride)[good] + 0.5) * stride
            priors = np.concatenate([centres, np.full_like(centres, 4 * stride)], 1)
            parts.append((moved(priors, move[0].reshape(4, -1).T[good]), scores[good]))
        boxes, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Candidates(boxes, scores, np.full((len(scores), 5, 2), np.nan, np.float32))
