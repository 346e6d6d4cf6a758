"""Graphs that run first: side by side as far as they can, stopped together, and nothing kept of what was refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from graph import Graph
from graph.control import Control
from graph.report import Report
from graph.runner import Progress
from graph.spec import GraphMistakes

STAGES = '''\
from fractions import Fraction
from pathlib import Path
import time

from graph.stage import Output, Sink, Source, Value


class One(Source):
    """One packet; waits for a file, if it is told to, and leaves another before."""

    writes = {"number": Value()}

    def __init__(self, read="", leave="", wait_for="", refuse=False, fail=False):
        self.leave, self.wait_for, self.refuse, self.fail = leave, wait_for, refuse, fail

    def preflight(self):
        if self.refuse:
            time.sleep(0.5)
            raise ValueError("this cannot go well")

    def produce(self, packet):
        if packet.index:
            return False
        if self.leave:
            Path(self.leave).touch()
        if self.fail:
            raise ValueError("it is broken")
        ends = time.monotonic() + 60
        while self.wait_for and not Path(self.wait_for).exists():
            if time.monotonic() > ends:
                raise ValueError("nobody came")
            time.sleep(0.01)
        packet.number, packet.time = 0, Fraction(0)
        return True


class Save(Sink):
    reads = {"number": Value()}

    def __init__(self, path):
        self.path = path

    def process(self, packet):
        pass

    def finish(self):
        Path(self.path).write_text("made")
        return [Output(self.path)]
'''
HEAD = "inputs: {output: {type: path, default: made.txt}, read: {type: path, default: null}}\n"


class Place:
    """A folder with graphs `main.yaml` and those that run before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "mine.py").write_text(STAGES)

    def before(self, name: str, options: str = "") -> str:
        """A graph that makes a file; its entry under `first:` without what it is given."""
        self.write(name, HEAD, f"read: $read, {options}")
        return f"graph: {name}.yaml"

    def write(self, name: str, head: str, options: str) -> None:
        (self.folder / f"{name}.yaml").write_text(
            f'{head}stages:\n  one: {{use: "./mine.py:One", with: {{{options}}}}}\n'
            '  save: {use: "./mine.py:Save", from: one, with: {path: $output}}\n'
        )

    def run(
        self,
        first: str,
        options: str = "",
        control: Control | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        self.write("main", HEAD + f"first: {{{first}}}\n", options)
        graph = Graph.load(self.folder / "main.yaml")
        return graph.run(output=str(self.folder / "out.txt"), control=control, on_progress=on_progress)

    def kept(self) -> list[str]:
        home = self.folder / "home" / "kept"
        return sorted(one.name for one in home.iterdir()) if home.exists() else []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path / "home"))
    return Place(tmp_path)


def test_graphs_that_do_not_need_each_other_run_side_by_side(place: Place) -> None:
    """The first waits for what the second does, which waits until it has been told of."""
    there, told = place.folder / "there", place.folder / "told"
    a = place.before("a", f"wait_for: {there}")
    b = place.before("b", f"leave: {there}, wait_for: {told}")
    seen: set[str] = set()

    def see(now: Progress) -> None:
        seen.add(now.graph)
        if now.graph == "b":
            told.touch()

    report = place.run(f"a: {{{a}}}, b: {{{b}}}", "read: $a", on_progress=see)
    assert report.status == "done", report.error
    assert list(report.first) == ["a", "b"] and len(place.kept()) == 2
    assert seen >= {"b", "main"}


def test_one_that_needs_another_comes_after_it_wherever_it_stands(place: Place) -> None:
    a, b, c = place.before("a"), place.before("b"), place.before("c")
    report = place.run(f"c: {{{c}, with: {{read: $b}}}}, b: {{{b}, with: {{read: $a}}}}, a: {{{a}}}", "read: $c")
    assert report.status == "done", report.error
    assert list(report.first) == ["c", "b", "a"]
    assert [Path(report.first[name]["inputs"]["read"] or "").name[:1] for name in "cba"] == ["b", "a", ""]


def test_those_that_need_one_another_are_refused(place: Place) -> None:
    a, b = place.before("a"), place.before("b")
    with pytest.raises(GraphMistakes, match=r"main.yaml:\d+:\d+: .*'a' and 'b' cannot begin, each needs another's"):
        place.run(f"a: {{{a}, with: {{read: $b}}}}, b: {{{b}, with: {{read: $a}}}}")


def test_one_that_fails_stops_the_others(place: Place) -> None:
    never, here = place.folder / "never", place.folder / "here"
    a = place.before("a", f"leave: {here}, wait_for: {never}")
    b = place.before("b", f"wait_for: {here}")
    c = place.before("c", "fail: true")
    report = place.run(f"a: {{{a}}}, b: {{{b}}}, c: {{{c}, with: {{read: $b}}}}")
    assert (report.status, report.packets) == ("failed", 0)
    assert report.error is not None and "it is broken" in report.error
    assert [name[:1] for name in place.kept()] == ["b"], "what was whole before is kept"


@pytest.mark.parametrize("deep", [False, True])
def test_what_a_stage_refuses_stops_what_runs_and_keeps_nothing(place: Place, deep: bool) -> None:
    """Also where it is a stage of a graph that runs before one that runs before."""
    refusing = place.before("refusing", "refuse: true")
    place.write("middle", HEAD + f"first: {{deep: {{{refusing}}}}}\n", "read: $deep")
    quick = place.before("quick")
    late = "graph: middle.yaml" if deep else refusing
    report = place.run(f"quick: {{{quick}}}, late: {{{late}, with: {{read: $quick}}}}")
    assert (report.status, report.error) == ("failed", "stage 'one': this cannot go well")
    assert (report.first, report.packets, place.kept()) == ({}, 0, [])


def test_a_drain_reaches_all_that_run(place: Place) -> None:
    never = place.folder / "never"
    names = [place.folder / "here", place.folder / "there"]
    firsts = [place.before(one.name, f"leave: {one}, wait_for: {never}") for one in names]
    control = Control()

    def stop() -> None:
        while not all(one.exists() for one in names):
            time.sleep(0.01)
        control.drain()
        control.abort()

    thread = threading.Thread(target=stop)
    thread.start()
    report = place.run(", ".join(f"f{at}: {{{one}}}" for at, one in enumerate(firsts)), control=control)
    thread.join()
    control.close()
    assert (report.status, report.packets, place.kept()) == ("interrupted", 0, [])
