"""dora-rs as a peer of the transport benchmark: needs an environment with `dora-rs` and `dora-rs-cli` of its own."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

NODES = Path(__file__).with_name("dora_nodes.py")

NODE = """\
  - id: {name}
    path: {python}
    args: {nodes} {name}
"""
READS = """\
    inputs:
      frame: {{source: {source}/frame, queue_size: {queue}, queue_policy: {policy}}}
"""
WRITES = "    outputs: [frame]\n"


def flow(python: str, queue: int, policy: str) -> str:
    """The dataflow file."""
    text = "nodes:\n"
    for name, before in (("source", None), ("relay", "source"), ("sink", "relay")):
        text += NODE.format(name=name, python=python, nodes=NODES)
        text += READS.format(source=before, queue=queue, policy=policy) if before else ""
        text += WRITES if name != "sink" else ""
    return text


def dora(python: str, frames: int, queue: int, policy: str, slow: float = 0.0, pool_mb: int = 512) -> dict[str, Any]:
    """Frames a second of those that arrive, and how many do not. `python`: of dora's environment."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "flow.yml").write_text(flow(python, queue, policy))
        found = Path(folder) / "found.json"
        more = {"FRAMES": str(frames), "SLOW": str(slow), "FOUND": str(found),
                "DORA_NODE_SHM_POOL_SIZE": str(pool_mb << 20)}  # fmt: skip
        subprocess.run([Path(python).with_name("dora"), "run", "flow.yml"], cwd=folder, check=True, timeout=300,
                       env={**os.environ, **more}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        one = json.loads(found.read_text())
        began = float(found.with_name(found.name + ".begun").read_text())
    return {"frames_per_s": one["got"] / (one["last"] - began), "lost": frames - one["got"]}
