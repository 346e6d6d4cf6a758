"""What all detectors share: a frame into the network's input, its outputs into rows of `faces`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from models.faces import MOST_FACES, Floats, Frame
from models.faces.boxes import area, suppress
from models.faces.letterbox import Letterbox, fit
from models.faces.view import View
from models.onnx import Network

Outputs = Mapping[str, Floats]


class Candidates(NamedTuple):
    """What a network proposes, in pixels of its input measured from the edge; points are NaN where it gives none."""

    boxes: Floats  # [n, 4]
    scores: Floats  # [n], 0..1
    points: Floats  # [n, 5, 2]


class Detector(ABC):
    """Finds faces: `detector(picture)` gives `faces` [n, 15], largest first.

    `size` is the longer side of the network's input; what is found scores at least `score`, and of two that overlap by
    more than `nms` (intersection over union) the better one stays.
    """

    default_size: ClassVar[int] = 640
    multiple: ClassVar[int] = 32
    centred: ClassVar[bool] = False
    bgr: ClassVar[bool] = False
    mean: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 0.0)
    factor: ClassVar[float] = 1.0

    def __init__(self, network: Network, *, size: int | None = None, score: float = 0.5, nms: float = 0.3) -> None:
        """Raises ValueError where the network's input does not fit the detector or `size`."""
        self.network = network
        self.score = score
        self.nms = nms
        shape = network.input_shape
        if len(shape) != 4 or shape[1] not in (3, None):
            raise ValueError(f"{network.path} takes {shape}: a face detector takes [1, 3, height, width]")
        fixed = (shape[2], shape[3]) if shape[2] and shape[3] else None
        if fixed and size not in (None, max(fixed)):
            raise ValueError(f"{network.path} takes pictures of {fixed[1]}×{fixed[0]} only: leave out size {size}")
        if not fixed and size is not None and size % self.multiple:
            raise ValueError(f"size has to be a multiple of {self.multiple}, not {size}")
        self.size = size or (max(fixed) if fixed else self.default_size)
        self._fixed = fixed
        self._canvas: Frame = np.zeros((0, 0, 3), np.uint8)
        self._tensor: Floats = np.zeros((1, 3, 0, 0), np.float32)

    @staticmethod
    def change(model: bytes) -> bytes:
        """What is opened, of the bytes of a published file."""
        return model

    @abstractmethod
    def decode(self, outputs: Outputs, height: int, width: int) -> Candidates:
        """What the network's outputs for an input of that size say, above `self.score`; not yet suppressed."""

    def __call__(self, picture: Frame | View) -> Floats:
        tensor, place = self.prepare(picture)
        found = self.decode(self.network.run(tensor), tensor.shape[2], tensor.shape[3])
        return self._rows(self.suppress(found), place)

    def each(self, pictures: Sequence[Frame | View]) -> list[Floats]:
        """The `faces` of pictures of one size, by one run of the network where it takes several pictures at once."""
        if len(pictures) < 2 or not self.network.takes_several:
            return [self(picture) for picture in pictures]
        shown = [(tensor.copy(), place) for tensor, place in map(self.prepare, pictures)]
        outputs = self.network.run(np.concatenate([tensor for tensor, _ in shown]))
        height, width = shown[0][0].shape[2:]
        found = []
        for at, (_, place) in enumerate(shown):
            own = {name: value[at : at + 1] for name, value in outputs.items()}
            found.append(self._rows(self.suppress(self.decode(own, height, width)), place))
        return found

    def prepare(self, picture: Frame | View) -> tuple[Floats, Letterbox]:
        """The network's input [1, 3, h, w] for a picture, in a buffer that the next call overwrites; where it lies."""
        height, width = self._fixed or self._shape_for(*picture.shape[:2])
        if self._canvas.shape[:2] != (height, width):
            self._canvas = np.zeros((height, width, 3), np.uint8)
            self._tensor = np.zeros((1, 3, height, width), np.float32)
        place = fit(picture, self._canvas, centred=self.centred)
        planes = self._canvas.transpose(2, 0, 1)[:: -1 if self.bgr else 1]
        np.subtract(planes, np.array(self.mean, np.float32).reshape(3, 1, 1), out=self._tensor[0])
        self._tensor *= np.float32(self.factor)
        return self._tensor, place

    def suppress(self, found: Candidates) -> Candidates:
        """One candidate a face: the best of each group that overlaps."""
        best = [group[0] for group in suppress(found.boxes, found.scores, self.nms)]
        return Candidates(found.boxes[best], found.scores[best], found.points[best])

    def _shape_for(self, height: int, width: int) -> tuple[int, int]:
        """The input that a frame needs where the network takes any: no larger than its proportions ask for."""
        scale = self.size / max(height, width)
        sides = (max(round(side * scale), 1) for side in (height, width))
        high, wide = (-(-side // self.multiple) * self.multiple for side in sides)
        return high, wide

    @staticmethod
    def _rows(found: Candidates, place: Letterbox) -> Floats:
        count = len(found.scores)
        boxes = place.back(found.boxes.reshape(count, 2, 2)).reshape(count, 4)
        points = place.back(found.points).reshape(count, 10)
        rows = np.concatenate([boxes, found.scores[:, None], points], 1, dtype=np.float32)
        return rows[np.argsort(-area(rows), kind="stable")][:MOST_FACES]


def cells(height: int, width: int, stride: int, anchors: int = 1) -> Floats:
    """Column and row [n, 2] of every cell of a feature map, row by row, each as often as it has anchors."""
    rows, columns = np.mgrid[0 : height // stride, 0 : width // stride]
    grid = np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float32)
    return grid.repeat(anchors, 0)


def probabilities(pairs: Floats) -> Floats:
    """The second of two classes' probabilities, [n] of [n, 2].

    Exports differ in whether the softmax is part of the network: pairs that all sum to one have been through it.
    """
    if np.allclose(pairs.sum(-1), 1, atol=1e-3) and pairs.min() >= 0:
        return pairs[:, 1]
    return sigmoid(pairs[:, 1] - pairs[:, 0])


def sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))), np.float32)
