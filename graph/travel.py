"""Which small fields travel in the messages to and from each node, and packets as messages carry them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from graph import protocol
from graph.declared import Checked
from graph.events import Result, Task
from graph.scheduler import Scheduler
from graph.stage import Array

_DONE = Result()
_SKIPPED = Result(skipped=True)


class Travel:
    """Values, and the row counts of arrays that vary; everything else stays in its slot."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        self._plan = checked.plan
        places = range(len(checked.plan.nodes))
        self.read = [self._read(at) for at in places]
        self.written = [self._written(at) for at in places]

    def _read(self, at: int) -> list[str]:
        stages = [self._checked.stages[name] for name in self._plan.nodes[at].stages]
        own = {name for one in stages for name in one.writes}
        read = {name for one in stages for name in one.reads if name not in own}
        return sorted(name for name in read if self._travels(name))

    def _written(self, at: int) -> list[str]:
        outside = {one.name for one in self._plan.fields if one.writer == at}
        stages = [self._checked.stages[name] for name in self._plan.nodes[at].stages]
        return sorted(name for one in stages for name in one.writes if name in outside and self._travels(name))

    def _travels(self, name: str) -> bool:
        kind = next(one.writes[name] for one in self._checked.stages.values() if name in one.writes)
        return not isinstance(kind, Array) or kind.varies

    def task(self, task: Task, scheduler: Scheduler) -> list[Any]:
        """A task as TASKS carries it."""
        node = self._plan.nodes[task.node]
        packets = [self._packet(task.node, index, scheduler) for index in task.indices]
        if node.before or node.after:
            for packet in packets:
                packet.append(self._neighbours(task.node, packet[0], scheduler))
        return [task.id, protocol.PASS if task.passing else protocol.WORK, packets]

    def _packet(self, at: int, index: int, scheduler: Scheduler) -> list[Any]:
        row = scheduler.rows[index]
        when = row.time
        values = [row.fields[name] for name in self.read[at]]
        return [index, when.numerator, when.denominator, values] if when is not None else [index, 0, 1, values]

    def _neighbours(self, at: int, index: int, scheduler: Scheduler) -> list[list[Any]]:
        node = self._plan.nodes[at]
        found = []
        for offset in range(-node.before, node.after + 1):
            other = index + offset
            if offset and scheduler.is_there(at, other):
                found.append([offset, *self._packet(at, other, scheduler)[1:]])
        return found

    def result(self, at: int, one: Any) -> Result:
        """What RESULTS says of one packet."""
        if one == protocol.OK:
            return _DONE
        if one == protocol.SKIPPED:
            return _SKIPPED
        _, numerator, denominator, values = one
        when = Fraction(numerator, denominator) if denominator else None
        names = self.written[at]
        return Result(time=when, fields=dict(zip(names, values, strict=True)) if names else None)
