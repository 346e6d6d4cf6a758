"""The transport benchmark's source, relay and sink as dora nodes; run by dora, in an environment of dora's own.

    python dora_nodes.py source|relay|sink

What they are to do is in the environment: FRAMES, SLOW (seconds the sink takes for a frame) and FOUND, where the sink
writes how many frames it got and when the last was read; beside it, in FOUND.begun, the source writes when it began.
The time from the one to the other counts, since frames may pile up before the sink sees the first.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow
from dora import Node

BYTES = 1280 * 720 * 3
#: nodes that are still connecting lose what is sent to them
SETTLE = 2.0


def source(node: Node) -> None:
    frame = np.random.default_rng(0).integers(0, 255, BYTES, np.uint8)
    time.sleep(SETTLE)
    Path(os.environ["FOUND"] + ".begun").write_text(str(time.monotonic()))
    for number in range(int(os.environ["FRAMES"])):
        own = frame.copy()
        own[:4].view(np.uint32)[0] = number
        node.send_output("frame", pyarrow.array(own))
    time.sleep(SETTLE + 150 * float(os.environ["SLOW"]))


def relay(node: Node) -> None:
    for event in node:
        if event["type"] == "INPUT":
            node.send_output("frame", pyarrow.array(event["value"].to_numpy(zero_copy_only=True).copy()))


def sink(node: Node) -> None:
    last = 0.0
    seen = set()
    for event in node:
        if event["type"] != "INPUT":
            continue
        frame = event["value"].to_numpy(zero_copy_only=True)
        frame.max()
        seen.add(int(frame[:4].view(np.uint32)[0]))
        del frame, event
        time.sleep(float(os.environ["SLOW"]))
        last = time.monotonic()
    Path(os.environ["FOUND"]).write_text(json.dumps({"got": len(seen), "last": last}))


if __name__ == "__main__":
    {"source": source, "relay": relay, "sink": sink}[sys.argv[1]](Node())
