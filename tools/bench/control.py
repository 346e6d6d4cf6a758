"""What the control of packets costs: packets a second, the hub's CPU a task, CPU against frame size and chain length.

    python tools/bench/control.py [--packets N] [--rounds N] [--json]

Workers start before anything is counted: their CPU is that of a long run less that of a short one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from running import chain, cpu, run, show

SIZES = [(64, 64), (720, 1280), (1080, 1920), (2160, 3840)]
HOPS = [2, 4, 8, 16]


def two_hops(packets: int) -> dict[str, Any]:
    """Packets without a frame through a source, a stage and a sink."""
    report = run(chain(packets, 2))
    return {
        "what": "numbers, 2 hops",
        "packets/s": round(report.throughput),
        "hub us/task": report.hub["cpu_us_per_task"],
        "start delay p50 us": report.hub["start_delay_us"]["p50"],
    }


def cost(packets: int, hops: int, shape: tuple[int, int], rounds: int) -> dict[str, Any]:
    """CPU of all processes for a packet and hop."""
    found, rates = [], []
    for _ in range(rounds):
        few, many = (run(chain(count, hops, shape)) for count in (packets // 10, packets))
        found.append((cpu(many) - cpu(few)) / (packets - packets // 10) / hops)
        rates.append(many.throughput)
    return {
        "frame": f"{shape[1]}x{shape[0]}",
        "hops": hops,
        "packets/s": round(statistics.median(rates)),
        "CPU us/packet/hop": round(statistics.median(found) * 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--packets", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    firsts = [two_hops(options.packets) for _ in range(options.rounds)]
    rows = [max(firsts, key=lambda row: float(row["packets/s"]))]
    rows += [cost(options.packets, 2, shape, options.rounds) for shape in SIZES]
    rows += [cost(options.packets, hops, (720, 1280), options.rounds) for hops in HOPS]
    show(rows, options.json)


if __name__ == "__main__":
    main()
