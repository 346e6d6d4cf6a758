"""What the hub counts while packets flow."""

from __future__ import annotations

from graph.events import Result, Task
from graph.plan import Link, Node, Plan
from graph.states import NodeState
from graph.tally import Tally

PLAN = Plan((Node("a", ("a",)), Node("b", ("b", "c"), (0,), sink=True)), (Link(0, 1, 4),))


def sink(tally: Tally, *indices: int, results: tuple[Result, ...] = (), now: float = 1.0) -> None:
    tally.ended(Task(1, 1, indices), (10, 20), results or tuple(Result() for _ in indices), now)


def test_packets_are_counted_at_every_stage_of_a_node_and_at_the_sinks() -> None:
    tally = Tally(PLAN)
    tally.ended(Task(1, 0, (0,)), (5,), (Result(),), 0.5)
    assert tally.sunk == 0
    sink(tally, 0, 1, results=(Result(), Result(skipped=True)))
    sink(tally, 2, now=3.0)
    assert (tally.sunk, tally.first_sunk, tally.last_sunk) == (3, 1.0, 3.0)
    found = {name: (one.packets_in, one.packets_out, one.busy_ns) for name, one in tally.stages.items()}
    assert found == {"a": (1, 1, 5), "b": (3, 2, 20), "c": (3, 2, 40)}


def test_what_comes_again_is_not_counted_again() -> None:
    tally = Tally(PLAN)
    sink(tally, 0, 1, 2, 3)
    tally.went_back((6, 4), (2, 2))
    sink(tally, 2, 3)
    assert tally.sunk == 4
    sink(tally, 4)
    assert tally.sunk == 5


def test_what_a_sink_had_whole_and_had_not_told_of_is_counted() -> None:
    tally = Tally(PLAN)
    sink(tally, 0, 1)
    tally.went_back((6, 2), (4, 4))
    assert tally.sunk == 4
    sink(tally, 4)
    tally.went_back((6, 5), (3, 3))
    sink(tally, 3, 4)
    assert tally.sunk == 5


def test_the_most_that_a_link_held_stays() -> None:
    tally = Tally(PLAN)
    nodes = [NodeState(0, PLAN.nodes[0], through=5), NodeState(1, PLAN.nodes[1], next=2)]
    tally.look_at_links(nodes)
    nodes[1].next = 5
    tally.look_at_links(nodes)
    assert tally.high_water == {(0, 1): 3}
