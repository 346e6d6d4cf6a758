"""One process of a node: opens its stages, then does the tasks that the hub hands out.

It knows nothing of the graph but its own stages and the slots they read and write.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import zmq

from graph import protocol
from graph.arena import Slots, from_plain, private
from graph.load import load_class
from graph.stage import (
    Array,
    Caps,
    Packet,
    Sink,
    Source,
    Stage,
    Value,
    infer_caps,
    process_all,
    works_ahead,
)

PR_SET_PDEATHSIG = 1
#: What is done waits at most so long for the tasks at hand behind it, so that one message carries several results.
TOGETHER_NS = 1_000_000
EXTRAS_EVERY_NS = 500_000_000
DONE = object()
#: Tasks that a device is given at once: the one that it does, and the next.
AT_DEVICE = 2


class StageFailure(Exception):
    """A stage raised; `cause` is what."""

    def __init__(self, stage: str, cause: BaseException, index: int | None = None) -> None:
        super().__init__(str(cause))
        self.stage = stage
        self.cause = cause
        self.index = index

    @property
    def message(self) -> str:
        """The stage's own words; with the exception's type where that is part of what it says."""
        text = str(self.cause) or type(self.cause).__name__
        said = isinstance(self.cause, ValueError | OSError | RuntimeError) and str(self.cause)
        return text if said else f"{type(self.cause).__name__}: {text}"

    @property
    def trace(self) -> str:
        return "".join(traceback.format_exception(self.cause))


class Member:
    """One stage of this process, with the names that its fields have in the graph."""

    def __init__(self, name: str, stage: Source | Stage, renamed: dict[str, str]) -> None:
        self.name = name
        self.stage = stage
        self.reads = [(own, renamed.get(own, own)) for own in stage.reads]
        self.writes = [(own, renamed.get(own, own)) for own in stage.writes]
        self.arrays = [(own, graph) for own, graph in self.writes if isinstance(stage.writes[own], Array)]
        self.values = [(own, graph) for own, graph in self.writes if isinstance(stage.writes[own], Value)]
        #: the arrays that somebody asks a row for; the others are in their slots, and that is all
        self.kept = self.arrays
        self.takes_batches = isinstance(stage, Stage) and type(stage).process_batch is not Stage.process_batch
        self.counts, self.notes = stage.counts, stage.notes
        self.caps = Caps()

    def configure(self, caps: Caps) -> Caps:
        """Caps in the graph's names to caps in the graph's names, what came in included."""
        given = Caps({own: caps.shapes[graph] for own, graph in self.reads if graph in caps.shapes}, caps.stream)
        self.caps = infer_caps(self.stage, given)
        written = {graph: self.caps.shapes[own] for own, graph in self.arrays}
        return Caps({**caps.shapes, **written}, self.caps.stream)

    def packet(self, row: dict[str, Any], index: int, at: Fraction, where: _Places, neighbours: Any = None) -> Packet:
        """The packet as this stage sees it."""
        given = {own: row[graph] for own, graph in self.reads}
        for own, graph in self.arrays:
            given[own] = where.place(graph, index)
        return Packet(index, at, given, self.stage.writes, neighbours)

    def collect(self, packet: Packet, row: dict[str, Any]) -> None:
        """Take what the stage wrote over into the row. Raises StageFailure for a value that it did not write."""
        fields = packet.fields()
        for own, graph in self.kept:
            view = fields[own].view()
            view.flags.writeable = False
            row[graph] = view
        for own, graph in self.values:
            if own not in fields:
                raise StageFailure(self.name, ValueError(f"did not write '{own}'"), packet.index)
            row[graph] = fields[own]


@dataclass
class Begun:
    """A task that a device is at, or will be: what ends it, and the seconds (ns) that its beginning took here."""

    task: int
    started: int
    rest: Generator[None, None, list[Any]]
    busy: int


class _Places:
    """Where arrays of this process are written: slots that others read, or memory of its own."""

    def __init__(self, slots: dict[str, Slots], members: Sequence[Member], batch: int) -> None:
        self._slots = slots
        self._own: dict[str, list[Any]] = {}
        for member in members:
            for own, graph in member.arrays:
                if graph not in slots:
                    kind = member.stage.writes[own]
                    assert isinstance(kind, Array)
                    shape = member.caps.shapes[own]
                    self._own[graph] = [private(shape, kind.dtype) for _ in range(batch)]

    def place(self, graph: str, index: int) -> Any:
        slots = self._slots.get(graph)
        if slots is not None:
            return slots.place(index)
        own = self._own[graph]
        return own[index % len(own)]


class Worker:
    """The loop: messages in, messages out."""

    def __init__(self, address: str, identity: bytes) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 1000
        self.socket.sndhwm = self.socket.rcvhwm = 0
        self.socket.setsockopt(zmq.IDENTITY, identity)
        self.socket.connect(address)
        self.members: list[Member] = []
        self.slots: dict[str, Slots] = {}
        self.next = 0
        self.results: list[Any] = []
        self.begun: deque[Begun] = deque()
        self.extras_at = 0
        self.pace = 0

    def send(self, word: int, *parts: Any) -> None:
        self.socket.send(protocol.pack(word, *parts))

    def run(self) -> None:
        self.send(protocol.HELLO)
        try:
            while True:
                if self.begun and not self.socket.poll(0):
                    self.end_first()
                    continue
                word, *parts = protocol.unpack(self.socket.recv())
                if word == protocol.TASKS:
                    self.tasks(parts[0])
                elif word == protocol.STOP:
                    return
                else:
                    self.prepare(word, parts)
        finally:
            self.close()

    def prepare(self, word: int, parts: list[Any]) -> None:
        """Whatever is not work; a failure here is told, and the run stops."""
        steps: dict[int, tuple[str, Callable[..., None]]] = {
            protocol.SETUP: ("open", self.setup),
            protocol.CONFIGURE: ("configure", self.configure),
            protocol.MAP: ("map", self.map),
            protocol.FINISH: ("finish", self.finish),
        }
        phase, step = steps[word]
        try:
            step(*parts)
        except StageFailure as failure:
            self.send(protocol.BROKEN, failure.stage, phase, failure.message, failure.trace)

    def setup(self, members: list[dict[str, Any]], facts: dict[str, Any], resume: bool, threads: list[int]) -> None:
        """Make and open the stages; where there are some already, these are closed, and everything begins anew."""
        self.close_stages()
        self.resume, self.next = resume, 0
        for one in members:
            name = str(one["name"])
            with _named(name):
                cls = load_class(one["use"], Path(one["beside"]))
                stage = cls(**one["params"])
                stage.run_facts = facts
                stage.cores, stage.share = threads
                self.members.append(Member(name, stage, one["renamed"]))
                stage.open()
        self.send(protocol.OPENED)

    def configure(self, shapes: dict[str, list[int]], stream: dict[str, Any]) -> None:
        caps = Caps({name: tuple(shape) for name, shape in shapes.items()}, stream)
        for member in self.members:
            with _named(member.name):
                caps = member.configure(caps)
        self.send(protocol.CAPS, caps.shapes, caps.stream, self.written() if self.resume else 0)

    def written(self) -> int:
        """What the sinks of this process already have from an earlier run: all of them, so the least."""
        counts = []
        for member in self.members:
            if isinstance(member.stage, Sink):
                with _named(member.name):
                    counts.append(member.stage.resume())
        return min(counts, default=0)

    def map(self, path: str, arenas: list[Any], inputs: Any, outputs: Any, batch: int, source: bool) -> None:
        """Open the slots, and learn which fields are read and written outside of this process."""
        known = from_plain(arenas)
        written = {graph for member in self.members for _, graph in member.writes}
        read = {graph for member in self.members for _, graph in member.reads}
        self.slots = {name: Slots(path, arena) for name, arena in known.items() if name in written | read}
        self.read_slots = [(name, slots) for name, slots in self.slots.items() if name in read - written]
        self.inputs: list[str] = inputs
        self.outputs: list[str] = outputs
        for member in self.members:
            member.kept = [(own, graph) for own, graph in member.arrays if graph in read or graph in outputs]
        self.source = source
        self.ahead = len(self.members) == 1 and works_ahead(self.members[0].stage)
        self.places = _Places(self.slots, self.members, batch * (AT_DEVICE if self.ahead else 1))
        self.send(protocol.READY, self.about())

    def about(self) -> dict[str, dict[str, Any]]:
        """What each stage says of itself: asked before the first packet, and once more after the last."""
        found = {}
        for member in self.members:
            with _named(member.name):
                found[member.name] = member.stage.about()
        return found

    # -------------------------------------------------------------------------------------------------------- work

    def tasks(self, tasks: list[Any]) -> None:
        for task, mode, packets in tasks:
            if self.ahead and mode != protocol.PASS:
                self.begin(task, packets)
                continue
            started, busy = time.monotonic_ns(), [0] * len(self.members)
            try:
                done = self.work(mode, packets, started, busy)
            except StageFailure as failure:
                self.fail(task, failure)
                continue
            if done is None:
                self.flush()
                self.send(protocol.END, task)
                continue
            self.results.append([task, started, busy, done])
            if not self.may_wait(started):
                self.flush()
        self.flush()

    def may_wait(self, started: int) -> bool:
        """Whether what is done may wait for one task more, if that takes as long as those lately on average."""
        now = time.monotonic_ns()
        self.pace += (now - started - self.pace) // 8
        first: int = self.results[0][1]
        return now - first + self.pace < TOGETHER_NS

    def fail(self, task: int, failure: StageFailure) -> None:
        self.flush()
        self.send(protocol.FAILED, task, failure.stage, failure.index, failure.message, failure.trace)

    def begin(self, task: int, packets: list[Any]) -> None:
        """Hand a task to the device; the oldest that it has is ended before it gets a third."""
        if len(self.begun) == AT_DEVICE:
            self.end_first()
        started = time.monotonic_ns()
        rest = self.through_device(packets)
        try:
            next(rest)
        except StageFailure as failure:
            self.fail(task, failure)
        except StopIteration as end:
            self.results.append([task, started, [time.monotonic_ns() - started], end.value])
            self.flush()
        else:
            self.begun.append(Begun(task, started, rest, time.monotonic_ns() - started))

    def end_first(self) -> None:
        """Wait for the device with the oldest task, and send what came of it."""
        one = self.begun.popleft()
        resumed = time.monotonic_ns()
        try:
            next(one.rest)
        except StageFailure as failure:
            self.fail(one.task, failure)
        except StopIteration as end:
            self.results.append([one.task, one.started, [one.busy + time.monotonic_ns() - resumed], end.value])
            self.flush()

    def through_device(self, packets: list[Any]) -> Generator[None, None, list[Any]]:
        """Do one task of a stage that works ahead; yields once, when the device has the work, if it is given any."""
        member = self.members[0]
        stage = member.stage
        assert isinstance(stage, Stage)
        rows, made = self.made(member, packets)
        index = packets[0][0] if len(packets) == 1 else None
        running = stage.process_batch(made)
        assert running is not None
        for yielded in (False, True):
            with _named(member.name, index):
                if next(running, DONE) is DONE:
                    break
                if yielded:
                    raise RuntimeError("yields more than once in process_batch()")
            yield
        return self.told(rows, self.collected(member, made, rows))

    def made(self, member: Member, packets: list[Any]) -> tuple[dict[int, dict[str, Any]], list[Packet]]:
        """The rows of a task's packets by their indices, and the packets as the first stage here sees them."""
        rows, made = {}, []
        for packet in packets:
            index, numerator, denominator, values = packet[:4]
            rows[index] = row = self.row(index, values)
            around = self.neighbours(packet, member) if len(packet) > 4 else None
            made.append(member.packet(row, index, Fraction(numerator, denominator), self.places, around))
        return rows, made

    def flush(self) -> None:
        """Send what is done. Extras are looked at now and then, and always with what they belong to."""
        if self.results:
            results, self.results = self.results, []
            self.send(protocol.RESULTS, results, self.extras())

    def extras(self, everything: bool = False) -> dict[str, Any]:
        """Counts, notes and CPU time since the last time."""
        found: dict[str, Any] = {}
        for member in self.members:
            if member.counts:
                found.setdefault("counts", {})[member.name] = dict(member.counts)
                member.counts.clear()
            if member.notes:
                found.setdefault("notes", {})[member.name] = list(member.notes)
                member.notes.clear()
        now = time.monotonic_ns()
        if everything or now - self.extras_at > EXTRAS_EVERY_NS:
            self.extras_at = now
            found["cpu"] = time.process_time()
        return found

    def work(self, mode: int, packets: list[Any], began: int, busy: list[int]) -> list[Any] | None:
        """Do one task: its packets through the stages of this process. None if the source has ended.

        `busy` is filled with the nanoseconds of each stage, of the first from `began` on.
        """
        rows, made = self.made(self.members[0], packets)
        for place, member in enumerate(self.members):
            if place:
                made = [member.packet(rows[one.index], one.index, one.time, self.places) for one in made]
            if not self.process(member, made, mode):
                return None
            made = self.collected(member, made, rows)
            now = time.monotonic_ns()
            busy[place], began = now - began, now
            if not made:
                break
        return self.told(rows, made)

    def collected(self, member: Member, packets: list[Packet], rows: dict[int, dict[str, Any]]) -> list[Packet]:
        """The packets that a stage did not skip; what it wrote is then in their rows."""
        alive = [packet for packet in packets if not packet.skipped]
        for packet in alive:
            member.collect(packet, rows[packet.index])
        return alive

    def told(self, rows: dict[int, dict[str, Any]], ended: list[Packet]) -> list[Any]:
        """What the hub has to know of a task's packets, of which some ended at the last stage; nothing more, mostly."""
        found = dict.fromkeys(rows, protocol.SKIPPED)
        for packet in ended:
            found[packet.index] = self.result(rows[packet.index], packet.time)
        return list(found.values())

    def row(self, index: int, values: list[Any]) -> dict[str, Any]:
        """What a packet brings: values, and views of its slots, as long as they were filled."""
        row: dict[str, Any] = dict(zip(self.inputs, values, strict=True))
        for name, slots in self.read_slots:
            view = slots.view(index)
            row[name] = view[: row[name]] if name in row else view
        return row

    def neighbours(self, packet: list[Any], member: Member) -> dict[int, Packet]:
        found = {}
        for offset, num, den, values in packet[4]:
            index = packet[0] + offset
            row = self.row(index, values)
            found[offset] = Packet(index, Fraction(num, den), {own: row[graph] for own, graph in member.reads}, {})
        return found

    def process(self, member: Member, packets: list[Packet], mode: int) -> bool:
        """Have a stage do its packets; False if it is a source that has ended. Raises StageFailure."""
        stage, index = member.stage, packets[0].index if len(packets) == 1 else None
        try:
            if isinstance(stage, Source):
                return self.produce(stage, packets[0])
            if member.takes_batches and mode != protocol.PASS:
                process_all(stage, packets)
                return True
            do = stage.process if mode != protocol.PASS else stage.pass_through
            for packet in packets:
                index = packet.index
                do(packet)
        except Exception as error:
            raise StageFailure(member.name, error, index) from error
        return True

    def produce(self, stage: Source, packet: Packet) -> bool:
        if packet.index != self.next:
            stage.seek(packet.index)
        self.next = packet.index + 1
        more = stage.produce(packet)
        packet.time = Fraction(packet.time)
        return more

    def result(self, row: dict[str, Any], at: Fraction) -> Any:
        """What the hub has to know of a packet that is done; nothing, mostly."""
        if not self.outputs and not self.source:
            return protocol.OK
        values = [len(row[name]) if name in self.slots else row[name] for name in self.outputs]
        if self.source:
            return [protocol.OK, at.numerator, at.denominator, values]
        return [protocol.OK, 0, 0, values]

    def finish(self, interrupted: bool) -> None:
        outputs = []
        for member in self.members:
            member.stage.interrupted = interrupted
            with _named(member.name):
                for one in member.stage.finish():
                    outputs.append([member.name, one.path, one.frames, one.duration, one.about])
        self.send(protocol.FINISHED, outputs, {**self.extras(everything=True), "about": self.about()})

    def close_stages(self) -> None:
        """Every stage gets its `close`, also when another one's raises; what they raise is for the one who watches."""
        self.begun.clear()
        for member in reversed(self.members):
            try:
                member.stage.close()
            except Exception as error:
                sys.stderr.write(f"graphrun: stage '{member.name}' could not be closed: {error}\n")
        self.members = []

    def close(self) -> None:
        self.close_stages()
        self.socket.close()
        self.context.term()


class _named:
    """Says which stage and packet an exception comes from."""

    def __init__(self, stage: str, index: int | None = None) -> None:
        self.stage = stage
        self.index = index

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, StageFailure):
            raise StageFailure(self.stage, error, self.index) from error


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent's thread ends; see prctl(2)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def main(address: str, identity: str, parent: int, cpus: Sequence[int]) -> None:
    """What a worker's process runs."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if cpus:
        os.sched_setaffinity(0, cpus)
    Worker(address, identity.encode()).run()
