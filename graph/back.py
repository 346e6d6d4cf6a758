"""Going back: what follows when a worker with state dies, and what it held in memory has to be made again.

Nothing new is begun until nothing is in flight, so that nobody writes to a slot any more. Then sources and stages with
state begin anew, each in the process that it has; the sinks stay as they are, but for one that died, which tells what
it has whole. When all are there, every node goes back to what the sinks still need (`Plan.starts`), and the run flows
on. Rows that somebody has begun are left: what is done again fills them again before anybody reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graph.events import Renew, WorkerId
from graph.plan import Plan
from graph.states import NodeState


class GoingBack:
    """One going back, from the death of a worker of node `at` on."""

    def __init__(self, plan: Plan, nodes: Sequence[NodeState], at: int, why: str, index: int | None) -> None:
        self.at, self.why, self.index = at, why, index
        self.renewed = False
        self._plan, self._nodes = plan, nodes
        self._fresh: set[WorkerId] = set()
        self._whole: dict[int, int] = {}

    def ready(self, worker: WorkerId, whole: int) -> None:
        """A worker has begun; a sink with what it has whole."""
        self._fresh.add(worker)
        self._whole[worker.node] = whole

    @property
    def quiet(self) -> bool:
        """Whether nothing is in flight any more."""
        return not any(state.in_flight or state.again or state.finishing for state in self._nodes)

    @property
    def manned(self) -> bool:
        """Whether everybody is there."""
        return all(state.manned or state.finished for state in self._nodes)

    def renew(self) -> Iterator[Renew]:
        """Have those begin anew who must not know what they know, and those who had finished too early."""
        self.renewed = True
        for state in self._nodes:
            if self._stays(state):
                continue
            anew = state.node.source or (state.node.stateful and not state.node.sink)
            for replica in range(state.node.workers):
                worker = WorkerId(state.at, replica, state.incarnations.get(replica, 0))
                if state.finished or (anew and worker in state.held and worker not in self._fresh):
                    state.give_up(worker)
                    yield Renew(state.replaced(replica))
            state.finished = False

    def _stays(self, state: NodeState) -> bool:
        """Whether no sink needs a node any more."""
        return all(self._nodes[sink].finished for sink in self._plan.sinks_behind(state.at))

    def starts(self) -> list[int]:
        """The packet that each node begins with again."""
        sinks = [state for state in self._nodes if state.node.sink]
        return self._plan.starts({one.at: self._sunk(one) for one in sinks})

    def _sunk(self, sink: NodeState) -> int:
        return self._whole.get(sink.at, sink.through) if sink.node.stateful else sink.through

    def go(self, starts: Sequence[int], ends: Sequence[int]) -> None:
        """Set every node that a sink still needs to where it begins."""
        for state, start, end in zip(self._nodes, starts, ends, strict=True):
            if not self._stays(state):
                state.begin_at(start, end)
