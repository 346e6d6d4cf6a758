"""One picture that shows every face of a video with its id: of a few frames, in which they are best seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.faces import Floats, Frame
from models.faces.boxes import area
from models.faces.draw import BY_ID, box, caption
from models.faces.view import View, view_of

#: the longest side of a frame in the album, pixels; of the whole picture
SIDE, WHOLE = 1280, 2560
#: frames that are kept to choose from, and shown in the end
KEPT, SHOWN = 200, 12
#: a frame has to be better by so much to take the place of one with the same faces
BETTER = 1.1


@dataclass
class Shot:
    """A frame, packed as JPEG, the faces in it [n, 15] (its own pixels) with their ids, and how well they are seen."""

    time: float
    packed: bytes
    faces: Floats
    ids: tuple[int, ...]
    worth: float


class Album:
    """Looks at every frame, keeps the best of each company of faces, and composes the picture in the end."""

    def __init__(self) -> None:
        self.spans: dict[int, tuple[float, float]] = {}
        self._shots: dict[frozenset[int], Shot] = {}

    def look(self, picture: Frame | View, faces: Floats, ids: Sequence[int], time: float) -> None:
        """The picture [h, w, 3] at `time` (seconds), its faces [n, 15] and their ids."""
        for one in ids:
            self.spans[one] = (self.spans.get(one, (time, time))[0], time)
        if not len(ids):
            return
        worth = min(seen(face, picture.shape) for face in faces)
        known = self._shots.get(frozenset(ids))
        if known is not None and worth <= known.worth * BETTER:
            return
        packed, scale = _packed(picture)
        scaled = np.concatenate([faces[:, :4] * scale, faces[:, 4:5], faces[:, 5:] * scale], 1)
        self._shots[frozenset(ids)] = Shot(time, packed, scaled, tuple(ids), worth)
        if len(self._shots) > KEPT:
            self._forget()

    def _forget(self) -> None:
        """Drop the least frame whose faces others show as well; if there is none, that of the shortest tracks."""
        shown = Counter(one for ids in self._shots for one in ids)
        spare = [ids for ids in self._shots if all(shown[one] > 1 for one in ids)]
        if spare:
            del self._shots[min(spare, key=lambda ids: self._shots[ids].worth)]
        else:
            lasts = {one: last - first for one, (first, last) in self.spans.items()}
            del self._shots[min(self._shots, key=lambda ids: max(lasts[one] for one in ids))]

    def shots(self) -> list[Shot]:
        """As few frames as show every face, at most `SHOWN`, by time: each time the one with the most that is new.

        Among equals the one in which they are seen best.
        """
        left = {one for ids in self._shots for one in ids}
        chosen: list[Shot] = []
        while left and len(chosen) < SHOWN:
            best = max(self._shots.values(), key=lambda shot: (len(left.intersection(shot.ids)), shot.worth))
            chosen.append(best)
            left -= set(best.ids)
        return sorted(chosen, key=lambda shot: shot.time)

    def picture(self) -> Frame:
        """The frames with every face's box and id, and below each when its faces are there: RGB [h, w, 3].

        Raises ValueError where there was no face.
        """
        shots = self.shots()
        if not shots:
            raise ValueError("there is no face to show")
        panels = [self._panel(shot) for shot in shots]
        height, width = panels[0].shape[:2]
        columns = min(len(panels), max(1, round(math.sqrt(1.4 * len(panels) * height / width))))
        rows = [panels[at : at + columns] for at in range(0, len(panels), columns)]
        blank = np.full_like(panels[0], 32)
        sheet = np.vstack([np.hstack([*row, *[blank] * (columns - len(row))]) for row in rows])
        return _within(sheet, WHOLE)

    def _panel(self, shot: Shot) -> Frame:
        import cv2

        unpacked = np.asarray(cv2.imdecode(np.frombuffer(shot.packed, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        picture = np.ascontiguousarray(unpacked[..., ::-1])
        for row in np.argsort(area(shot.faces)):
            one = shot.ids[row]
            box(picture, shot.faces[row], str(one), BY_ID[one % len(BY_ID)], large=1.6)
        told = [f"{one}: {self.spans[one][0]:.1f}-{self.spans[one][1]:.1f} s" for one in sorted(shot.ids)]
        return np.vstack([picture, caption(f"at {shot.time:.2f} s     " + "   ".join(told), picture.shape[1])])


def seen(face: Floats, shape: tuple[int, ...]) -> float:
    """How well a face [15] is seen in a frame of a shape: its score, less at the edges, turned away or small."""
    height, width = shape[:2]
    x0, y0, x1, y1 = face[:4]
    inside = np.array([max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)], np.float32)
    whole = float(area(inside)) / max(float(area(face[:4])), 1e-6)
    small = min(math.sqrt(max(float(area(face[:4])), 0)) / 100, 1.0)
    eyes, nose = face[5:9].reshape(2, 2), face[9:11]
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    aside = float(np.linalg.norm(nose - eyes.mean(0))) if np.isfinite(face[5:11]).all() else 0.0
    ahead = min(apart / max(aside, 1e-6), 1.0) if aside else 1.0
    return float(face[4]) * whole**2 * small * ahead


def _packed(picture: Frame | View) -> tuple[bytes, float]:
    import cv2

    small = _within(picture, SIDE)
    done, packed = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert done
    return packed.tobytes(), small.shape[1] / picture.shape[1]


def _within(picture: Frame | View, side: int) -> Frame:
    """The picture, made smaller where its longer side is more than that."""
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture[:, :]
    return view_of(picture).whole(max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
