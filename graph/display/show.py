"""Where a run is shown while it goes: on a terminal, on plain lines, or nowhere. `say` is what prints a line."""

from __future__ import annotations

import os
import sys
import threading
import time
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

    def restore(self) -> None:
        """Leave the terminal as it was; called from a signal handler just before the end of the process."""


class Lines(Show):
    """A line every few seconds, and each note once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say
        self._next: dict[str, float] = {}

    def progress(self, now: Progress) -> None:
        from graph.display.text import progress_line

        for note in now.notes:
            if note not in self.told:
                self.told.add(note)
                self._say(f"{now.graph}, {note}")
        if now.wall >= self._next.get(now.graph, EVERY):
            self._next[now.graph] = now.wall + EVERY
            self._say(progress_line(now))

    def stopping(self) -> None:
        # In a handler nothing but a plain write is safe.
        os.write(sys.stderr.fileno(), f"{STOPPING}\n".encode())


class Screen(Show):
    """On a terminal, drawn anew now and then, and gone at the end. What processes write meanwhile appears above it."""

    #: Drawing takes some 5 ms of the runner's time.
    EVERY = 0.5

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        from graph.display.live import LiveView

        super().__init__()
        self._view = LiveView()
        self._aside = _Aside(self._above)
        console = Console(file=self._aside.terminal)
        # What is written to standard output and error is taken care of here.
        live = Live(self._view, console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        live.transient = True
        self._live = live
        self._drawn = 0.0

    def __enter__(self) -> Screen:
        self._live.start(refresh=True)
        self._aside.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.end()
        self._live.stop()

    def progress(self, now: Progress) -> None:
        self._view.moments.add(now)
        if time.monotonic() - self._drawn >= self.EVERY:
            self._drawn = time.monotonic()
            self._live.refresh()

    def stopping(self) -> None:
        self._view.stopping = True

    def restore(self) -> None:
        os.write(self._aside.terminal.fileno(), b"\x1b[?25h\n")

    def _above(self, line: str) -> None:
        self._live.console.print(line, markup=False, highlight=False)


class _Aside:
    """Puts a pipe in the place of standard error, so that whatever is written there can be shown in its turn.

    `terminal` is where standard error went before.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._standard = sys.stderr.fileno()
        self.terminal = os.fdopen(os.dup(self._standard), "w", encoding=sys.stderr.encoding)

    def begin(self) -> None:
        reading, writing = os.pipe()
        os.dup2(writing, self._standard)
        os.close(writing)
        self._thread = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Give standard error back; waits shortly for what is still in the pipe."""
        sys.stderr.flush()
        os.dup2(self.terminal.fileno(), self._standard)
        self._thread.join(0.5)

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._show(line.rstrip())


def choose(quiet: bool, say: Callable[[str], None]) -> Show:
    """What suits this terminal, or that there is none."""
    if quiet:
        return Show()
    terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return Screen() if terminal else Lines(say)
