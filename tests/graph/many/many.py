"""Stages of runs that are done in parts or elsewhere: numbers in, lines of text out; and the graph they make."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from graph.stage import Caps, Output, Packet, Sink, Source, Stage, Value, Window

GRAPH = """
graph: lines
inputs:
  output: {type: path}
  packets: {type: int, default: 60}
  delay: {type: float, default: 0.0}
first:
  offset: {graph: offset.yaml}
stages:
  count: {use: "many:Count", with: {packets: $packets}}
  slow: {use: "many:Slow", from: count, with: {delay: $delay, log: %(log)s}}
  around: {use: "many:Around", from: slow, with: {offset: $offset}}
  keep: {use: "many:Keep", from: around, with: {path: $output}}
"""
FIRST = """
graph: offset
inputs:
  output: {type: path}
stages:
  count: {use: "many:Count", with: {packets: 1}}
  keep: {use: "many:Offset", from: count, with: {path: $output, log: %(log)s}}
"""


def write_graph(folder: Path) -> Path:
    """The graph and the one that runs before it, in a folder; `folder/log` gets a line for each task begun."""
    (folder / "lines.yaml").write_text(GRAPH % {"log": folder / "log"})
    (folder / "offset.yaml").write_text(FIRST % {"log": folder / "first"})
    return folder / "lines.yaml"


class Count(Source):
    """Counts, and knows where its pictures change: at every tenth."""

    writes = {"number": Value()}

    def __init__(self, packets: int = 60) -> None:
        self.packets = packets
        self.next = 0

    def configure(self) -> Caps:
        return Caps(stream={"rate": "25", "packets": self.packets})

    def produce(self, packet: Packet) -> bool:
        if self.next >= self.packets:
            return False
        packet.number, packet.time = self.next, Fraction(self.next, 25)
        self.next += 1
        return True

    def seek(self, index: int) -> None:
        self.next = index

    def cuts(self) -> list[int]:
        return list(range(0, self.packets, 10))


class Slow(Stage):
    """Takes time without a core, and notes what it does and where."""

    reads = {"number": Value()}
    writes = {"slow": Value()}

    def __init__(self, delay: float = 0.0, log: str = "") -> None:
        self.delay, self.log = delay, log

    def process(self, packet: Packet) -> None:
        time.sleep(self.delay)
        with Path(self.log).open("a") as file:
            file.write(f"{packet.index} {os.getpid()}\n")
        packet.slow = packet.number
        self.counts["slow"] += 1


class Around(Stage):
    """The sum of a window, and the offset that was found first."""

    reads = {"slow": Value()}
    writes = {"sum": Value()}
    window = Window(before=2, after=3)

    def __init__(self, offset: str) -> None:
        self.offset = offset

    def open(self) -> None:
        self.more = int(Path(self.offset).read_text())

    def process(self, packet: Packet) -> None:
        near = [one.slow for offset in range(-2, 4) if (one := packet.at(offset)) is not None]
        packet.sum = sum(near) + self.more


class Keep(Sink):
    """Writes a line a packet; parts of it can be joined."""

    reads = {"sum": Value()}

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: list[str] = []

    def process(self, packet: Packet) -> None:
        self.lines.append(f"{packet.index} {packet.time} {packet.sum}\n")

    def finish(self) -> Sequence[Output]:
        part = Path(f"{self.path}.{os.getpid()}")
        part.write_text("".join(self.lines))
        part.replace(self.path)
        return [Output(self.path, len(self.lines))]

    def part(self, path: str) -> dict[str, object]:
        return {"path": path}

    def join(self, parts: Sequence[tuple[str, Fraction]], stream: dict[str, object]) -> Sequence[Output]:
        texts = [Path(path).read_text() for path, _ in parts]
        assert all(text.split()[1] == str(begin) for text, (_, begin) in zip(texts, parts, strict=True))
        Path(self.path).write_text("".join(texts))
        return [Output(self.path, sum(text.count("\n") for text in texts))]


class Offset(Sink):
    """Writes what the other graph needs first."""

    reads = {"number": Value()}

    def __init__(self, path: str, log: str) -> None:
        self.path, self.log = path, log

    def process(self, packet: Packet) -> None:
        Path(self.path).write_text("1000")
        with Path(self.log).open("a") as file:
            file.write("first\n")


def expected(packets: int) -> list[str]:
    """What a whole run writes."""
    sums = [sum(n for n in range(at - 2, at + 4) if 0 <= n < packets) + 1000 for at in range(packets)]
    return [f"{at} {Fraction(at, 25)} {found}" for at, found in enumerate(sums)]
