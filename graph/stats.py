"""What is counted while a graph runs, cheaply enough that it is always counted."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

MAX_ERRORS = 1000


class Histogram:
    """Durations in buckets that grow by an eighth of a doubling: percentiles within about 5 %."""

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.most = 0

    def add(self, nanoseconds: int) -> None:
        shift = nanoseconds.bit_length() - 4
        bucket = shift * 8 + (nanoseconds >> shift) if shift > 0 else nanoseconds
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        if nanoseconds > self.most:
            self.most = nanoseconds

    def percentile(self, share: float) -> float:
        """In nanoseconds; 0 if nothing was added."""
        wanted = share * sum(self.buckets.values())
        for bucket in sorted(self.buckets):
            wanted -= self.buckets[bucket]
            if wanted <= 0:
                shift = max(0, bucket // 8 - 1)
                return min((bucket - shift * 8 + 0.5) * float(1 << shift), self.most)
        return 0.0

    def summary(self) -> dict[str, float]:
        """p50, p95, p99 and max in milliseconds."""
        found = {f"p{percent}": self.percentile(percent / 100) / 1e6 for percent in (50, 95, 99)}
        return {**{name: round(value, 3) for name, value in found.items()}, "max": round(self.most / 1e6, 3)}


@dataclass
class StageStats:
    """The figures of one stage, over all its workers."""

    packets_in: int = 0
    packets_out: int = 0
    busy_ns: int = 0
    latency: Histogram = field(default_factory=Histogram)
    restarts: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[dict[str, object]] = field(default_factory=list)
    about: dict[str, object] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    pss_peak: int = 0

    @property
    def cpu_s(self) -> float:
        return sum(self.cpu.values())


class MemoryWatch:
    """The largest sum of PSS over the processes of a run.

    PSS is dear to read, RSS cheap: PSS is read when the sum of RSS is the highest so far by more than one percent,
    and else every five seconds.
    """

    EVERY = 0.2
    AT_LEAST_EVERY = 5.0

    def __init__(self) -> None:
        self.peak = 0
        self.each: dict[int, int] = {}
        self._rss = 0.0
        self._looked = -math.inf
        self._measured = -math.inf

    def look(self, pids: list[int], now: float) -> None:
        """Sample if it is time."""
        if now - self._looked < self.EVERY:
            return
        self._looked = now
        rss = sum(_resident(pid) for pid in pids)
        if rss > self._rss * 1.01 or now - self._measured > self.AT_LEAST_EVERY:
            self._rss, self._measured = max(rss, self._rss), now
            seen = {pid: proportional(pid) for pid in pids}
            self.peak = max(self.peak, sum(seen.values()))
            for pid, size in seen.items():
                self.each[pid] = max(size, self.each.get(pid, 0))


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - read several times a second
            return int(file.read().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


def proportional(pid: int) -> int:
    """PSS of a process in bytes: its own pages, and its share of the shared ones; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123 - read several times a second
            text = file.read()
    except OSError:
        return 0
    at = text.find(b"\nPss:")
    return int(text[at + 5 : text.find(b"kB", at)]) * 1024 if at >= 0 else 0
