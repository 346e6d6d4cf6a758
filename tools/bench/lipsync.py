"""lipsync.yaml with the embedded generator: frames a second, and against its stages one after the other in a process.

    python tools/bench/lipsync.py --video V --audio A [--rounds N] [--json]

The first pass is made before and kept; `all in` is measured apart, with nothing kept. The ways take turns: the engine,
its stages in one process, and these with codecs that have threads for every core, so that it is not quite one process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from one_process import OneProcess
from running import show

from graph.check import check
from graph.control import Control
from graph.firsts import run_first
from graph.report import Report
from graph.runner import Graph
from graph.shares import cores_of_run

ROOT = Path(__file__).resolve().parents[2]
LIPSYNC = ROOT / "pipelines" / "lipsync.yaml"


def engine(inputs: dict[str, str]) -> Report:
    report = Graph.load(LIPSYNC).run(inputs)
    if report.status != "done":
        raise SystemExit(f"lipsync.yaml failed: {report.error}")
    return report


def one_after_the_other(inputs: dict[str, str], cores: int) -> float:
    """Packets a second of the same stages in a process of its own that does nothing else."""
    words = [f"{name}={value}" for name, value in inputs.items()]
    command = [sys.executable, __file__, "--alone", str(cores), *words]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def alone(inputs: dict[str, str], cores: int) -> float:
    graph = Graph.load(LIPSYNC)
    checked, control = graph.check(**inputs), Control()
    firsts = run_first(
        checked, control, Report("", ""), lambda _, one, given, own, _may: Graph(one).run(given, control=own)
    )
    return OneProcess(check(graph.spec, {**inputs, **(firsts or {})}), cores).run()


def compare(inputs: dict[str, str], rounds: int) -> list[dict[str, Any]]:
    """All in from nothing, flowing, and one after the other."""
    rows: list[dict[str, Any]] = []
    rates: list[float] = []
    ways = {"one process": 1, "and codecs' threads": cores_of_run()}
    others: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as home:
        os.environ["GRAPHRUN_HOME"] = home
        cold = engine(inputs)
        rows.append({"what": "all in, nothing kept", "packets": cold.packets, "wall s": cold.wall_s,
                     "frames/s": round(cold.packets / cold.wall_s, 1)})  # fmt: skip
        for _ in range(rounds):
            rates.append(engine(inputs).throughput)
            for name, cores in ways.items():
                others[name].append(one_after_the_other(inputs, cores))
    for name, found in others.items():
        ratio = statistics.median(one / other for one, other in zip(rates, found, strict=True))
        rows.append({"flowing against": name, "frames/s": round(statistics.median(rates), 1),
                     "theirs": round(statistics.median(found), 1), "ratio": round(ratio, 2)})  # fmt: skip
    return rows


def main() -> None:
    if sys.argv[1:2] == ["--alone"]:
        print(alone(dict(word.split("=", 1) for word in sys.argv[3:]), int(sys.argv[2])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--video", default=str(ROOT / "pipelines/samples/portrait.mp4"))
    parser.add_argument("--audio", default=str(ROOT / "pipelines/samples/speech.wav"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs = {"video": options.video, "audio": options.audio, "output": f"{folder}/out.mp4"}
        show(compare(inputs, options.rounds), options.json)


if __name__ == "__main__":
    main()
