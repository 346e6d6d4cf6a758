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

    def __init__(self, parent: Control | None = None) -> None:
        self.draining = False
        self.aborting = False
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._parent = parent
        self._children: list[Control] = []

    def drain(self) -> None:
        self.draining = True
        os.eventfd_write(self.fd, 1)
        for child in tuple(self._children):
            child.drain()

    def abort(self) -> None:
        self.aborting = True
        os.eventfd_write(self.fd, 1)
        for child in tuple(self._children):
            child.abort()

    def child(self) -> Control:
        """The control of a run that is part of this one: it drains and aborts with this one, and can by itself."""
        child = Control(self)
        self._children.append(child)
        if self.draining:
            child.drain()
        if self.aborting:
            child.abort()
        return child

    def close(self) -> None:
        """Of a child: in the thread that handles signals."""
        if self._parent is not None:
            self._parent._children.remove(self)
        os.close(self.fd)
