"""What the scheduler keeps of packets and nodes: a row for each packet in flight, and where each node is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from graph.events import Task, WorkerId
from graph.plan import Node

ENDLESS = 1 << 62


@dataclass(slots=True)
class Row:
    """A packet: its time and the small fields that nodes wrote; arrays lie in slot `index % slots` of their arena."""

    time: Fraction | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    deaths: int = 0


@dataclass(slots=True)
class NodeState:
    """Where a node is. Packets below `through` have ended here, those from `next` on have not begun.

    `until`: where a source begins nothing more, being drained. `before`: the furthest that `next` was before the run
    went back. `backs`: how often it went back for this node while no sink got further than `whole`.
    """

    at: int
    node: Node
    next: int = 0
    through: int = 0
    total: int = ENDLESS
    until: int = ENDLESS
    before: int = 0
    ended: set[int] = field(default_factory=set)
    skipped: set[int] = field(default_factory=set)
    again: list[tuple[int, Task]] = field(default_factory=list)
    idle: deque[WorkerId] = field(default_factory=deque)
    incarnations: dict[int, int] = field(default_factory=dict)
    held: dict[WorkerId, dict[int, Task]] = field(default_factory=dict)
    deaths_in_a_row: int = 0
    backs: int = 0
    whole: int = 0
    waiting_since: float | None = None
    finishing: set[WorkerId] = field(default_factory=set)
    finished: bool = False
    why: str = "start"
    why_since: float = 0.0
    waited: dict[str, float] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        return sum(map(len, self.held.values()))

    @property
    def manned(self) -> bool:
        """Whether all its workers are there."""
        return len(self.held) == self.node.workers

    def replaced(self, replica: int) -> WorkerId:
        """The next worker in a place, which the one before it is through with."""
        self.incarnations[replica] = self.incarnations.get(replica, 0) + 1
        return WorkerId(self.at, replica, self.incarnations[replica])

    def give_up(self, worker: WorkerId) -> dict[int, Task] | None:
        """Forget a worker; returns what it held, None if it was not there yet."""
        self.idle = deque(one for one in self.idle if one != worker)
        return self.held.pop(worker, None)

    def begin_at(self, index: int, total: int) -> None:
        """Begin with another packet, with all that was known of packets forgotten."""
        self.before = max(self.before, self.next)
        self.next = self.through = index
        self.total = total
        self.ended.clear()
        self.skipped.clear()
        self.waiting_since = None
        self.finished = False
