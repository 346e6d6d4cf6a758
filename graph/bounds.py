"""How far each node may go: what its inputs have ended, what they skipped, and the room in links and arenas behind it.

Nothing here changes anything: these are questions about where the nodes are.
"""

from __future__ import annotations

from collections.abc import Sequence

from graph.plan import Node, Plan
from graph.states import ENDLESS, NodeState


class Bounds:
    """The bounds of a plan, for nodes in these states.

    `behind`: per node, those that take packets from it. `writers`: per node, those whose slots it reads.
    """

    def __init__(self, plan: Plan, nodes: Sequence[NodeState]) -> None:
        self._nodes = nodes
        # Per node, (index of the node behind, how far this one may be ahead of it): links by what has begun …
        self._links = [tuple((link.consumer, link.capacity) for link in links) for links in plan.consumers]
        # … and arenas by what the readers are through with.
        self._arenas: list[list[tuple[int, int]]] = [[] for _ in plan.nodes]
        for one in plan.fields:
            if one.slots:
                self._arenas[one.writer].extend((reader, one.slots) for reader in one.readers or (one.writer,))
        self.behind = [[nodes[link.consumer] for link in links] for links in plan.consumers]
        self.writers = [
            [nodes[writer] for writer, arenas in enumerate(self._arenas) if at in dict(arenas)]
            for at in range(len(plan.nodes))
        ]

    def available(self, state: NodeState) -> int:
        """The packets below this index are there to begin."""
        node = state.node
        if node.source:
            return max(state.next, min(state.until, state.total))
        available = state.total
        for before in node.inputs:
            other = self._nodes[before]
            ready = other.through if other.through >= other.total else other.through - node.after
            if ready < available:
                available = ready
        return available

    def end_of(self, state: NodeState) -> int:
        """How many packets a node will have had, as far as is known."""
        end = state.total
        for before in state.node.inputs:
            end = min(end, self._nodes[before].total)
        return end

    def was_skipped(self, node: Node, index: int) -> bool:
        """Whether an input of a node has skipped a packet."""
        for before in node.inputs:  # noqa: SIM110 - asked for every packet at every node
            if index in self._nodes[before].skipped:
                return True
        return False

    def room(self, state: NodeState) -> int:
        """The packets below this index have room behind the node."""
        room = ENDLESS
        for consumer, capacity in self._links[state.at]:
            other = self._nodes[consumer]
            if other.next < other.total and other.next + capacity < room:
                room = other.next + capacity
        for reader, slots in self._arenas[state.at]:
            other = self._nodes[reader]
            past = other.through - other.node.before
            if other.through < other.total and past + slots < room:
                room = past + slots
        return room
