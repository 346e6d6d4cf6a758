"""The table that `make faults` prints: every figure in it was measured by that run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest


@dataclass
class Fault:
    """What one kind of fault did."""

    name: str
    tried: int = 0
    lost: int = 0
    doubled: int = 0
    left_behind: int = 0
    recovery: list[float] = field(default_factory=list)

    def count(self, expected: list[int], found: list[int]) -> None:
        """Take in one try: the packets that were to arrive, and those that did."""
        self.tried += 1
        self.lost += len(set(expected) - set(found))
        self.doubled += len(found) - len(set(found))

    def look_around(self, before: set[str]) -> None:
        """Count what is there now that was not there before the run."""
        self.left_behind += len(surroundings() - before)


ROWS: dict[str, Fault] = {}


def surroundings() -> set[str]:
    """Everything a run could leave behind: shared memory, temporary files, processes."""
    places = [*Path("/dev/shm").iterdir(), *Path("/tmp").glob("graphrun*")]
    return {str(one) for one in places} | {f"process {one.pid}" for one in psutil.Process().children(recursive=True)}


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Fault:
    """The row of this test's fault; its name is the test's first line of documentation."""
    name = (request.function.__doc__ or request.function.__name__).splitlines()[0].rstrip(".")
    return ROWS.setdefault(name, Fault(name))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not ROWS:
        return
    terminalreporter.section("faults")
    terminalreporter.line(f"{'fault':58}{'tried':>7}{'lost':>6}{'doubled':>9}{'left':>6}{'seconds to recover':>20}")
    for row in ROWS.values():
        seconds = f"{sorted(row.recovery)[len(row.recovery) // 2]:.2f}" if row.recovery else "-"
        line = f"{row.name:58}{row.tried:7}{row.lost:6}{row.doubled:9}{row.left_behind:6}{seconds:>20}"
        terminalreporter.line(line)
