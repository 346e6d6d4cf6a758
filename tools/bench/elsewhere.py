"""What `--on ray` costs: a long video in one part on a cluster of this machine against a run without Ray, in turn.

    python tools/bench/elsewhere.py [VIDEO] [--graph GRAPH.yaml] [--set NAME=VALUE ...] [--rounds N] [--json]

`cluster`: on one that is up, as there is where a graph is sent to a cluster; `own`: with a Ray that the command starts
for itself and ends again. Without a video one is made: 512×512, 25 fps, 5 minutes of a moving gradient with noise. What
runs first is kept from a run before. Needs the extra: pip install 'graphrun[ray]'.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from running import show
from transcode import make_clip

ROOT = Path(__file__).resolve().parents[2]
GRAPHRUN = Path(sys.executable).with_name("graphrun")
FRAMES = 7500


def took(graph: Path, video: Path, settings: list[str], on: list[str], address: str | None = None) -> float:
    """Seconds of a whole command."""
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"} | ({"RAY_ADDRESS": address} if address else {})
    with tempfile.TemporaryDirectory() as folder:
        words = [GRAPHRUN, graph, f"video={video}", f"output={folder}/out.mp4", *settings, "--quiet", *on]
        began = time.monotonic()
        subprocess.run(words, check=True, env=environment)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--graph", type=Path, default=ROOT / "pipelines/transcode.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an input of the graph")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    from ray.cluster_utils import Cluster

    seconds: dict[str, list[float]] = {"here": [], "cluster": [], "own": []}
    with tempfile.TemporaryDirectory() as folder:
        video = options.video or make_clip(Path(folder) / "clip.mp4", FRAMES, 512, 512)
        for _ in range(options.rounds):
            seconds["here"].append(took(options.graph, video, options.set, []))
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": os.cpu_count()})
            try:
                seconds["cluster"].append(took(options.graph, video, options.set, ["--on", "ray"], cluster.address))
            finally:
                cluster.shutdown()
            seconds["own"].append(took(options.graph, video, options.set, ["--on", "ray"]))
    here = statistics.median(seconds["here"])
    show(
        [
            {
                "where": name,
                "seconds": round(found := statistics.median(all_), 2),
                "more s": round(found - here, 2),
                "more %": round(100 * (found / here - 1), 1),
            }
            for name, all_ in seconds.items()
        ],
        options.json,
    )


if __name__ == "__main__":
    main()
