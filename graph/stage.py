"""What a stage author sees: Source, Stage, Sink, fields and packets, and run_stage() to try one without an engine.

A stage declares the fields it reads and writes; the engine hands it packets whose inputs are read-only views and whose
outputs are views to fill, both in shared memory. Nothing in this file knows of processes or sockets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from inspect import isgeneratorfunction
from typing import Any

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]


class Array:
    """A field whose value is an array in a slot of shared memory.

    `shape` is words: numbers are fixed, names are bound by the inputs (`"h w 3"`), `<=16` is a bound: the writer may
    give fewer rows, and readers see as many as were given (only the first word may be a bound).
    """

    def __init__(self, dtype: npt.DTypeLike, shape: str, about: str = "") -> None:
        self.dtype = np.dtype(dtype)
        self.words = tuple(shape.split())
        self.about = about
        for place, word in enumerate(self.words):
            size = word.removeprefix("<=")
            if not (size.isdigit() or (word == size and word.isidentifier())):
                raise ValueError(f"{word!r} is no dimension: a number, a name, or <= and a number")
            if word != size and place:
                raise ValueError(f"only the first dimension may be a bound, not {word!r}")

    @property
    def varies(self) -> bool:
        """Whether packets may differ in the first dimension."""
        return bool(self.words) and self.words[0].startswith("<=")

    def bind(self, shape: Shape, names: dict[str, int]) -> None:
        """Learn the named dimensions from an actual shape; raises ValueError where it does not fit."""
        if len(shape) != len(self.words):
            raise ValueError(f"has shape {shape}, but '{self}' has {len(self.words)} dimensions")
        for word, size in zip(self.words, shape, strict=True):
            want = names.setdefault(word, size) if word.isidentifier() else int(word.removeprefix("<="))
            if want != size:
                raise ValueError(f"has shape {shape}, which does not fit '{self}' ({word} is {want})")

    def resolve(self, names: Mapping[str, int]) -> Shape | None:
        """The shape with the names filled in, or None while one is unknown."""
        sizes = [names.get(word) if word.isidentifier() else int(word.removeprefix("<=")) for word in self.words]
        return None if None in sizes else tuple(size for size in sizes if size is not None)

    def __str__(self) -> str:
        return " ".join(self.words)

    def __repr__(self) -> str:
        return f"Array({self.dtype.name}, '{self}')"


class Value:
    """A field whose value is small and plain: None, bool, int, float, str, bytes, or lists and dicts of them.

    It travels in the message itself, at most `limit` bytes of msgpack.
    """

    def __init__(self, about: str = "", limit: int = 16_384) -> None:
        self.about = about
        self.limit = limit

    def __repr__(self) -> str:
        return "Value()"


Field = Array | Value


@dataclass(frozen=True)
class Window:
    """How many neighbours of a packet a stage reads besides the packet itself; see `Packet.at`."""

    before: int = 0
    after: int = 0


@dataclass
class Caps:
    """What is known of a stream before its first packet.

    `shapes`: of every array field, by name. `stream`: plain facts by name that hold for all packets, such as `rate`
    (a string, `"30000/1001"`), or `packets` (how many are expected); they flow down the graph with the shapes.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    stream: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """A file that a stage has finished. `frames` and `duration` (seconds) where they mean something."""

    path: str
    frames: int | None = None
    duration: float | None = None
    about: str = ""


class Packet:
    """One row: `index`, `time` in seconds as an exact fraction, and the fields by name.

    Fields read are read-only; array fields to write are there as views to fill, and assigning an array copies it in.
    """

    __slots__ = ("_given", "_neighbours", "_wanted", "index", "skipped", "time")

    index: int
    time: Fraction
    skipped: bool

    def __init__(
        self,
        index: int,
        time: Fraction,
        given: dict[str, Any],
        wanted: Mapping[str, Field],
        neighbours: Mapping[int, Packet] | None = None,
    ) -> None:
        put = object.__setattr__
        put(self, "index", index)
        put(self, "time", time)
        put(self, "skipped", False)
        put(self, "_given", given)
        put(self, "_wanted", wanted)
        put(self, "_neighbours", {} if neighbours is None else neighbours)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._given[name]
        except KeyError:
            known = ", ".join(sorted(self._given)) or "none"
            raise AttributeError(f"packet {self.index} has no field '{name}' (fields here: {known})") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("time", "skipped"):
            object.__setattr__(self, name, value)
            return
        kind = self._wanted.get(name)
        if kind is None:
            known = ", ".join(sorted(self._wanted)) or "none"
            raise AttributeError(f"the stage does not declare that it writes '{name}' (it writes: {known})")
        if isinstance(kind, Array):
            value = self._fill(name, kind, value)
        self._given[name] = value

    def _fill(self, name: str, kind: Array, value: Any) -> Any:
        place = self._given[name]
        if value is place:
            return place
        array = np.asarray(value)
        if kind.varies:
            if array.ndim != place.ndim or array.shape[0] > place.shape[0] or array.shape[1:] != place.shape[1:]:
                raise ValueError(f"'{name}' takes shape {kind}, got {array.shape}")
            place = place[: array.shape[0]]
        elif array.shape != place.shape:
            raise ValueError(f"'{name}' takes shape {place.shape}, got {array.shape}")
        np.copyto(place, array, casting="same_kind")
        return place

    def at(self, offset: int) -> Packet | None:
        """The packet `offset` places later (earlier, if negative); None past the ends, or where it was skipped."""
        return self if offset == 0 else self._neighbours.get(offset)

    def skip(self) -> None:
        """End this packet here: no later stage sees it."""
        object.__setattr__(self, "skipped", True)

    def fields(self) -> dict[str, Any]:
        """All fields by name."""
        return dict(self._given)


class _Declared:
    """What Source, Stage and Sink have in common."""

    reads: Mapping[str, Field] = {}
    writes: Mapping[str, Field] = {}
    #: a stage with state sees every packet in order, in one worker
    stateful: bool = False
    #: what this run is: the graph's name, its inputs, every stage's parameters; a sink keeps it to know its own again
    run_facts: Mapping[str, Any] = {}
    #: the cores that its process may use, for threads that mostly wait, such as those of a codec; set before `open`
    cores: int = 1
    #: its part of the cores, for threads that compute side by side: with it no worker takes time from another
    share: int = 1
    #: set before `finish`: the run was told to end early, so that this is not the end of the stream
    interrupted: bool = False

    @property
    def counts(self) -> Counter[str]:
        """Tallies of this stage's own for the report: `self.counts["no_face"] += 1`."""
        if "_counts" not in self.__dict__:
            self.__dict__["_counts"] = Counter()
        counts: Counter[str] = self.__dict__["_counts"]
        return counts

    @property
    def notes(self) -> list[str]:
        """Sentences for the person who watches the run: `self.notes.append("takes rewrite: …")`."""
        notes: list[str] = self.__dict__.setdefault("_notes", [])
        return notes

    def preflight(self) -> None:
        """Before graphs that run first are run: raise ValueError or OSError for what cannot go well.

        It is asked of a stage of its own, made with the same parameters, with '' for what those graphs will give.
        """

    def open(self) -> None:
        """In the worker, before any packet: load models, open files. What it raises stops the run before it flows."""

    def about(self) -> dict[str, Any]:
        """Plain facts for the report, asked before the first packet and after the last: model, device, findings."""
        return {}

    def finish(self) -> Sequence[Output]:
        """After the last packet: write what is held. Returns the files that are now whole."""
        return ()

    def close(self) -> None:
        """Always called at the end, also after a failure, then without `finish` before it: release what is open."""


class Source(_Declared):
    """Begins packets."""

    def configure(self) -> Caps:
        """The shapes of the arrays to come and the facts of the stream; after `open`."""
        return Caps()

    def produce(self, packet: Packet) -> bool:
        """Fill the next packet and set its `time`; False if there is none."""
        raise NotImplementedError(f"{type(self).__name__} has no produce()")

    def seek(self, index: int) -> None:
        """Go on at packet `index`: called on a fresh, opened source whose forerunner died, or when the run goes back.

        The default produces and forgets the packets before it, which is right for every source that gives the same
        packets each time it is opened.
        """
        spare = blank_arrays(self, infer_caps(self, Caps()))
        for past in range(index):
            if not self.produce(Packet(past, Fraction(0), dict(spare), self.writes)):
                return


class Stage(_Declared):
    """Fills fields of each packet, or skips it."""

    window: Window = Window()

    def configure(self, caps: Caps) -> Caps:
        """Shapes of the arrays written, and facts to add to the stream; what the declarations tell may be left out."""
        return Caps()

    def process(self, packet: Packet) -> None:
        """Read the packet's inputs, fill its outputs."""
        raise NotImplementedError(f"{type(self).__name__} has no process()")

    def process_batch(self, packets: Sequence[Packet]) -> Iterator[None] | None:
        """As `process`, for the packets of one task (`batch:` in the graph), in order.

        It may be a generator with one `yield`: before it the work is handed to a device, after it the results are
        taken. The worker then begins the next task before it waits for this one, so that the device always has work.
        Where it ends without having yielded, the task is done.
        """
        for packet in packets:
            self.process(packet)
        return None

    def pass_through(self, packet: Packet) -> None:
        """Fill the outputs without the work: what `on_error: pass` calls for a packet whose processing failed."""
        raise NotImplementedError(f"{type(self).__name__} has no pass_through()")


class Sink(Stage):
    """Ends packets: writes no field. It has state unless it says otherwise: what it has written."""

    stateful = True

    @property
    def resumes(self) -> bool:
        """Whether a later run can go on with what this one has whole."""
        return type(self).resume is not Sink.resume

    def resume(self) -> int:
        """How many packets, from the first on, an earlier run has written whole.

        Asked after `configure`, and only if this run shall go on with what an earlier one left, or with what an earlier
        process of its own did: the packets from there on are the ones that come. A sink that does not override it
        begins anew; if its process dies, so does the run.
        Raises ValueError if what is there does not belong to this run (`run_facts` tell).
        """
        return 0


def infer_caps(stage: Source | Stage, caps: Caps) -> Caps:
    """Configure a stage: bind its declarations to the shapes it is given, ask its `configure`, check the answer.

    Returns the shapes of the arrays it writes and the stream's facts after it. Raises ValueError where they do not fit.
    """
    names: dict[str, int] = {}
    for name, kind in stage.reads.items():
        if isinstance(kind, Array):
            try:
                kind.bind(caps.shapes[name], names)
            except ValueError as error:
                raise ValueError(f"'{name}' {error}") from None
    told = stage.configure() if isinstance(stage, Source) else stage.configure(caps)
    shapes: dict[str, Shape] = {}
    for name, kind in stage.writes.items():
        if not isinstance(kind, Array):
            continue
        shape = told.shapes.get(name) or kind.resolve(names)
        if shape is None:
            raise ValueError(f"says nothing of the shape of '{name}' ('{kind}'): configure() has to return it")
        try:
            kind.bind(shape, names)
        except ValueError as error:
            raise ValueError(f"'{name}' {error}") from None
        shapes[name] = tuple(shape)
    return Caps(shapes, {**caps.stream, **told.stream})


def run_stage(
    stage: Source | Stage,
    packets: Iterable[Mapping[str, Any]] = (),
    *,
    rate: Fraction | int = 25,
    stream: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> list[Packet]:
    """Run one stage over packets given as dicts of fields, in this process and without the engine, as a test wants it.

    Opens, configures, processes, finishes and closes the stage. `rate` gives the packets their times, `stream` the
    facts that stages before it would give, `limit` how many packets a source shall give at most. Returns the packets
    that were not skipped, with what they were given and what the stage wrote.
    """
    rows = [dict(packet) for packet in packets]
    shapes = {name: np.shape(value) for name, value in rows[0].items()} if rows else {}
    for name, kind in stage.reads.items():
        if isinstance(kind, Array) and kind.varies:
            shapes[name] = (int(kind.words[0][2:]), *shapes[name][1:])
    try:
        stage.open()
        caps = infer_caps(stage, Caps(shapes, {"rate": str(rate), "packets": len(rows), **(stream or {})}))
        if isinstance(stage, Source):
            done = list(_produced(stage, caps, limit))
        else:
            done = _processed(stage, caps, rows, Fraction(rate))
        stage.finish()
        return done
    finally:
        stage.close()


def process_all(stage: Stage, packets: Sequence[Packet]) -> None:
    """Do the packets of a task, and wait until they are done."""
    for _ in stage.process_batch(packets) or ():
        pass


def works_ahead(stage: Source | Stage) -> bool:
    """Whether a stage hands its work to a device: its `process_batch` is a generator."""
    return isinstance(stage, Stage) and isgeneratorfunction(type(stage).process_batch)


def blank_arrays(stage: Source | Stage, caps: Caps) -> dict[str, Any]:
    """Arrays of the shapes that a configured stage writes, by field."""
    arrays = ((name, kind) for name, kind in stage.writes.items() if isinstance(kind, Array))
    return {name: np.zeros(caps.shapes[name], kind.dtype) for name, kind in arrays}


def _produced(stage: Source, caps: Caps, limit: int | None) -> Iterator[Packet]:
    index = 0
    while limit is None or index < limit:
        packet = Packet(index, Fraction(0), blank_arrays(stage, caps), stage.writes)
        if not stage.produce(packet):
            return
        index += 1
        yield packet


def _processed(stage: Stage, caps: Caps, rows: list[dict[str, Any]], rate: Fraction) -> list[Packet]:
    packets = []
    for index, row in enumerate(rows):
        given = {name: _read_only(row[name]) for name in stage.reads} | blank_arrays(stage, caps)
        neighbours: dict[int, Packet] = {}
        packets.append(Packet(index, index / rate, {**row, **given}, stage.writes, neighbours))
        for offset in range(-stage.window.before, stage.window.after + 1):
            other = index + offset
            if offset and 0 <= other < len(rows):
                shown = {name: _read_only(rows[other][name]) for name in stage.reads}
                neighbours[offset] = Packet(other, other / rate, shown, {})
    for packet in packets:
        process_all(stage, [packet])
    return [packet for packet in packets if not packet.skipped]


def _read_only(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view
