"""The heart: a pure state machine that knows the table of packets, links, slots, credits and what is in flight.

Events go in, instructions come out; no socket, no process, no clock (events are handled at a time that is passed in).

The rules, all of them here:
- A packet is a row, known by its index. Every node begins packets in index order, each exactly once, and every packet
  ends at every node as done, skipped or dead.
- A node may begin packet i when (a) a worker has credit, (b) all its inputs have ended the packets up to i + after,
  (c) on every link out, the consumer has begun packet i - capacity, (d) in every arena it writes, all readers are
  through with packet i - slots. A packet that an input skipped is skipped without a worker.
- Nodes nearest the sink are tried first.
- What a dead worker held is sent again before anything new, one packet at a time to a worker that holds nothing else,
  so that it is known which one kills. A packet with which `MAX_DEATHS` workers died is poison and goes by `on_error`.
- When a worker of a node with state dies, the run goes back (see `graph.back`), unless the node is a sink that cannot
  say what it has whole: then the run ends. It ends also at the `MAX_DEATHS`-th time that no sink got further.
- A source has ended when it says so; every other node when its inputs have and nothing is in flight. Then its workers
  finish, then they stop. When all have, the counts have to agree.
- Nothing in flight, nothing to begin, no timer, not at the end: a stall, which ends the run with a table of links.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from graph.back import GoingBack
from graph.bounds import Bounds
from graph.events import (
    Abort,
    Back,
    Begin,
    Died,
    Done,
    Drain,
    Event,
    Failed,
    Finish,
    Finished,
    Instruction,
    Lost,
    Over,
    Ready,
    Replace,
    Stop,
    Task,
    Tick,
    WorkerId,
)
from graph.plan import Plan
from graph.states import ENDLESS, NodeState, Row

MAX_DEATHS = 3
MAX_DEATHS_IN_A_ROW = 5
FIRST_BACK_OFF = 0.1


class Scheduler:
    """See the head of this file. `handle` is the only thing that changes it."""

    def __init__(self, plan: Plan, starts: Sequence[int] = (), ends: Sequence[int] = ()) -> None:
        """`starts`: the packet that each node begins with, where an earlier run has been through those before.

        `ends`: the packet that each node ends before, where the rest is another run's.
        """
        self.plan = plan
        self.rows: dict[int, Row] = {}
        begin = starts or [0] * len(plan.nodes)
        self._ends = ends or [ENDLESS] * len(plan.nodes)
        self.nodes = [NodeState(at, node, begin[at], begin[at], self._ends[at]) for at, node in enumerate(plan.nodes)]
        self.over = False
        self._tail = min(begin)
        self._tasks = 0
        self._now = 0.0
        self._back: GoingBack | None = None
        self._out: list[Instruction] = []
        self._untidy = False
        self._timed = [state for state in self.nodes if state.node.max_wait is not None]
        self._bounds = Bounds(plan, self.nodes)
        # The nodes for which something has changed, so that they may begin or end something.
        self._stirred: set[int] = set()

    # ------------------------------------------------------------------------------------------------ what is seen

    @property
    def deadline(self) -> float | None:
        """When to come back with a Tick, if nothing else happens before."""
        if self._back is not None:
            return None
        waits = [
            state.waiting_since + state.node.max_wait
            for state in self._timed
            if state.why == "input" and state.waiting_since is not None and state.node.max_wait is not None
        ]
        return min(waits, default=None)

    def queued(self, producer: int, consumer: int) -> int:
        """Packets that the one has ended and the other has not begun."""
        return max(0, self.nodes[producer].through - self.nodes[consumer].next)

    def task(self, worker: WorkerId, task: int) -> Task | None:
        """A task that a worker holds; None if it does not (any more)."""
        return self.nodes[worker.node].held.get(worker, {}).get(task)

    def is_there(self, node: int, index: int) -> bool:
        """Whether a packet has ended, and was not skipped, at all inputs of a node: a window may look at it."""
        return index >= self._tail and all(
            index < self.nodes[before].through and index not in self.nodes[before].skipped
            for before in self.plan.nodes[node].inputs
        )

    def table(self) -> str:
        """The links, for people: what lies in each, and where each node is."""
        lines = [
            f"{self.plan.link_name(link)}: {self.queued(link.producer, link.consumer)} of {link.capacity} queued, "
            f"begun {self.nodes[link.producer].next} and {self.nodes[link.consumer].next}"
            for link in self.plan.links
        ]
        return "\n".join(lines)

    # -------------------------------------------------------------------------------------------------- what happens

    def handle(self, *events: Event, now: float = 0.0) -> list[Instruction]:
        """Take in what happened and say what is to be done. After Over or Abort nothing more is said."""
        if self.over:
            return []
        self._now = now
        for event in events:
            self._take_in(event)
            if self.over:
                break
        if not self.over:
            self._move()
        out, self._out = self._out, []
        return out

    def _take_in(self, event: Event) -> None:
        if isinstance(event, Done):
            self._done(event)
            return
        self._stir_all()
        match event:
            case Ready(worker, whole):
                self._ready(worker, whole)
            case Failed():
                self._failed(event)
            case Died(worker, why):
                self._died(worker, why)
            case Finished(worker):
                self._finished(worker)
            case Drain():
                for state in self.nodes:
                    state.until = min(state.until, max(state.next, state.before))
            case Tick():
                pass

    def _ready(self, worker: WorkerId, whole: int) -> None:
        state = self.nodes[worker.node]
        if worker.incarnation != state.incarnations.setdefault(worker.replica, 0) or worker in state.held:
            return
        if self._back is not None:
            self._back.ready(worker, whole)
        state.held[worker] = {}
        state.idle.extend([worker] * state.node.at_hand)

    def _release(self, worker: WorkerId, task: int) -> tuple[NodeState, Task] | None:
        """Take a task out of a worker's hands; None if it comes from an incarnation that is given up."""
        state = self.nodes[worker.node]
        held = state.held.get(worker)
        found = held.pop(task, None) if held is not None else None
        if found is None:
            return None
        state.idle.append(worker)
        return state, found

    def _done(self, event: Done) -> None:
        released = self._release(event.worker, event.task)
        if released is None:
            return
        state, task = released
        self._stirred.add(state.at)
        state.deaths_in_a_row = 0
        if event.end:
            self._end_source(state, task.indices[0])
            return
        if len(event.results) != len(task.indices):
            self._abort(f"answered {len(event.results)} results for {len(task.indices)} packets", state)
            return
        for index, result in zip(task.indices, event.results, strict=True):
            row = self.rows[index]
            if result.time is not None:
                row.time = result.time
            if result.fields:
                row.fields.update(result.fields)
            self._end(state, index, result.skipped)

    def _end_source(self, state: NodeState, index: int) -> None:
        """The source has no packet `index`, so none after it either."""
        self._stir_all()
        state.total = min(state.total, index)
        state.next = min(state.next, state.total)
        state.again = [(first, task) for first, task in state.again if first < state.total]
        for later in [ended for ended in state.ended if ended >= state.total]:
            state.ended.discard(later)
            state.skipped.discard(later)

    def _end(self, state: NodeState, index: int, skipped: bool) -> None:
        """A packet has ended at a node."""
        if index >= state.total:
            return
        if state.through - state.node.before <= self._tail:
            self._untidy = True
        if skipped:
            state.skipped.add(index)
        if index != state.through:
            state.ended.add(index)
            return
        state.through += 1
        while state.through in state.ended:
            state.ended.remove(state.through)
            state.through += 1
        self._stir(self._bounds.behind[state.at], "input")
        self._stir(self._bounds.writers[state.at], "room")

    def _stir_all(self) -> None:
        """Look at every node again."""
        self._stirred.update(range(len(self.nodes)))

    def _stir(self, states: Iterable[NodeState], waiting: str) -> None:
        """Look at nodes again, as far as what has changed is what they wait for."""
        for state in states:
            if state.why == waiting:
                self._stirred.add(state.at)

    def _failed(self, event: Failed) -> None:
        released = self._release(event.worker, event.task)
        if released is None:
            return
        state, task = released
        blamed = event.index if event.index is not None else task.indices[0]
        if state.node.on_error == "fail" or task.passing or state.node.source:
            self._abort(event.message, state, blamed, event.stage)
        elif len(task.indices) > 1:
            for index in task.indices:
                self._again(state, Task(self._next_task(), state.at, (index,), attempt=task.attempt + 1))
        else:
            self._lose(state, task, event.message, event.stage)

    def _lose(self, state: NodeState, task: Task, message: str, stage: str | None = None) -> None:
        """Give a packet up as the node's `on_error` says."""
        index = task.indices[0]
        passing = state.node.on_error == "pass"
        self._out.append(Lost(state.at, index, self.rows[index].time, message, passing, stage))
        if passing:
            self._again(state, Task(self._next_task(), state.at, (index,), passing=True, attempt=task.attempt + 1))
        else:
            self._end(state, index, skipped=True)

    def _died(self, worker: WorkerId, why: str) -> None:
        state = self.nodes[worker.node]
        if worker.incarnation != state.incarnations.setdefault(worker.replica, 0):
            return
        if state.finished:
            self._died_at_the_end(state, worker, why)
            return
        held = state.give_up(worker)
        state.deaths_in_a_row += 1
        if state.node.stateful:
            self._lose_state(state, why, min(_indices(held), default=None))
        else:
            for place, task in enumerate((held or {}).values()):
                self._survive(state, task, why, blame=place == 0)
        if not self.over:
            self._replace(state, worker, why)

    def _replace(self, state: NodeState, worker: WorkerId, why: str) -> None:
        if state.deaths_in_a_row > MAX_DEATHS_IN_A_ROW:
            self._abort(f"{why}, {state.deaths_in_a_row} times in a row", state)
            return
        wait = 0.0 if state.deaths_in_a_row == 1 else FIRST_BACK_OFF * 2 ** (state.deaths_in_a_row - 2)
        self._out.append(Replace(state.replaced(worker.replica), wait))

    def _died_at_the_end(self, state: NodeState, worker: WorkerId, why: str) -> None:
        """A worker that dies while it finishes loses what it was to write, if it had state; else nothing."""
        if worker not in state.finishing or not state.node.stateful:
            self._finished(worker)
            return
        state.finishing.discard(worker)
        state.give_up(worker)
        state.finished = False
        self._lose_state(state, f"{why} while it finished", None)
        if not self.over:
            self._replace(state, worker, why)

    def _lose_state(self, state: NodeState, why: str, index: int | None) -> None:
        """What a worker held in memory is gone: the run goes back, if it can, and all that it held comes again."""
        state.again.clear()
        if (state.node.sink and not state.node.resumes) or self._is_useless(state):
            self._abort(f"{why}, and what it held in memory is lost", state, index)
        elif self._back is None:
            self._back = GoingBack(self.plan, self.nodes, state.at, why, index)

    def _survive(self, state: NodeState, task: Task, why: str, blame: bool) -> None:
        """Send what a dead worker held again, packet by packet, so that one that kills is found out.

        Only the task that was at work is to blame, the oldest; the one that waited behind it is not.
        """
        for index in task.indices:
            row = self.rows[index]
            row.deaths += blame
            single = Task(self._next_task(), state.at, (index,), task.passing, task.attempt + 1)
            if row.deaths < MAX_DEATHS:
                self._again(state, single)
            elif state.node.on_error == "fail" or task.passing or state.node.source:
                self._abort(f"{why} with this packet, {row.deaths} times", state, index)
            else:
                row.deaths = 0
                self._lose(state, single, f"{why} with this packet, {MAX_DEATHS} times")

    def _again(self, state: NodeState, task: Task) -> None:
        heappush(state.again, (task.indices[0], task))

    def _next_task(self) -> int:
        self._tasks += 1
        return self._tasks

    def _finished(self, worker: WorkerId) -> None:
        state = self.nodes[worker.node]
        if worker in state.finishing:
            state.finishing.discard(worker)
            state.held.pop(worker, None)
            self._out.append(Stop(worker))
            if all(one.finished and not one.finishing for one in self.nodes):
                self._close()

    def _close(self) -> None:
        """All have finished: nothing may be missing."""
        for state in self.nodes:
            if state.through != state.total or state.next != state.total:
                self._abort(f"has ended {state.through} packets of {state.total}", state)
                return
        self.over = True
        self._out.append(Over())

    def _abort(
        self,
        reason: str,
        state: NodeState | None = None,
        index: int | None = None,
        stage: str | None = None,
    ) -> None:
        row = self.rows.get(index) if index is not None else None
        self.over = True
        self._out.append(Abort(reason, state.at if state else None, index, row.time if row else None, stage))

    # ----------------------------------------------------------------------------------------------- what is begun

    def _move(self) -> None:
        """Begin whatever may begin at the nodes that are stirred, always at the one that is nearest the sink."""
        if self._back is not None:
            self._stir_all()
            if not self._ebb(self._back):
                self._tidy()
                return
        for state in self._timed:
            self._stirred.add(state.at)
        while self._stirred and not self.over:
            at = max(self._stirred)
            self._stirred.remove(at)
            state = self.nodes[at]
            if state.finished:
                continue
            if state.again:
                self._resend(state)
            begun, total = state.next, state.total
            self._begin(state)
            self._conclude(state)
            if state.total != total:
                self._stir_all()
            elif state.next != begun:
                self._stir([self.nodes[before] for before in state.node.inputs], "room")
        if self._untidy:
            self._tidy()
        if not self._out and not self.over and self._stalled():
            self._abort("nothing is in flight and nothing can begin; the links are:\n" + self.table())

    def _ebb(self, back: GoingBack) -> bool:
        """Begin nothing new while the run goes back; whether it may flow again."""
        for state in self.nodes:
            if state.again:
                self._resend(state)
        if not back.quiet:
            return False
        if not back.renewed:
            self._out.extend(back.renew())
        if not back.manned:
            return False
        self._back = None
        starts, dead = back.starts(), self.nodes[back.at]
        reached = min(starts[sink] for sink in self.plan.sinks_behind(back.at))
        if reached > dead.whole:
            dead.whole, dead.backs = reached, 0
        dead.backs += 1
        if dead.backs == MAX_DEATHS:
            self._abort(f"{back.why}, {MAX_DEATHS} times, and nothing more had become whole", dead, back.index)
            return False
        through = tuple(state.through for state in self.nodes)
        back.go(starts, self._ends)
        begun = max(state.next for state in self.nodes)
        self.rows = {index: row for index, row in self.rows.items() if index < begun}
        self._tail = min(state.next for state in self.nodes)
        self._out.append(Back(back.at, back.why, through, tuple(starts)))
        return True

    def _resend(self, state: NodeState) -> None:
        for worker in [worker for worker, held in state.held.items() if not held][: len(state.again)]:
            state.idle.remove(worker)
            self._hand(state, worker, heappop(state.again)[1])

    def _hand(self, state: NodeState, worker: WorkerId, task: Task) -> None:
        state.held[worker][task.id] = task
        self._out.append(Begin(worker, task))

    def _begin(self, state: NodeState) -> None:
        """Begin as many packets of a node as may begin, and note what holds it up."""
        available = self._bounds.available(state)
        while not (why := self._step(state, available)):
            pass
        if why != state.why:
            state.waited[state.why] = state.waited.get(state.why, 0.0) + self._now - state.why_since
            state.why, state.why_since = why, self._now

    def _step(self, state: NodeState, available: int) -> str:
        """Begin one task, or skip one packet; the reason if neither is possible."""
        node, index = state.node, state.next
        if index >= available:
            state.waiting_since = None
            return "input"
        if self._bounds.was_skipped(node, index):
            if self._bounds.room(state) < index + 1:
                return "room"
            self._skip(state, index)
            return ""
        if not state.idle or state.again:
            return "busy"
        stop, room = min(index + node.batch, available), self._bounds.room(state)
        if room < stop and node.max_wait is not None:
            stop = room
        if room <= index:
            return "room"
        if stop - index < node.batch and not self._may_be_partial(state, available):
            return "input"
        if room < stop:
            return "room"
        self._start(state, index, stop)
        return ""

    def _start(self, state: NodeState, index: int, stop: int) -> None:
        """Begin the packets from `index` up to `stop`, without those that were skipped before."""
        state.next = stop
        state.waiting_since = None
        indices = []
        for one in range(index, stop):
            if state.node.source:
                self.rows.setdefault(one, Row())
            if self._bounds.was_skipped(state.node, one):
                self._end(state, one, skipped=True)
            else:
                indices.append(one)
        self._tasks += 1
        self._hand(state, state.idle.popleft(), Task(self._tasks, state.at, tuple(indices)))

    def _skip(self, state: NodeState, index: int) -> None:
        state.next = index + 1
        self._end(state, index, skipped=True)

    def _may_be_partial(self, state: NodeState, available: int) -> bool:
        """Whether a batch that is not full goes on: at the end of the stream, or when it has waited long enough."""
        if available >= self._bounds.end_of(state):
            return True
        if state.node.max_wait is None:
            return False
        if state.waiting_since is None:
            state.waiting_since = self._now
        return self._now >= state.waiting_since + state.node.max_wait

    def _conclude(self, state: NodeState) -> None:
        """Learn how many packets a node will have had, and let it finish when it has had them."""
        if not state.node.source:
            state.total = self._bounds.end_of(state)
        elif state.next >= state.until and not state.in_flight and not state.again:
            state.total = min(state.total, state.next)
        if state.through < state.total or state.in_flight or not state.manned:
            return
        state.finished = True
        state.finishing = set(state.held)
        self._out.extend(Finish(worker) for worker in sorted(state.held, key=lambda one: one.replica))
        self._stop_useless_sources()

    def _stop_useless_sources(self) -> None:
        """End sources whose packets nobody can use any more, since each sink behind them has ended."""
        for state in self.nodes:
            if state.node.source and state.total == ENDLESS and self._is_useless(state):
                state.total = state.next
                self._stir_all()

    def _is_useless(self, state: NodeState) -> bool:
        """Whether all sinks behind a node have ended."""
        return all(self.nodes[sink].finished for sink in self.plan.sinks_behind(state.at))

    def _tidy(self) -> None:
        """Forget rows that no node will look at again."""
        oldest = min(
            state.through - state.node.before if state.through < state.total else ENDLESS for state in self.nodes
        )
        stop = min(oldest, max((state.next for state in self.nodes if state.node.source), default=0))
        while self._tail < stop:
            self.rows.pop(self._tail, None)
            for state in self.nodes:
                if state.skipped:
                    state.skipped.discard(self._tail)
            self._tail += 1
        self._untidy = False

    def _stalled(self) -> bool:
        return (
            not any(state.in_flight or state.finishing for state in self.nodes)
            and all(state.manned for state in self.nodes if not state.finished)
            and self.deadline is None
        )


def _indices(held: dict[int, Task] | None) -> Iterable[int]:
    return (index for task in (held or {}).values() for index in task.indices)
