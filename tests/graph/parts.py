"""Small stages that the engine's tests are made of; they import nothing but numpy."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Sink, Source, Stage, Value, Window

FRAME = Array(np.uint8, "h w 3")


class Count(Source):
    """Gives `packets` frames, each filled with its own index."""

    writes = {"frame": FRAME, "number": Value("the index again")}

    def __init__(self, packets: int = 20, height: int = 8, width: int = 8, pace: float = 0.0) -> None:
        self.packets = packets
        self.shape = (height, width, 3)
        self.pace = pace

    def configure(self) -> Caps:
        return Caps({"frame": self.shape}, {"rate": "30000/1001", "packets": self.packets})

    def produce(self, packet: Packet) -> bool:
        if packet.index >= self.packets:
            return False
        if self.pace:
            time.sleep(self.pace)
        packet.frame[:] = packet.index % 251
        packet.number = packet.index
        packet.time = Fraction(packet.index * 1001, 30000)
        return True


class Endless(Count):
    """As Count, without an end."""

    def configure(self) -> Caps:
        return Caps({"frame": self.shape}, {"rate": "25", "packets": None})

    def produce(self, packet: Packet) -> bool:
        self.packets = packet.index + 1
        return super().produce(packet)


class Copy(Stage):
    """Copies the frame, in a time that depends on the packet; may kill itself, fail, skip or hang at one of them."""

    reads = {"frame": FRAME}
    writes = {"copied": FRAME}

    def __init__(
        self,
        delay: float = 0.0,
        uneven: bool = False,
        kill_at: int = -1,
        once: str = "",
        fail_at: int = -1,
        skip_every: int = 0,
        hang_at: int = -1,
    ) -> None:
        self.delay = delay
        self.uneven = uneven
        self.kill_at = kill_at
        self.once = once
        self.fail_at = fail_at
        self.skip_every = skip_every
        self.hang_at = hang_at

    def process(self, packet: Packet) -> None:
        time.sleep(self.delay * (1 + 3 * (packet.index % 3 == 0) * self.uneven))
        if packet.index in (self.kill_at, self.hang_at) and self._first_time():
            if packet.index == self.hang_at:
                time.sleep(60)
            os.kill(os.getpid(), signal.SIGKILL)
        if packet.index == self.fail_at:
            raise ValueError("the number is odd")
        if self.skip_every and packet.index % self.skip_every == 0:
            packet.skip()
        np.copyto(packet.copied, packet.frame)
        self.counts["copied"] += 1

    def _first_time(self) -> bool:
        if not self.once:
            return True
        try:
            Path(self.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def pass_through(self, packet: Packet) -> None:
        packet.copied = packet.frame


class Batched(Copy):
    """Copies whole batches, and says how large each was."""

    writes = {"copied": FRAME, "batch": Value()}

    def process_batch(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            self.process(packet)
            packet.batch = len(packets)


class Device(Copy):
    """Copies at a device of its own, which takes `device` seconds for a batch and no core, one batch after the other.

    Tells how many other tasks were begun when it took its results; what else it does, it does before it hands the batch
    over, or `after`.
    """

    writes = {"copied": FRAME, "others": Value()}

    def __init__(
        self,
        device: float = 0.01,
        after: bool = False,
        kill_at: int = -1,
        once: str = "",
        fail_at: int = -1,
        skip_every: int = 0,
    ) -> None:
        super().__init__(kill_at=kill_at, once=once, fail_at=fail_at, skip_every=skip_every)
        self.device = device
        self.after = after
        self.free = 0.0
        self.begun = 0

    def process_batch(self, packets: Sequence[Packet]) -> Iterator[None]:
        self.begun += 1
        if not self.after:
            self.copy(packets)
        done = self.free = max(self.free, time.monotonic()) + self.device
        yield
        time.sleep(max(0.0, done - time.monotonic()))
        self.begun -= 1
        if self.after:
            self.copy(packets)
        for packet in packets:
            packet.others = self.begun

    def copy(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            self.process(packet)


class Rows(Stage):
    """Writes as many rows as the index says, at most 4."""

    reads = {"number": Value()}
    writes = {"rows": Array(np.float32, "<=4 2")}

    def process(self, packet: Packet) -> None:
        count = packet.number % 5
        packet.rows = np.full((count, 2), packet.number, np.float32)


class Around(Stage):
    """The mean over a window of neighbours."""

    reads = {"number": Value(), "frame": FRAME}
    writes = {"mean": Value()}
    window = Window(before=1, after=2)

    def process(self, packet: Packet) -> None:
        near = [one for offset in range(-1, 3) if (one := packet.at(offset)) is not None]
        assert all(int(one.frame[0, 0, 0]) == one.number % 251 == one.index % 251 for one in near)
        packet.mean = [one.number for one in near]


class Stay(Stage):
    """Has state: the sum of all numbers so far."""

    reads = {"number": Value()}
    writes = {"total": Value()}
    stateful = True

    def open(self) -> None:
        self.total = 0

    def process(self, packet: Packet) -> None:
        self.total += packet.number
        packet.total = self.total


class Closed(Stage):
    """Cannot be opened."""

    reads = {"frame": FRAME}
    writes = {"copied": FRAME}

    def open(self) -> None:
        raise OSError("no such model: face.onnx (graphrun models add face.onnx)")


class Write(Sink):
    """Writes a line a packet: its index, time, and the fields asked for; frames by their first byte."""

    def __init__(self, path: str, fields: list[str], delay: float = 0.0, kill_at: int = -1) -> None:
        self.path = path
        self.delay = delay
        self.kill_at = kill_at
        kinds = {"frame": FRAME, "copied": FRAME, "second": FRAME, "rows": Array(np.float32, "<=4 2")}
        self.reads = {name: kinds.get(name, Value()) for name in fields}

    def open(self) -> None:
        self.file = Path(self.path).open("w", buffering=1)  # noqa: SIM115 - closed in close()
        self.lines = 0

    def process(self, packet: Packet) -> None:
        if packet.index == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.delay)
        self.file.write(f"{packet.index} {packet.time} {[self.shown(packet, name) for name in self.reads]}\n")
        self.lines += 1

    def shown(self, packet: Packet, name: str) -> object:
        value = getattr(packet, name)
        if name == "rows":
            return value.tolist()
        if isinstance(value, np.ndarray):
            assert value.min() == value.max()
            return int(value.max())
        return value

    def finish(self) -> Sequence[Output]:
        return [Output(self.path, self.lines)]

    def close(self) -> None:
        if hasattr(self, "file"):
            self.file.close()


class Append(Write):
    """As Write, but it knows what it has whole: it goes on after the last whole line."""

    def __init__(self, path: str, fields: list[str], kill_at: int = -1, once: str = "") -> None:
        super().__init__(path, fields, kill_at=kill_at)
        self.once = once

    def open(self) -> None:
        self.lines = 0
        self.file = Path(self.path).open("a", buffering=1)  # noqa: SIM115 - closed in close()

    def resume(self) -> int:
        self.lines = len(Path(self.path).read_text().splitlines())
        return self.lines

    def process(self, packet: Packet) -> None:
        if packet.index == self.kill_at and self.once:
            if Path(self.once).exists():
                self.kill_at = -1
            Path(self.once).touch()
        super().process(packet)
