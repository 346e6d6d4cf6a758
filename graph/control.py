"""How others reach a run, and how it says why it failed."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass
class Failure:
    """Why a run failed: the stage and packet to blame, where known."""

    message: str
    stage: str | None = None
    index: int | None = None
    time: float | None = None
    traceback: str = ""

    def __str__(self) -> str:
        where = f"stage '{self.stage}'" if self.stage else ""
        if self.index is not None:
            where += f", packet {self.index}" + (f" at {self.time:.3f} s" if self.time is not None else "")
        return f"{where}: {self.message}" if where else self.message


class Control:
    """How others reach a run: `drain` ends it in order, `abort` at once. Safe from signal handlers and threads."""

    def __init__(self) -> None:
        self.draining = False
        self.aborting = False
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def drain(self) -> None:
        self.draining = True
        os.eventfd_write(self.fd, 1)

    def abort(self) -> None:
        self.aborting = True
        os.eventfd_write(self.fd, 1)

    def close(self) -> None:
        os.close(self.fd)
