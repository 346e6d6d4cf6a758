"""A run of some of a graph's packets gives them as a whole run does: same indices, times, windows and sums."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from graph import Graph

GRAPH = """
graph: some
inputs:
  output: {type: path}
stages:
  count: {use: "parts:Count", with: {packets: 40}}
  copy: {use: "parts:Copy", from: count, workers: 2}
  around: {use: "parts:Around", from: copy, batch: 3}
  %s
  write: {use: "parts:Write", from: %s, with: {path: $output, fields: [copied, mean]}}
"""


@pytest.fixture
def some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    path = tmp_path / "some.yaml"
    path.write_text(GRAPH % ("", "around"))
    return path


def lines(graph: Path, output: Path, packets: tuple[int, int] | None) -> list[str]:
    report = Graph.load(graph).run(output=str(output), packets=packets)
    assert report.status == "done", report.error
    found = output.read_text().splitlines()
    assert report.packets == len(found)
    return found


@pytest.mark.parametrize("parts", [(0, 17, 40), (0, 1, 39, 40), (0, 20, 100)])
def test_the_packets_of_parts_are_those_of_the_whole(some: Path, tmp_path: Path, parts: tuple[int, ...]) -> None:
    whole = lines(some, tmp_path / "whole", None)
    joined = [
        line
        for begin, end in pairwise(parts)
        for line in lines(some, tmp_path / f"from{begin}", (begin, end))
    ]
    assert joined == whole


def test_a_stage_with_state_sees_everything_again(some: Path, tmp_path: Path) -> None:
    text = (GRAPH % ('stay: {use: "parts:Stay", from: around}', "stay")).replace("mean]", "mean, total]")
    some.write_text(text)
    whole = lines(some, tmp_path / "whole", None)
    assert lines(some, tmp_path / "end", (30, 40)) == whole[30:]
