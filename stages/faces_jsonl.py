"""`faces_jsonl`: the faces of every frame as JSON Lines."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from graph.stage import Array, Field, Output, Packet, Sink
from models.faces import COLUMNS, MOST_FACES, Floats

FACES: dict[str, Field] = {"faces": Array(np.float32, f"<={MOST_FACES} {COLUMNS}")}
MESHES: dict[str, Field] = {
    "ids": Array(np.int32, f"<={MOST_FACES}"),
    "meshes": Array(np.float32, f"<={MOST_FACES} 468 2"),
}


class FacesJsonl(Sink):
    """Write a line of JSON a frame: `{"index": 0, "time": 0.0, "faces": [{"box", "score", "points"}]}`.

    `box` is x0 y0 x1 y1, `points` the two eyes, the nose tip and the corners of the mouth as x y (null where unknown),
    in pixels rounded to `digits` places; with `meshes`, each face also has its `id` and 468 `landmarks`. The rows of
    `ids` and `meshes` belong to those of `faces`: behind `mesh`, map faces to followed. The file appears at `path` when
    it is whole.
    """

    reads = {**FACES, **MESHES}

    def __init__(self, path: str, meshes: bool = True, digits: int = 2) -> None:
        if not 0 <= digits <= 6:
            raise ValueError(f"digits has to be between 0 and 6, not {digits}")
        self.path = Path(path)
        self.meshes = meshes
        self.digits = digits
        self.reads = {**FACES, **MESHES} if meshes else FACES
        self.lines = 0
        self._file: IO[str] | None = None

    def open(self) -> None:
        if self.path.is_dir():
            raise ValueError(f"{self.path} is a folder, not a file to write")
        self._part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._file = self._part.open("w", encoding="utf-8")

    def process(self, packet: Packet) -> None:
        assert self._file is not None
        faces = [self._face(packet, row) for row in range(len(packet.faces))]
        line = {"index": packet.index, "time": round(float(packet.time), 6), "faces": faces}
        json.dump(line, self._file, separators=(",", ":"), allow_nan=False)
        self._file.write("\n")
        self.lines += 1
        self.counts["faces"] += len(faces)

    def _face(self, packet: Packet, row: int) -> dict[str, Any]:
        face = packet.faces[row]
        entry: dict[str, Any] = {"id": int(packet.ids[row])} if self.meshes else {}
        entry["box"] = self._plain(face[:4])
        entry["score"] = round(float(face[4]), 4)
        entry["points"] = self._plain(face[5:].reshape(5, 2))
        if self.meshes:
            entry["landmarks"] = self._plain(packet.meshes[row])
        return entry

    def _plain(self, values: Floats) -> list[Any]:
        """An array as lists of rounded numbers, what is unknown as null."""
        rounded = np.round(values.astype(np.float64), self.digits).astype(object)
        rounded[~np.isfinite(values)] = None
        return list(rounded.tolist())

    def finish(self) -> Sequence[Output]:
        assert self._file is not None
        self._file.close()
        self._part.replace(self.path)
        return [Output(str(self.path), frames=self.lines, about="faces")]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)
