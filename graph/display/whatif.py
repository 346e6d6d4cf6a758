"""What a graph would do if a stage were faster or had more workers: its own scheduler, driven by measured times.

A discrete simulation. The scheduler is the one that runs graphs, so bounds, batches, joins and order are as they are;
workers, the hub and the cores are imitated. A task takes the time that was measured, less what it waited for a core,
of which it needs so much of so many cores; tasks that need more cores together than there are slow each other down, in
equal shares (processor sharing; Kleinrock 1967), but only in the part of their time in which they compute.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import mean, quantiles

from graph.display.timeline import Look, Recorder, Span
from graph.events import (
    Abort,
    Begin,
    Done,
    Event,
    Finish,
    Finished,
    Over,
    Ready,
    Result,
    Tick,
    WorkerId,
)
from graph.plan import Node, Plan, auto_capacities, resized
from graph.scheduler import Scheduler
from graph.shares import cores_of_run

#: Seconds of CPU that a worker spends on the messages of a task, and for an idle one to hear of a task.
MESSAGE_S, WAKE_S = 40e-6, 60e-6
#: Seconds of the hub's CPU for a task, if it was not measured.
HUB_S = 50e-6


@dataclass(frozen=True)
class Service:
    """How long tasks of `batch` packets take a stage if it need not wait for a core.

    `walls`: seconds of each task that was measured, in the order of the packets. `cores`: how many cores it keeps busy
    meanwhile; 0 for one that only waits, more than 1 for one with threads.
    """

    walls: tuple[float, ...]
    cores: float
    batch: int = 1

    @property
    def mean(self) -> float:
        return mean(self.walls) if self.walls else 0.0


@dataclass(frozen=True)
class Outcome:
    """What a simulated run did: packets a second at the sinks, seconds, and the share of them each node was at work."""

    throughput: float
    seconds: float
    busy: tuple[float, ...] = ()


@dataclass(frozen=True)
class Change:
    """One change to one stage, and packets a second with it."""

    stage: str
    faster: float = 1.0
    workers: int | None = None
    throughput: float = 0.0

    def __str__(self) -> str:
        if self.workers is not None:
            return f"{self.workers} workers of '{self.stage}'"
        return f"'{self.stage}' {self.faster:g} times faster"


# -------------------------------------------------------------------------------------------------------- measuring


def measure(recorder: Recorder) -> dict[str, Service]:
    """What each stage takes, from a recorded run; stages that had no task are left out."""
    plan = recorder.plan
    if plan is None:
        return {}
    found: dict[str, Service] = {}
    for at, node in enumerate(plan.nodes):
        spans = sorted((span for span in recorder.spans if span.worker.node == at), key=lambda span: span.indices)
        if not spans:
            continue
        busy = sum(sum(span.busy) for span in spans) / 1e9
        cpu, starved = _computed(recorder, at, spans)
        keep = 1.0 - min(starved / busy, 0.95) if busy else 1.0
        cores = min(cpu / (busy * keep), cores_of_run()) if busy else 0.0
        for place, name in enumerate(node.stages):
            walls = tuple(span.busy[place] / 1e9 * keep * node.batch / len(span.indices) for span in spans)
            found[name] = Service(walls, cores, node.batch)
    return found


def _computed(recorder: Recorder, at: int, spans: list[Span]) -> tuple[float, float]:
    """Seconds that a node's kept tasks took of a core, and that they waited for one."""
    cpu = starved = tasks = 0.0
    for life in recorder.lives:
        if life.worker.node == at:
            seen = [look for look in recorder.looks if life.pid in look.usage and look.tasks]
            if len(seen) > 1:
                first, last = seen[0].usage[life.pid], seen[-1].usage[life.pid]
                cpu, starved = cpu + last.cpu - first.cpu, starved + last.starved - first.starved
                tasks += _tasks_between(seen[0], seen[-1], life.worker)
    if not tasks:
        return (sum(sum(span.busy) for span in spans) / 1e9, 0.0)
    kept = len(spans)
    return (
        max(0.0, cpu / tasks - MESSAGE_S) * kept,
        max(0.0, starved / tasks * kept - _starved_before(spans)),
    )


def _tasks_between(first: Look, last: Look, worker: WorkerId) -> int:
    place = (worker.node, worker.replica)
    return last.tasks.get(place, 0) - first.tasks.get(place, 0)


def _starved_before(spans: list[Span]) -> float:
    """Seconds that idle workers waited for a core before they could take the task that they were sent."""
    last: dict[WorkerId, int] = {}
    delays = []
    for span in sorted(spans, key=lambda one: one.started):
        if span.sent > last.get(span.worker, 0):
            delays.append((span.started - span.sent) / 1e9)
        last[span.worker] = span.ended
    if len(delays) < 2:
        return sum(delays)
    least = quantiles(delays, n=10)[0]
    return sum(max(0.0, delay - least) for delay in delays)


# ------------------------------------------------------------------------------------------------------- simulating


def simulate(
    plan: Plan, services: Mapping[str, Service], cores: int, packets: int = 240, hub_s: float = HUB_S
) -> Outcome:
    """Run a plan with imitated workers on so many cores; `hub_s`: seconds of the hub's CPU for a task.

    Raises ValueError if a stage has no service times, or if the plan locks.
    """
    missing = [name for node in plan.nodes for name in node.stages if name not in services]
    if missing:
        raise ValueError(f"there are no measured times of {', '.join(missing)}")
    return _Simulation(plan, services, cores, packets, hub_s).run()


@dataclass
class _Job:
    """Something that takes time: seconds left if nothing slows it, and the cores it needs."""

    left: float
    cores: float
    slowed: float = 1.0


@dataclass
class _Worker:
    """An imitated worker: what waits at it and what it does."""

    waiting: deque[Begin] = field(default_factory=deque)
    task: Begin | None = None
    job: _Job | None = None


class _Simulation:
    def __init__(self, plan: Plan, services: Mapping[str, Service], cores: int, packets: int, hub_s: float) -> None:
        self.plan, self.services, self.cores, self.hub_s = plan, services, cores, hub_s
        self.scheduler = Scheduler(plan, ends=plan.ends(packets))
        ids = [WorkerId(at, replica) for at, node in enumerate(plan.nodes) for replica in range(node.workers)]
        self.workers = {one: _Worker() for one in ids}
        self.events: list[Event] = [Ready(one) for one in ids]
        self.handling: list[Event] = []
        self.hub: _Job | None = None
        self.now = 0.0
        self.taken = [0] * len(plan.nodes)
        self.busy = [0.0] * len(plan.nodes)
        self.sunk: list[float] = []
        self.over = False
        self._slow: dict[tuple[float, ...], float] = {}

    def run(self) -> Outcome:
        while not self.over:
            if self.hub is None and self.events:
                self.handling, self.events = self.events, []
                tasks = sum(isinstance(event, Done) for event in self.handling)
                self.hub = _Job(self.hub_s * tasks, 1.0)
            self.advance()
        between = self.sunk[-1] - self.sunk[0] if self.sunk else 0.0
        busy = [
            seconds / max(self.now * node.workers, 1e-12)
            for seconds, node in zip(self.busy, self.plan.nodes, strict=True)
        ]
        return Outcome((len(self.sunk) - 1) / between if between > 0 else 0.0, self.now, tuple(busy))

    def advance(self) -> None:
        """To the next moment at which something ends."""
        jobs = [one.job for one in self.workers.values() if one.job is not None]
        if self.hub is not None:
            jobs.append(self.hub)
        self.slow_down(jobs)
        ends = min((job.left * job.slowed for job in jobs), default=math.inf)
        deadline = self.scheduler.deadline
        if deadline is not None and deadline - self.now < ends and self.hub is None:
            ends = max(0.0, deadline - self.now)
            self.events.append(Tick())
        if ends == math.inf:
            raise ValueError("the plan locks:\n" + self.scheduler.table())
        self.now += ends
        for job in jobs:
            job.left -= ends / job.slowed
        for worker_id, worker in self.workers.items():
            if worker.job is not None:
                self.busy[worker_id.node] += ends
                if worker.job.left <= 1e-12:
                    self.ended(worker_id, worker)
        if self.hub is not None and self.hub.left <= 1e-12:
            self.hub = None
            self.obey()

    def slow_down(self, jobs: list[_Job]) -> None:
        """How much longer each job takes while these compete for the cores."""
        if sum(job.cores for job in jobs) <= self.cores:
            factor = 1.0
        else:
            wanted = tuple(sorted(job.cores for job in jobs))
            factor = self._slow.get(wanted) or self._slow.setdefault(wanted, _factor(wanted, self.cores))
        for job in jobs:
            job.slowed = max(0.0, 1.0 - job.cores) + min(job.cores, 1.0) * factor

    def ended(self, worker_id: WorkerId, worker: _Worker) -> None:
        assert worker.task is not None
        task = worker.task.task
        self.events.append(Done(worker_id, task.id, tuple(Result() for _ in task.indices)))
        if self.plan.nodes[worker_id.node].sink:
            self.sunk.extend([self.now] * len(task.indices))
        worker.task = worker.job = None
        if worker.waiting:
            self.begin(worker, worker.waiting.popleft(), 0.0)

    def obey(self) -> None:
        for one in self.scheduler.handle(*self.handling, now=self.now):
            match one:
                case Begin(worker_id):
                    worker = self.workers[worker_id]
                    if worker.task is None:
                        self.begin(worker, one, WAKE_S)
                    else:
                        worker.waiting.append(one)
                case Finish(worker_id):
                    self.events.append(Finished(worker_id))
                case Abort(reason):
                    raise ValueError(reason)
                case Over():
                    self.over = True

    def begin(self, worker: _Worker, begin: Begin, wake: float) -> None:
        at = begin.worker.node
        place, self.taken[at] = self.taken[at], self.taken[at] + 1
        wall = computed = 0.0
        for name in self.plan.nodes[at].stages:
            service = self.services[name]
            took = service.walls[place % len(service.walls)] * len(begin.task.indices) / service.batch
            wall, computed = wall + took, computed + took * service.cores
        wall, computed = wall + MESSAGE_S + wake, computed + MESSAGE_S
        worker.task, worker.job = begin, _Job(wall, computed / wall)


def _factor(wanted: tuple[float, ...], cores: int) -> float:
    """How much slower computing gets when jobs that want so many cores each share too few of them."""
    low, high = 1.0, sum(wanted) / cores * 2 + 1
    for _ in range(40):
        middle = (low + high) / 2
        used = sum(one / (max(0.0, 1.0 - one) + min(one, 1.0) * middle) for one in wanted)
        low, high = (middle, high) if used > cores else (low, middle)
    return high


# --------------------------------------------------------------------------------------------------------- changing


def with_workers(plan: Plan, at: int, workers: int) -> Plan:
    """The plan with so many workers of a node; capacities that were `auto` follow."""
    old = auto_capacities(plan.nodes)
    nodes: tuple[Node, ...] = (*plan.nodes[:at], replace(plan.nodes[at], workers=workers), *plan.nodes[at + 1 :])
    new = auto_capacities(nodes)
    links = tuple(
        replace(link, capacity=new[ends]) if link.capacity == old[ends := (link.producer, link.consumer)] else link
        for link in plan.links
    )
    return resized(replace(plan, nodes=nodes), links)


def faster(services: Mapping[str, Service], stage: str, factor: float) -> dict[str, Service]:
    """The service times with those of one stage divided."""
    one = services[stage]
    return {**services, stage: replace(one, walls=tuple(wall / factor for wall in one.walls))}


def changes(
    plan: Plan,
    services: Mapping[str, Service],
    cores: int,
    measured: float | None = None,
    hub_s: float = HUB_S,
    factors: tuple[int, ...] = (2, 4),
) -> list[Change]:
    """What each stage `k` times faster, or with `k` workers where it may have them, would make of the throughput.

    `measured` packets a second of the real run: what the simulation gets wrong of it as it is, is taken to be wrong of
    every change by the same factor.
    """
    base = simulate(plan, services, cores, hub_s=hub_s).throughput
    right = measured / base if measured and base else 1.0
    found = []
    for at, node in enumerate(plan.nodes):
        for name in node.stages:
            for factor in factors:
                outcome = simulate(plan, faster(services, name, factor), cores, hub_s=hub_s)
                found.append(Change(name, faster=factor, throughput=outcome.throughput * right))
        if not node.source and not node.stateful:
            for count in (one for one in factors if one > node.workers):
                outcome = simulate(with_workers(plan, at, count), services, cores, hub_s=hub_s)
                found.append(Change(node.name, workers=count, throughput=outcome.throughput * right))
    return found
