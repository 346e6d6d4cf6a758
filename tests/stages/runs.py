"""Stages one after the other in a plain loop, as the engine would call them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from graph.stage import Caps, Output, Packet, blank_arrays, infer_caps
from stages.decode import Decode
from stages.encode import Encode


@dataclass
class Run:
    """What came of decode → encode."""

    outputs: list[Output] = field(default_factory=list)
    times: list[Fraction] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def transcode(
    decode: Decode,
    encode: Encode,
    stop: int | None = None,
    facts: dict[str, Any] | None = None,
    resume: bool = False,
    run_facts: dict[str, Any] | None = None,
) -> Run:
    """Run decode → encode; with `stop`, give up before that packet, as after a failure elsewhere.

    `facts`: more of the stream. `resume`: go on with what an earlier run left. `run_facts`: what run this is.
    """
    run = Run()
    encode.run_facts = run_facts or {}
    try:
        decode.open()
        encode.open()
        caps = infer_caps(decode, Caps())
        infer_caps(encode, Caps(caps.shapes, {**caps.stream, **(facts or {})}))
        blank = blank_arrays(decode, caps)
        index = encode.resume() if resume else 0
        decode.seek(index)
        while index != stop:
            packet = Packet(index, Fraction(0), dict(blank), decode.writes)
            if not decode.produce(packet):
                run.outputs = list(encode.finish())
                break
            run.times.append(packet.time)
            index += 1
            encode.process(packet)
        run.notes = [*decode.notes, *encode.notes]
        return run
    finally:
        decode.close()
        encode.close()


def facts(path: Path, **given: Any) -> dict[str, Any]:
    """What `decode` tells of the stream of a file."""
    stage = Decode(str(path), **given)
    try:
        stage.open()
        return infer_caps(stage, Caps()).stream
    finally:
        stage.close()


def track_ends(path: Path) -> dict[str, float]:
    """When the tracks of a file end, in seconds, by the container's own words (its last packets where it has none)."""
    ends: dict[str, float] = {}
    with av.open(str(path)) as container:
        streams: Iterable[Any] = container.streams
        for stream in streams:
            if stream.duration is not None and stream.type not in ends:
                ends[stream.type] = float(((stream.start_time or 0) + stream.duration) * stream.time_base)
        if len(ends) == len(container.streams):
            return ends
        last: dict[str, float] = {}
        for packet in container.demux():
            if packet.size:
                end = float((packet.pts + packet.duration) * packet.time_base)
                last[packet.stream.type] = max(last.get(packet.stream.type, 0), end)
        return last
