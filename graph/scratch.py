"""Folders for the time of a task, in the temp folder: private, and removed also where the task's process was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "graphrun."


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder (mode 0700) that is gone afterwards; first of all, those go that nobody was left to remove.

    Whoever uses a folder holds a lock on it (flock(2)), which the kernel takes back when the process ends, in whatever
    way. So a folder without a holder is nobody's.
    """
    sweep()
    folder, lock = _make()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep() -> None:
    """Remove what killed processes of this user have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it has gone, or is another's
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = _lock(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _make() -> tuple[Path, int]:
    """A new folder and the lock on it; another one if somebody swept it away before it was locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        with contextlib.suppress(FileNotFoundError):
            lock = _lock(folder)
            if lock is not None:
                if folder.is_dir():
                    return folder, lock
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """The descriptor of a folder that nobody else has locked; None if somebody has. Raises OSError if it is gone."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
