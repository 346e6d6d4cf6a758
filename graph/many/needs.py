"""What a run takes of a machine, and how many runs a machine takes at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from graph.control import Control
from graph.declared import Checked
from graph.prepare import prepare
from graph.shares import cores_of_run

#: The share of the memory that is free at the start which runs may fill.
MEMORY_SHARE = 0.9


@dataclass(frozen=True)
class Needs:
    """What one run takes. `cores`: how many it can keep busy; `memory`: bytes, its arenas and its processes at rest.

    `gpus`: 1 if a stage asks for one (`device: cuda`); `likes_gpu`: it takes one if there is one (`device: auto`).
    """

    cores: float
    memory: int = 0
    gpus: int = 0
    likes_gpu: bool = False

    def learned(self, report: dict[str, Any]) -> Needs:
        """Corrected by the report of a run that is done, what ran first included: cores kept busy, memory filled."""
        runs = [report, *report.get("first", {}).values()]
        busy = sum(one["cpu_s"] for run in runs for one in run["stages"].values()) / max(report["wall_s"], 1e-3)
        memory = max(self.memory, *(run["memory"].get("pss_peak", 0) for run in runs))
        return replace(self, cores=max(1.0, busy), memory=memory)


def needs_of(checked: Checked, control: Control | None = None) -> Needs:
    """What a run needs as far as its plan tells; with a control also its memory, for which it is made ready and let go.

    Without one its memory is what the graph itself sets as `memory:`. Raises RuntimeError if it cannot be made ready.
    """
    devices = [str(value) for one in checked.stages.values() if (value := one.params.get("device")) is not None]
    found = Needs(
        cores=sum(node.workers for node in checked.plan.nodes),
        gpus=int(any(device.startswith("cuda") for device in devices)),
        likes_gpu="auto" in devices,
        memory=checked.spec.memory or 0,
    )
    if control is None:
        return found
    prepared = prepare(checked, control)
    if prepared.failure is not None:
        raise RuntimeError(str(prepared.failure))
    return replace(found, memory=prepared.bound + prepared.at_rest)


@dataclass(frozen=True)
class Machine:
    """What runs may take of this machine: `memory` in bytes, `gpus` by number."""

    cores: int
    memory: int
    gpus: tuple[int, ...]

    @classmethod
    def here(cls) -> Machine:
        nvidia = Path("/proc/driver/nvidia/gpus")
        gpus = len(list(nvidia.iterdir())) if nvidia.is_dir() else 0
        free = int(psutil.virtual_memory().available * MEMORY_SHARE)
        return cls(cores_of_run(), free, tuple(range(gpus)))

    def takes(self, needs: Needs) -> int:
        """How many runs go at once: at least 1, since a run by itself is bounded by its own `memory:`."""
        limits = [math.floor(self.cores / min(needs.cores, self.cores))]
        if needs.memory:
            limits.append(self.memory // needs.memory)
        if self.gpus and (needs.gpus or needs.likes_gpu):
            limits.append(len(self.gpus))
        return max(1, min(limits))
