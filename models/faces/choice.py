"""Which of several faces is meant: the parameter `face`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.faces import Floats
from models.faces.boxes import area

NUMBER = r"-?\d+(?:\.\d+)?"
TRACKS = r"\d+(?:,\d+)*"


@dataclass(frozen=True)
class Choice:
    """`largest`, `left`, `right` (in the picture), `index=N` (N-th largest, from 0), `at=x,y`, `track=ID[,ID…]`.

    A track's id may also stand alone: `0` is `track=0`.
    """

    kind: str
    numbers: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Raises ValueError with what would be right."""
        if text in ("largest", "left", "right"):
            return cls(text)
        forms = {"index": r"\d+", "at": f"{NUMBER},{NUMBER}", "track": TRACKS}
        if re.fullmatch(TRACKS, text):
            text = f"track={text}"
        if text == "all":
            raise ValueError("face all is not one face: pipelines/everyone.yaml has every face speak")
        kind, _, rest = text.partition("=")
        if kind not in forms or not re.fullmatch(forms[kind], rest):
            raise ValueError(f"face {text!r} is not largest, left, right, index=N, at=x,y or track=ID")
        return cls(kind, tuple(map(float, rest.split(","))))

    def order(self, faces: Floats, ids: Sequence[int]) -> list[int]:
        """Rows of `faces` [n, 15] that may be the one, the best first."""
        if not len(faces):
            return []
        if self.kind == "track":
            return [row for row, one in enumerate(ids) if one in self.numbers]
        if self.kind == "at":
            return self._at(faces)
        by_size = np.argsort(-area(faces), kind="stable")
        if self.kind == "index":
            return list(map(int, by_size[int(self.numbers[0]) :][:1]))
        middle = np.asarray((faces[:, 0] + faces[:, 2]) / 2, np.float32)
        keys: dict[str, Floats] = {"largest": -area(faces), "left": middle, "right": -middle}
        return list(map(int, np.argsort(keys[self.kind], kind="stable")))

    def _at(self, faces: Floats) -> list[int]:
        """The faces around the point, the one whose middle is nearest first."""
        point = np.array(self.numbers, np.float32)
        inside = np.all((faces[:, :2] <= point) & (point <= faces[:, 2:4]), axis=1)
        far = np.linalg.norm((faces[:, :2] + faces[:, 2:4]) / 2 - point, axis=1)
        return [int(row) for row in np.argsort(far, kind="stable") if inside[row]]
