"""Who is to be seen in a video: how long every track is there, and which tracks may be one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.faces import Floats, Frame
from models.faces.tracker import looks_of
from models.faces.view import View

#: tracks whose looks differ by less (0 the same, 1 nothing in common) are taken for one person
ALIKE = 0.45
#: seconds between looks at what a track looks like
LOOK_EVERY = 0.4


@dataclass
class Appearance:
    """A track: when it was seen first and last (seconds), in how many frames, and what it looks like on average."""

    id: int
    first: float
    last: float
    looks: Floats
    frames: int = 0
    looked: int = 1
    looked_at: float = 0.0

    def overlaps(self, other: Appearance) -> bool:
        """Whether both were there at some time."""
        return self.first <= other.last and other.first <= self.last

    def unlike(self, other: Appearance) -> float:
        """How much the looks of both differ, 0 to 1 (Bhattacharyya)."""
        return float(np.sqrt(max(1 - np.sum(np.sqrt(self.looks * other.looks)), 0)))


class Cast:
    """Takes notes of the faces of every frame, and tells in the end who there is."""

    def __init__(self) -> None:
        self.found: dict[int, Appearance] = {}

    def see(self, picture: Frame | View, faces: Floats, ids: Sequence[int], time: float) -> None:
        """The faces [n, 15] of the picture [h, w, 3] at `time` (seconds), and their tracks."""
        for face, one in zip(faces, ids, strict=True):
            known = self.found.get(one)
            if known is None:
                known = self.found[one] = Appearance(one, time, time, looks_of(picture, face), looked_at=time)
            elif time - known.looked_at >= LOOK_EVERY:
                known.looked += 1
                change = (looks_of(picture, face) - known.looks) / known.looked
                known.looks = np.asarray(known.looks + change, np.float32)
                known.looked_at = time
            known.last = time
            known.frames += 1

    def people(self, most: int, least: float) -> tuple[list[list[Appearance]], list[Appearance]]:
        """Tracks grouped into at most `most` people, and those that are left out.

        No two tracks of a person are there at once. Those seen longest come first: each goes to the person it looks
        like, if that one is free then; else it is another person, while there may be more; else the free one whose
        looks are nearest. Left out are tracks that last less than `least` seconds, and those that nobody is free for.
        People and their tracks come in the order in which they are seen.
        """
        people: list[list[Appearance]] = []
        left: list[Appearance] = []
        for one in sorted(self.found.values(), key=lambda track: -track.frames):
            free = [person for person in people if not any(one.overlaps(other) for other in person)]
            nearest = min(free, key=lambda person: _unlike(one, person), default=None)
            if one.last - one.first < least:
                left.append(one)
            elif nearest is not None and (_unlike(one, nearest) < ALIKE or len(people) >= most):
                nearest.append(one)
            elif len(people) < most:
                people.append([one])
            else:
                left.append(one)
        ordered = [sorted(person, key=lambda track: track.first) for person in people]
        return sorted(ordered, key=lambda person: person[0].id), sorted(left, key=lambda track: track.id)


def _unlike(one: Appearance, person: Sequence[Appearance]) -> float:
    return min(one.unlike(other) for other in person)
