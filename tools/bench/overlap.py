"""Whether a graph goes as fast as its slowest stage, which waits a while for each batch without needing a core.

    python tools/bench/overlap.py [--seconds T] [--batches N] [--json]

A decoder, two devices and a sink; the second device is the slowest. The ratio is that of the graph's throughput to what
the slowest stage's workers can do; the devices' sum is what a loop without overlap would take. Then one device whose
stage also computes, before and after, an eighth of the device's time each: with `yield` in its `process_batch` the next
batch is prepared and the last one taken while the device works; without, the device waits.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from running import run, show


def overlap(seconds: float, batch: int, batches: int, workers: int) -> dict[str, Any]:
    """`workers` of both devices; the first is faster by a third."""
    packets = batch * batches * workers
    more = f"batch: {batch}, workers: {workers}"
    report = run(
        [
            f'source: {{use: "PARTS:Number", with: {{packets: {packets}}}}}',
            f'first: {{use: "PARTS:Device", from: source, {more}, with: {{place: 1, seconds: {seconds * 2 / 3}}}}}',
            f'second: {{use: "PARTS:Device", from: first, {more}, with: {{place: 2, seconds: {seconds}}}}}',
            'sink: {use: "PARTS:Check", from: second, with: {place: 2}}',
        ]
    )
    slowest = workers * batch / seconds
    took = report.stages["second"]["busy_s"] / (packets / batch)
    return {
        "workers": workers,
        "batch": batch,
        "packets/s": round(report.throughput, 1),
        "slowest stage could": round(slowest, 1),
        "ratio": round(report.throughput / slowest, 3),
        "to its measured time": round(report.throughput * took / workers / batch, 3),
        "times no overlap": round(report.throughput * seconds * 5 / 3 / batch, 2),
    }


def ahead(stage: str, seconds: float, batches: int) -> dict[str, Any]:
    """One device, and what its stage computes for it."""
    more = f"with: {{place: 1, seconds: {seconds}, host: {seconds / 8}}}"
    report = run(
        [
            f'source: {{use: "PARTS:Number", with: {{packets: {batches}}}}}',
            f'work: {{use: "PARTS:{stage}", from: source, {more}}}',
            'sink: {use: "PARTS:Check", from: work, with: {place: 1}}',
        ]
    )
    return {
        "stage": "yields" if stage == "Ahead" else "waits",
        "packets/s": round(report.throughput, 1),
        "the device could": round(1 / seconds, 1),
        "ratio": round(report.throughput * seconds, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=0.05, help="of the slowest stage, for a batch")
    parser.add_argument("--batches", type=int, default=60, help="for each worker")
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    rows = [overlap(options.seconds, batch, options.batches, workers) for batch in (1, 8) for workers in (1, 2, 4)]
    rows += [ahead(stage, options.seconds, 2 * options.batches) for stage in ("Ahead", "Waiting")]
    show(rows, options.json)


if __name__ == "__main__":
    main()
