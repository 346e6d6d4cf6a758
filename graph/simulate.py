"""Whether a plan can lock: its own scheduler run over imaginary packets by workers that take no time.

Links bound how far nodes may be apart and every node takes its packets in order, so the graph is a network of
deterministic processes with bounded channels (Kahn 1974; Parks 1995): whether it locks does not depend on which of its
workers is fast, and one run over enough packets tells.
"""

from __future__ import annotations

from dataclasses import replace

from graph.events import (
    Abort,
    Begin,
    Done,
    Event,
    Finish,
    Finished,
    Over,
    Ready,
    Result,
    WorkerId,
)
from graph.plan import Link, Plan, resized
from graph.scheduler import Scheduler


def locks(plan: Plan, packets: int | None = None) -> str | None:
    """The table of links at the place where the plan locks; None if it runs to its end."""
    count = packets if packets is not None else 2 * sum(link.capacity for link in plan.links) + 64
    scheduler = Scheduler(plan)
    workers = [WorkerId(at, replica) for at, node in enumerate(plan.nodes) for replica in range(node.workers)]
    events: list[Event] = [Ready(worker) for worker in workers]
    now = 0.0
    while True:
        out = scheduler.handle(*events, now=now)
        events = []
        for instruction in out:
            match instruction:
                case Begin(worker, task):
                    end = plan.nodes[worker.node].source and task.indices[0] >= count
                    results = () if end else tuple(Result() for _ in task.indices)
                    events.append(Done(worker, task.id, results, end))
                case Finish(worker):
                    events.append(Finished(worker))
                case Abort(reason):
                    return reason
                case Over():
                    return None
        if not events:
            now = max(now + 1.0, scheduler.deadline or now)


def enough(plan: Plan, link: Link, limit: int) -> int | None:
    """The least capacity of one link that lets the plan run, up to `limit`; None if that is no cure."""
    at = plan.links.index(link)

    def runs(capacity: int) -> bool:
        links = (*plan.links[:at], replace(link, capacity=capacity), *plan.links[at + 1 :])
        return locks(resized(plan, links)) is None

    if not runs(limit):
        return None
    low, high = link.capacity, limit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if runs(middle) else (middle, high)
    return high
