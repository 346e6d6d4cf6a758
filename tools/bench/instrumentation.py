"""What it costs to see: a run with a recorder against one without, and against one that counts nothing at all.

    python tools/bench/instrumentation.py [--packets N] [--rounds N] [--json]

The three take turns. Packets without frames go through two hops as fast as they may, so that nothing but control is
measured; the share is of the hub's CPU, and of all CPU, for a task. `counters off` puts empty methods in their place.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

from running import chain, cpu, run, show

from graph.display.timeline import Recorder
from graph.stats import Histogram, MemoryWatch
from graph.tally import Tally

WAYS = ("counters off", "counters", "counters and recorder")


@contextmanager
def nothing_counted() -> Iterator[None]:
    """Histograms, the fill of links and memory are not looked at."""
    with (
        mock.patch.object(Histogram, "add", lambda self, nanoseconds: None),
        mock.patch.object(Tally, "look_at_links", lambda self, nodes: None),
        mock.patch.object(MemoryWatch, "look", lambda self, pids, now: None),
    ):
        yield


def once(way: str, stages: list[str]) -> tuple[float, float, float]:
    """Microseconds of the hub's CPU a task, of all CPU a task, and packets a second."""
    recorder = Recorder() if way == "counters and recorder" else None
    if way == "counters off":
        with nothing_counted():
            report = run(stages)
    else:
        report = run(stages, recorder)
    tasks = int(report.hub["tasks"])
    return float(report.hub["cpu_us_per_task"]), cpu(report) / tasks * 1e6, report.throughput


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--packets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    device = 'work: {use: "PARTS:Device", from: source, with: {place: 1, seconds: 0.005}}'
    graphs = {
        "control alone": (chain(options.packets, 2), options.packets),
        "5 ms a packet": ([chain(0, 2)[0].replace("packets: 0", f"packets: {options.packets // 20}"), device,
                           'sink: {use: "PARTS:Check", from: work, with: {place: 1}}'], options.packets // 20),
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    for name, (stages, _) in graphs.items():
        seen: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way in WAYS:
                seen[way].append(once(way, stages))
        for way, runs in seen.items():
            hub, whole, rate = (statistics.median(one[at] for one in runs) for at in range(3))
            rows.append({"graph": name, "way": way, "hub us/task": round(hub, 1), "CPU us/task": round(whole, 1),
                         "packets/s": round(rate, 1)})  # fmt: skip
    show(rows, options.json)


if __name__ == "__main__":
    main()
