"""Whether a plan can lock: its own scheduler run over imaginary packets by workers that take no time.

Links bound how far nodes may be apart and every node takes its packets in order, so the graph is a network of
deterministic processes with bounded channels (Kahn 1974; Parks 1995): whether it locks does not depend on which of its
workers is fast, and one run over enough packets tells. Only where batches begin does depend on luck, on packets that
are skipped and on `max_wait`; so the plan that is run is the worst case of it, in which one may begin at any packet.
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
    """The table of links at the place where the plan may lock; None if it always runs to its end."""
    plan = worst(plan)
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


def worst(plan: Plan) -> Plan:
    """The plan without batches, whose nodes wait at every packet for what a batch that begins there would wait for.

    A batch that has to be full needs as many packets before it and as much room behind it; one with `max_wait` goes on
    with what there is.
    """
    extra = [node.batch - 1 if node.max_wait is None else 0 for node in plan.nodes]
    nodes = tuple(
        replace(node, batch=1, max_wait=None, after=node.after + more)
        for node, more in zip(plan.nodes, extra, strict=True)
    )
    links = tuple(replace(link, capacity=link.capacity - extra[link.producer]) for link in plan.links)
    fields = tuple(replace(one, slots=one.slots and max(1, one.slots - extra[one.writer])) for one in plan.fields)
    return Plan(nodes, links, fields)


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
