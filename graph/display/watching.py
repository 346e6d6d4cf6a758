"""What looks on while a run goes, if it is asked for: a profile, a trace, figures for Prometheus."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from graph.display.timeline import Recorder
from graph.report import Report
from graph.runner import OnProgress, Progress
from graph.written import check_place


@dataclass
class Watching:
    """A context manager around a run; files are written when the run has ended, however it ended.

    Raises ValueError for an address that is none, Unwritten for a file that cannot be written, RuntimeError if what
    serves metrics is not installed, OSError if the address is taken.
    """

    profile: Path | None = None
    trace: Path | None = None
    metrics: str | None = None

    def __post_init__(self) -> None:
        for path in (self.profile, self.trace):
            if path is not None:
                check_place(path)
        self.recorder = Recorder() if self.profile or self.trace else None
        self._told: OnProgress | None = None
        self._open = ExitStack()

    def __enter__(self) -> Watching:
        if self.metrics is not None:
            from graph.display.metrics import Metrics, address

            self._told = self._open.enter_context(Metrics(*address(self.metrics))).progress
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def beside(self, show: OnProgress) -> OnProgress:
        """A progress that is shown, and served."""
        told = self._told
        if told is None:
            return show

        def both(now: Progress) -> None:
            show(now)
            told(now)

        return both

    def write(self, report: Report) -> list[str]:
        """Write the files of a run that has ended; a line on each."""
        lines = []
        if self.recorder is not None and self.trace is not None:
            from graph.display.trace import write_trace

            write_trace(self.recorder, self.trace)
            lines.append(f"  trace: {self.trace} (opens in ui.perfetto.dev)")
        if self.recorder is not None and self.profile is not None:
            from graph.display.profile import write_profile

            write_profile(self.recorder, report, self.profile)
            lines.append(f"  profile: {self.profile}")
        return lines
