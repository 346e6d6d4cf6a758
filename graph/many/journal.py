"""What a queue of jobs has done, a line a job: what is done stays done, however the queue ends."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any


class Journal:
    """A file of JSON lines, one for each job that ended: `key`, `name`, `status`, `error`, `outputs` and figures.

    `resume`: keep what is there, so that `is_done` knows it; without it the file begins anew. Raises OSError if another
    queue writes it.
    """

    def __init__(self, path: Path, resume: bool = False) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise OSError(f"{path} is in use: another queue with these jobs is running") from None
        if not resume:
            self._file.truncate(0)
        self._file.seek(0)
        lines = self._file.read().splitlines()
        self._last = {entry["key"]: entry for entry in map(_entry, lines) if entry is not None}
        if lines:
            # The last line may have been cut off; the next one must not go on in it.
            self._file.write("\n")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def done(self, key: str) -> dict[str, Any] | None:
        """The entry of a job that was done and whose outputs still are as it left them; else None."""
        entry = self._last.get(key)
        if entry is None or entry["status"] != "done":
            return None
        return entry if all(_is_still_there(path, size) for path, size in entry["sizes"].items()) else None

    def write(self, key: str, entry: Mapping[str, Any]) -> None:
        """Note the end of a job; it is on the disk when this returns."""
        sizes = {one["path"]: size_of(one["path"]) for one in entry.get("outputs", ())}
        self._last[key] = whole = {"key": key, **entry, "sizes": sizes}
        self._file.write(json.dumps(whole, default=str) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _entry(line: str) -> dict[str, Any] | None:
    """A line of the file; None for one that was cut off by the end of the machine."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"key", "status", "sizes"} <= found.keys() else None


def _is_still_there(path: str, size: int | None) -> bool:
    """Whether an output is as it was written; of what lies elsewhere nothing is known, so it is."""
    if size is None:
        return "://" in path or Path(path).exists()
    return size_of(path) == size


def size_of(path: str) -> int | None:
    """Bytes of a file; None if it is a folder, elsewhere or gone."""
    place = Path(path)
    return place.stat().st_size if place.is_file() else None
