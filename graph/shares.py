"""Threads: the cores of a run, and the share of them that each of its workers hands to its libraries."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

#: What says how many threads a process has for computing; for the runner: how many cores the run has.
CORES = "OMP_NUM_THREADS"
#: The same for libraries with a word of their own: OpenBLAS, MKL, OpenCV.
OTHERS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
CGROUPS = Path("/sys/fs/cgroup")


def cores_of_run() -> int:
    """The cores that this process may use.

    Of those it may run on, no more than its control group has time for, as a container's limit sets it, and no more
    than OMP_NUM_THREADS, which batch systems and Ray set for a task.
    """
    may = len(os.sched_getaffinity(0))
    told = os.environ.get(CORES, "")
    if told.isdecimal() and int(told):
        may = min(may, int(told))
    return min([may, *(max(1, math.ceil(quota)) for quota in quotas(own_group()))])


def own_group() -> Path:
    """The control group of this process, version 2 (cgroups(7)); the root where there is none."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, _, path = line.split(":", 2)
        if number == "0":
            return CGROUPS / path.lstrip("/")
    return CGROUPS


def quotas(group: Path) -> Iterator[float]:
    """The cores' worth of time that a control group and those around it are held to: `cpu.max`."""
    for place in (group, *group.parents):
        limit = place / "cpu.max"
        if limit.is_file():
            most, period = limit.read_text().split()
            if most != "max":
                yield int(most) / int(period)


def share(cores: int, workers: int, cpus: Sequence[int] = ()) -> int:
    """How many threads each of `workers` processes may have computing at once, so that together they fill the cores.

    At least one. A worker that is pinned to `cpus` has these to itself.
    """
    return len(cpus) or max(1, cores // max(1, workers))


def limits(threads: int) -> dict[str, str]:
    """Environment variables that have libraries compute with so many threads, but for those that somebody has set."""
    return {name: str(threads) for name in (CORES, *OTHERS) if name == CORES or name not in os.environ}
