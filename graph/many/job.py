"""A run that somebody else started: what is asked for and what came of it, in plain values that travel as JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graph.check import check
from graph.declared import Checked
from graph.runner import Graph, Progress
from graph.spec import GraphMistakes, load_spec
from graph.staging import run_near

#: A word about a run: {"progress": …} while it goes, {"report": …} when it has ended.
Word = dict[str, Any]
Tell = Callable[[Word], None]


@dataclass(frozen=True)
class Job:
    """A graph file with values for its inputs and parameters; `packets` of it, if not all."""

    name: str
    graph: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    packets: tuple[int, int] | None = None

    @property
    def key(self) -> str:
        """What makes it this job: the graph's text, all values, and which packets."""
        text = hashlib.sha256(Path(self.graph).read_bytes()).hexdigest()
        values = [text, dict(self.inputs), dict(self.changes), self.packets]
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:32]

    def plain(self) -> dict[str, Any]:
        """As a dict of plain values; `Job(**plain)` is the job again."""
        return {**dataclasses.asdict(self), "inputs": dict(self.inputs), "changes": dict(self.changes)}

    def check(self) -> Checked:
        """Check its graph with its values; raises GraphMistakes."""
        return check(load_spec(self.graph), self.inputs, self.changes)


def perform(job: Job, tell: Tell) -> dict[str, Any]:
    """Run a job in this process, on this thread; the report as a dict, also of what could not begin."""
    try:
        found = run_near(
            Graph.load(job.graph),
            job.inputs,
            changes=job.changes,
            on_progress=lambda now: tell({"progress": plain_progress(now)}),
            packets=job.packets,
        ).as_dict()
    except (GraphMistakes, OSError, ValueError, RuntimeError) as error:
        found = {"graph": job.name, "status": "failed", "error": str(error), "outputs": [], "wall_s": 0.0}
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def plain_progress(now: Progress) -> dict[str, Any]:
    """What is told of a run's moment to those far away."""
    return {
        "graph": now.graph,
        "wall": now.wall,
        "packets": now.packets,
        "expected": now.expected,
        "rate": now.rate,
        "left": now.left,
        "memory": now.memory,
    }


def main() -> None:
    """What the process of a job runs: a line of JSON in, lines of JSON out."""
    from graph.worker import die_with_parent

    asked = json.loads(sys.stdin.readline())
    die_with_parent(asked["parent"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What stages print goes where their errors go, so that nothing gets between the lines.
    words = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(word: Word) -> None:
        words.write(json.dumps(word) + "\n")

    tell({"report": perform(Job(**asked["job"]), tell)})
