"""Identities of faces over time: detections joined by overlap, motion and looks, as SORT does (Bewley et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.faces import Floats, Frame
from models.faces.boxes import overlap
from models.faces.view import View

#: what overlap, distance (in sizes of the face) and looks (0 the same, 1 nothing in common) weigh against each other
WEIGHTS = (1.0, 0.5, 1.5)
#: a detection farther from where a face is expected than this many sizes is another face, as is one so much larger
FARTHEST, LARGEST = 0.8, 2.0
#: a face that was not seen for a while may be farther, by how far it can have gone; then it has to look like it, though
ALIKE = 0.45
#: how quickly looks and velocity follow the newest detection
LOOKS, MOTION = 0.2, 0.5
#: for how many seconds a face that is not seen is thought to move on, and how long it takes to stop (a time constant)
COAST = 0.4


@dataclass
class Track:
    """A face that was seen: its last row [15] and when, its velocity (pixels a second) and what it looks like."""

    id: int
    face: Floats
    seen: float
    looks: Floats
    velocity: Floats = field(default_factory=lambda: np.zeros(2, np.float32))

    def expected(self, time: float) -> Floats:
        """Its box [4] at a later time."""
        coasted = COAST * (1 - np.exp(-(time - self.seen) / COAST))
        return np.asarray(self.face[:4] + np.tile(self.velocity, 2) * np.float32(coasted), np.float32)

    def found(self, face: Floats, time: float, looks: Floats) -> None:
        """Take in a new detection."""
        if time > self.seen:
            moved = (_centre(face) - _centre(self.face)) / (time - self.seen)
            self.velocity = np.asarray(self.velocity + MOTION * (moved - self.velocity), np.float32)
        self.looks = np.asarray(self.looks + LOOKS * (looks - self.looks), np.float32)
        self.face, self.seen = face, time


class FaceTracker:
    """Gives every face an id, counting from 0 in the order of appearance; an id is never given twice.

    A face that is not detected keeps its id for `bridge` seconds. Ids depend on the detections alone, so that every
    user of the same detections gives the same ids.
    """

    def __init__(self, bridge: float = 1.0) -> None:
        self.bridge = bridge
        self.tracks: dict[int, Track] = {}
        self._next = 0

    def reset(self) -> None:
        """Forget all faces: a new scene."""
        self.tracks.clear()

    def update(self, picture: Frame | View, faces: Floats, time: float) -> list[int]:
        """The id of each row of `faces` [n, 15] of the picture at `time` (seconds)."""
        for track in [track for track in self.tracks.values() if time - track.seen > self.bridge]:
            del self.tracks[track.id]
        if not len(faces):
            return []
        looks = [looks_of(picture, face) for face in faces]
        known = list(self.tracks.values())
        pairs = _pairs(_costs(known, faces, looks, time))
        ids = []
        for row, face in enumerate(faces):
            if row in pairs:
                track = known[pairs[row]]
                track.found(face.copy(), time, looks[row])
            else:
                track = Track(self._next, face.copy(), time, looks[row])
                self.tracks[track.id] = track
                self._next += 1
            ids.append(track.id)
        return ids


def looks_of(picture: Frame | View, face: Floats) -> Floats:
    """What a face [15] and what is around it look like: a histogram [192] of colours that sums to 1."""
    import cv2

    height, width = picture.shape[:2]
    x0, y0, x1, y1 = face[:4]
    wide, high = (x1 - x0) * 0.25, (y1 - y0) * 0.5
    left, right = np.clip([x0 - wide, x1 + wide], 0, width).astype(int)
    top, bottom = np.clip([y0 - high, y1 + high], 0, height).astype(int)
    if right - left < 2 or bottom - top < 2:
        return np.full(192, 1 / 192, np.float32)
    step_y, step_x = max((bottom - top) // 48, 1), max((right - left) // 48, 1)
    part = np.ascontiguousarray(picture[top:bottom:step_y, left:right:step_x])
    colours = cv2.cvtColor(part, cv2.COLOR_RGB2YCrCb)
    bins = cv2.calcHist([colours], [0, 1, 2], None, [3, 8, 8], [0, 256, 80, 208, 64, 192])
    return np.asarray(bins.ravel() / max(bins.sum(), 1), np.float32)


def _costs(known: list[Track], faces: Floats, looks: list[Floats], time: float) -> Floats:
    """How unlikely each face [n] is each track [m]: [n, m], infinite where it cannot be."""
    costs = np.full((len(faces), len(known)), np.inf, np.float32)
    for column, track in enumerate(known):
        box = track.expected(time)
        size = max(float(np.mean(box[2:] - box[:2])), 1.0)
        reach = FARTHEST + float(np.linalg.norm(track.velocity)) * (time - track.seen) / size
        common = overlap(faces, box[None])[:, 0]
        for row, face in enumerate(faces):
            far = float(np.linalg.norm(_centre(face) - _centre(box))) / size
            larger = max(float(np.mean(face[2:4] - face[:2])), 1.0) / size
            if far > reach or not 1 / LARGEST <= larger <= LARGEST:
                continue
            unlike = float(np.sqrt(max(1 - np.sum(np.sqrt(looks[row] * track.looks)), 0)))
            if far > FARTHEST and unlike > ALIKE:
                continue
            costs[row, column] = np.dot(WEIGHTS, [1 - common[row], far, unlike])
    return costs


def _pairs(costs: Floats) -> dict[int, int]:
    """Row to column, each at most once: the cheapest pair first, then the cheapest of what is left."""
    left = costs.copy()
    pairs: dict[int, int] = {}
    while left.size and np.isfinite(left).any():
        row, column = divmod(int(left.argmin()), left.shape[1])
        pairs[row] = column
        left[row], left[:, column] = np.inf, np.inf
    return pairs


def _centre(box: Floats) -> Floats:
    return np.asarray((box[:2] + box[2:4]) / 2, np.float32)
