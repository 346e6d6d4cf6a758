"""How soon the first frame is at the sink, from the moment of the command, and what the processes hold.

    python tools/bench/start.py [--rounds N] [--json]

`first frame`: the command's whole wall time less that of the run from its first frame on. What runs first (the survey)
is kept from a run before, as it is for whoever runs a graph twice. Memory is PSS, of the runner and of each worker of a
graph whose stages need nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from running import PARTS, show

ROOT = Path(__file__).resolve().parents[2]
GRAPHRUN = Path(sys.executable).with_name("graphrun")


def first_frame(graph: str, folder: Path, *inputs: str) -> float:
    """Seconds from the command to the first packet at the sink."""
    report, output = folder / "run.json", folder / "out.mp4"
    words = [GRAPHRUN, ROOT / "pipelines" / graph, *inputs, f"output={output}", "--quiet", "--report", report]
    began = time.monotonic()
    subprocess.run(words, check=True)
    took = time.monotonic() - began
    found = json.loads(report.read_text())
    return took - (found["wall_s"] - found["first_packet_s"])


def held(folder: Path) -> tuple[float, float]:
    """MB of the runner, and of the largest of the workers of stages that need nothing."""
    path = folder / "empty.yaml"
    path.write_text(f"""\
stages:
  source: {{use: "{PARTS}:Number", with: {{packets: 400}}}}
  wait: {{use: "{PARTS}:Device", from: source, with: {{place: 1, seconds: 0.01}}}}
  sink: {{use: "{PARTS}:Check", from: wait, with: {{place: 1}}}}
""")
    runner = psutil.Popen([GRAPHRUN, path, "--quiet"])
    time.sleep(2.5)
    workers = [one.memory_full_info().pss / 1e6 for one in runner.children(recursive=True)]
    own = runner.memory_full_info().pss / 1e6
    if runner.wait() or len(workers) < 3:
        raise SystemExit("the graph of stages that need nothing did not run")
    return own, max(workers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        video = f"video={ROOT / 'pipelines/samples/portrait.mp4'}"
        for graph, inputs in (("lipsync.yaml", ()), ("transcode.yaml", (video,))):
            first_frame(graph, Path(name), *inputs)
            seconds = [first_frame(graph, Path(name), *inputs) for _ in range(options.rounds)]
            rows.append({"graph": graph, "first frame s": round(statistics.median(seconds), 2),
                         "least s": round(min(seconds), 2)})  # fmt: skip
        runner, worker = held(Path(name))
    rows.append({"runner MB": round(runner, 1), "empty worker MB": round(worker, 1)})
    show(rows, options.json)


if __name__ == "__main__":
    main()
