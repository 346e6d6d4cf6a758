"""BlazeFace of MediaPipe (Bazarevsky et al. 2019, "Sub-millisecond Neural Face Detection on Mobile GPUs")."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from models.faces import Floats
from models.faces.boxes import suppress
from models.faces.detector import Candidates, Detector, Outputs, cells, sigmoid

#: the half width of a mouth over the distance of the eyes
MOUTH = 0.44


class BlazeFace(Detector):
    """The full-range network: 192 pixels, one anchor in each of 48×48 cells; boxes and points are given in pixels.

    Of its six points (eyes, nose, centre of the mouth, ears) the corners of the mouth are not one: they are set beside
    the mouth's centre, along the line of the eyes, which turning the head foreshortens as it does the mouth.
    """

    default_size = 192
    centred = True
    mean = (127.5, 127.5, 127.5)
    factor = 1 / 127.5
    #: stride and anchors a cell of every feature map
    layers: ClassVar[tuple[tuple[int, int], ...]] = ((4, 1),)

    def decode(self, outputs: Outputs, height: int, width: int) -> Candidates:
        values = next(value[0] for value in outputs.values() if value.shape[-1] == 16)
        logits = next(value[0, :, 0] for value in outputs.values() if value.shape[-1] == 1)
        scores = sigmoid(logits)
        good = np.flatnonzero(scores >= self.score)
        anchors = np.concatenate([(cells(height, width, *layer) + 0.5) * layer[0] for layer in self.layers])[good]
        pairs = values[good].reshape(-1, 8, 2)
        centre, half = pairs[:, 0] + anchors, pairs[:, 1] / 2
        points = pairs[:, 2:] + anchors[:, None]
        boxes = np.concatenate([centre - half, centre + half], 1)
        return Candidates(boxes, scores[good], five_points(points))

    def suppress(self, found: Candidates) -> Candidates:
        """As the paper has it: the mean of a group, weighted by score: steadier over time than its best."""
        groups = suppress(found.boxes, found.scores, self.nms)
        weights = [found.scores[group] / found.scores[group].sum() for group in groups]
        both = list(zip(groups, weights, strict=True))
        boxes = [np.tensordot(weight, found.boxes[group], 1) for group, weight in both]
        points = [np.tensordot(weight, found.points[group], 1) for group, weight in both]
        return Candidates(
            np.array(boxes, np.float32).reshape(-1, 4),
            found.scores[[group[0] for group in groups]],
            np.array(points, np.float32).reshape(-1, 5, 2),
        )


class BlazeFaceShort(BlazeFace):
    """The short-range network: 128 pixels, two anchors in 16×16 cells and six in 8×8; misses small faces."""

    default_size = 128
    layers = ((8, 2), (16, 6))


def five_points(six: Floats) -> Floats:
    """Eyes, nose and corners of the mouth [n, 5, 2] from eyes, nose, centre of the mouth, ears [n, 6, 2]."""
    across = (six[:, 1] - six[:, 0]) * np.float32(MOUTH)
    mouth = six[:, 3]
    return np.stack([six[:, 0], six[:, 1], six[:, 2], mouth - across, mouth + across], 1)
