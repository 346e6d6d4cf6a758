"""The table that `make faults` prints: every figure in it was measured by that run."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from left_behind import surroundings, take_own_temp_folder

from graph.display.timeline import Recorder


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


def recoveries(recorder: Recorder) -> list[float]:
    """Of every worker that died: seconds until one in its place has done a task, if there was one to do."""
    found = []
    for dead in (one for one in recorder.lives if one.died):
        assert dead.ended is not None
        place = dead.worker[:2]
        after = [one.ended / 1e9 for one in recorder.spans if one.worker[:2] == place and one.worker > dead.worker]
        found += [min(after) - dead.ended] if after else []
    return found


@pytest.fixture(autouse=True)
def own_temp_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    take_own_temp_folder(tmp_path_factory.mktemp("temp"), monkeypatch)


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Fault:
    """The row of this test's fault: the test's first line of documentation, with its parameters filled in."""
    name = (request.function.__doc__ or request.function.__name__).splitlines()[0].rstrip(".")
    if "{" in name:
        name = name.format(**request.node.callspec.params)
    return ROWS.setdefault(name, Fault(name))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not ROWS:
        return
    terminalreporter.section("faults")
    heads = f"{'tried':>7}{'lost':>6}{'doubled':>9}{'left':>6}{'seconds to recover':>20}{'at most':>9}"
    terminalreporter.line(f"{'fault':68}{heads}")
    for row in ROWS.values():
        seconds = f"{sorted(row.recovery)[len(row.recovery) // 2]:.2f}" if row.recovery else "-"
        most = f"{max(row.recovery):.2f}" if row.recovery else "-"
        line = f"{row.name:68}{row.tried:7}{row.lost:6}{row.doubled:9}{row.left_behind:6}{seconds:>20}{most:>9}"
        terminalreporter.line(line)
