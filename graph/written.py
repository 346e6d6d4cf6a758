"""Files about a run, which are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


class Unwritten(OSError):
    """A file cannot be written; the message says which and why."""


def check_place(path: Path) -> None:
    """Raises Unwritten where no file can be written to `path`: before the work that it would tell of."""
    if path.is_dir():
        raise Unwritten(f"{path} is a folder: name a file in it")
    if not os.access(path.parent, os.W_OK):
        raise Unwritten(f"{path}: the folder {path.parent} cannot be written to")


def write_whole(path: Path, texts: Iterable[str]) -> None:
    """Write texts one behind the other; raises Unwritten, and leaves nothing behind then."""
    spare = path.with_name(path.name + ".part")
    try:
        with spare.open("w", encoding="utf-8") as file:
            file.writelines(texts)
        spare.replace(path)
    except OSError as error:
        spare.unlink(missing_ok=True)
        raise Unwritten(f"{path} cannot be written: {error.strerror or error}") from error
