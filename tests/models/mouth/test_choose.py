"""The choice is the cheapest path, and the same whoever asks in whatever order."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np

from models.mouth.choose import JUMP, JUMP_PER_FRAME, Chooser, Wanted, decode, own_costs


def test_no_path_is_cheaper() -> None:
    random = np.random.default_rng(5)
    for _ in range(20):
        costs = random.random((4, 5)).astype(np.float32) * 3
        frames = random.permutation(40)[:5].astype(np.int64)

        def price(path: tuple[int, ...], costs: np.ndarray = costs, frames: np.ndarray = frames) -> float:
            total = float(sum(costs[t, row] for t, row in enumerate(path)))
            for a, b in pairwise(path):
                step = int(frames[b] - frames[a])
                total += min(JUMP, JUMP_PER_FRAME * min(abs(step), abs(step - 1)))
            return total

        best = min(price(path) for path in product(range(5), repeat=4))
        assert abs(price(tuple(decode(costs, frames))) - best) < 1e-5


def chooser(count: int = 90) -> Chooser:
    random = np.random.default_rng(1)
    units = random.random((count, 4)).astype(np.float32)

    def wanted(start: int, stop: int) -> Wanted:
        t = np.arange(start, stop)
        path = np.stack([0.5 + 0.5 * np.sin(t / k) for k in (3, 5, 7, 9)], 1).astype(np.float32)
        return Wanted(path, t % 31 == 0, np.zeros((len(t), 3), np.float32))

    return Chooser(wanted, units, np.zeros((count, 3), np.float32), np.arange(count), np.zeros(count, bool), 0.05)


def test_the_choice_is_a_function_of_the_index() -> None:
    forth, back = chooser(), chooser()
    once = [forth(index) for index in range(260)]
    assert [back(index) for index in reversed(range(260))] == once[::-1]
    assert len(set(once)) > 10


def test_a_shut_mouth_takes_a_shut_exemplar() -> None:
    units = np.array([[0.0, 0.1, 0, 0], [0.5, 0.5, 0, 0]], np.float32)
    wanted = Wanted(np.array([[0.4, 0.5, 0, 0]] * 2, np.float32), np.array([True, False]), np.zeros((2, 3), np.float32))
    assert own_costs(wanted, units, np.zeros((2, 3), np.float32), 0.05).argmin(1).tolist() == [0, 1]


def test_lips_that_touch_are_taken_before_lips_that_nearly_do() -> None:
    units = np.array([[0.12, 0.5, 0.5, 0.5], [0.04, 0.42, 0.5, 0.5]], np.float32)  # the first is nearer in width
    wanted = Wanted(np.array([[0.0, 0.5, 0.5, 0.5]] * 2, np.float32), np.array([True, False]), np.zeros((2, 3)))
    costs = own_costs(wanted, units, np.zeros((2, 3), np.float32), touching=0.05)
    assert costs[0, 0] - costs[0, 1] > 1.5 + (costs[1, 0] - costs[1, 1])


def test_a_head_that_turns_takes_exemplars_that_do() -> None:
    units = np.full((3, 4), 0.5, np.float32)
    poses = np.array([[-15, 0, 0], [0, 0, 0], [15, 0, 0]], np.float32)
    wanted = Wanted(units, np.zeros(3, bool), poses[::-1])
    assert own_costs(wanted, units, poses, 0.05).argmin(1).tolist() == [2, 1, 0]


def test_of_two_mouths_equally_far_off_the_more_open_one_is_taken() -> None:
    units = np.array([[0.3, 0.5, 0.5, 0.5], [0.7, 0.5, 0.5, 0.5]], np.float32)
    asked = Wanted(np.array([[0.5, 0.5, 0.5, 0.5]], np.float32), np.array([False]), np.zeros((1, 3), np.float32))
    costs = own_costs(asked, units, np.zeros((2, 3), np.float32), 0.05)[0]
    assert costs[1] < costs[0]
