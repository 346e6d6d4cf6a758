"""Whether `graphrun tune` finds what an exhaustive search finds: three graphs, each over a small space of plans.

    python tools/bench/tuned.py [--seconds T] [--json]

Every plan of the space runs once; the best three, and what tune chose, then take turns. The ratio is that of tune's
plan to the best of them.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from running import PARTS, show

from graph.control import Control
from graph.runner import Graph, Progress
from graph.spec import GraphSpec, load_spec
from graph.tune import Choices, changed, describe, tune

MANY = 1_000_000
ROUNDS = 3

WAITING = f"""\
  source: {{use: "PARTS:Number", with: {{packets: {MANY}}}}}
  first:  {{use: "PARTS:Device", from: source, with: {{place: 1, seconds: 0.012}}}}
  second: {{use: "PARTS:Device", from: first, with: {{place: 2, seconds: 0.02}}}}
  sink:   {{use: "PARTS:Check", from: second, with: {{place: 2}}}}
"""
COMPUTING = f"""\
  source: {{use: "PARTS:Number", with: {{packets: {MANY}}}}}
  first:  {{use: "PARTS:Compute", from: source, with: {{place: 1, seconds: 0.003}}}}
  second: {{use: "PARTS:Compute", from: first, with: {{place: 2, seconds: 0.006}}}}
  sink:   {{use: "PARTS:Check", from: second, with: {{place: 2}}}}
"""
LIGHT = f"""\
  source: {{use: "PARTS:Give", with: {{packets: {MANY}, height: 720, width: 1280}}}}
  one:    {{use: "PARTS:Next", from: source, with: {{place: 1, look: true}}}}
  two:    {{use: "PARTS:Next", from: one, with: {{place: 2, look: true}}}}
  three:  {{use: "PARTS:Next", from: two, with: {{place: 3, look: true}}}}
  sink:   {{use: "PARTS:Check", from: three, with: {{place: 3, look: true}}}}
"""


def waiting() -> Iterator[Choices]:
    """Workers and batches of two stages that wait."""
    for one, two, batch in itertools.product((1, 2, 4), (1, 2, 4, 8), (1, 8, 32)):
        yield {"first": {"workers": one, "batch": batch}, "second": {"workers": two, "batch": batch}}


def computing() -> Iterator[Choices]:
    """Workers of two stages that compute."""
    for one, two in itertools.product((1, 2, 3), (1, 2, 3)):
        yield {"first": {"workers": one}, "second": {"workers": two}}


def light() -> Iterator[Choices]:
    """Which neighbours share a process: each way to cut the row of stages."""
    names = ("source", "one", "two", "three", "sink")
    for cuts in itertools.product((False, True), repeat=len(names) - 1):
        groups: list[list[str]] = [[names[0]]]
        for cut, name in zip(cuts, names[1:], strict=True):
            if cut:
                groups.append([name])
            else:
                groups[-1].append(name)
        yield {name: {"process": "+".join(group)} for group in groups if len(group) > 1 for name in group}


SPACES = {"waiting": (WAITING, waiting), "computing": (COMPUTING, computing), "light": (LIGHT, light)}


def rate(spec: GraphSpec, choices: Choices, seconds: float) -> float:
    """Packets a second of a plan that runs for a while."""
    control = Control()

    def enough(now: Progress) -> None:
        if now.packets and now.wall > seconds:
            control.drain()

    try:
        return Graph(changed(spec, choices)).run(on_progress=enough, control=control).throughput
    finally:
        control.close()


def search(name: str, seconds: float) -> dict[str, Any]:
    """One graph: its whole space, and what tune makes of it."""
    text, space = SPACES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text("stages:\n" + text.replace("PARTS", str(PARTS)))
        spec = load_spec(path)
        found = sorted(((rate(spec, plan, seconds), at, plan) for at, plan in enumerate(space())), reverse=True)
        chosen = tune(spec, {}, seconds=seconds).chosen.choices
        plans = [chosen, *(plan for _, _, plan in found[:3])]
        rates: list[list[float]] = [[] for _ in plans]
        for _ in range(ROUNDS):
            for plan, seen in zip(plans, rates, strict=True):
                seen.append(rate(spec, plan, seconds))
    own, *others = (max(seen) for seen in rates)
    best = max(others)
    return {
        "graph": name,
        "plans": len(found),
        "as written/s": round(next(value for value, at, _ in found if at == 0), 1),
        "exhaustive/s": round(best, 1),
        "tune/s": round(own, 1),
        "ratio": round(own / best, 3),
        "tune chose": describe(chosen),
        "best": describe(plans[1 + others.index(best)]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a plan runs")
    parser.add_argument("--graph", choices=list(SPACES), action="append", help="only this one")
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    for name in options.graph or SPACES:
        show([search(name, options.seconds)], options.json)


if __name__ == "__main__":
    main()
