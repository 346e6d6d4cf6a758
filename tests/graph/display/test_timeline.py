"""A recorder holds what the workers did, within bounds."""

from __future__ import annotations

import os
import time

from graph.display.timeline import BLOCK, Recorder, usage_of
from graph.events import (
    WorkerId,
)
from graph.plan import Node, Plan
from graph.scheduler import Scheduler


def filled(recorder: Recorder, packets: int, nodes: int = 2) -> Recorder:
    for index in range(packets):
        for node in range(nodes):
            recorder.task(WorkerId(node, 0), (index,), index * 10, index * 10 + 1, [5])
    return recorder


def test_a_short_run_is_kept_whole() -> None:
    recorder = filled(Recorder(), 300)
    assert len(recorder.spans) == 600
    assert recorder.stride == 1
    assert recorder.spans[2].ended == 16


def test_a_long_run_is_bounded_and_kept_packets_are_whole() -> None:
    recorder = filled(Recorder(max_spans=4_000), 100_000)
    assert 1_000 < len(recorder.spans) < 4_000
    by_node = [{span.indices[0] for span in recorder.spans if span.worker.node == node} for node in (0, 1)]
    assert by_node[0] == by_node[1]
    assert {index // BLOCK % recorder.stride for index in by_node[0]} == {0}
    assert max(by_node[0]) > 90_000


def test_looks_are_bounded_and_reach_to_the_end() -> None:
    recorder = filled(Recorder(max_looks=50), 1)
    scheduler = Scheduler(Plan((Node("source", ("source",)),), ()))
    for step in range(20_000):
        recorder.look(scheduler, step * 0.01)
    assert len(recorder.looks) < 50
    assert recorder.looks[0].at == 0.0
    assert recorder.looks[-1].at > 180


def test_the_usage_of_a_process_is_its_own() -> None:
    before = usage_of(os.getpid())
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    after = usage_of(os.getpid())
    assert before is not None and after is not None
    assert 0.05 < after.cpu - before.cpu < 1.0
    assert after.resident > 10_000_000
    assert usage_of(2**22 + 1) is None
