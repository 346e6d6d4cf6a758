"""What the hub counts while packets flow: tasks, packets by stage, what has reached the sinks, how full links were."""

from __future__ import annotations

from collections.abc import Sequence

from graph.events import Result, Task
from graph.plan import Plan
from graph.states import NodeState
from graph.stats import Histogram, StageStats


class Tally:
    """The figures of one run. Times are seconds of the monotonic clock."""

    def __init__(self, plan: Plan) -> None:
        self.stages = {name: StageStats() for node in plan.nodes for name in node.stages}
        self.tasks = 0
        #: nanoseconds between sending a task to an idle worker and its beginning there
        self.delays = Histogram()
        #: the most packets that each link held, by (producer, consumer)
        self.high_water = {(link.producer, link.consumer): 0 for link in plan.links}
        #: when the first and the last packet reached a sink
        self.first_sunk = self.last_sunk = 0.0
        self._of_node = [[self.stages[name] for name in node.stages] for node in plan.nodes]
        self._sunk = {at: 0 for at, node in enumerate(plan.nodes) if node.sink}
        # The packets below these have been counted, and come again after the run went back.
        self._sunk_before = dict.fromkeys(self._sunk, 0)

    @property
    def sunk(self) -> int:
        """Packets that have reached every sink."""
        return min(self._sunk.values())

    def ended(self, task: Task, busy: Sequence[int], results: Sequence[Result], now: float) -> None:
        """A task has ended, after `busy` nanoseconds at each stage of its node."""
        went_on = len(results) - sum([one.skipped for one in results])
        for stats, spent in zip(self._of_node[task.node], busy, strict=True):
            stats.busy_ns += spent
            stats.latency.add(spent)
            stats.packets_in += len(results)
            stats.packets_out += went_on
        if task.node in self._sunk:
            self.last_sunk = now
            self.first_sunk = self.first_sunk or now
            before = self._sunk_before[task.node]
            self._sunk[task.node] += sum([index >= before for index in task.indices])

    def went_back(self, through: Sequence[int], starts: Sequence[int]) -> None:
        """Nodes had ended the packets below `through`, and go on from `starts`: what comes again is not counted again.

        A sink may have more packets whole than it has told of, before its process died: these do not come again.
        """
        for at, before in self._sunk_before.items():
            known = max(before, through[at])
            self._sunk_before[at] = max(known, starts[at])
            self._sunk[at] += self._sunk_before[at] - known

    def look_at_links(self, nodes: Sequence[NodeState]) -> None:
        for link, most in self.high_water.items():
            queued = nodes[link[0]].through - nodes[link[1]].next
            if queued > most:
                self.high_water[link] = queued
