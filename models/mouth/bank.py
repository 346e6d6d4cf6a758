"""The bank of mouths: a bounded set of lower faces cut from a video, as different from one another as fits in the
bound.

Gathered in one pass, kept in a folder: `crops.bin` (the pixels one after the other, read mouth by mouth: the page cache
holds them for all workers, and none grows by those it has drawn from) and `bank.npz` (one row a mouth: where its pixels
lie, where in the frame they came from, landmarks).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.faces.view import View
from models.mouth.geometry import JAW, LOWER_OUTER, POSE_SCALE, SCALE, UPPER_OUTER, Floats, face_height, measure, pose
from models.mouth.sharpness import sharpness

Picture = npt.NDArray[np.uint8]

#: the points that a crop must hold, besides a margin
HOLD = (*UPPER_OUTER, *LOWER_OUTER, *JAW[1:-1], 2, 98, 327, 205, 425)
#: around them, over the face height: room for the alignment to reach into
MARGIN = 0.09
#: the detector's and the mesh's own confidence below which a face does not enter the bank
LEAST_PRESENCE = 0.5


@dataclass
class Mouth:
    """One exemplar. `placement` [2, 3]: frame → crop pixels. `feature` [7]: shape and pose, in comparable units."""

    crop: Picture
    placement: Floats
    landmarks: Floats
    frame: int
    time: float
    sharpness: float
    feature: Floats


class Gathering:
    """Gathers a bank over a stream of frames, never more than `limit` bytes of pixels.

    While there is room every frame enters. After that a frame enters if it is farther from all that are kept than the
    two closest of these are from each other; of those two the one goes that is the less sharp. So the kept ones spread
    out over shapes and poses (farthest-point sampling, on line), and pixels are copied only for those that enter.
    """

    def __init__(self, limit: int, size: int = 512) -> None:
        """`limit`: bytes of pixels; `size`: the longest side of a crop, larger ones are scaled down."""
        self.limit, self.size = limit, size
        self.mouths: list[Mouth] = []
        self.bytes = 0
        #: rows of the kept mouths, in their order, and some to spare
        self._features = np.zeros((64, 7), np.float32)
        self._apart = np.full((64, 64), np.inf, np.float32)

    def offer(self, frame: Picture | View, landmarks: Floats, index: int, time: float, presence: float) -> bool:
        """Look at frame `index`, RGB, with landmarks [468, 2]; returns whether its mouth entered."""
        if presence < LEAST_PRESENCE or not np.isfinite(landmarks).all():
            return False
        shape = (measure(landmarks) / SCALE, pose(landmarks) / POSE_SCALE)
        feature = np.concatenate([shape[0] * (1, 0.7, 0.4, 0.5), shape[1]]).astype(np.float32)
        box = _box(landmarks, frame.shape)
        if box is None:
            return False
        distances = np.linalg.norm(self._features[: len(self.mouths)] - feature, axis=1)
        room = self.bytes + _area(box, self.size) * 3 <= self.limit
        if not room and distances.size and distances.min() <= self._closest()[0]:
            return False
        crop, placement = _cut(frame, box, self.size)
        sharp = sharpness(crop, placement, landmarks)
        self._enter(Mouth(crop, placement, np.array(landmarks, np.float32), index, time, sharp, feature), distances)
        while self.bytes > self.limit and len(self.mouths) > 1:
            self._drop()
        return True

    def _closest(self) -> tuple[float, int, int]:
        n = len(self.mouths)
        a, b = divmod(int(self._apart[:n].argmin()), self._apart.shape[1])
        return float(self._apart[a, b]), a, b

    def _enter(self, mouth: Mouth, distances: Floats) -> None:
        n = len(self.mouths)
        if n == len(self._features):
            self._features = np.pad(self._features, ((0, n), (0, 0)))
            self._apart = np.pad(self._apart, (0, n), constant_values=np.inf)
        self._features[n] = mouth.feature
        self._apart[n, :n] = self._apart[:n, n] = distances
        self.mouths.append(mouth)
        self.bytes += mouth.crop.nbytes

    def _drop(self) -> None:
        """Let one of the two closest go; the last mouth takes its place."""
        _, a, b = self._closest()
        out, last = a if self.mouths[a].sharpness < self.mouths[b].sharpness else b, len(self.mouths) - 1
        self.bytes -= self.mouths[out].crop.nbytes
        self.mouths[out] = self.mouths[last]
        self.mouths.pop()
        self._features[out] = self._features[last]
        self._apart[out] = self._apart[last]
        self._apart[:, out] = self._apart[:, last]
        self._apart[last] = self._apart[:, last] = np.inf
        self._apart[out, out] = np.inf

    def save(self, folder: str | Path) -> int:
        """Write `crops.bin` and `bank.npz`, in the order of the frames; returns how many mouths there are."""
        self.mouths.sort(key=lambda mouth: mouth.frame)
        with (Path(folder) / "crops.bin").open("wb") as file:
            for mouth in self.mouths:
                file.write(mouth.crop.tobytes())
        sizes = np.array([m.crop.shape[:2] for m in self.mouths], np.int64).reshape(-1, 2)
        columns: dict[str, npt.NDArray[Any]] = {
            "size": sizes,
            "offset": np.concatenate([[0], np.cumsum(sizes.prod(1) * 3)])[:-1],
            "placement": np.array([m.placement for m in self.mouths], np.float32).reshape(-1, 2, 3),
            "landmarks": np.array([m.landmarks for m in self.mouths], np.float32).reshape(-1, 468, 2),
            "frame": np.array([m.frame for m in self.mouths], np.int64),
            "time": np.array([m.time for m in self.mouths], np.float64),
            "sharpness": np.array([m.sharpness for m in self.mouths], np.float32),
        }
        np.savez(Path(folder) / "bank.npz", **columns)  # type: ignore[arg-type]
        return len(self.mouths)


class Bank:
    """A bank read from its folder. Arrays have a row a mouth, in the order of the frames."""

    def __init__(self, folder: str | Path) -> None:
        """Raises ValueError where the folder holds no bank, or its two files do not belong together."""
        try:
            with np.load(Path(folder) / "bank.npz", allow_pickle=False) as columns:
                self._size = columns["size"]
                self._offset = columns["offset"]
                self.placement: Floats = columns["placement"]
                self.landmarks: Floats = columns["landmarks"]
                self.frame: npt.NDArray[np.int64] = columns["frame"]
                self.time: npt.NDArray[np.float64] = columns["time"]
                self.sharpness: Floats = columns["sharpness"]
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"{folder} holds no bank of mouths that can be read: {error}") from None
        pixels = Path(folder) / "crops.bin"
        if not pixels.exists() or pixels.stat().st_size != int(self._size.prod(1).sum()) * 3:
            raise ValueError(f"{pixels} does not fit bank.npz beside it: survey the video again")
        self._pixels = pixels.open("rb", buffering=0)

    def __len__(self) -> int:
        return len(self._size)

    def crop(self, row: int) -> Picture:
        """The pixels of a mouth, uint8 [h, w, 3] RGB, not to be written to."""
        h, w = (int(n) for n in self._size[row])
        found = os.pread(self._pixels.fileno(), h * w * 3, int(self._offset[row]))
        return np.frombuffer(found, np.uint8).reshape(h, w, 3)

    def measures(self) -> Floats:
        """Shape of every mouth [n, 4], as `geometry.measure` gives it."""
        return measure(self.landmarks)

    def poses(self) -> Floats:
        """Pose of every mouth [n, 3], as `geometry.pose` gives it."""
        return pose(self.landmarks)


def _box(landmarks: Floats, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom around the lower face, inside the frame; None where little of it is."""
    points = landmarks[list(HOLD)]
    margin = MARGIN * float(face_height(landmarks))
    low, high = np.floor(points.min(0) - margin).astype(int), np.ceil(points.max(0) + margin).astype(int) + 1
    left, top = max(0, int(low[0])), max(0, int(low[1]))
    right, bottom = min(shape[1], int(high[0])), min(shape[0], int(high[1]))
    inside = max(0, right - left) * max(0, bottom - top)
    return (left, top, right, bottom) if inside > 0.7 * float((high - low).prod()) and inside > 64 else None


def _shrink(box: tuple[int, int, int, int], size: int) -> float:
    return min(1.0, size / max(box[2] - box[0], box[3] - box[1]))


def _area(box: tuple[int, int, int, int], size: int) -> int:
    k = _shrink(box, size)
    return round((box[2] - box[0]) * k) * round((box[3] - box[1]) * k)


def _cut(frame: Picture | View, box: tuple[int, int, int, int], size: int) -> tuple[Picture, Floats]:
    import cv2

    left, top, right, bottom = box
    crop = frame[top:bottom, left:right]
    k = _shrink(box, size)
    if k == 1:
        return crop.copy(), np.array([[1, 0, -left], [0, 1, -top]], np.float32)
    w, h = round((right - left) * k), round((bottom - top) * k)
    kx, ky = w / (right - left), h / (bottom - top)
    # pixel centres: the middle of the first pixel of the crop lies half a crop pixel inside the box
    move = [[kx, 0, (0.5 - left) * kx - 0.5], [0, ky, (0.5 - top) * ky - 0.5]]
    return np.asarray(cv2.resize(crop, (w, h), interpolation=cv2.INTER_AREA), np.uint8), np.array(move, np.float32)
