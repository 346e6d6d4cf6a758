"""The choice is the cheapest path, and the same whoever asks in whatever order."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np

from models.mouth.choose import JUMP, JUMP_PER_FRAME, LIKE, Chooser, Wanted, blurred, decode, own_costs


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

    straight, sharp = np.zeros((count, 3), np.float32), np.full(count, 0.5, np.float32)
    return Chooser(wanted, units, straight, np.arange(count), np.zeros(count, bool), 0.05, sharp)


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


def test_a_blurred_mouth_is_told_by_those_of_like_shape() -> None:
    random = np.random.default_rng(2)
    aperture = np.repeat([0.1, 0.9], 2 * LIKE)
    units = np.stack([aperture + random.normal(0, 0.02, len(aperture))] + [np.full(len(aperture), 0.5)] * 3, 1)
    sharp = np.where(aperture < 0.5, 0.45, 0.55) * random.uniform(0.99, 1.01, len(aperture))  # teeth look sharper
    sharp[[7, 70]] *= 0.87
    costs = blurred(units.astype(np.float32), np.zeros((len(units), 3), np.float32), sharp.astype(np.float32))
    assert costs[[7, 70]].min() > 1.6  # more than any jump
    assert np.delete(costs, [7, 70]).max() < 0.1


def test_a_sharp_mouth_is_taken_before_a_blurred_one_that_fits_a_little_better() -> None:
    units = np.full((20, 4), 0.5, np.float32)
    units[1:, 0] = 0.55
    sharp = np.full(20, 0.5, np.float32)
    sharp[0] = 0.42
    chosen = []
    for sharpness in (sharp, np.full(20, 0.5, np.float32)):
        straight = np.zeros((20, 3), np.float32)

        def wanted(start: int, stop: int) -> Wanted:
            count = stop - start
            return Wanted(np.full((count, 4), 0.5, np.float32), np.zeros(count, bool), np.zeros((count, 3), np.float32))

        chosen.append(Chooser(wanted, units, straight, np.arange(20), np.zeros(20, bool), 0.05, sharpness)(10))
    assert chosen[0] != 0 and chosen[1] == 0
