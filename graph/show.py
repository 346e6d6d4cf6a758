"""Where a run is shown while it goes: on a terminal, on plain lines, or nowhere. `say` is what prints a line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.runner import Progress

#: Seconds between two lines where there is no terminal.
EVERY = 5.0
STOPPING = "graphrun: finishing what is in flight (Ctrl-C again stops at once)"


class Show:
    """Nowhere. `told` are the notes that were shown."""

    def __init__(self) -> None:
        self.told: set[str] = set()

    def __enter__(self) -> Show:
        return self

    def __exit__(self, *_: object) -> None: ...

    def progress(self, now: Progress) -> None:
        """Show a moment of the run."""

    def stopping(self) -> None:
        """Say that the run is being drained; called from a signal handler."""


class Lines(Show):
    """A line every few seconds, and each note once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say
        self._graph = ""
        self._next = EVERY

    def progress(self, now: Progress) -> None:
        from graph.text import progress_line

        if now.graph != self._graph:
            self._graph, self._next = now.graph, EVERY
        for note in now.notes:
            if note not in self.told:
                self.told.add(note)
                self._say(f"{now.graph}, {note}")
        if now.wall >= self._next:
            self._next = now.wall + EVERY
            self._say(progress_line(now))

    def stopping(self) -> None:
        # In a handler nothing but a plain write is safe.
        os.write(sys.stderr.fileno(), f"{STOPPING}\n".encode())


class Screen(Show):
    """On a terminal, drawn anew at every moment, and gone at the end."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        from graph.live import LiveView

        super().__init__()
        self._view = LiveView()
        self._live = Live(self._view, console=Console(file=sys.stderr), auto_refresh=False, transient=True)

    def __enter__(self) -> Screen:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def progress(self, now: Progress) -> None:
        self._view.now = now
        self._live.refresh()

    def stopping(self) -> None:
        self._view.stopping = True


def choose(quiet: bool, say: Callable[[str], None]) -> Show:
    """What suits this terminal, or that there is none."""
    if quiet:
        return Show()
    terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return Screen() if terminal else Lines(say)
