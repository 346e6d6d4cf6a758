"""What a run could leave behind on this machine."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


def take_own_temp_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other programs do in the temp folder meanwhile is none of a test's business."""
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)


def surroundings() -> set[str]:
    """Shared memory that nobody has open, temporary files, and processes of this one."""
    shared = {str(one) for one in Path("/dev/shm").iterdir()} - set(_open_in_shared_memory())
    files = {str(one) for one in Path(tempfile.gettempdir()).iterdir()}
    return shared | files | {f"process {one.pid}" for one in psutil.Process().children(recursive=True)}


def _open_in_shared_memory() -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            yield from re.findall(r"/dev/shm/\S+", Path(f"/proc/{process.pid}/maps").read_text())
            yield from (one.path for one in process.open_files() if one.path.startswith("/dev/shm/"))
        except (OSError, psutil.Error):
            continue
