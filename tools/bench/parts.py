"""Stages of the benchmarks of the engine itself: they pass a frame on and do nothing, or wait without a core."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from graph.stage import Array, Caps, Packet, Sink, Source, Stage, Value

FRAME = Array(np.uint8, "h w 3")


class Give(Source):
    """Gives frames whose bytes nobody has touched; a frame of 0 × 0 is a packet with a number and no more."""

    writes = {"frame": FRAME, "number0": Value()}

    def __init__(self, packets: int, height: int = 8, width: int = 8) -> None:
        self.packets = packets
        self.shape = (height, width, 3)

    def configure(self) -> Caps:
        return Caps({"frame": self.shape}, {"rate": "25", "packets": self.packets})

    def produce(self, packet: Packet) -> bool:
        if packet.index >= self.packets:
            return False
        packet.number0 = packet.index
        packet.time = Fraction(packet.index, 25)
        return True


class Number(Source):
    """Gives a number and no more."""

    writes = {"number0": Value()}

    def __init__(self, packets: int) -> None:
        self.packets = packets

    def produce(self, packet: Packet) -> bool:
        if packet.index >= self.packets:
            return False
        packet.number0 = packet.index
        packet.time = Fraction(packet.index, 25)
        return True


class Next(Stage):
    """Passes the number on, and looks at one byte of the frame if it is to."""

    def __init__(self, place: int, look: bool = False) -> None:
        self.into, self.out, self.look = f"number{place - 1}", f"number{place}", look
        self.reads = {self.into: Value(), **({"frame": FRAME} if look else {})}
        self.writes = {self.out: Value()}

    def process(self, packet: Packet) -> None:
        if self.look:
            packet.frame[0, 0, 0]
        setattr(packet, self.out, getattr(packet, self.into))


class Device(Stage):
    """Waits `seconds` for each batch without a core, as for an accelerator."""

    def __init__(self, place: int, seconds: float) -> None:
        self.into, self.out, self.seconds = f"number{place - 1}", f"number{place}", seconds
        self.reads = {self.into: Value()}
        self.writes = {self.out: Value()}

    def process_batch(self, packets: Sequence[Packet]) -> None:
        time.sleep(self.seconds)
        for packet in packets:
            setattr(packet, self.out, getattr(packet, self.into))


class Computing:
    """Keeps a core at work for some of its time."""

    @staticmethod
    def compute(seconds: float) -> None:
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass


class Ahead(Computing, Stage):
    """Has a device that takes `seconds` for a batch and no core; computes for `host` seconds before, and after."""

    def __init__(self, place: int, seconds: float, host: float) -> None:
        self.into, self.out, self.seconds, self.host = f"number{place - 1}", f"number{place}", seconds, host
        self.reads = {self.into: Value()}
        self.writes = {self.out: Value()}
        self.free = 0.0

    def process_batch(self, packets: Sequence[Packet]) -> Iterator[None]:
        self.compute(self.host)
        done = self.free = max(self.free, time.monotonic()) + self.seconds
        yield
        time.sleep(max(0.0, done - time.monotonic()))
        self.compute(self.host)
        for packet in packets:
            setattr(packet, self.out, getattr(packet, self.into))


class Waiting(Ahead):
    """As Ahead, but waits for the device before it looks at the next batch."""

    def process_batch(self, packets: Sequence[Packet]) -> None:
        for _ in super().process_batch(packets):
            pass


class Compute(Computing, Stage):
    """Keeps a core at work for `seconds` of its time."""

    def __init__(self, place: int, seconds: float) -> None:
        self.into, self.out, self.seconds = f"number{place - 1}", f"number{place}", seconds
        self.reads = {self.into: Value()}
        self.writes = {self.out: Value()}

    def process(self, packet: Packet) -> None:
        self.compute(self.seconds)
        setattr(packet, self.out, getattr(packet, self.into))


class Check(Sink):
    """Holds that every packet comes, in order."""

    def __init__(self, place: int, look: bool = False) -> None:
        self.into, self.look, self.next = f"number{place}", look, 0
        self.reads = {self.into: Value(), **({"frame": FRAME} if look else {})}

    def process(self, packet: Packet) -> None:
        if getattr(packet, self.into) != packet.index or packet.index != self.next:
            raise ValueError(f"packet {packet.index} where {self.next} was due")
        if self.look:
            packet.frame[0, 0, 0]
        self.next += 1
