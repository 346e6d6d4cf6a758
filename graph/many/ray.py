"""Runs on a Ray cluster: each a task, placed by what it needs. Ray is an optional extra, imported here only."""

from __future__ import annotations

import io
import math
import os
import socket
import sys
import tarfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graph.display.text import size
from graph.many.job import Job, Word, perform
from graph.many.needs import Needs
from graph.scratch import scratch
from graph.spec import GraphMistakes, Mistake

INSTALL = "pip install 'graphrun[ray]'"
#: How often a task is begun again whose node or process was lost.
RETRIES = 3
#: Tasks that wait at Ray beyond those that have a place, so that no place is idle and a growing cluster sees a need.
AHEAD = 2
#: Seconds between two words of a task, so that thousands of them do not flood the one who reads.
TELL_EVERY = 2.0
#: Seconds for which the nodes of the cluster are taken to be those that were seen.
NODES_FOR = 5.0


def load_ray() -> Any:
    """Ray; raises GraphMistakes with how to install it."""
    try:
        import ray
    except ImportError:
        raise GraphMistakes([Mistake(None, f"--on ray: Ray is not installed ({INSTALL})")]) from None
    return ray


def _unreached(address: str | None, error: Exception) -> str:
    """Why there is no cluster, and what may help."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = f"--on ray: {' … '.join(dict.fromkeys([lines[0], lines[-1]])) if lines else type(error).__name__}"
    if isinstance(error, ConnectionError) and (address or "").startswith("ray://"):
        said += " (is the port that of Ray's client server? does the cluster want a token: RAY_AUTH_MODE=token?)"
    return said


class _Board:
    """Where tasks say how far they are: the last word of each that was not yet read."""

    def __init__(self) -> None:
        self.words: dict[int, Word] = {}

    def tell(self, number: int, word: Word) -> None:
        self.words[number] = word

    def take(self) -> dict[int, Word]:
        words, self.words = self.words, {}
        return words


class RayPlace:
    """Starts jobs as tasks of a Ray cluster, spread over its nodes. Close it at the end; one at a time.

    `address`: of the cluster, such as `ray://host:10001` or `host:6379`; None: the one that runs here or that
    RAY_ADDRESS names, else one is started on this machine. `carried`: files that jobs read, by their path here, which
    go along for nodes that do not have them. What a run kept busy tells how many cores the next ones ask for. Raises
    GraphMistakes if no node has what a run needs.
    """

    def __init__(
        self, needs: Needs, address: str | None = None, carried: Mapping[str, str] | None = None, name: str = "graph"
    ) -> None:
        ray = self._ray = load_ray()
        self._is_own = not ray.is_initialized()
        if self._is_own:
            try:
                ray.init(address=address, log_to_driver=False, logging_level="error")
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise GraphMistakes([Mistake(None, _unreached(address, error))]) from None
        self._refs: dict[Any, int] = {}
        self._looked = 0.0
        try:
            self._needs = self._fitted(needs, name)
            self._carried = {path: ray.put(_pack(Path(path))) for path in (carried or {}).values()}
            here = ray.get_runtime_context().get_node_id()
            strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
            self._board = ray.remote(_Board).options(num_cpus=0, scheduling_strategy=strategy).remote()
        except BaseException:
            self.close()
            raise
        self._task = ray.remote(_task)

    def _nodes(self) -> list[dict[str, float]]:
        """The resources of every node that lives."""
        now = time.monotonic()
        if not self._looked or now - self._looked > NODES_FOR:
            self._seen = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._looked = now
        return self._seen

    def _fitted(self, needs: Needs, name: str) -> Needs:
        """The needs of a run with no more cores than a node has, and a GPU where it likes one and there are some."""
        nodes = self._nodes()
        cores = min(needs.cores, max(node.get("CPU", 0) for node in nodes))
        likes = needs.likes_gpu and any(node.get("GPU", 0) >= 1 for node in nodes)
        fitted = replace(needs, cores=cores, gpus=max(needs.gpus, int(likes)))
        if cores < 1 or not any(_takes(node, fitted) for node in nodes):
            raise GraphMistakes([Mistake(None, f"--on ray: {_missing(nodes, fitted, name)}")])
        return fitted

    @property
    def places(self) -> int:
        """See `Place`."""
        return sum(_takes(node, self._needs) for node in self._nodes())

    def room(self) -> bool:
        """See `Place`."""
        return len(self._refs) < self.places + AHEAD

    def start(self, number: int, job: Job) -> None:
        """See `Place`."""
        needs = self._needs
        task = self._task.options(
            name=job.name,
            num_cpus=needs.cores,
            num_gpus=needs.gpus,
            memory=needs.memory or None,
            max_retries=RETRIES,
            scheduling_strategy="SPREAD",
        )
        taken = {path: ref for path, ref in self._carried.items() if path in job.inputs.values()}
        self._refs[task.remote(job.plain(), number, self._board, taken, sys.path, str(Path.cwd()))] = number

    def wait(self, seconds: float) -> list[tuple[int, Word]]:
        """See `Place`."""
        ray = self._ray
        if not self._refs:
            return []
        ready, _ = ray.wait(list(self._refs), num_returns=1, timeout=seconds)
        if ready:
            ready, _ = ray.wait(list(self._refs), num_returns=len(self._refs), timeout=0)
        words = list(ray.get(self._board.take.remote()).items())
        for ref in ready:
            words.append((self._refs.pop(ref), {"report": self._report(ref)}))
        return words

    def _report(self, ref: Any) -> dict[str, Any]:
        try:
            report: dict[str, Any] = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            return {"status": "failed", "error": f"Ray gave it up: {lines[0]}", "outputs": [], "wall_s": 0.0}
        if report["status"] == "failed":
            report["error"] = f"{report['error']} (on {report['node']})"
        elif report["status"] == "done":
            learned = self._needs.learned(report)  # Ray gives whole cores, and has places of the first size at least
            self._needs = replace(self._needs, cores=min(math.ceil(learned.cores), self._needs.cores))
        return report

    def close(self) -> None:
        """See `Place`."""
        for ref in self._refs:
            self._ray.cancel(ref, force=True)
        self._refs = {}
        if self._is_own:
            self._ray.shutdown()


def _takes(node: Mapping[str, float], needs: Needs) -> int:
    """How many runs a node takes at once."""
    wanted = {"CPU": needs.cores, "GPU": needs.gpus, "memory": needs.memory}
    return min(int(node.get(name, 0) // much) for name, much in wanted.items() if much)


def _missing(nodes: list[dict[str, float]], needs: Needs, name: str) -> str:
    """What a run asks for that no node has, next to the most that any has."""
    most = {key: max(node.get(key, 0) for node in nodes) for key in ("CPU", "GPU", "memory")}
    lacks = []
    if needs.gpus > most["GPU"]:
        lacks.append(f"{needs.gpus} GPU (the nodes have none)")
    if needs.memory > most["memory"]:
        lacks.append(f"{size(needs.memory)} of memory (a node has {size(most['memory'])} at most)")
    if most["CPU"] < 1:
        lacks.append("1 core (the nodes have none)")
    if not lacks:
        lacks.append(f"{needs.gpus} GPU and {size(needs.memory)} of memory together on one node")
    return f"no node of the cluster has what a run of '{name}' needs: {', '.join(lacks)}"


def _task(
    plain: dict[str, Any], number: int, board: Any, carried: dict[str, Any], paths: list[str], folder: str
) -> dict[str, Any]:
    """A run, on the main thread of a process of Ray's; the report, with the node it ran on.

    `folder`: where the one who asked is, which relative paths start from.
    """
    import ray

    if Path(folder).is_dir():
        os.chdir(folder)
    sys.path.extend(path for path in paths if path not in sys.path)
    node = f"{socket.gethostname()}/{ray.get_runtime_context().get_node_id()[:6]}"
    job = Job(**plain)
    board.tell.remote(number, {"progress": {"graph": job.name, "node": node}})

    told = time.monotonic()

    def tell(word: Word) -> None:
        nonlocal told
        if time.monotonic() - told >= TELL_EVERY:
            told = time.monotonic()
            board.tell.remote(number, {"progress": {**word["progress"], "node": node}})

    with scratch() as spare:
        inputs = dict(job.inputs)
        for at, (path, ref) in enumerate(carried.items()):
            if not Path(path).exists():
                local = _unpack(ray.get(ref), spare / str(at))
                inputs = {name: local if value == path else value for name, value in inputs.items()}
        return {**perform(replace(job, inputs=inputs), tell), "node": node}


def _pack(path: Path) -> bytes:
    """A file or folder as one piece."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(path, arcname=path.name)
    return data.getvalue()


def _unpack(data: bytes, folder: Path) -> str:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(folder, filter="data")
    return str(folder / os.listdir(folder)[0])  # noqa: PTH208 - one entry
