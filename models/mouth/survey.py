"""The survey of a video: the face mesh of every frame in records of fixed size on disk, and what they add up to.

A folder: `frames.bin` (one RECORD a frame), `measures.bin` (one MEASURE a frame, for quick statistics), `survey.json`
(facts, written last: a folder without it is not whole), and the bank of mouths (see bank.py). Hours of video are read
with `pread`, a few records at a time; only the measures (36 bytes a frame) are ever held as a whole.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

import numpy as np

from models.mouth.geometry import (
    LOWER_INNER,
    LOWER_OUTER,
    MEASURES,
    UPPER_INNER,
    UPPER_OUTER,
    Floats,
    Range,
    face_height,
    measure,
    pose,
)

VERSION = 5
RECORD = np.dtype(
    [
        ("time", "<f8"),
        ("found", "u1"),
        ("cut", "u1"),
        ("id", "<i4"),
        ("presence", "<f4"),
        ("landmarks", "<f4", (468, 2)),
    ]
)
MEASURE = np.dtype(
    [
        ("measures", "<f4", (4,)),
        ("pose", "<f4", (3,)),
        ("height", "<f4"),
        ("time", "<f4"),
    ]
)
#: points of the four edges of the lips
_LIPS = sorted({*UPPER_OUTER, *UPPER_INNER, *LOWER_INNER, *LOWER_OUTER})
#: Savitzky and Golay (1964), table I: smoothing by a quadratic over 7 points
SMOOTHING = np.array([-2, 3, 6, 7, 6, 3, -2], np.float32) / 21


class SurveyWriter:
    """Writes a survey, a frame at a time."""

    def __init__(self, folder: str | Path) -> None:
        """Begins in `folder`, which is made; what an earlier survey left there is overwritten. Raises OSError."""
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "survey.json").unlink(missing_ok=True)
        self.count = 0
        self.found = 0
        self._frames = (self.folder / "frames.bin").open("wb")
        self._measures = (self.folder / "measures.bin").open("wb")

    def add(
        self,
        time: float,
        landmarks: Floats,
        *,
        found: bool,
        cut: bool,
        track: int,
        presence: float,
    ) -> None:
        """The next frame: its time in seconds and its landmarks [468, 2] (not read unless `found`)."""
        record = np.zeros((), RECORD)
        row = np.full((), np.nan, MEASURE)
        record["time"], record["found"], record["cut"], record["id"] = time, found, cut, track
        record["presence"], record["landmarks"] = presence, landmarks if found else np.nan
        row["time"] = time
        if found:
            row["measures"], row["pose"], row["height"] = measure(landmarks), pose(landmarks), face_height(landmarks)
        self._frames.write(record.tobytes())
        self._measures.write(row.tobytes())
        self.count += 1
        self.found += found

    def close(self) -> None:
        """Close the files; without `finish` before it, the folder counts as not whole."""
        self._frames.close()
        self._measures.close()

    def finish(self, facts: dict[str, Any]) -> None:
        """Close the files and write `survey.json` with `facts` of the stream in it."""
        self.close()
        about = {"version": VERSION, "frames": self.count, "found": self.found, "measures": MEASURES, **facts}
        whole = self.folder / "survey.json.part"
        whole.write_text(json.dumps(about, indent=1))
        whole.replace(self.folder / "survey.json")


class Survey:
    """Reads a survey; `with Survey(folder) as survey:` closes it."""

    def __init__(self, folder: str | Path) -> None:
        """Raises ValueError where `folder` holds no whole survey of this version."""
        self.folder = Path(folder)
        try:
            self.facts: dict[str, Any] = json.loads((self.folder / "survey.json").read_text())
        except FileNotFoundError:
            raise ValueError(f"{folder} holds no finished survey (pipelines/survey.yaml makes one)") from None
        if self.facts.get("version") != VERSION:
            raise ValueError(
                f"{folder} was written by another version of the survey: delete it and survey the video again"
            )
        self.count = int(self.facts["frames"])
        self._file = os.open(self.folder / "frames.bin", os.O_RDONLY)
        if os.fstat(self._file).st_size != self.count * RECORD.itemsize:
            os.close(self._file)
            raise ValueError(
                f"{self.folder / 'frames.bin'} does not hold the {self.count} frames that survey.json says"
            )
        self._table: np.ndarray[Any, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; harmless when done twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def records(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Records [start, stop) as a structured array of RECORD, cut to the frames there are."""
        start, stop = max(0, start), min(stop, self.count)
        size = max(0, stop - start) * RECORD.itemsize
        return np.frombuffer(os.pread(self._file, size, start * RECORD.itemsize), RECORD)

    def table(self) -> np.ndarray[Any, Any]:
        """The measures of every frame, MEASURE [frames], NaN where there is no face."""
        if self._table is None:
            self._table = np.fromfile(self.folder / "measures.bin", MEASURE)
        return self._table

    def range(self) -> Range:
        """What this person's mouth does. Raises ValueError where no frame shows a face."""
        return Range.of(self.table()["measures"])

    def landmarks(self, index: int) -> tuple[Floats, dict[str, Any]]:
        """Smoothed landmarks [468, 2] of frame `index` (NaN without a face) and its `face` field.

        Smoothed over 7 frames by a quadratic; near cuts, gaps and the ends over 3 (1-2-1) or not at all, so that frames
        of another shot or another face never leak in. Lips that were looked at closer stay as they were seen: they are
        steady by themselves, and too quick for any smoothing.
        """
        landmarks, face = self._smoothed(index)
        if self.facts.get("lips"):
            landmarks[_LIPS] = self.records(index, index + 1)["landmarks"][0, _LIPS]
        return landmarks, face

    def _smoothed(self, index: int) -> tuple[Floats, dict[str, Any]]:
        first = max(0, index - 3)
        rows = self.records(first, index + 4)
        here = index - first
        if not 0 <= here < len(rows):
            raise ValueError(f"the survey has {self.count} frames, but frame {index} is asked for")
        row = rows[here]
        face = {
            "found": bool(row["found"]),
            "score": float(row["presence"]),
            "cut": bool(row["cut"]),
            "id": int(row["id"]),
        }
        if not face["found"]:
            return np.array(row["landmarks"]), face
        reach = _reach(rows, here)
        if reach == 3:
            return (SMOOTHING @ rows["landmarks"].reshape(7, -1)).reshape(-1, 2), face
        if reach:
            near = rows["landmarks"][here - 1 : here + 2]
            return np.asarray((near[0] + 2 * near[1] + near[2]) / 4, np.float32), face
        return np.array(row["landmarks"]), face


def _reach(rows: np.ndarray[Any, Any], here: int) -> int:
    """How many frames on both sides of `here` show the same face in the same shot, at most 3."""
    reach = 0
    for step in (1, 2, 3):
        before, after = here - step, here + step
        if before < 0 or after >= len(rows) or rows["cut"][after] or rows["cut"][before + 1]:
            break
        if not (
            rows["found"][before]
            and rows["found"][after]
            and rows["id"][before] == rows["id"][after] == rows["id"][here]
        ):
            break
        reach = step
    return reach
