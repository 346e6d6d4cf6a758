"""What is counted while a graph runs, cheaply enough that it is always counted."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field

MAX_ERRORS = 1000
#: of a histogram: enough for every number of nanoseconds that a message can carry (64 bits)
BUCKETS = 512


class Histogram:
    """Durations in buckets that grow by an eighth of a doubling: percentiles within about 5 %."""

    def __init__(self) -> None:
        self.buckets = [0] * BUCKETS
        self.most = 0

    def add(self, nanoseconds: int) -> None:
        shift = nanoseconds.bit_length() - 4
        bucket = shift * 8 + (nanoseconds >> shift) if shift > 0 else nanoseconds
        self.buckets[bucket] += 1
        if nanoseconds > self.most:
            self.most = nanoseconds

    def percentile(self, share: float) -> float:
        """In nanoseconds; 0 if nothing was added."""
        wanted = share * sum(self.buckets)
        for bucket, count in enumerate(self.buckets):
            wanted -= count
            if count and wanted <= 0:
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
    """The largest sum of PSS over the processes of a run; what lasts less than seconds is found within five percent.

    RSS is cheap to read, PSS takes a walk over all pages: it is read at once when the sum of RSS is five percent above
    what it was when PSS was read, and else, where it is above that at all, as often as `SHARE` of a core allows.
    """

    EVERY = 0.2
    AT_LEAST_EVERY = 60.0
    SHARE = 0.002

    def __init__(self) -> None:
        self.peak = 0
        self.each: dict[int, int] = {}
        self._rss = 0.0
        self._looked = -math.inf
        self._measured = -math.inf
        self._rest = 0.0

    def look(self, pids: list[int], now: float) -> None:
        """Sample if it is time."""
        if now - self._looked < self.EVERY:
            return
        self._looked = now
        rss, rested = sum(_resident(pid) for pid in pids), now - self._measured
        if rss > self._rss * 1.05 or (rss > self._rss and rested > self._rest) or rested > self.AT_LEAST_EVERY:
            self._rss, self._measured = max(rss, self._rss), now
            self._measure(pids)

    def _measure(self, pids: list[int]) -> None:
        before = time.thread_time()
        seen = {pid: proportional(pid) for pid in pids}
        self._rest = (time.thread_time() - before) / self.SHARE
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
