"""Where a run may be parted: its sources opened to learn how long they are, and the ranges of their packets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

from graph.declared import Checked, Declared
from graph.spec import GraphMistakes, Mistake
from graph.stage import Caps, Output, Packet, Sink, Source, blank_arrays, infer_caps

#: Packets below which a part is not worth the start of its workers, where `auto` decides.
LEAST = 750
#: Parts for each run that goes at once, so that a slow one does not hold up the rest for long.
PARTS_A_PLACE = 2


@runtime_checkable
class Joinable(Protocol):
    """A sink whose output can be written in parts."""

    def part(self, path: str) -> dict[str, Any]:
        """Its parameters that differ for a part, which goes to `path`."""
        ...

    def join(self, parts: Sequence[tuple[str, Fraction]], stream: dict[str, Any]) -> Sequence[Output]:
        """Put parts together: files in order, each with the time of its first packet; the facts of the stream."""
        ...


@dataclass(frozen=True)
class Split:
    """A run's packets in ranges: part `i` holds those from `bounds[i]` up to `bounds[i + 1]`.

    `times`: of the first packet of each; `stream`: the facts of the whole stream.
    """

    bounds: tuple[int, ...]
    times: tuple[Fraction, ...]
    stream: dict[str, Any]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        return list(pairwise(self.bounds))


def bounds_of(packets: int, parts: int, cuts: Sequence[int] = ()) -> tuple[int, ...]:
    """Where parts begin, and the end: evenly, but at a cut where one lies within a quarter of a part."""
    parts = max(1, min(parts, packets))
    inner: list[int] = []
    for at in range(1, parts):
        even = round(at * packets / parts)
        near = min(cuts, key=lambda cut: abs(cut - even), default=even)
        inner.append(near if abs(near - even) <= packets / parts / 4 else even)
    return (0, *sorted(set(inner) - {0, packets}), packets)


def parts_for(packets: int, places: int) -> int:
    """How many parts `auto` makes where so many runs go at once."""
    return 1 if places < 2 else max(1, min(PARTS_A_PLACE * places, packets // LEAST))


def joinable_sink(checked: Checked) -> Declared:
    """The one sink that writes the output; raises GraphMistakes where a graph cannot run in parts."""
    sinks = [one for one in checked.stages.values() if isinstance(one.stage, Sink)]
    mistakes = [
        Mistake(one.spec.place, f"stage '{one.name}' ({one.cls.__name__}) cannot join what is written in parts")
        for one in sinks
        if not isinstance(one.stage, Joinable)
    ]
    if not mistakes and len(sinks) != 1:
        mistakes = [Mistake(checked.spec.place, f"a graph that runs in parts has one sink, not {len(sinks)}")]
    if mistakes:
        raise GraphMistakes(mistakes)
    return sinks[0]


class Opened:
    """The sources of a graph, opened here to learn how long they are and when their packets come. Close it."""

    def __init__(self, checked: Checked) -> None:
        self._stages: list[Source] = []
        self.stream: dict[str, Any] = {}
        counts: list[int] = []
        try:
            for one in checked.stages.values():
                if isinstance(one.stage, Source):
                    caps = self._open(one, checked)
                    count = caps.stream.get("packets")
                    if not isinstance(count, int):
                        text = f"stage '{one.name}' cannot say how many packets it gives: it cannot run in parts"
                        raise GraphMistakes([Mistake(one.spec.place, text)])
                    counts.append(count)
        except BaseException:
            self.close()
            raise
        self.packets = min(counts)

    def _open(self, one: Declared, checked: Checked) -> Caps:
        stage = one.cls(**one.params)
        assert isinstance(stage, Source)
        self._stages.append(stage)
        stage.run_facts = checked.facts
        stage.open()
        caps = infer_caps(stage, Caps())
        if not self.stream:
            self._caps = caps
        self.stream = {**caps.stream, **self.stream}
        return caps

    def cuts(self) -> list[int]:
        """Packets that parts best begin with, as far as the first source knows any."""
        cuts = getattr(self._stages[0], "cuts", None)
        return sorted(cuts()) if cuts is not None else []

    def time(self, index: int) -> Fraction:
        """When a packet comes."""
        source = self._stages[0]
        source.seek(index)
        packet = Packet(index, Fraction(0), blank_arrays(source, self._caps), source.writes)
        if not source.produce(packet):
            raise ValueError(f"the source said it gives {self.packets} packets, but there is no packet {index}")
        return Fraction(packet.time)

    def split(self, parts: int) -> Split:
        """The packets in so many ranges, as far as there are enough."""
        return self.at(bounds_of(self.packets, parts, self.cuts() if parts > 1 else ()))

    def at(self, bounds: Sequence[int]) -> Split:
        """The packets in these ranges."""
        return Split(tuple(bounds), tuple(map(self.time, bounds[:-1])), self.stream)

    def close(self) -> None:
        for stage in self._stages:
            stage.close()
