"""The scheduler as a pure state machine: instructions for events, and its promises under random ones."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    Lost,
    Over,
    Ready,
    Renew,
    Replace,
    Result,
    Stop,
    Task,
    WorkerId,
)
from graph.plan import FieldPlan, Link, Node, Plan, auto_capacities, auto_slots
from graph.scheduler import Scheduler
from graph.simulate import enough, locks

EXAMPLES = int(os.environ.get("GRAPHRUN_EXAMPLES", "120"))


def chain(*nodes: Node, capacity: int = 4, slots: int = 8) -> Plan:
    """Nodes one behind the other, each writing a field that the next one reads."""
    linked = tuple(Node(**{**node.__dict__, "inputs": (at - 1,) if at else ()}) for at, node in enumerate(nodes))
    links = tuple(Link(at, at + 1, capacity) for at in range(len(nodes) - 1))
    fields = tuple(FieldPlan(f"f{at}", at, (at + 1,), slots) for at in range(len(nodes) - 1))
    return Plan(linked, links, fields)


def begun(instructions: list[object]) -> list[tuple[int, tuple[int, ...]]]:
    return [(one.worker.node, one.task.indices) for one in instructions if isinstance(one, Begin)]


def ready(plan: Plan) -> list[Event]:
    return [Ready(WorkerId(at, replica)) for at, node in enumerate(plan.nodes) for replica in range(node.workers)]


def test_a_source_gets_as_many_tasks_as_it_has_credit() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",), sink=True))
    out = Scheduler(plan).handle(*ready(plan))
    source = WorkerId(0, 0)
    assert out == [Begin(source, Task(1, 0, (0,))), Begin(source, Task(2, 0, (1,)))]


def test_extra_tasks_are_held_where_links_have_room_and_make_none_larger() -> None:
    plan = chain(Node("a", ("a",), extra=2), Node("b", ("b",), sink=True), capacity=3)
    assert begun(Scheduler(plan).handle(*ready(plan))) == [(0, (0,)), (0, (1,)), (0, (2,))]
    few, many = (Node("a", ("a",), extra=extra) for extra in (0, 2))
    sink = Node("b", ("b",), (0,), sink=True)
    assert auto_capacities((few, sink)) == auto_capacities((many, sink))


def test_a_finished_packet_goes_on_and_the_sink_comes_first() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",), sink=True))
    scheduler = Scheduler(plan)
    scheduler.handle(*ready(plan))
    out = scheduler.handle(Done(WorkerId(0, 0), 1, (Result(),)))
    assert out == [Begin(WorkerId(1, 0), Task(3, 1, (0,))), Begin(WorkerId(0, 0), Task(4, 0, (2,)))]


def test_a_link_bounds_how_far_a_producer_is_ahead() -> None:
    plan = chain(Node("a", ("a",), credit=9), Node("b", ("b",), sink=True, credit=1), capacity=3)
    scheduler = Scheduler(plan)
    assert begun(scheduler.handle(*ready(plan))) == [(0, (0,)), (0, (1,)), (0, (2,))]
    assert begun(scheduler.handle(Done(WorkerId(0, 0), 1, (Result(),)))) == [(1, (0,)), (0, (3,))]
    assert begun(scheduler.handle(Done(WorkerId(0, 0), 2, (Result(),)))) == [], "the sink holds one, the link three"


def test_a_slot_is_free_only_after_its_last_reader() -> None:
    plan = chain(Node("a", ("a",), credit=9), Node("b", ("b",), sink=True), capacity=100, slots=2)
    scheduler = Scheduler(plan)
    assert begun(scheduler.handle(*ready(plan))) == [(0, (0,)), (0, (1,))]
    assert begun(scheduler.handle(Done(WorkerId(0, 0), 1, (Result(),)))) == [(1, (0,))], "read, but not yet through"
    assert begun(scheduler.handle(Done(WorkerId(1, 0), 3, (Result(),)))) == [(0, (2,))]


def test_results_of_replicas_go_on_in_order() -> None:
    plan = chain(Node("a", ("a",), credit=4), Node("b", ("b",), workers=2, credit=1), Node("c", ("c",), sink=True))
    scheduler = Scheduler(plan)
    scheduler.handle(*ready(plan))
    out = scheduler.handle(*(Done(WorkerId(0, 0), task, (Result(),)) for task in (1, 2)))
    first, second = (one.task.id for one in out if isinstance(one, Begin) and one.worker.node == 1)
    assert not [at for at, _ in begun(scheduler.handle(Done(WorkerId(1, 1), second, (Result(),)))) if at == 2]
    out = scheduler.handle(Done(WorkerId(1, 0), first, (Result(),)))
    assert [indices for at, indices in begun(out) if at == 2] == [(0,), (1,)]


def test_a_skipped_packet_reaches_no_later_stage() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",)), Node("c", ("c",), sink=True))
    world = World(plan, packets=10, skip={1: {3, 4, 9}})
    world.run()
    assert world.seen[2] == [0, 1, 2, 5, 6, 7, 8]


def test_a_batch_waits_until_it_is_full_or_the_stream_has_ended() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",), batch=4, sink=True), capacity=4)
    world = World(plan, packets=10)
    world.run()
    assert world.tasks[1] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]


def test_a_batch_with_max_wait_goes_on_when_the_time_is_over() -> None:
    plan = chain(Node("a", ("a",), credit=1), Node("b", ("b",), batch=4, max_wait=0.5, sink=True))
    scheduler = Scheduler(plan)
    scheduler.handle(*ready(plan), now=0.0)
    assert begun(scheduler.handle(Done(WorkerId(0, 0), 1, (Result(),)), now=1.0)) == [(0, (1,))]
    assert scheduler.deadline == 1.5
    assert begun(scheduler.handle(now=1.5)) == [(1, (0,))]


def test_a_window_is_complete_before_its_packet_begins() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",), before=1, after=2, sink=True), capacity=6, slots=12)
    world = World(plan, packets=6)
    world.run()
    assert world.seen[1] == list(range(6))
    assert world.ended_before[1][0] >= {0, 1, 2}


def test_what_a_dead_worker_held_is_sent_again_and_its_late_answers_are_ignored() -> None:
    plan = chain(Node("a", ("a",), credit=3), Node("b", ("b",)), Node("c", ("c",), sink=True))
    scheduler = Scheduler(plan)
    scheduler.handle(*ready(plan))
    out = scheduler.handle(*(Done(WorkerId(0, 0), task, (Result(),)) for task in (1, 2)))
    held = [one.task for one in out if isinstance(one, Begin) and one.worker.node == 1]
    dead = WorkerId(1, 0)
    assert scheduler.handle(Died(dead)) == [Replace(WorkerId(1, 0, 1), 0.0)]
    assert scheduler.handle(Done(dead, held[0].id, (Result(),))) == []
    out = scheduler.handle(Ready(WorkerId(1, 0, 1)))
    assert begun(out) == [(1, (0,))], "one at a time"
    assert [one.task.attempt for one in out if isinstance(one, Begin)] == [1]
    (again,) = (one.task.id for one in out if isinstance(one, Begin))
    out = scheduler.handle(Done(WorkerId(1, 0, 1), again, (Result(),)))
    assert (1, (1,)) in begun(out)


def test_a_packet_that_kills_is_poison_and_its_neighbour_is_not() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",), on_error="skip"), Node("c", ("c",), sink=True))
    world = World(plan, packets=20, deadly={1: {7}})
    world.run()
    assert world.seen[2] == [index for index in range(20) if index != 7]
    assert [(one.index, one.passed) for one in world.lost] == [(7, False)]


def test_a_packet_is_not_poison_because_its_results_died_with_the_worker() -> None:
    """Packet 6 is done each time, but never told of before packet 7 kills."""
    plan = chain(Node("a", ("a",)), Node("b", ("b",), on_error="skip"), Node("c", ("c",), sink=True))
    world = World(plan, packets=20, deadly={1: {7}}, told_late=True)
    world.run()
    assert [one.index for one in world.lost] == [7]


def test_an_exception_ends_the_run_and_names_its_packet() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",), sink=True))
    world = World(plan, packets=20, broken={1: {4}})
    end = world.run()
    assert isinstance(end, Abort)
    assert (end.node, end.index, end.reason) == (1, 4, "broken")


def test_a_broken_packet_in_a_batch_passes_alone() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",), batch=4, on_error="pass"), Node("c", ("c",), sink=True))
    world = World(plan, packets=12, broken={1: {5}})
    assert isinstance(world.run(), Over)
    assert world.seen[2] == list(range(12))
    assert [(one.index, one.passed) for one in world.lost] == [(5, True)]


def test_the_death_of_a_stage_with_state_ends_the_run() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",), stateful=True, sink=True))
    world = World(plan, packets=20, deadly={1: {4}})
    end = world.run()
    assert isinstance(end, Abort)
    assert end.node == 1
    assert end.index == 4


def stateful_chain() -> Plan:
    """source → stage without state → stage with state → sink that can say what it has whole."""
    middle = Node("c", ("c",), stateful=True)
    return chain(
        Node("a", ("a",)), Node("b", ("b",)), middle, Node("d", ("d",), stateful=True, resumes=True, sink=True)
    )


def test_the_death_of_a_sink_that_resumes_sends_the_run_back_to_what_it_has_whole() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",)), Node("c", ("c",), stateful=True, resumes=True, sink=True))
    scheduler = Scheduler(plan, [20, 20, 20])
    scheduler.handle(*ready(plan))
    out = scheduler.handle(*(Done(WorkerId(0, 0), task, (Result(),)) for task in (1, 2)))
    (*_, held) = (one.task for one in out if isinstance(one, Begin) and one.worker.node == 1)
    (again,) = scheduler.handle(Died(WorkerId(2, 0), "shot"))
    assert again == Replace(WorkerId(2, 0, 1), 0.0)
    assert scheduler.handle(Ready(WorkerId(2, 0, 1), whole=17)) == [], "others are still at work, in slots of before"
    in_flight = [(WorkerId(at, 0), task) for at in (0, 1) for task in list(scheduler.nodes[at].held[WorkerId(at, 0)])]
    assert (WorkerId(1, 0), held.id) in in_flight
    out = scheduler.handle(*(Done(worker, task, (Result(),)) for worker, task in in_flight))
    assert out == [Renew(WorkerId(0, 0, 1))], "a source begins anew, a stage without state goes on as it is"
    out = scheduler.handle(Ready(WorkerId(0, 0, 1)))
    assert out[0] == Back(2, "shot", (24, 22, 20), (17, 17, 17))
    assert begun(out) == [(0, (17,)), (0, (18,))]


def test_a_stage_with_state_sees_everything_again_and_a_living_sink_nothing() -> None:
    world = World(stateful_chain(), packets=40, deadly_once={2: {21}})
    assert isinstance(world.run(), Over)
    assert world.backs == 1
    assert world.seen[2] == list(range(40))
    assert world.consumed[3] == list(range(40))


def test_a_packet_that_always_kills_a_sink_ends_the_run() -> None:
    world = World(stateful_chain(), packets=40, deadly={3: {21}})
    end = world.run()
    assert isinstance(end, Abort)
    assert (end.node, end.index) == (3, 21)
    assert world.backs < 30


def test_a_sink_that_dies_while_it_finishes_goes_on() -> None:
    world = World(stateful_chain(), packets=10, dies_finishing={3})
    assert isinstance(world.run(), Over)
    assert world.backs == 1
    assert world.consumed[3] == list(range(10))


def test_a_drain_finishes_what_is_in_flight() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",)), Node("c", ("c",), sink=True))
    world = World(plan, packets=1000, drain_after=30)
    assert isinstance(world.run(), Over)
    assert 1 <= len(world.seen[2]) < 1000
    assert world.seen[2] == list(range(len(world.seen[2])))


@pytest.mark.parametrize("after", [4, 12, 20, 28, 36])
def test_a_drain_while_the_run_goes_back_does_again_what_was_in_flight(after: int) -> None:
    for seed in range(40):
        world = World(stateful_chain(), packets=1000, seed=seed, drain_after=after, deadly_once={3: {3}, 2: {5}})
        assert isinstance(world.run(), Over)
        assert world.consumed[3] == list(range(world.most[0]))


def test_sources_of_different_length_are_joined_as_far_as_both_go() -> None:
    nodes = (Node("a", ("a",)), Node("b", ("b",)), Node("c", ("c",), inputs=(0, 1), sink=True))
    plan = Plan(nodes, (Link(0, 2, 4), Link(1, 2, 4)), ())
    world = World(plan, packets=30, shorter={1: 7})
    assert isinstance(world.run(), Over)
    assert world.seen[2] == list(range(7))


def test_a_link_too_short_for_the_other_branch_locks_and_the_least_cure_is_found() -> None:
    nodes = (
        Node("a", ("a",)),
        Node("b", ("b",), inputs=(0,), after=10),
        Node("c", ("c",), inputs=(0, 1), sink=True),
    )
    plan = Plan(nodes, (Link(0, 1, 12), Link(0, 2, 6), Link(1, 2, 4)), ())
    assert "a -> c: 6 of 6 queued" in (locks(plan) or "")
    assert enough(plan, plan.links[1], 100) == 11
    assert locks(Plan(nodes, (Link(0, 1, 12), Link(0, 2, 11), Link(1, 2, 4)), ())) is None


# --------------------------------------------------------------------------------------------- random worlds


@dataclass
class World:
    """Workers of every kind of luck around a scheduler; checks the bounds at every step."""

    plan: Plan
    packets: int
    seed: int = 0
    skip: dict[int, set[int]] = field(default_factory=dict)
    broken: dict[int, set[int]] = field(default_factory=dict)
    deadly: dict[int, set[int]] = field(default_factory=dict)
    deadly_once: dict[int, set[int]] = field(default_factory=dict)
    dies_finishing: set[int] = field(default_factory=set)
    shorter: dict[int, int] = field(default_factory=dict)
    deaths: float = 0.0
    told_late: bool = False
    drain_after: int | None = None

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.scheduler = Scheduler(self.plan)
        self.held: dict[WorkerId, list[Task]] = {}
        self.seen: dict[int, list[int]] = {at: [] for at in range(len(self.plan.nodes))}
        self.tasks: dict[int, list[tuple[int, ...]]] = {at: [] for at in range(len(self.plan.nodes))}
        self.ended: dict[int, set[int]] = {at: set() for at in range(len(self.plan.nodes))}
        self.ended_before: dict[int, list[set[int]]] = {at: [] for at in range(len(self.plan.nodes))}
        self.lost: list[Lost] = []
        #: where each node went on when the run last went back, and what it had seen before that
        self.stands: dict[int, tuple[int, set[int]]] = {}
        self.to_finish: list[WorkerId] = []
        self.to_start: list[WorkerId] = []
        self.stopped: set[WorkerId] = set()
        self.backs = 0
        self.most = dict.fromkeys(range(len(self.plan.nodes)), 0)
        # What a sink has: it loses the end of it when it dies, and gets the lost part again.
        self.consumed: dict[int, list[int]] = {at: [] for at, node in enumerate(self.plan.nodes) if node.sink}
        self.now = 0.0

    def run(self) -> Over | Abort:
        events: list[Event] = ready(self.plan)
        for worker in [event.worker for event in events if isinstance(event, Ready)]:
            self.held[worker] = []
        for step in range(200_000):
            if step == self.drain_after:
                events.append(Drain())
            for out in self.scheduler.handle(*events, now=self.now):
                if isinstance(out, Over | Abort):
                    return out
                self.obey(out)
            self.check_bounds()
            self.now += 0.01
            events = [event for _ in range(self.random.randint(1, 3)) if (event := self.happen())]
        raise AssertionError("no end")

    def obey(self, out: object) -> None:
        match out:
            case Begin(worker, task):
                node = self.plan.nodes[worker.node]
                assert worker in self.held, "a task for a worker that is not there"
                self.held[worker].append(task)
                assert len(self.held[worker]) <= node.at_hand
                if task.attempt == 0:
                    assert all(index not in self.seen[worker.node] for index in task.indices), "begun twice"
                    assert not self.seen[worker.node] or task.indices[0] > self.seen[worker.node][-1], "out of order"
                    self.seen[worker.node].extend(task.indices)
                    self.tasks[worker.node].append(task.indices)
                    self.most[worker.node] = max(self.most[worker.node], task.indices[-1] + 1)
                    self.ended_before[worker.node].append(
                        set.intersection(*(self.ended[before] for before in node.inputs)) if node.inputs else set()
                    )
                    for index in task.indices:
                        assert all(index in self.ended[before] for before in node.inputs)
            case Finish(worker):
                self.to_finish.append(worker)
            case Stop(worker):
                self.stopped.add(worker)
                self.held.pop(worker, None)
            case Replace(worker, _):
                self.to_start.append(worker)
            case Renew(worker):
                node = self.plan.nodes[worker.node]
                assert node.source or node.stateful or worker.node in {one.node for one in self.stopped}
                assert not any(self.held.values()), "somebody is still at work"
                self.held.pop(WorkerId(worker.node, worker.replica, worker.incarnation - 1), None)
                self.to_start.append(worker)
            case Back():
                self.go_back(out)
            case Lost():
                self.lost.append(out)

    def go_back(self, back: Back) -> None:
        """All nodes but the sinks that live see packets again; these get no packet twice."""
        self.backs += 1
        for at, (through, start) in enumerate(zip(back.through, back.starts, strict=True)):
            if self.scheduler.nodes[at].next < through:
                assert start < through
            if not self.scheduler.nodes[at].finished:
                self.seen[at] = [index for index in self.seen[at] if index < start]
                self.ended[at] = {index for index in self.ended[at] if index < start}
                # A packet that was given up comes again, and may well go through.
                self.lost = [one for one in self.lost if one.node != at or one.index < start]
            self.stands[at] = (self.packets if self.scheduler.nodes[at].finished else start, set(self.seen[at]))

    def whole(self, worker: WorkerId) -> int:
        """What a sink that has died finds of what it had: the packets before some one, as is the way of segments."""
        had = self.consumed.get(worker.node)
        if had is None or not worker.incarnation or not self.plan.nodes[worker.node].stateful:
            return 0
        found = self.random.randint(0, self.scheduler.nodes[worker.node].through)
        had[:] = [index for index in had if index < found]
        return found

    def happen(self) -> Event | None:
        """One random thing: an answer, a death, a start, a finish."""
        choices: list[WorkerId] = [worker for worker, tasks in self.held.items() if tasks]
        kinds = ["answer"] * bool(choices) + ["finish"] * bool(self.to_finish) + ["start"] * bool(self.to_start)
        if not kinds:
            return None
        kind = self.random.choice(kinds)
        if kind == "finish":
            worker = self.to_finish.pop()
            if worker.node in self.dies_finishing:
                self.dies_finishing.remove(worker.node)
                del self.held[worker]
                return Died(worker)
            return Finished(worker)
        if kind == "start":
            worker = self.to_start.pop()
            self.held[worker] = []
            return Ready(worker, self.whole(worker))
        return self.answer(self.random.choice(choices))

    def answer(self, worker: WorkerId) -> Event:
        task = self.held[worker][0]
        told_with = self.held[worker] if self.told_late else [task]
        deadly = self.deadly.get(worker.node, set()).intersection(index for one in told_with for index in one.indices)
        if once := self.deadly_once.get(worker.node, set()).intersection(task.indices):
            self.deadly_once[worker.node] -= once
            deadly |= once
        if not task.passing and (deadly or self.random.random() < self.deaths):
            del self.held[worker]
            return Died(worker)
        self.held[worker].pop(0)
        if self.plan.nodes[worker.node].source and task.indices[0] >= self.shorter.get(worker.node, self.packets):
            return Done(worker, task.id, end=True)
        broken = self.broken.get(worker.node, set()).intersection(task.indices)
        if broken and not task.passing:
            return Failed(worker, task.id, "broken", min(broken) if len(task.indices) == 1 else None)
        self.ended[worker.node].update(task.indices)
        if worker.node in self.consumed:
            self.consumed[worker.node].extend(task.indices)
        skipped = self.skip.get(worker.node, set())
        return Done(worker, task.id, tuple(Result(skipped=index in skipped) for index in task.indices))

    def check_bounds(self) -> None:
        states = self.scheduler.nodes
        for link in self.plan.links:
            if states[link.consumer].total > states[link.consumer].next:
                assert states[link.producer].next - states[link.consumer].next <= link.capacity
        for one in self.plan.fields:
            for reader in one.readers:
                past = states[reader].through - self.plan.nodes[reader].before
                if one.slots and states[reader].through < states[reader].total:
                    assert states[one.writer].next - past <= one.slots, (
                        "a slot is overwritten before its reader is through"
                    )
        rows = max(state.next for state in states) - min(
            (state.through - state.node.before for state in states if state.through < state.total), default=0
        )
        assert len(self.scheduler.rows) <= max(rows, 0) + 8


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Random graphs with branches, joins, batches, windows and replicas, with the capacities that `auto` gives."""
    count = draw(st.integers(2, 6))
    nodes: list[Node] = []
    for at in range(count):
        inputs: tuple[int, ...] = ()
        if at:
            inputs = tuple(sorted(draw(st.sets(st.integers(0, at - 1), min_size=1, max_size=min(at, 3)))))
        stateful = bool(at) and draw(st.sampled_from([False, False, True]))
        nodes.append(
            Node(
                f"n{at}",
                (f"n{at}",),
                inputs=inputs,
                workers=draw(st.integers(1, 3)) if at and not stateful else 1,
                batch=draw(st.sampled_from([1, 1, 2, 3, 5])) if at else 1,
                max_wait=draw(st.sampled_from([None, None, 0.05])),
                before=draw(st.sampled_from([0, 0, 1, 3])) if at else 0,
                after=draw(st.sampled_from([0, 0, 1, 4])) if at else 0,
                credit=draw(st.integers(1, 3)),
                extra=draw(st.integers(0, 2)),
                stateful=stateful,
                resumes=stateful,
                on_error=draw(st.sampled_from(["skip", "pass"])),
            )
        )
    used = {before for node in nodes for before in node.inputs}
    nodes = [Node(**{**node.__dict__, "sink": at not in used}) for at, node in enumerate(nodes)]
    sizes = auto_capacities(tuple(nodes))
    links = tuple(Link(producer, consumer, size) for (producer, consumer), size in sizes.items())
    fields = []
    for at in range(count - 1):
        later = [other for other in range(at + 1, count) if _reaches(nodes, at, other)]
        if later:
            readers = tuple(sorted(draw(st.sets(st.sampled_from(later), min_size=1))))
            fields.append(FieldPlan(f"f{at}", at, readers, auto_slots(tuple(nodes), links, at, readers)))
    return Plan(tuple(nodes), links, tuple(fields))


def _reaches(nodes: list[Node], start: int, end: int) -> bool:
    return start == end or any(_reaches(nodes, start, before) for before in nodes[end].inputs)


@settings(max_examples=EXAMPLES, deadline=None)
@given(plan=plans(), packets=st.integers(0, 40), seed=st.integers(0, 2**32), data=st.data())
def test_nothing_is_lost_doubled_or_disordered(plan: Plan, packets: int, seed: int, data: st.DataObject) -> None:
    some = st.sets(st.integers(0, max(packets - 1, 0)), max_size=4)
    nodes = range(1, len(plan.nodes))
    with_state = [at for at in nodes if plan.nodes[at].stateful]
    ends = [at for at in with_state if plan.nodes[at].sink]
    deadly = st.sets(st.integers(0, 40), max_size=1)
    world = World(
        plan,
        packets,
        seed=seed,
        skip={at: data.draw(some) for at in nodes},
        broken={at: data.draw(some) for at in nodes},
        deadly={at: data.draw(deadly) for at in nodes if at not in with_state},
        deadly_once={at: data.draw(deadly) for at in with_state},
        dies_finishing=data.draw(st.sets(st.sampled_from(ends), max_size=1)) if ends else set(),
        deaths=data.draw(st.sampled_from([0.0, 0.0, 0.02])),
    )
    end = world.run()
    if isinstance(end, Abort):
        assert "in a row" in end.reason or world.deaths, end.reason
        return
    gone: dict[int, set[int]] = {}
    for at, node in enumerate(plan.nodes):
        before = set().union(*(gone[one] for one in node.inputs)) if node.inputs else set()
        expected = [index for index in range(packets) if index not in before]
        if world.deaths and at in world.stands:
            # Bad luck may drop a packet before the run goes back and not after, or the other way: what was seen stands.
            start, seen = world.stands[at]
            expected = [index for index in range(packets) if (index in seen if index < start else index in expected)]
        assert [index for index in world.seen[at] if index < packets] == expected, node.name
        dropped = {one.index for one in world.lost if one.node == at and not one.passed}
        if node.sink:
            assert sorted(world.consumed[at]) == sorted(set(expected) - dropped), "lost or doubled for those who look"
        gone[at] = before | world.skip.get(at, set()).intersection(world.ended[at]) | dropped


@settings(max_examples=EXAMPLES, deadline=None)
@given(plan=plans())
def test_what_auto_makes_of_any_graph_does_not_lock(plan: Plan) -> None:
    assert locks(plan) is None


@settings(max_examples=EXAMPLES, deadline=None)
@given(plan=plans(), data=st.data(), seed=st.integers(0, 2**32))
def test_a_graph_that_the_check_passes_never_locks(plan: Plan, data: st.DataObject, seed: int) -> None:
    """Whatever the order of events, whatever is skipped or dies; capacities are drawn too small on purpose."""
    small = _squeezed(plan, data)
    some = st.sets(st.integers(0, 59), max_size=8)
    world = World(small, 60, seed=seed, skip={at: data.draw(some) for at in range(1, len(plan.nodes))})
    world.deadly_once = {at: {data.draw(st.integers(0, 59))} for at, node in enumerate(plan.nodes) if node.stateful}
    end = world.run()
    if locks(small) is None:
        assert isinstance(end, Over), end


@settings(max_examples=EXAMPLES, deadline=None)
@given(plan=plans(), data=st.data(), seed=st.integers(0, 2**32))
def test_a_graph_that_the_check_refuses_locks_in_truth(plan: Plan, data: st.DataObject, seed: int) -> None:
    """Of graphs in which nothing depends on where a batch begins: every order of events locks them."""
    single = tuple(Node(**{**node.__dict__, "batch": 1, "max_wait": None}) for node in plan.nodes)
    small = _squeezed(Plan(single, plan.links, plan.fields), data)
    end = World(small, 2 * sum(link.capacity for link in small.links) + 64, seed=seed).run()
    assert isinstance(end, Over) == (locks(small) is None)


def _squeezed(plan: Plan, data: st.DataObject) -> Plan:
    links = tuple(Link(one.producer, one.consumer, data.draw(st.integers(1, 8))) for one in plan.links)
    return Plan(plan.nodes, links, plan.fields)


def test_a_stall_is_named_with_its_links() -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",), batch=8, sink=True), capacity=4)
    end = World(plan, packets=20).run()
    assert isinstance(end, Abort)
    assert "a -> b: 4 of 4 queued" in end.reason


@pytest.mark.parametrize("workers", [1, 3])
def test_counts_agree_at_the_end(workers: int) -> None:
    plan = chain(Node("a", ("a",)), Node("b", ("b",), workers=workers), Node("c", ("c",), sink=True))
    world = World(plan, packets=50)
    assert isinstance(world.run(), Over)
    assert [len(world.ended[at]) for at in range(3)] == [50, 50, 50]
    assert len(world.stopped) == 2 + workers
