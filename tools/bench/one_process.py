"""A graph's stages called one after the other in this process: what one would write without an engine.

Each stage works on a packet as soon as what it reads is there, in the memory of a few packets that is used again and
again: no copies, no messages, no overlap.
"""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import numpy as np

from graph.declared import Checked, Declared
from graph.stage import Caps, Packet, Sink, Source, Window, blank_arrays, infer_caps, process_all


class OneProcess:
    """The opened and configured stages of a checked graph that has one source; `cores`: what codecs make threads of."""

    def __init__(self, checked: Checked, cores: int = 1) -> None:
        self.stages = list(checked.stages.values())
        self.caps: dict[str, Caps] = {}
        self.done = dict.fromkeys(checked.stages, 0)
        self.rows: dict[int, dict[str, Any]] = {}
        self.times: dict[int, Fraction] = {}
        shapes: dict[str, Any] = {}
        stream: dict[str, Any] = {}
        self.spare: dict[str, list[dict[str, Any]]] = {}
        windows = [one.stage.window for one in self.stages if not isinstance(one.stage, Source)]
        depth = 2 + sum(window.before + window.after for window in windows)
        for one in self.stages:
            one.stage.cores = cores
            one.stage.open()
            given = {name: shapes[one.renamed.get(name, name)] for name, kind in one.stage.reads.items()
                     if one.renamed.get(name, name) in shapes}  # fmt: skip
            caps = infer_caps(one.stage, Caps(given, dict(stream)))
            stream.update(caps.stream)
            shapes |= {one.renamed.get(name, name): shape for name, shape in caps.shapes.items()}
            self.spare[one.name] = [blank_arrays(one.stage, caps) for _ in range(depth)]

    def run(self) -> float:
        """Packets a second between the first and the last at the sink."""
        source, *rest = self.stages
        first, index, more = 0.0, 0, True
        while more:
            more = self.begin(source, index)
            index += more
            for one in rest:
                while self.may(one, index, more):
                    self.process(one, self.done[one.name], index)
            first = first or (time.monotonic() if self.done[rest[-1].name] else 0.0)
        seconds = time.monotonic() - first
        for one in self.stages:
            one.stage.finish()
            one.stage.close()
        return (self.done[rest[-1].name] - 1) / seconds

    def begin(self, source: Declared, index: int) -> bool:
        assert isinstance(source.stage, Source)
        packet = Packet(index, Fraction(0), self.place(source, index), source.stage.writes)
        if not source.stage.produce(packet):
            return False
        self.rows[index], self.times[index] = packet.fields(), packet.time
        self.done[source.name] += 1
        return True

    def place(self, one: Declared, index: int) -> dict[str, Any]:
        spare = self.spare[one.name]
        return dict(spare[index % len(spare)])

    def may(self, one: Declared, packets: int, more: bool) -> bool:
        """Whether what a stage reads next is there, what its window reaches for included."""
        at = self.done[one.name]
        reach = at if isinstance(one.stage, Source) else at + one.stage.window.after
        needed = reach + 1 if more else min(reach + 1, packets)
        return at < packets and all(self.done[name] >= needed for name in one.inputs)

    def process(self, one: Declared, at: int, packets: int) -> None:
        assert not isinstance(one.stage, Source)
        window: Window = one.stage.window
        near = {
            offset: Packet(at + offset, self.times[at + offset], self.given(one, at + offset), {})
            for offset in range(-window.before, window.after + 1)
            if offset and 0 <= at + offset < packets
        }
        packet = Packet(
            at, self.times[at], self.given(one, at) | self.place(one, at), one.stage.writes, neighbours=near
        )
        process_all(one.stage, [packet])
        made = packet.fields()
        self.rows[at] |= {one.renamed.get(name, name): made[name] for name in one.stage.writes}
        self.done[one.name] += 1
        if isinstance(one.stage, Sink):
            self.rows.pop(at - 64, None)

    def given(self, one: Declared, index: int) -> dict[str, Any]:
        row = self.rows[index]
        return {name: _read_only(row[one.renamed.get(name, name)]) for name in one.stage.reads}


def _read_only(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view
