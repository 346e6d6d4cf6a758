"""No more threads compute than there are cores, unless somebody asks for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graph.runner import Graph
from graph.shares import cores_of_run, quotas, share

STAGES = """
import os
from fractions import Fraction

from graph.stage import Packet, Sink, Source, Value


class Begin(Source):
    writes = {"number": Value()}

    def produce(self, packet: Packet) -> bool:
        packet.number, packet.time = packet.index, Fraction(packet.index)
        return packet.index < 1


class Tell(Sink):
    reads = {"number": Value()}

    def open(self) -> None:
        import cv2
        self.opencv = cv2.getNumThreads()

    def process(self, packet: Packet) -> None: ...

    def about(self) -> dict:
        return {"omp": os.environ["OMP_NUM_THREADS"], "opencv": self.opencv, "threads": [self.cores, self.share]}
"""

GRAPH = """
graph: shares
stages:
  begin: {use: "./parts_of_shares.py:Begin"}
  one:   {use: "./parts_of_shares.py:Tell", from: begin}
  two:   {use: "./parts_of_shares.py:Tell", from: begin, env: {OMP_NUM_THREADS: "7"}}
  three: {use: "./parts_of_shares.py:Tell", from: begin, cpus: 0}
"""


def told(folder: Path) -> dict[str, dict[str, object]]:
    """What the workers of the three sinks say of their threads."""
    (folder / "parts_of_shares.py").write_text(STAGES)
    (folder / "graph.yaml").write_text(GRAPH)
    report = Graph.load(folder / "graph.yaml").run()
    assert report.status == "done", report.error
    return {name: dict(report.stages[name]["about"]) for name in ("one", "two", "three")}


def test_each_worker_has_its_share_of_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = len(os.sched_getaffinity(0))
    part = max(1, cores // 4)
    about = told(tmp_path)
    assert about["one"] == {"omp": str(part), "opencv": part, "threads": [cores, part]}
    assert about["two"]["omp"] == "7"
    assert about["three"] == {"omp": "1", "opencv": 1, "threads": [1, 1]}


def test_a_batch_systems_word_is_the_number_of_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert told(tmp_path)["one"] == {"omp": "1", "opencv": 1, "threads": [1, 1]}


@pytest.mark.parametrize(
    ("cores", "workers", "cpus", "each"),
    [(16, 4, [], 4), (16, 5, [], 3), (2, 7, [], 1), (2, 7, [4, 5, 6], 3), (4, 0, [], 4)],
)
def test_shares_fill_the_cores_and_no_more(cores: int, workers: int, cpus: list[int], each: int) -> None:
    assert share(cores, workers, cpus) == each


@pytest.mark.parametrize("word", ["", "0", "many", "-3", "100000"])
def test_a_word_that_limits_nothing_is_passed_over(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", word)
    assert cores_of_run() == len(os.sched_getaffinity(0))


def test_a_containers_limit_holds(tmp_path: Path) -> None:
    inner = tmp_path / "machine" / "container"
    inner.mkdir(parents=True)
    (tmp_path / "machine" / "cpu.max").write_text("250000 100000\n")
    (inner / "cpu.max").write_text("max 100000\n")
    assert list(quotas(inner)) == [2.5]
    (inner / "cpu.max").write_text("50000 100000\n")
    assert min(quotas(inner)) == 0.5
