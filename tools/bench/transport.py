"""Frames a second through three processes: graphrun's links against what one would use instead.

A source writes every byte of a 1280x720x3 frame, a relay copies it into memory of its own, a sink reads every byte. The
ways take turns in one run, so that a machine whose speed drifts is no matter; the median of the rounds counts.

    python tools/bench/transport.py [--frames N] [--rounds N] [--dora PYTHON] [--json]

`--dora`: the Python of an environment with dora-rs 1.1.0 and dora-rs-cli 1.1.0, which then takes part. It loses frames
at every setting; the one that loses fewest is taken, with 512 MB of shared memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from frames import stamp, stamped, template
from peer_dora import dora
from running import cpu

from graph.report import Report
from graph.runner import Graph

SHAPE = (720, 1280, 3)
BYTES = int(np.prod(SHAPE))
DEPTH = 4
CONTEXT = multiprocessing.get_context("spawn")


def graphrun(frames: int) -> dict[str, Any]:
    """The engine as everybody uses it: a YAML file and three stages. What a start costs is told by a short run."""
    short, report = _graphrun(frames // 10), _graphrun(frames)
    return {
        "frames_per_s": report.throughput,
        "cpu_ms_per_frame": (cpu(report) - cpu(short)) / (frames - frames // 10) * 1e3,
        "hub_us_per_task": report.hub["cpu_us_per_task"],
        "pss_mb": report.memory["pss_peak"] / 1e6,
    }


def _graphrun(frames: int) -> Report:
    beside = Path(__file__).with_name("frames.py")
    text = f"""\
stages:
  source: {{use: "{beside}:Camera", with: {{packets: {frames}}}}}
  relay: {{use: "{beside}:Relay", from: source}}
  sink: {{use: "{beside}:Reader", from: relay}}
"""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        report = Graph.load(file.name).run()
    if report.status != "done":
        raise SystemExit(f"graphrun: {report.error}")
    return report


def queue(frames: int) -> dict[str, Any]:
    """multiprocessing.Queue: arrays are pickled through a pipe."""
    one, two, done = (CONTEXT.Queue(DEPTH) for _ in range(3))
    return _three(
        (_queue_source, (one, frames)),
        (_queue_relay, (one, two, frames)),
        (_queue_sink, (two, done, frames)),
        done,
        frames,
    )


def _queue_source(out: Any, frames: int) -> None:
    image = template(*SHAPE[:2])
    for number in range(frames):
        frame = image.copy()
        stamp(frame, number)
        out.put(frame)


def _queue_relay(into: Any, out: Any, frames: int) -> None:
    for _ in range(frames):
        out.put(into.get().copy())


def _queue_sink(into: Any, done: Any, frames: int) -> None:
    first = 0.0
    for number in range(frames):
        frame = into.get()
        first = first or time.monotonic()
        if stamped(frame) != number:
            raise ValueError(f"frame {stamped(frame)} where {number} was due")
        frame.max()
    done.put((time.monotonic() - first, 0.0))


def zeromq(frames: int) -> dict[str, Any]:
    """ZeroMQ PUSH and PULL over ipc, the frame in the message, without a copy where pyzmq can do without."""
    done = CONTEXT.Queue()
    with tempfile.TemporaryDirectory() as folder:
        one, two = (f"ipc://{folder}/{name}" for name in "ab")
        return _three(
            (_zmq_source, (one, frames)),
            (_zmq_relay, (one, two, frames)),
            (_zmq_sink, (two, done, frames)),
            done,
            frames,
        )


def _zmq_sockets(into: str | None, out: str | None) -> tuple[Any, Any, Any]:
    import zmq

    context = zmq.Context()
    pull = push = None
    if into:
        pull = context.socket(zmq.PULL)
        pull.rcvhwm = DEPTH
        pull.connect(into)
    if out:
        push = context.socket(zmq.PUSH)
        push.sndhwm = DEPTH
        push.bind(out)
    return context, pull, push


def _zmq_source(out: str, frames: int) -> None:
    context, _, push = _zmq_sockets(None, out)
    image = template(*SHAPE[:2])
    for number in range(frames):
        frame = image.copy()
        stamp(frame, number)
        push.send(frame, copy=False)
    push.close()
    context.term()


def _zmq_relay(into: str, out: str, frames: int) -> None:
    context, pull, push = _zmq_sockets(into, out)
    for _ in range(frames):
        got = np.frombuffer(pull.recv(copy=False).buffer, np.uint8)
        push.send(got.copy(), copy=False)
    pull.close()
    push.close()
    context.term()


def _zmq_sink(into: str, done: Any, frames: int) -> None:
    context, pull, _ = _zmq_sockets(into, None)
    first = 0.0
    for number in range(frames):
        frame = np.frombuffer(pull.recv(copy=False).buffer, np.uint8)
        first = first or time.monotonic()
        if stamped(frame) != number:
            raise ValueError(f"frame {stamped(frame)} where {number} was due")
        frame.max()
    done.put((time.monotonic() - first, 0.0))
    pull.close()
    context.term()


def _three(source: Any, relay: Any, sink: Any, done: Any, frames: int) -> dict[str, Any]:
    processes = [CONTEXT.Process(target=_cpu, args=(role, args)) for role, args in (source, relay, sink)]
    for process in processes:
        process.start()
    seconds, _ = done.get(timeout=600)
    for process in processes:
        process.join()
    return {"frames_per_s": (frames - 1) / seconds}


def _cpu(role: Callable[..., None], args: tuple[Any, ...]) -> None:
    role(*args)


WAYS = {"graphrun": graphrun, "multiprocessing.Queue": queue, "zeromq": zeromq}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=1000, help="frames in a round (the slowest way takes a third)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dora", metavar="PYTHON", help="of an environment that has dora-rs and dora-rs-cli")
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    ways = dict(WAYS)
    if options.dora:
        ways["dora-rs"] = lambda frames: dora(options.dora, frames, 1000, "drop_oldest")
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            frames = options.frames // 3 if name == "multiprocessing.Queue" else options.frames
            seen[name].append(way(frames))
    rows = [{"name": name, **_medians(runs)} for name, runs in seen.items()]
    if options.json:
        for row in rows:
            print(json.dumps(row))
        return
    own = rows[0]["frames_per_s"]
    print(f"{'':24}{'frames/s':>10}{'GB/s':>7}{'graphrun is':>13}")
    for row in rows:
        rate = row["frames_per_s"]
        print(f"{row['name']:24}{rate:10.0f}{rate * BYTES / 1e9:7.2f}{own / rate:12.1f}x")
    for row in rows:
        told = [f"{key} {value:.2f}" for key, value in row.items() if key not in ("name", "frames_per_s")]
        if told:
            print(f"{row['name']}: {', '.join(told)}")


def _medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}


if __name__ == "__main__":
    main()
