"""A trace tells of every packet where it was and when."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from recorded_run import record

from graph.display.timeline import Recorder
from graph.display.trace import write_trace


def test_a_packet_can_be_followed_through_the_graph(tmp_path: Path) -> None:
    recorder, _ = record(tmp_path, workers=2, delay=0.005)
    write_trace(recorder, tmp_path / "run.perfetto.json")
    events = json.loads((tmp_path / "run.perfetto.json").read_text())["traceEvents"]
    names = {one["pid"]: one["args"]["name"] for one in events if one["ph"] == "M"}
    assert set(names.values()) == {"graph", "source.0", "copy.0", "copy.1", "more.0", "sink.0"}
    tasks = [one for one in events if one["ph"] == "X"]
    assert len(tasks) == 400
    for pid in names:
        mine = sorted((one for one in tasks if one["pid"] == pid), key=lambda one: one["ts"])
        assert all(one["ts"] + one["dur"] <= two["ts"] + 0.01 for one, two in pairwise(mine))
    flows: dict[int, list[dict[str, object]]] = {}
    for one in events:
        if one["ph"] in "sf" and one["name"] == "packet 57":
            flows.setdefault(one["id"], []).append(one)
    assert len(flows) == 4
    slices = {names[one["pid"]].split(".")[0]: one for one in tasks if 57 in one["args"]["packets"]}
    ways = set()
    for start, end in flows.values():
        ends = []
        for arrow in (start, end):
            [inside] = [
                name
                for name, task in slices.items()
                if task["pid"] == arrow["pid"] and task["ts"] - 0.001 <= arrow["ts"] <= task["ts"] + task["dur"]
            ]
            ends.append(inside)
        assert start["ts"] <= end["ts"]  # type: ignore[operator]
        ways.add(tuple(ends))
    assert ways == {("source", "copy"), ("source", "more"), ("copy", "sink"), ("more", "sink")}
    counters = {one["name"] for one in events if one["ph"] == "C"}
    assert {"queue source -> copy", "memory MB", "CPU cores"} <= counters


def test_a_run_in_which_nothing_flowed_is_a_trace_as_well(tmp_path: Path) -> None:
    write_trace(Recorder(), tmp_path / "run.json")
    assert json.loads((tmp_path / "run.json").read_text())["traceEvents"] == []
