"""Stages of the transport benchmark: a source that writes every byte, a relay that copies, a sink that reads."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np

from graph.stage import Array, Caps, Packet, Sink, Source, Stage, Value

FRAME = Array(np.uint8, "h w 3")


def template(height: int, width: int) -> np.ndarray:
    """A frame of noise; its first four bytes are for the number of the frame."""
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def stamp(frame: np.ndarray, number: int) -> None:
    frame.reshape(-1)[:4].view(np.uint32)[0] = number


def stamped(frame: np.ndarray) -> int:
    return int(frame.reshape(-1)[:4].view(np.uint32)[0])


class Camera(Source):
    """Writes every byte of every frame; `pace` seconds between two, or as fast as may be."""

    writes = {"frame": FRAME}

    def __init__(self, packets: int, height: int = 720, width: int = 1280, pace: float = 0.0) -> None:
        self.packets = packets
        self.shape = (height, width, 3)
        self.pace = pace

    def open(self) -> None:
        self.template = template(*self.shape[:2])
        self.due = time.monotonic()

    def configure(self) -> Caps:
        return Caps({"frame": self.shape}, {"rate": "25", "packets": self.packets})

    def produce(self, packet: Packet) -> bool:
        if packet.index >= self.packets:
            return False
        if self.pace:
            self.due += self.pace
            time.sleep(max(0.0, self.due - time.monotonic()))
        np.copyto(packet.frame, self.template)
        stamp(packet.frame, packet.index)
        packet.time = Fraction(packet.index, 25)
        return True


class Relay(Stage):
    """Copies the frame into its own slot."""

    reads = {"frame": FRAME}
    writes = {"relayed": FRAME}

    def process(self, packet: Packet) -> None:
        np.copyto(packet.relayed, packet.frame)


class Look(Stage):
    """Looks at one byte and passes a number on."""

    reads = {"frame": FRAME}
    writes = {"seen": Value()}

    def process(self, packet: Packet) -> None:
        packet.seen = stamped(packet.frame)


class Reader(Sink):
    """Reads every byte; takes at least `delay` seconds a frame."""

    reads = {"relayed": FRAME}

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay

    def process(self, packet: Packet) -> None:
        if stamped(packet.relayed) != packet.index:
            raise ValueError(f"frame {stamped(packet.relayed)} where {packet.index} was due")
        packet.relayed.max()
        time.sleep(self.delay)
