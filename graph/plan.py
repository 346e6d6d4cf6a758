"""What is scheduled: nodes, the links between them and the fields that live in slots, with every capacity a number.

A node is a stage, or several that share a process. All bounds are differences of packet indices, since every node
begins packets in index order: a link of capacity c lets its producer begin packet i once its consumer has begun packet
i - c, and an arena of s slots lets the writer begin packet i once every reader is through with packet i - s. That makes
a slot's number `index % slots`, restores order behind replicas by itself, and makes the question whether a graph can
lock one of sums along cycles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

#: Tasks that a worker may hold at once: one at work, one waiting.
CREDIT = 2
#: … and where a device does the work: one that it does, one that it has next, one waiting.
DEVICE_CREDIT = 3
#: Tasks more that the only worker of a node may hold, as far as its links and arenas have room: several short ones
#: travel in one message then. More was measured to gain nothing.
EXTRA = 2
#: The least that `auto` makes a link hold behind a node that writes no pictures, so that several small packets travel
#: in one message. Behind one that does, less is more: a picture that is read soon lies in the caches still.
LINK = 4


@dataclass(frozen=True)
class Node:
    """One step of the schedule; `inputs` are indices of nodes before it, all nodes being in topological order."""

    name: str
    stages: tuple[str, ...]
    inputs: tuple[int, ...] = ()
    workers: int = 1
    batch: int = 1
    max_wait: float | None = None
    before: int = 0
    after: int = 0
    stateful: bool = False
    on_error: str = "fail"
    timeout: float | None = None
    credit: int = CREDIT
    #: tasks that its only worker may hold besides, for which no link and no arena is made larger
    extra: int = 0
    #: it writes arrays for others whose shapes only a run tells
    pictures: bool = False
    sink: bool = False
    #: a sink that can say, after its process died, what it has whole
    resumes: bool = False

    @property
    def source(self) -> bool:
        return not self.inputs

    @property
    def at_hand(self) -> int:
        """How many tasks a worker may hold at once."""
        return self.credit + (self.extra if self.workers == 1 else 0)

    @property
    def ahead(self) -> int:
        """How many packets past the one it begins have to be there, at worst."""
        return self.after + (self.batch - 1 if self.max_wait is None else 0)

    @property
    def holds(self) -> int:
        """How many packets its workers may have begun and not ended."""
        return self.workers * self.credit * self.batch


@dataclass(frozen=True)
class Link:
    """The bounded queue from one node to the next: at most `capacity` packets begun by the one and not by the other."""

    producer: int
    consumer: int
    capacity: int


@dataclass(frozen=True)
class FieldPlan:
    """One field: the nodes that write and read it, and how many slots its arena has (0: it travels as a value)."""

    name: str
    writer: int
    readers: tuple[int, ...] = ()
    slots: int = 0


@dataclass(frozen=True)
class Plan:
    """Everything the scheduler knows of a graph."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    fields: tuple[FieldPlan, ...] = field(default=())

    @cached_property
    def consumers(self) -> tuple[tuple[Link, ...], ...]:
        """Per node, the links out of it."""
        return tuple(tuple(link for link in self.links if link.producer == at) for at in range(len(self.nodes)))

    def sinks_behind(self, at: int) -> frozenset[int]:
        """The sinks that a node's packets reach; its own place if it is one."""
        behind = [self.sinks_behind(link.consumer) for link in self.consumers[at]]
        return frozenset().union(*behind) if behind else frozenset({at})

    def starts(self, written: Mapping[int, int]) -> list[int]:
        """The packet each node begins with, if a sink (by its place) already has so many packets.

        A node gives what those behind it still need, and what their windows look back on. One that has state has to
        see everything again.
        """
        begin = [0] * len(self.nodes)
        for at in reversed(range(len(self.nodes))):
            needs = [begin[link.consumer] - self.nodes[link.consumer].before for link in self.consumers[at]]
            if self.nodes[at].sink:
                begin[at] = written.get(at, 0)
            elif not self.nodes[at].stateful:
                begin[at] = max(0, min(needs, default=0))
        return begin

    def ends(self, end: int) -> list[int]:
        """The packet that each node ends before, if its sinks do before `end`; those in front give what these see."""
        stop = [end] * len(self.nodes)
        for at in reversed(range(len(self.nodes))):
            needs = [stop[link.consumer] + self.nodes[link.consumer].after for link in self.consumers[at]]
            stop[at] = max(needs, default=end)
        return stop

    def link_name(self, link: Link) -> str:
        return f"{self.nodes[link.producer].name} -> {self.nodes[link.consumer].name}"


def auto_capacities(nodes: tuple[Node, ...]) -> dict[tuple[int, int], int]:
    """The capacity of every link, by (producer, consumer), that is enough for full speed and never locks.

    A link holds what its producer may have at work, or a batch of its consumer, or `LINK`, and has to hold the
    look-ahead of its consumer. Where paths meet, what comes by one of them has to wait for what comes by another: the
    link also holds what the nodes of the other path hold and look ahead, from where they parted.
    """
    depth = [[-1] * len(nodes) for _ in nodes]
    for at, node in enumerate(nodes):
        depth[at][at] = 0
        for before in node.inputs:
            for start in range(at):
                if depth[start][before] >= 0:
                    depth[start][at] = max(depth[start][at], depth[start][before] + node.ahead + node.holds)
    sizes: dict[tuple[int, int], int] = {}
    for at, node in enumerate(nodes):
        for before in node.inputs:
            others = [
                depth[start][other]
                for other in node.inputs
                for start in range(at)
                if other != before and min(depth[start][before], depth[start][other]) >= 0
            ]
            flow = max(nodes[before].holds, node.batch, 0 if nodes[before].pictures else LINK)
            sizes[before, at] = flow + node.ahead + max(others, default=0)
    return sizes


def auto_slots(nodes: tuple[Node, ...], links: tuple[Link, ...], writer: int, readers: tuple[int, ...]) -> int:
    """How many packets can lie between a writer's beginning and the last reader's end.

    An arena of as many slots never holds the writer up, so it adds nothing to the question whether the graph can lock.
    """
    spread: list[int | None] = [0 if at == writer else None for at in range(len(nodes))]
    for at in range(writer + 1, len(nodes)):
        into = [link for link in links if link.consumer == at]
        paths = [before + link.capacity for link in into if (before := spread[link.producer]) is not None]
        spread[at] = min(paths, default=None)
    ends = [between + nodes[at].holds + nodes[at].before for at in readers if (between := spread[at]) is not None]
    return max(ends, default=nodes[writer].holds)


def resized(plan: Plan, links: tuple[Link, ...]) -> Plan:
    """The plan with other capacities, and as many slots as these can make use of."""
    fields = tuple(
        replace(one, slots=auto_slots(plan.nodes, links, one.writer, one.readers)) if one.slots else one
        for one in plan.fields
    )
    return replace(plan, links=links, fields=fields)
