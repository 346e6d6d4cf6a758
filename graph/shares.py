"""Threads: the cores of a run, and the share of them that each of its workers hands to its libraries."""

from __future__ import annotations

import os
from collections.abc import Sequence

#: What says how many threads a library computes with: OpenMP, OpenBLAS, MKL, OpenCV.
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def cores_of_run() -> int:
    """The cores this process may use, but no more than OMP_NUM_THREADS: batch systems and Ray set it for a task."""
    told = os.environ.get(LIMITS[0], "")
    may = len(os.sched_getaffinity(0))
    return min(may, int(told)) if told.isdecimal() and int(told) else may


def share(cores: int, workers: int, cpus: Sequence[int] = ()) -> int:
    """How many threads each of `workers` processes may have computing at once, so that together they fill the cores.

    At least one. A worker that is pinned to `cpus` has these to itself.
    """
    return len(cpus) or max(1, cores // max(1, workers))


def limits(threads: int) -> dict[str, str]:
    """Environment variables that have libraries compute with so many threads, but for those that somebody has set."""
    return {name: str(threads) for name in LIMITS if name == LIMITS[0] or name not in os.environ}
