"""What each worker did and when: recorded while a graph runs, for the profile, the trace and the question what if.

The hub tells a Recorder of every task as it ends and lets it look around now and then. It is bounded, however long the
run: of the tasks whole blocks of packets are kept, so that a kept packet can be followed through the graph, and when
too many are held every other block goes; of the looks every other goes, and the next are twice as far apart.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from graph.events import (
    WorkerId,
)
from graph.plan import Plan
from graph.scheduler import Scheduler

#: Packets that are kept or dropped together.
BLOCK = 64
MAX_SPANS = 100_000
MAX_LOOKS = 1_000
LOOK_EVERY = 0.05
#: Why a node does not begin its next task, in the scheduler's words.
REASONS = ("input", "room", "busy")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Span(NamedTuple):
    """One task at a worker; times in nanoseconds of the monotonic clock, `busy` of every stage of the node in order."""

    worker: WorkerId
    indices: tuple[int, ...]
    sent: int
    started: int
    busy: tuple[int, ...]

    @property
    def ended(self) -> int:
        return self.started + sum(self.busy)


class Usage(NamedTuple):
    """What a process has used: CPU seconds of all its threads, seconds its main thread waited for a core, bytes."""

    cpu: float
    starved: float
    resident: int


@dataclass
class Life:
    """A process of a node: from when to when (monotonic seconds), and whether it ended without being told to."""

    worker: WorkerId
    pid: int
    began: float
    ended: float | None = None
    died: bool = False


@dataclass(frozen=True)
class Look:
    """The graph at one moment (monotonic seconds).

    `queued`: packets in each link, in the plan's order. `waited`: per node, seconds so far by `REASONS`. `busy`: per
    worker's place, nanoseconds at work so far. `usage`: by process id.
    """

    at: float
    queued: tuple[int, ...]
    waited: tuple[tuple[float, ...], ...]
    busy: dict[tuple[int, int], int]
    tasks: dict[tuple[int, int], int]
    usage: dict[int, Usage]


@dataclass
class Recorder:
    """See the head of this file. Times are of the monotonic clock; `plan` is that of the run it was told of last."""

    plan: Plan | None = None
    spans: list[Span] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    #: of how many blocks of packets one is kept
    stride: int = 1
    max_spans: int = MAX_SPANS
    max_looks: int = MAX_LOOKS
    _every: float = LOOK_EVERY
    _busy: Counter[tuple[int, int]] = field(default_factory=Counter)
    _tasks: Counter[tuple[int, int]] = field(default_factory=Counter)
    _alive: dict[WorkerId, Life] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------- told by the hub

    def started(self, worker: WorkerId, pid: int) -> None:
        """A worker's process was started."""
        self._alive[worker] = life = Life(worker, pid, time.monotonic())
        self.lives.append(life)

    def ended(self, worker: WorkerId, told: bool) -> None:
        """A worker's process has ended; `told` to or not."""
        life = self._alive.pop(worker, None)
        if life is not None:
            life.ended, life.died = time.monotonic(), not told

    def task(self, worker: WorkerId, indices: tuple[int, ...], sent: int, started: int, busy: list[int]) -> None:
        """A task has ended: when it was sent and begun, and how long each stage of the node was at work (ns)."""
        place = worker[:2]
        self._busy[place] += busy[0] if len(busy) == 1 else sum(busy)
        self._tasks[place] += 1
        if (indices[0] // BLOCK) % self.stride:
            return
        self.spans.append(Span(worker, indices, sent, started, tuple(busy)))
        if len(self.spans) >= self.max_spans:
            self.stride *= 2
            self.spans = [span for span in self.spans if not (span.indices[0] // BLOCK) % self.stride]

    def look(self, scheduler: Scheduler, now: float) -> None:
        """Look at queues and processes, if it is time."""
        if self.looks and now - self.looks[-1].at < self._every:
            return
        self.plan = scheduler.plan
        if not self._tasks:
            self.looks.clear()
        self.looks.append(self._see(scheduler, now))
        if len(self.looks) >= self.max_looks:
            self._every *= 2
            self.looks = self.looks[::2]

    # ----------------------------------------------------------------------------------------------------- looking

    def _see(self, scheduler: Scheduler, now: float) -> Look:
        waited = []
        for state in scheduler.nodes:
            so_far = dict(state.waited)
            so_far[state.why] = so_far.get(state.why, 0.0) + max(0.0, now - state.why_since)
            waited.append(tuple(so_far.get(reason, 0.0) for reason in REASONS))
        pids = [os.getpid(), *(life.pid for life in self._alive.values())]
        usage = {pid: found for pid in pids if (found := usage_of(pid)) is not None}
        links = scheduler.plan.links
        queued = tuple(scheduler.queued(link.producer, link.consumer) for link in links)
        return Look(now, queued, tuple(waited), dict(self._busy), dict(self._tasks), usage)


def usage_of(pid: int) -> Usage | None:
    """What a process has used so far; None if it is gone (proc(5): stat, schedstat)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - read many times a second
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    starved = 0.0
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:  # noqa: PTH123
            starved = int(file.read().split()[1]) / 1e9
    except (OSError, IndexError):
        starved = 0.0
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS, starved, int(fields[21]) * _PAGE)
