"""A recorded run as a trace file: the Trace Event Format, which Perfetto and chrome://tracing open.

Every worker is a process with a slice for each task; a flow of arrows leads each packet from worker to worker, so that
one can be followed through the graph; queues, memory and CPU are counters. Times are microseconds from the first task.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graph.display.timeline import Look, Recorder, Span
from graph.plan import Plan
from graph.written import write_whole

Event = dict[str, Any]
#: The process that queues and the runner's own figures are drawn under; workers are numbered from the next on.
GRAPH = 1


def write_trace(recorder: Recorder, path: str | Path) -> None:
    """Write the trace, whole or not at all; raises Unwritten. A run in which nothing flowed has one without slices."""
    write_whole(Path(path), _texts(recorder))


def _texts(recorder: Recorder) -> Iterator[str]:
    yield '{"displayTimeUnit": "ms", "traceEvents": [\n'
    for place, event in enumerate(events(recorder)):
        yield (",\n" if place else "") + json.dumps(event, separators=(",", ":"))
    yield "\n]}\n"


def events(recorder: Recorder) -> Iterator[Event]:
    """All events of the trace."""
    plan = recorder.plan
    if plan is None:
        return
    origin = min((span.started for span in recorder.spans), default=0)
    places = [(at, replica) for at, node in enumerate(plan.nodes) for replica in range(node.workers)]
    pids = {place: GRAPH + 1 + number for number, place in enumerate(places)}
    yield _named(GRAPH, "graph", 0)
    for (at, replica), pid in pids.items():
        yield _named(pid, f"{plan.nodes[at].name}.{replica}", pid)
    for span in recorder.spans:
        yield from _slices(plan, span, pids[span.worker[:2]], origin)
    yield from _flows(plan, recorder.spans, pids, origin)
    for life in recorder.lives:
        if life.died and life.ended is not None:
            when = life.ended * 1e6 - origin / 1e3
            yield {"ph": "i", "s": "p", "name": "died", "pid": pids[life.worker[:2]], "tid": 1, "ts": when}
    for before, look in itertools.pairwise(recorder.looks):
        yield from _counters(plan, before, look, recorder, pids, origin)


def _named(pid: int, name: str, order: int) -> Event:
    return {"ph": "M", "name": "process_name", "pid": pid, "tid": 1, "args": {"name": name, "sort_index": order}}


def _slices(plan: Plan, span: Span, pid: int, origin: int) -> Iterator[Event]:
    """The task, and within it each stage of a node that has several."""
    node = plan.nodes[span.worker.node]
    first, last = span.indices[0], span.indices[-1]
    which = f"{first}" if first == last else f"{first}…{last}"
    base = {"ph": "X", "pid": pid, "tid": 1}
    yield {
        **base,
        "name": f"{node.name} {which}",
        "cat": "task",
        "ts": (span.started - origin) / 1e3,
        "dur": sum(span.busy) / 1e3,
        "args": {"packets": list(span.indices), "waited_us": (span.started - span.sent) / 1e3},
    }
    if len(node.stages) > 1:
        at = span.started
        for name, busy in zip(node.stages, span.busy, strict=True):
            yield {**base, "name": name, "cat": "stage", "ts": (at - origin) / 1e3, "dur": busy / 1e3}
            at += busy


def _flows(plan: Plan, spans: list[Span], pids: dict[tuple[int, int], int], origin: int) -> Iterator[Event]:
    """For each packet an arrow over every link that it went along, from the end of one task to the next's beginning."""
    tasks = {(span.worker.node, index): span for span in spans for index in span.indices}
    number = 0
    for link in plan.links:
        for (at, index), span in tasks.items():
            before = tasks.get((link.producer, index))
            if at != link.consumer or before is None:
                continue
            number += 1
            same = {"cat": "packet", "name": f"packet {index}", "id": number, "tid": 1}
            # An arrow belongs to the slice around its end: just within.
            leaves = max(before.started, before.ended - 1)
            yield {**same, "ph": "s", "pid": pids[before.worker[:2]], "ts": (leaves - origin) / 1e3}
            yield {**same, "ph": "f", "bp": "e", "pid": pids[span.worker[:2]], "ts": (span.started - origin) / 1e3}


def _counters(
    plan: Plan, before: Look, look: Look, recorder: Recorder, pids: dict[tuple[int, int], int], origin: int
) -> Iterator[Event]:
    at = look.at * 1e6 - origin / 1e3
    for link, queued in zip(plan.links, look.queued, strict=True):
        name = f"queue {plan.link_name(link)}"
        yield {"ph": "C", "name": name, "pid": GRAPH, "tid": 1, "ts": at, "args": {"packets": queued}}
    home = {life.pid: pids[life.worker[:2]] for life in recorder.lives}
    for process, usage in look.usage.items():
        pid = home.get(process, GRAPH)
        yield {"ph": "C", "name": "memory MB", "pid": pid, "tid": 1, "ts": at, "args": {"RSS": usage.resident / 1e6}}
        if process in before.usage and look.at > before.at:
            share = (usage.cpu - before.usage[process].cpu) / (look.at - before.at)
            yield {"ph": "C", "name": "CPU cores", "pid": pid, "tid": 1, "ts": at, "args": {"used": round(share, 3)}}
