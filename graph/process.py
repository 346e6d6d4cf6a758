"""Worker processes: started so that none outlives the runner, watched by a descriptor, killed when told."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

_START = "import json,sys;a=json.loads(sys.stdin.readline());sys.path[:]=a.pop();from graph.worker import main;main(*a)"


class WorkerProcess:
    """One process. `sentinel` becomes readable when it has ended (pidfd_open(2))."""

    def __init__(
        self, address: str, identity: str, env: Mapping[str, str] | None = None, cpus: Sequence[int] = ()
    ) -> None:
        # A group of its own, so that Ctrl-C in a terminal reaches the runner alone, which then drains.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, "graphrun-worker", identity.rpartition(".")[0]],
            stdin=subprocess.PIPE,
            stdout=sys.stderr.fileno() if _is_file(sys.stderr) else subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
            process_group=0,
        )
        self.sentinel = os.pidfd_open(self._process.pid)
        assert self._process.stdin is not None
        # The identity is also the key to the hub's socket: it is told through a pipe, which nobody else can read.
        arguments = [address, identity, os.getpid(), list(cpus), sys.path]
        try:
            self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
            self._process.stdin.close()
        except BrokenPipeError:
            return  # it died at once, which the sentinel tells

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        if self.alive:
            self._process.kill()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, within some time."""
        ended, _, _ = select.select([self.sentinel], [], [], max(0.0, seconds))
        return bool(ended)

    def end(self) -> str:
        """How it ended, for people; reaps it."""
        code = self._process.wait()
        if code >= 0:
            return f"its process ended with exit code {code}"
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"

    def close(self) -> None:
        """To be called when it has ended: reaps it, if `end` has not."""
        self._process.wait()
        os.close(self.sentinel)


def _is_file(stream: object) -> bool:
    """Whether a stream has a descriptor that a process can inherit."""
    try:
        return os.fstat(stream.fileno()) is not None  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
