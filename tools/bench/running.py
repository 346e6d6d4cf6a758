"""Runs a graph of benchmark stages that is given as text."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from graph.display.timeline import Recorder
from graph.report import Report
from graph.runner import Graph

PARTS = Path(__file__).with_name("parts.py")


def run(stages: list[str], recorder: Recorder | None = None) -> Report:
    """A run of stages, each a line of YAML; `PARTS` in it is the file of the benchmark's stages."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.yaml"
        path.write_text("stages:\n" + "".join(f"  {line}\n" for line in stages).replace("PARTS", str(PARTS)))
        report = Graph.load(path).run(recorder=recorder)
    if report.status != "done":
        raise SystemExit(f"the benchmark's graph failed: {report.error}")
    return report


def chain(packets: int, hops: int, shape: tuple[int, int] | None = None) -> list[str]:
    """A source, `hops` - 1 stages that only look, a sink. `shape`: of the frame that goes along; None: no frame."""
    source = f'source: {{use: "PARTS:Number", with: {{packets: {packets}}}}}'
    if shape is not None:
        size = f"height: {shape[0]}, width: {shape[1]}"
        source = f'source: {{use: "PARTS:Give", with: {{packets: {packets}, {size}}}}}'
    look = ", look: true" if shape is not None else ""
    lines, before = [source], "source"
    for place in range(1, hops):
        lines.append(f'stage{place}: {{use: "PARTS:Next", from: {before}, with: {{place: {place}{look}}}}}')
        before = f"stage{place}"
    return [*lines, f'sink: {{use: "PARTS:Check", from: {before}, with: {{place: {hops - 1}{look}}}}}']


def cpu(report: Report) -> float:
    """Seconds of CPU of all workers, what they took to start included, and of the hub while packets flowed."""
    stages = sum(float(one["cpu_s"]) for one in report.stages.values())
    return stages + float(report.hub["cpu_us_per_task"]) * int(report.hub["tasks"]) / 1e6


def show(rows: list[dict[str, Any]], as_json: bool) -> None:
    """A table, or an object a line."""
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    kinds = list(dict.fromkeys(tuple(row) for row in rows))
    for kind in kinds:
        print("".join(f"{name:>24}" for name in kind))
        for row in rows:
            if tuple(row) == kind:
                print("".join(f"{value:>24}" for value in row.values()))
        print()
