"""A sink that takes 20 ms for a frame: every frame arrives, at its pace, and memory stands still.

    python tools/bench/slow_sink.py [--frames N] [--dora PYTHON] [--json]

1280x720x3 frames from a source that would give them far faster. Memory is the PSS of all processes, looked at once a
second from the 200th frame on: the part of it that is their own, and shared memory; pages of libraries are left out,
since every other Python that comes and goes on the machine changes their share. `--dora`: as in transport.py; its sink
is as slow, at the two policies it has, for a queue of 4.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from peer_dora import dora
from running import show

from graph.runner import Graph, Progress

SECONDS = 0.02
SETTLED = 200


def own_memory(pid: int) -> int:
    """Bytes of a process that lie in no file (proc_pid_smaps_rollup: Pss_Anon, Pss_Shmem)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def graphrun(frames: int) -> dict[str, Any]:
    beside = Path(__file__).with_name("frames.py")
    text = f"""\
stages:
  source: {{use: "{beside}:Camera", with: {{packets: {frames}}}}}
  relay: {{use: "{beside}:Relay", from: source}}
  sink: {{use: "{beside}:Reader", from: relay, with: {{delay: {SECONDS}}}}}
"""
    held: list[int] = []
    looked = [0.0]

    def look(now: Progress) -> None:
        if now.packets >= SETTLED and now.wall - looked[0] >= 1.0:
            looked[0] = now.wall
            here = psutil.Process()
            held.append(sum(own_memory(one.pid) for one in (here, *here.children(recursive=True))))

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        report = Graph.load(file.name).run(on_progress=look)
    if report.status != "done":
        raise SystemExit(f"graphrun: {report.error}")
    return {
        "name": "graphrun",
        "frames/s": round(report.throughput, 1),
        "lost": frames - report.packets,
        "least MB": round(min(held) / 1e6, 2),
        "most MB": round(max(held) / 1e6, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--dora", metavar="PYTHON", help="of an environment that has dora-rs and dora-rs-cli")
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    rows = [graphrun(options.frames)]
    for policy in ("drop_oldest", "backpressure") if options.dora else ():
        found = dora(options.dora, min(options.frames, 600), 4, policy, SECONDS)
        rows.append({"name": f"dora-rs, {policy}", "frames/s": round(found["frames_per_s"], 1), "lost": found["lost"]})
    show(rows, options.json)


if __name__ == "__main__":
    main()
