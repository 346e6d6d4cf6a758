"""From a graph file to a report: check, start, run, watch, stop. No global state, no signal handlers, no printing."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from graph.check import check, missing_folders
from graph.control import Control
from graph.declared import Checked
from graph.display.timeline import Recorder
from graph.firsts import run_first
from graph.hub import Hub, bound
from graph.report import Report, bottleneck, digest
from graph.spec import GraphMistakes, GraphSpec, load_spec
from graph.stage import Sink

PROGRESS_EVERY = 0.25


@dataclass
class StageProgress:
    """How a stage does, for a live view. `waits` is what it waits for just now: input, room or nothing (busy)."""

    name: str
    packets: int
    rate: float
    busy: float
    waits: str
    workers: int
    restarts: int


@dataclass
class Progress:
    """A moment of a run. `expected` packets are None for a source without an end, `left` the seconds to go.

    `real_time` is the speed against that of the stream, where its rate is known.
    """

    graph: str
    wall: float
    packets: int
    expected: int | None
    rate: float
    left: float | None
    stages: list[StageProgress]
    links: list[tuple[str, int, int]]
    bottleneck: str | None
    memory: int
    bound: int
    notes: list[str] = field(default_factory=list)
    real_time: float | None = None


OnProgress = Callable[[Progress], None]


class Graph:
    """A graph file, read. `check` and `run` take values for its inputs by name."""

    def __init__(self, spec: GraphSpec) -> None:
        self.spec = spec

    @classmethod
    def load(cls, path: str | Path) -> Graph:
        """Read a graph file; raises GraphMistakes."""
        return cls(load_spec(path))

    def check(self, changes: Mapping[str, Any] | None = None, **inputs: Any) -> Checked:
        """Everything that can be known without running; raises GraphMistakes."""
        return check(self.spec, inputs, changes)

    def run(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        changes: Mapping[str, Any] | None = None,
        on_progress: OnProgress | None = None,
        control: Control | None = None,
        resume: bool = False,
        packets: tuple[int, int] | None = None,
        recorder: Recorder | None = None,
        **inputs: Any,
    ) -> Report:
        """Run to the end and report, also of a run that failed. Raises GraphMistakes before anything starts.

        `values`: of inputs, by name; they may also be given as keywords, where no other parameter has their name.
        `resume`: go on with what an earlier run with the same inputs and parameters has left. `packets`: only those
        from the one up to, not with, the other; each is what it is in a whole run (see `graph.ranges`).
        `recorder`: is told what every worker of this graph does, for a profile or a trace.
        """
        inputs = {**(values or {}), **inputs}
        checked = check(self.spec, inputs, changes)
        if mistakes := missing_folders(checked):
            raise GraphMistakes(mistakes)
        own = control is None
        control = control or Control()
        report = Report(checked.spec.name, str(checked.spec.file), dict(checked.values))
        report.started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        began = time.monotonic()
        try:
            firsts = run_first(checked, control, report, _Before(on_progress).run)
            if firsts is not None:
                report.inputs |= firsts
                checked = check(self.spec, {**inputs, **firsts}, changes) if firsts else checked
                run = _Run(checked, control, on_progress, report, resume, packets, recorder)
                run.go()
                if run.hub.tally.sunk:
                    report.first_packet_s = round(run.hub.tally.first_sunk - began, 3)
        finally:
            report.wall_s = round(time.monotonic() - began, 3)
            if own:
                control.close()
        return report


@dataclass
class _Before:
    """Runs the graphs that run before another, and tells of each by its name there."""

    on_progress: OnProgress | None

    def run(
        self, name: str, spec: GraphSpec, inputs: dict[str, Any], control: Control, may_tell: Callable[[], bool]
    ) -> Report:
        def tell(now: Progress) -> None:
            if self.on_progress is not None and may_tell():
                self.on_progress(replace(now, graph=name))

        return Graph(spec).run(inputs, control=control, on_progress=tell)


class _Run:
    """One run of a hub, and what is told of it."""

    def __init__(
        self,
        checked: Checked,
        control: Control,
        on_progress: OnProgress | None,
        report: Report,
        resume: bool = False,
        packets: tuple[int, int] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.recorder = recorder
        self.checked = checked
        self.control = control
        self.on_progress = on_progress
        self.report = report
        self.packets = packets
        self.hub = Hub(checked, control, self.tick, resume, packets=packets, recorder=recorder)
        self.flowing = time.monotonic()
        self.told = 0.0
        self.hub_cpu = 0.0
        self.rates: dict[str, tuple[float, int, float]] = {}

    def go(self) -> None:
        """Start, flow, close, and report."""
        hub = self.hub
        try:
            hub.start()
            self.flowing = time.monotonic()
            before = time.thread_time()
            if not hub.failure:
                hub.flow()
            self.hub_cpu += time.thread_time() - before
        finally:
            self.stopped = time.monotonic()
            hub.close()
            self.fill_report()

    def keeps(self) -> bool:
        """Whether a later run can go on with what every sink has whole."""
        return all(one.stage.resumes for one in self.checked.stages.values() if isinstance(one.stage, Sink))

    # ---------------------------------------------------------------------------------------------------- progress

    def tick(self) -> None:
        now = time.monotonic()
        if self.on_progress is not None and now - self.told >= PROGRESS_EVERY:
            self.told = now
            self.on_progress(self.progress(now))

    def progress(self, now: float) -> Progress:
        hub, nodes = self.hub, self.hub.scheduler.nodes
        expected = self.expected()
        wall = now - self.flowing
        rate = hub.tally.sunk / wall if wall > 0 else 0.0
        left = (expected - hub.tally.sunk) / rate if expected is not None and rate > 0 else None
        stages = []
        for at, node in enumerate(hub.plan.nodes):
            for name in node.stages:
                stages.append(self.stage_progress(name, nodes[at].why, node.workers, now))
        links = [
            (hub.plan.link_name(link), hub.scheduler.queued(link.producer, link.consumer), link.capacity)
            for link in hub.plan.links
        ]
        busiest = max(stages, key=lambda one: one.busy, default=None)
        return Progress(
            self.checked.spec.name,
            wall,
            hub.tally.sunk,
            expected,
            rate,
            left,
            stages,
            links,
            busiest.name if busiest and busiest.busy > 0.5 else None,
            hub.memory_watch.peak,
            bound(hub.memory),
            [f"{name}: {note}" for name, note in hub.notes],
            self.real_time(rate),
        )

    def real_time(self, rate: float) -> float | None:
        told = {caps.stream["rate"] for caps in self.hub.caps.values() if caps.stream.get("rate")}
        return rate / float(Fraction(told.pop())) if len(told) == 1 else None

    def stage_progress(self, name: str, waits: str, workers: int, now: float) -> StageProgress:
        stats = self.hub.tally.stages[name]
        then, packets, busy = self.rates.get(name, (self.flowing, 0, 0.0))
        seconds = max(now - then, 1e-6)
        if seconds > 1.0:
            self.rates[name] = (now, stats.packets_in, stats.busy_ns / 1e9)
        rate = (stats.packets_in - packets) / seconds
        share = (stats.busy_ns / 1e9 - busy) / seconds / workers
        return StageProgress(name, stats.packets_in, rate, min(share, 1.0), waits, workers, stats.restarts)

    def expected(self) -> int | None:
        """How many packets the sources said they would give."""
        told = [caps.stream.get("packets") for caps in self.hub.caps.values()]
        numbers = [number for number in told if isinstance(number, int)]
        if self.packets is not None:
            numbers = [max(0, min(number, self.packets[1]) - self.packets[0]) for number in numbers]
        return min(numbers, default=None)

    # ------------------------------------------------------------------------------------------------------ report

    def fill_report(self) -> None:
        hub, report = self.hub, self.report
        failure = hub.failure
        if failure is None:
            report.status = "interrupted" if self.control.draining else "done"
        else:
            interrupted = self.control.aborting or self.control.draining
            report.status = "interrupted" if interrupted and failure.stage is None else "failed"
            report.error = str(failure)
            report.traceback = failure.traceback
        report.packets = hub.tally.sunk
        between = hub.tally.last_sunk - hub.tally.first_sunk
        report.throughput = round((hub.tally.sunk - 1) / between, 3) if between > 0 else 0.0
        report.stages = {name: self.stage_report(name) for name in self.checked.stages}
        report.bottleneck = bottleneck(report.stages)
        report.links = {
            hub.plan.link_name(link): {
                "capacity": link.capacity,
                "high_water": hub.tally.high_water[link.producer, link.consumer],
                "slot_bytes": self.slot_bytes(link.producer),
            }
            for link in hub.plan.links
        }
        report.memory = {
            "bound": bound(hub.memory),
            "arena_peak": self.arena_peak(),
            "pss_peak": hub.memory_watch.peak,
        }
        tasks = max(hub.tally.tasks, 1)
        report.hub = {
            "tasks": hub.tally.tasks,
            "cpu_us_per_task": round(self.hub_cpu / tasks * 1e6, 1),
            "start_delay_us": {name: round(value * 1000, 1) for name, value in hub.tally.delays.summary().items()},
        }
        report.outputs = [self.output(stage, one) for stage, one in hub.outputs]
        report.notes.extend(f"{name}: {note}" for name, note in hub.notes)
        if report.status != "done" and hub.tally.sunk and self.keeps():
            report.notes.append("--resume goes on with what is whole")

    def stage_report(self, name: str) -> dict[str, Any]:
        hub = self.hub
        stats, declared = hub.tally.stages[name], self.checked.stages[name]
        at = next(at for at, node in enumerate(hub.plan.nodes) if name in node.stages)
        state = hub.scheduler.nodes[at]
        waited = dict(state.waited)
        waited[state.why] = waited.get(state.why, 0.0) + max(0.0, self.stopped - state.why_since)
        node = hub.plan.nodes[at]
        return {
            "use": declared.spec.use.value,
            "workers": node.workers,
            "process": [f"{node.name}-{replica}" for replica in range(node.workers)],
            "packets_in": stats.packets_in,
            "packets_out": stats.packets_out,
            "busy_s": round(stats.busy_ns / 1e9, 6),
            "wait_input_s": round(waited.get("input", 0.0), 6),
            "wait_credit_s": round(waited.get("room", 0.0), 6),
            "latency_ms": stats.latency.summary(),
            "cpu_s": round(stats.cpu_s, 6),
            "pss_peak": hub.pss_of(at),
            "restarts": stats.restarts,
            "counts": dict(stats.counts),
            "errors": stats.errors,
            "about": stats.about,
        }

    def slot_bytes(self, producer: int) -> int:
        arenas = self.hub.memory.arenas if self.hub.memory else {}
        fields = [one.name for one in self.hub.plan.fields if one.writer == producer]
        return sum(arenas[name].slot_bytes for name in fields if name in arenas)

    def arena_peak(self) -> int:
        """Bytes of the slots that were used at least once."""
        if self.hub.memory is None:
            return 0
        begun = {one.name: self.hub.scheduler.nodes[one.writer].next for one in self.hub.plan.fields}
        arenas = self.hub.memory.arenas.values()
        return sum(min(begun[one.field], one.slots) * one.stride for one in arenas)

    def output(self, stage: str, one: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"path": one.path, "stage": stage}
        if one.frames is not None:
            found["frames"] = one.frames
        if one.duration is not None:
            found["duration_s"] = one.duration
        if one.about:
            found["about"] = one.about
        return {**found, "sha256": digest(one.path)}
