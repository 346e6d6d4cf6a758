"""What runs just now: graphs that run first may do so side by side."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.runner import Progress

#: Seconds after which a graph that has not been heard of is taken for done, if another has.
GONE = 1.0


class Moments:
    """The last moment of each graph that runs; safe to be told from several threads."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, Progress]] = {}

    def add(self, now: Progress) -> None:
        """Take in a moment of a graph."""
        self._told[now.graph] = time.monotonic(), now

    def latest(self) -> list[Progress]:
        """Of graphs told of within the last second, in the order in which they began; at least the last one told."""
        told = dict(self._told)
        newest = max((at for at, _ in told.values()), default=0.0)
        return [now for at, now in told.values() if at > newest - GONE]
