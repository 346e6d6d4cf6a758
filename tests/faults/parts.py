"""Stages that break in every way a stage can, and ones that notice if anything was lost."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Sink, Source, Stage, Value

BLOCK = Array(np.uint8, "<=65536")


class Mixed(Source):
    """Blocks of mixed sizes, filled with what their index says."""

    writes = {"block": BLOCK, "key": Value()}

    def __init__(self, packets: int, pace: float = 0.0, size: int = 65536) -> None:
        self.packets = packets
        self.pace = pace
        self.size = size

    def configure(self) -> Caps:
        return Caps({"block": (65536,)}, {"packets": self.packets, "rate": "25"})

    def produce(self, packet: Packet) -> bool:
        if packet.index >= self.packets:
            return False
        time.sleep(self.pace)
        packet.block = np.full(size_of(packet.index, self.size), packet.index % 251, np.uint8)
        packet.key = key_of(packet.index)
        packet.time = Fraction(packet.index, 25)
        return True


def size_of(index: int, most: int) -> int:
    return index * 7919 % most


def key_of(index: int) -> str:
    return f"{index * 2654435761 % 2**32:08x}"


class Pass(Stage):
    """Copies the block on, checking it; breaks at one packet in the way that `how` says, the first time only."""

    reads = {"block": BLOCK, "key": Value()}
    writes = {"passed": BLOCK, "passed_key": Value()}

    def __init__(self, how: str = "", at: int = -1, once: str = "", every_time: bool = False) -> None:
        self.how = how
        self.at = at
        self.once = once
        self.every_time = every_time

    def process(self, packet: Packet) -> None:
        if packet.index == self.at and self._now():
            self._break()
        if packet.key != key_of(packet.index) or not (packet.block == packet.index % 251).all():
            raise ValueError(f"packet {packet.index} came as another")
        packet.passed = packet.block
        packet.passed_key = packet.key

    def _now(self) -> bool:
        if self.every_time:
            return True
        try:
            Path(self.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _break(self) -> None:
        Path(self.once).write_text(str(time.time()))
        if self.how == "segfault":
            ctypes.string_at(0)
        elif self.how == "exit":
            os._exit(3)
        elif self.how == "hang":
            time.sleep(600)
        elif self.how == "error":
            raise ValueError("this packet cannot be done")
        else:
            os.kill(os.getpid(), getattr(signal, self.how))


class Sum(Stage):
    """Has state: the sum of the indices of all packets so far."""

    reads = {"key": Value()}
    writes = {"total": Value()}
    stateful = True

    def open(self) -> None:
        self.total = 0

    def process(self, packet: Packet) -> None:
        self.total += packet.index
        packet.total = self.total


class Keep(Sink):
    """Writes a line a packet, checking the sum; after its death it goes on behind the last whole line.

    Where there is no file `once`, it makes that and dies while it finishes.
    """

    reads = {"key": Value(), "total": Value()}

    def __init__(self, path: str, once: str) -> None:
        self.path = path
        self.once = Path(once)

    def open(self) -> None:
        self.file = Path(self.path).open("ab", buffering=0)  # noqa: SIM115 - closed in close()

    def resume(self) -> int:
        whole = Path(self.path).read_bytes().rpartition(b"\n")[0].splitlines()
        self.file.truncate(sum(len(line) + 1 for line in whole))
        return len(whole)

    def process(self, packet: Packet) -> None:
        if packet.key != key_of(packet.index) or packet.total != packet.index * (packet.index + 1) // 2:
            raise ValueError(f"packet {packet.index} came as another")
        self.file.write(f"{packet.index} {time.time()}\n".encode())

    def finish(self) -> Sequence[Output]:
        if not self.once.exists():
            self.once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [Output(self.path)]

    def close(self) -> None:
        if hasattr(self, "file"):
            self.file.close()


class Tell(Sink):
    """Writes the index of every packet, checking it; waits `delay` seconds before packet `slow_at`."""

    reads = {"block": BLOCK, "key": Value()}

    def __init__(self, path: str, slow_at: int = -1, delay: float = 0.0) -> None:
        self.path = path
        self.slow_at = slow_at
        self.delay = delay

    def open(self) -> None:
        self.file = Path(self.path).open("w", buffering=1)  # noqa: SIM115 - closed in close()

    def process(self, packet: Packet) -> None:
        if packet.index == self.slow_at:
            time.sleep(self.delay)
        if packet.key != key_of(packet.index) or not (packet.block == packet.index % 251).all():
            raise ValueError(f"packet {packet.index} came as another")
        self.file.write(f"{packet.index} {time.time()}\n")

    def close(self) -> None:
        if hasattr(self, "file"):
            self.file.close()
