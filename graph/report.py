"""What a run was: the report that is written after every kind of end."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from graph.shares import cores_of_run
from graph.written import write_whole

EXIT_CODES = {"done": 0, "failed": 1, "interrupted": 130}


@dataclass
class Report:
    """A finished run, in the words of the report file. Times in seconds, sizes in bytes; keys may be added only.

    `first_packet_s`: from the beginning of the run to its first packet at a sink; None if none came.
    """

    graph: str
    file: str
    inputs: dict[str, Any] = field(default_factory=dict)
    status: str = "failed"
    error: str | None = None
    started: str = ""
    wall_s: float = 0.0
    first_packet_s: float | None = None
    packets: int = 0
    throughput: float = 0.0
    bottleneck: str | None = None
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, dict[str, Any]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    hub: dict[str, Any] = field(default_factory=dict)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    first: dict[str, dict[str, Any]] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
    traceback: str = ""

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    def as_dict(self) -> dict[str, Any]:
        """As the file holds it; a stage's traceback is not part of it."""
        found = {key: value for key, value in vars(self).items() if key != "traceback"}
        return {**found, "exit_code": self.exit_code, "machine": machine()}

    def write(self, path: str | Path) -> None:
        """Write the JSON file, whole or not at all; raises Unwritten."""
        write_whole(Path(path), [json.dumps(self.as_dict(), indent=2, default=str), "\n"])


def machine() -> dict[str, Any]:
    """What ran it."""
    found: dict[str, Any] = {"cores": cores_of_run(), "python": platform.python_version()}
    for name in ("graphrun", "torch", "onnxruntime-gpu", "onnxruntime"):
        try:
            found[name.removesuffix("-gpu")] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def digest(path: str | Path) -> str | None:
    """sha256 of a file; None if it is a folder or gone."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def bottleneck(stages: dict[str, dict[str, Any]]) -> str | None:
    """The stage that held the others up: the one whose workers were at work for the largest share of the time."""
    busy = {name: one["busy_s"] / max(one["workers"], 1) for name, one in stages.items() if one["packets_in"]}
    return max(busy, key=lambda name: busy[name], default=None)
