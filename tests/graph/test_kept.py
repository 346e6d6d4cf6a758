"""Results of graphs that run first are kept within a bound, and what was left half made goes in the end."""

from __future__ import annotations

import os
import time
from pathlib import Path

from graph.kept import tidy

DAY = 86_400


def put(folder: Path, name: str, size: int, days: float) -> None:
    """A result of some size that was used so many days ago; a folder, if its name has no suffix."""
    place = folder / name
    if place.suffix:
        place.write_bytes(bytes(size))
    else:
        place.mkdir()
        (place / "inside").write_bytes(bytes(size))
    os.utime(place, (time.time() - days * DAY,) * 2)


def test_what_was_used_least_recently_goes_first(tmp_path: Path) -> None:
    for name, size, days in (("old", 300, 3.0), ("older.csv", 300, 4.0), ("new", 300, 0.0), ("newer.csv", 300, 0.0)):
        put(tmp_path, name, size, days)
    tidy(tmp_path, keep=700)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new", "newer.csv"]


def test_what_is_being_made_stays_and_what_was_left_behind_goes(tmp_path: Path) -> None:
    put(tmp_path, "part-11-survey", 900, 0.5)
    put(tmp_path, "part-22-mouth.csv", 900, 30.0)
    put(tmp_path, "whole.csv", 100, 20.0)
    tidy(tmp_path, keep=500)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["part-11-survey", "whole.csv"]
