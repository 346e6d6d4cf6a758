"""The loop around the scheduler: one ROUTER socket, the sentinels of all processes, timers.

It turns messages into events and instructions into messages; what to do is decided by the scheduler alone. It prints
nothing, handles no signal, and knows nothing of files: the runner above it does the rest.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graph import protocol
from graph.arena import Arena, Memory, lay_out, plain
from graph.control import Control, Failure
from graph.declared import Checked
from graph.display.timeline import Recorder
from graph.events import (
    Abort,
    Back,
    Begin,
    Died,
    Done,
    Drain,
    Event,
    Failed,
    Finish,
    Finished,
    Instruction,
    Lost,
    Over,
    Ready,
    Renew,
    Replace,
    Stop,
    Tick,
    WorkerId,
)
from graph.process import WorkerProcess
from graph.scheduler import MAX_DEATHS, Scheduler
from graph.shares import cores_of_run, limits, share
from graph.stage import Array, Caps, Output, Shape
from graph.stats import MAX_ERRORS, MemoryWatch
from graph.tally import Tally
from graph.travel import Travel
from graph.wire import Wire

GRACE = 5.0
#: Seconds more for a sink, which after a failure still makes a file of what it has.
SINK_GRACE = 60.0
#: Seconds after which processes, timers and the watcher are looked at, however many messages there are.
LOOK_EVERY = 0.02


@dataclass
class _Hand:
    """A worker as the hub knows it."""

    id: WorkerId
    identity: bytes
    process: WorkerProcess
    phase: str = "new"
    gone: bool = False
    stopping: bool = False
    since: float = 0.0
    tasks: dict[int, int] = field(default_factory=dict)


class Hub:
    """Runs one checked graph. `start` until every worker is ready, `flow` until the end, `close` always."""

    def __init__(
        self,
        checked: Checked,
        control: Control,
        on_tick: Callable[[], None],
        resume: bool = False,
        packets: tuple[int, int] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """`packets`: only those from the one up to, not with, the other; times and indices are those of a whole run."""
        self.checked = checked
        self.packets = packets
        self.plan = checked.plan
        self.control = control
        self.on_tick = on_tick
        self.scheduler = Scheduler(self.plan)
        self._starts = self.plan.starts({})
        self.resume = resume
        self.written: dict[int, int] = {}
        self.tally = Tally(self.plan)
        self.memory_watch = MemoryWatch()
        self.recorder = recorder
        self.memory: Memory | None = None
        self.failure: Failure | None = None
        self.done = False
        self.outputs: list[tuple[str, Output]] = []
        self.notes: list[tuple[str, str]] = []
        self.caps: dict[int, Caps] = {}
        self._traces: dict[str, str] = {}
        self._hands: dict[WorkerId, _Hand] = {}
        self._by_identity: dict[bytes, _Hand] = {}
        self._by_sentinel: dict[int, _Hand] = {}
        self._early_deaths: dict[WorkerId, int] = {}
        self._starts_later: list[tuple[float, WorkerId]] = []
        self._outbox: dict[WorkerId, list[Any]] = {}
        self._drained = False
        self._travel = Travel(checked)
        self._wire = Wire()
        self._wire.watch(control.fd)
        self._look_at = 0.0

    # -------------------------------------------------------------------------------------------------------- start

    def start(self, sinks: bool = True) -> None:
        """Start every worker and wait until all are ready; sets `failure` if one cannot be.

        Without `sinks` nothing can flow, but all shapes are learned, and no sink opens what it would write.
        """
        for at, node in enumerate(self.plan.nodes):
            for replica in range(node.workers if sinks or not node.sink else 0):
                self._spawn(WorkerId(at, replica))
        while not self.failure and not all(hand.phase == "ready" for hand in self._hands.values()):
            self._turn()
            if self.control.aborting or self.control.draining:
                self.failure = Failure("interrupted before anything flowed")

    def _spawn(self, worker: WorkerId) -> None:
        node = self.plan.nodes[worker.node]
        specs = [self.checked.stages[name].spec for name in node.stages]
        cpus = self._cpus(worker.node)
        env = limits(self._threads(worker.node)[1]) | {key: value for spec in specs for key, value in spec.env.items()}
        identity = f"{node.name}.{worker.replica}.{worker.incarnation}.{secrets.token_hex(8)}"
        process = WorkerProcess(self._wire.address, identity, env, cpus)
        hand = _Hand(worker, identity.encode(), process)
        self._hands[worker] = hand
        self._by_identity[hand.identity] = hand
        self._by_sentinel[process.sentinel] = hand
        self._wire.watch(process.sentinel)
        if self.recorder is not None:
            self.recorder.started(worker, process.pid)

    def _cpus(self, at: int) -> list[int]:
        """The processors that a node's workers are pinned to; none: all."""
        names = self.plan.nodes[at].stages
        return sorted({cpu for name in names for cpu in self.checked.stages[name].spec.cpus})

    def _threads(self, at: int) -> list[int]:
        """The cores that a node's workers may use, and the share of each."""
        cpus, cores = self._cpus(at), cores_of_run()
        return [len(cpus) or cores, share(cores, sum(node.workers for node in self.plan.nodes), cpus)]

    def _start_word(self, hand: _Hand, word: int, parts: list[Any]) -> list[Event]:
        """Messages until a worker is ready."""
        at = hand.id.node
        if word == protocol.HELLO:
            self._set_up(hand)
        elif word == protocol.OPENED:
            hand.phase = "open"
            self._configure_where_possible()
        elif word == protocol.CAPS:
            self.caps.setdefault(at, Caps({name: tuple(shape) for name, shape in parts[0].items()}, parts[1]))
            self.written[at] = (self.packets[0] if self.packets else 0) + parts[2]
            hand.phase = "configured"
            self._configure_where_possible()
            self._map_where_possible()
        elif word == protocol.READY:
            hand.phase = "ready"
            for name, about in parts[0].items():
                self.tally.stages[name].about = about
            return [Ready(hand.id, self.written[at])]
        return []

    def _set_up(self, hand: _Hand) -> None:
        """Have a worker open its stages, anew if it has before; a sink that had packets goes on with what is whole."""
        hand.phase = "opening"
        state = self.scheduler.nodes[hand.id.node]
        resume = self.resume or (state.node.resumes and state.next > self._starts[state.at])
        self._send(hand, protocol.SETUP, self._members(state.at), self.checked.facts, resume, self._threads(state.at))

    def _members(self, at: int) -> list[dict[str, Any]]:
        beside = str(self.checked.spec.file.parent.resolve())
        stages = [self.checked.stages[name] for name in self.plan.nodes[at].stages]
        return [
            {
                "name": one.name,
                "use": one.spec.use.value,
                "beside": beside,
                "params": one.params,
                "renamed": one.renamed,
            }
            for one in stages
        ]

    def _configure_where_possible(self) -> None:
        """Tell every open worker the shapes, once all that come before it have told theirs."""
        for hand in self._hands.values():
            inputs = self.plan.nodes[hand.id.node].inputs
            if hand.phase == "open" and all(before in self.caps for before in inputs):
                hand.phase = "configuring"
                shapes: dict[str, Shape] = {}
                stream: dict[str, Any] = {}
                for before in inputs:
                    shapes |= self.caps[before].shapes
                    stream |= self.caps[before].stream
                self._send(hand, protocol.CONFIGURE, shapes, stream)

    def _map_where_possible(self) -> None:
        """Once every shape is known, make the arenas; then give every configured worker its own."""
        if len(self.caps) < len({worker.node for worker in self._hands}):
            return
        if self.memory is None:
            self.memory = self._make_memory()
            if self.memory is None:
                return
            self.scheduler = self._make_scheduler()
        for hand in self._hands.values():
            if hand.phase == "configured":
                hand.phase = "mapping"
                at = hand.id.node
                node = self.plan.nodes[at]
                arenas = plain(self.memory.arenas)
                travel = self._travel.read[at], self._travel.written[at]
                self._send(hand, protocol.MAP, self.memory.path, arenas, *travel, node.batch, node.source)

    def _make_scheduler(self) -> Scheduler:
        self._starts = self.plan.starts(self.written)
        return Scheduler(self.plan, self._starts, self.plan.ends(self.packets[1]) if self.packets else ())

    def _make_memory(self) -> Memory | None:
        arenas = []
        for one in self.plan.fields:
            if one.slots:
                kind = next(
                    stage.writes[one.name] for stage in self.checked.stages.values() if one.name in stage.writes
                )
                assert isinstance(kind, Array)
                arenas.append(Arena(one.name, kind.dtype.str, self.caps[one.writer].shapes[one.name], one.slots))
        arenas = lay_out(arenas)
        total, limit = sum(one.bytes for one in arenas), self.checked.spec.memory
        if limit is not None and total > limit:
            most = max(arenas, key=lambda one: one.bytes)
            self.failure = Failure(
                f"the arenas need {total / 1e6:.0f} MB, above memory: {limit / 1e6:.0f} MB; the largest is that of "
                f"'{most.field}', {most.slots} slots of {most.slot_bytes / 1e6:.1f} MB (shorter queues make it smaller)"
            )
            return None
        return Memory(arenas)

    # --------------------------------------------------------------------------------------------------------- flow

    def flow(self) -> None:
        """Run until the end, or a failure."""
        while not self.done and not self.failure:
            self._turn()

    def _turn(self) -> None:
        """Take in all that waits, or wait for something; then do what follows."""
        events = self._receive()
        now = time.monotonic()
        if not events or now >= self._look_at:
            events.extend(self._wait(0.0 if events else self._patience(now)))
            now = time.monotonic()
            if now >= self._look_at:
                self._look_at = now + LOOK_EVERY
                self._watch(now)
                self.on_tick()
        if self.control.aborting:
            self.failure = self.failure or Failure("aborted")
            return
        if self.control.draining and not self._drained:
            self._drained = True
            events.append(Drain())
        if events or self._is_due(now):
            self._obey(self.scheduler.handle(*(events or [Tick()]), now=now), now)

    def _wait(self, seconds: float) -> list[Event]:
        """Wait for a message, the end of a process or a word from outside; then take in what there is."""
        events: list[Event] = []
        ready = self._wire.wait(seconds)
        if ready:
            events.extend(self._receive())
        for descriptor in ready:
            if descriptor == self.control.fd:
                os.eventfd_read(self.control.fd)
            elif descriptor in self._by_sentinel:
                events.extend(self._gone(self._by_sentinel[descriptor]))
        return events

    def _is_due(self, now: float) -> bool:
        deadline = self.scheduler.deadline
        return deadline is not None and deadline <= now

    def _patience(self, now: float) -> float:
        """Seconds until something has to be done whatever happens."""
        until = [now + MemoryWatch.EVERY, *(at for at, _ in self._starts_later)]
        if self.scheduler.deadline is not None:
            until.append(self.scheduler.deadline)
        return max(0.0, min(until) - now + 0.0005)

    def _receive(self) -> list[Event]:
        events: list[Event] = []
        for identity, raw in self._wire.messages():
            hand = self._by_identity.get(identity)
            if hand is None:
                continue
            word, *parts = protocol.unpack(raw)
            if word == protocol.BROKEN:
                self._broken(*parts)
            elif hand.phase == "ready":
                events.extend(self._flow_word(hand, word, parts))
            else:
                events.extend(self._start_word(hand, word, parts))
        return events

    def _broken(self, stage: str, phase: str, message: str, trace: str) -> None:
        if self.failure is None:
            text = message if phase in ("open", "configure") else f"could not {phase}: {message}"
            self.failure = Failure(text, stage, traceback=trace)

    def _flow_word(self, hand: _Hand, word: int, parts: list[Any]) -> list[Event]:
        if word == protocol.RESULTS:
            rows, extras = parts
            if extras and self.scheduler.task(hand.id, rows[0][0]) is not None:
                self._extras(hand, extras)
            hand.since = time.monotonic()
            return [self._result(hand, *row) for row in rows]
        if word == protocol.END:
            hand.tasks.pop(parts[0], None)
            hand.since = time.monotonic()
            return [Done(hand.id, parts[0], end=True)]
        if word == protocol.FAILED:
            task, stage, index, message, trace = parts
            hand.tasks.pop(task, None)
            hand.since = time.monotonic()
            self._traces[message] = trace
            return [Failed(hand.id, task, message, index, stage)]
        if word == protocol.FINISHED:
            outputs, extras = parts
            self._extras(hand, extras)
            self.outputs.extend((row[0], Output(*row[1:])) for row in outputs)
            return [Finished(hand.id)]
        return []

    def _result(self, hand: _Hand, number: int, started: int, busy: list[int], results: list[Any]) -> Done:
        """One task's results; counts them."""
        at = hand.id.node
        task = self.scheduler.task(hand.id, number)
        sent = hand.tasks.pop(number, None)
        if sent is not None:
            self.tally.tasks += 1
            if sent > 0:
                self.tally.delays.add(max(1, started - sent))
        done = tuple([self._travel.result(at, one) for one in results])
        if task is not None:
            if self.recorder is not None:
                self.recorder.task(hand.id, task.indices, abs(sent or started), started, busy)
            self.tally.ended(task, busy, done, hand.since)
        return Done(hand.id, number, done)

    def _extras(self, hand: _Hand, extras: dict[str, Any]) -> None:
        names = self.plan.nodes[hand.id.node].stages
        for name, counts in extras.get("counts", {}).items():
            self.tally.stages[name].counts.update(counts)
        for name, notes in extras.get("notes", {}).items():
            # A stage that begins anew says what it says at the beginning again.
            self.notes.extend((name, note) for note in dict.fromkeys(notes) if (name, note) not in self.notes)
        for name, about in extras.get("about", {}).items():
            self.tally.stages[name].about = about
        if "cpu" in extras:
            self.tally.stages[names[0]].cpu[hand.identity.decode()] = extras["cpu"]

    def _gone(self, hand: _Hand) -> list[Event]:
        """A process has ended."""
        if hand.gone:
            return []
        hand.gone = True
        self._wire.forget(hand.process.sentinel)
        why = hand.process.end()
        if self.recorder is not None:
            self.recorder.ended(hand.id, hand.stopping)
        if hand.stopping:
            return []
        if hand.phase != "ready" and hand.id.incarnation == 0:
            self._died_early(hand, why)
            return []
        return [Died(hand.id, why)]

    def _died_early(self, hand: _Hand, why: str) -> None:
        """Before anything flows a process is started anew a few times; then its stage is at fault."""
        self._early_deaths[hand.id] = self._early_deaths.get(hand.id, 0) + 1
        if self._early_deaths[hand.id] < MAX_DEATHS:
            self._spawn(hand.id)
        elif self.failure is None:
            self.failure = Failure(f"{why} before it was ready", self._first_stage(hand.id.node))

    def _watch(self, now: float) -> None:
        """Timers: memory, processes to start, tasks that take too long."""
        self.memory_watch.look([os.getpid(), *self.pids()], now)
        if self.recorder is not None:
            self.recorder.look(self.scheduler, now)
        for at, worker in [one for one in self._starts_later if one[0] <= now]:
            self._starts_later.remove((at, worker))
            self._spawn(worker)
        for hand in self._hands.values():
            timeout = self.plan.nodes[hand.id.node].timeout
            if timeout is not None and hand.tasks and not hand.gone:
                oldest = max(hand.since, abs(next(iter(hand.tasks.values()))) / 1e9)
                if now - oldest > timeout:
                    hand.process.kill()

    def pids(self) -> list[int]:
        """The processes of the workers that live."""
        return [hand.process.pid for hand in self._hands.values() if not hand.gone]

    def pss_of(self, at: int) -> int:
        """The largest PSS that any process of a node had, in bytes."""
        pids = [hand.process.pid for hand in self._hands.values() if hand.id.node == at]
        return max((self.memory_watch.each.get(pid, 0) for pid in pids), default=0)

    # --------------------------------------------------------------------------------------------------------- obey

    def _obey(self, instructions: list[Instruction], now: float) -> None:
        sent = time.monotonic_ns()
        for one in instructions:
            match one:
                case Begin(worker, task):
                    self._outbox.setdefault(worker, []).append(self._travel.task(task, self.scheduler))
                    hand = self._hands[worker]
                    # A task behind another one waits for that; what a hop costs is what a task to an idle worker waits.
                    hand.tasks[task.id] = -sent if hand.tasks else sent
                case Finish(worker):
                    self._post()
                    self._send(self._hands[worker], protocol.FINISH, self._drained)
                case Stop(worker):
                    self._hands[worker].stopping = True
                    self._send(self._hands[worker], protocol.STOP)
                case Replace(worker, after):
                    for name in self.plan.nodes[worker.node].stages:
                        self.tally.stages[name].restarts += 1
                    self._starts_later.append((now + after, worker))
                case Renew(worker):
                    self._renew(worker)
                case Back():
                    self._back(one)
                case Lost():
                    self._lost(one)
                case Abort():
                    self._aborted(one)
                case Over():
                    self.done = True
        self._post()
        self.tally.look_at_links(self.scheduler.nodes)
        if self._starts_later and min(self._starts_later)[0] <= now:
            self._watch(now)

    def _post(self) -> None:
        """One message a worker with all its new tasks."""
        for worker, tasks in self._outbox.items():
            self._send(self._hands[worker], protocol.TASKS, tasks)
        self._outbox.clear()

    def _send(self, hand: _Hand, word: int, *parts: Any) -> None:
        self._wire.send(hand.identity, word, *parts)

    def _renew(self, worker: WorkerId) -> None:
        """Have stages begin anew, in the process that they have, or in another if that has ended or will."""
        hand = self._hands[WorkerId(worker.node, worker.replica, worker.incarnation - 1)]
        if hand.gone or hand.stopping:
            self._spawn(worker)
            return
        if self.recorder is not None:
            self.recorder.ended(hand.id, told=True)
            self.recorder.started(worker, hand.process.pid)
        del self._hands[hand.id]
        hand.id = worker
        self._hands[worker] = hand
        self._set_up(hand)

    def _back(self, back: Back) -> None:
        """Packets that come again are not counted again."""
        self.notes.append((self._first_stage(back.node), f"{back.why}; the run went on from what was whole"))
        self.tally.went_back(back.through, back.starts)

    def _lost(self, lost: Lost) -> None:
        stats = self.tally.stages[lost.stage or self._first_stage(lost.node)]
        stats.counts["passed" if lost.passed else "skipped"] += 1
        if len(stats.errors) < MAX_ERRORS:
            when = float(lost.time) if lost.time is not None else None
            stats.errors.append({"index": lost.index, "time": when, "message": lost.message})

    def _aborted(self, abort: Abort) -> None:
        if abort.node is None:
            self.failure = Failure(abort.reason)
            return
        stage = abort.stage or self._first_stage(abort.node)
        when = float(abort.time) if abort.time is not None else None
        self.failure = Failure(abort.reason, stage, abort.index, when, self._traces.get(abort.reason, ""))

    def _first_stage(self, at: int) -> str:
        return self.plan.nodes[at].stages[0]

    # -------------------------------------------------------------------------------------------------------- close

    def close(self) -> None:
        """Have every process gone, politely if there is time, and leave nothing behind."""
        until = time.monotonic() + (0.0 if self.control.aborting else GRACE)
        for hand in self._hands.values():
            if not hand.gone and not hand.stopping:
                self._send(hand, protocol.STOP)
        for hand in self._hands.values():
            if hand.phase == "new":
                hand.process.kill()  # it has opened nothing, and does not listen yet
            patience = until + (SINK_GRACE if self.plan.nodes[hand.id.node].sink else 0.0)
            while not hand.process.wait(min(0.05, patience - time.monotonic())):
                if self.control.aborting or time.monotonic() > patience:
                    hand.process.kill()
                    hand.process.wait(GRACE)
                    break
            hand.process.close()
        self._wire.close()
        if self.memory is not None:
            self.memory.close()


def bound(memory: Memory | None) -> int:
    """Bytes of all slots."""
    return memory.bytes if memory is not None else 0
