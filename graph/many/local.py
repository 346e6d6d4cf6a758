"""Runs on this machine, each in a process of its own, as many at once as it takes."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from graph.many.job import Job, Word
from graph.many.needs import Machine, Needs
from graph.shares import CORES, share

_START = "import json,sys;a=json.loads(sys.argv.pop());sys.path[:]=a;from graph.many.job import main;main()"


class Place(Protocol):
    """Where the runs of a queue go."""

    @property
    def places(self) -> int:
        """How many runs go at once."""
        ...

    def room(self) -> bool:
        """Whether one more may be started now."""
        ...

    def start(self, number: int, job: Job) -> None:
        """Begin a job; `number` names it in what `wait` gives."""
        ...

    def wait(self, seconds: float) -> list[tuple[int, Word]]:
        """What was said within some seconds; after a `report` nothing more comes of that job."""
        ...

    def close(self) -> None:
        """End whatever still runs."""
        ...


@dataclass
class _Running:
    number: int
    process: subprocess.Popen[bytes]
    began: float
    gpu: int | None = None
    said: bytes = b""
    ended: bool = field(default=False)


class LocalPlace:
    """Starts jobs by what they need and the machine has; what the first ones took corrects it. Close it at the end.

    `at_once`: so many whatever they need.
    """

    def __init__(self, needs: Needs, machine: Machine | None = None, at_once: int | None = None) -> None:
        self.needs = needs
        self.machine = machine or Machine.here()
        self.at_once = at_once
        self._running: dict[int, _Running] = {}
        self._selector = selectors.DefaultSelector()

    @property
    def places(self) -> int:
        """See `Place`."""
        return self.at_once or self.machine.takes(self.needs)

    def room(self) -> bool:
        """See `Place`."""
        return len(self._running) < self.places

    def start(self, number: int, job: Job) -> None:
        """See `Place`."""
        gpu = self._free_gpu()
        environment = {**os.environ, CORES: str(share(self.machine.cores, self.places))}
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = str(gpu)
        # A group of its own, so that Ctrl-C in a terminal reaches the queue alone, which then finishes what runs.
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            process_group=0,
        )
        assert process.stdin is not None and process.stdout is not None
        one = _Running(number, process, time.monotonic(), gpu)
        self._running[number] = one
        self._selector.register(process.stdout, selectors.EVENT_READ, one)
        os.set_blocking(process.stdout.fileno(), False)
        try:
            process.stdin.write(json.dumps({"job": job.plain(), "parent": os.getpid()}, default=str).encode() + b"\n")
            process.stdin.close()
        except BrokenPipeError:
            return  # it died at once, which the end of its output tells

    def _free_gpu(self) -> int | None:
        if not (self.needs.gpus or self.needs.likes_gpu):
            return None
        taken = {one.gpu for one in self._running.values()}
        return next((gpu for gpu in self.machine.gpus if gpu not in taken), None)

    def wait(self, seconds: float) -> list[tuple[int, Word]]:
        """See `Place`."""
        words: list[tuple[int, Word]] = []
        for key, _ in self._selector.select(seconds):
            words.extend((key.data.number, word) for word in self._heard(key.data))
        return words

    def _heard(self, one: _Running) -> list[Word]:
        """What a job has said; if it has gone without a report, that."""
        assert one.process.stdout is not None
        data = one.process.stdout.read()
        if data is None:
            return []
        *lines, one.said = (one.said + data).split(b"\n")
        words: list[Word] = [json.loads(line) for line in lines]
        for word in words:
            if "report" in word:
                one.ended = True
                self._learn(word["report"])
        if not data:
            self._forget(one)
            if not one.ended:
                why = f"the process of the run ended with exit code {one.process.returncode}"
                wall = round(time.monotonic() - one.began, 3)
                words.append({"report": {"status": "failed", "error": why, "outputs": [], "wall_s": wall}})
        return words

    def _learn(self, report: dict[str, Any]) -> None:
        if report["status"] == "done":
            self.needs = self.needs.learned(report)

    def _forget(self, one: _Running) -> None:
        self._selector.unregister(one.process.stdout)  # type: ignore[arg-type]
        one.process.wait()
        del self._running[one.number]

    def close(self) -> None:
        """See `Place`."""
        for one in list(self._running.values()):
            one.process.kill()
            self._forget(one)
        self._selector.close()
