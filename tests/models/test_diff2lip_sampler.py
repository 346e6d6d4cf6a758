"""Schedule, solvers and the loop over them, on denoisers whose right answer is known."""

import math
from dataclasses import dataclass

import pytest
import torch

from models.diff2lip import Conditions, Sampler, start_noise
from models.diff2lip.schedule import alpha_bars, even_steps, leading_steps
from models.diff2lip.solvers import make_solver


def test_schedule_is_the_trained_one():
    steps = even_steps(25)
    assert steps.times == tuple(range(960, -1, -40))
    assert len(alpha_bars()) == 1000
    shown = {0: 0.9999, 40: 0.97976692, 120: 0.85483265, 480: 0.0948687, 960: 0.00008741}
    for time, level in shown.items():
        assert alpha_bars()[time] == pytest.approx(level, abs=1e-8)
    assert steps.levels[-1] == 1 and steps.levels[0] == alpha_bars()[960]


@pytest.mark.parametrize("count", [1, 2, 7, 8, 25, 30, 333, 960])
def test_any_number_of_steps_falls_towards_the_picture(count):
    for steps in (even_steps(count), leading_steps(count)):
        assert len(steps) == len(set(steps.times)) == count
        assert list(steps.times) == sorted(steps.times, reverse=True) and steps.times[-1] >= 0
        assert list(steps.levels) == sorted(steps.levels)


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_numbers_of_steps_out_of_range(count):
    with pytest.raises(ValueError, match=f"steps: {count} is not between"):
        even_steps(count)


def error(name: str, count: int) -> float:
    """How far a solver ends from the exact path, for pictures that are normal with mean 0.3 and deviation 0.5.

    There the best estimate of the clean picture, and the path of the flow, are known in closed form.
    """
    mean, spread = 0.3, 0.5
    solver = make_solver(name, count)

    def deviation(level):
        return math.sqrt(level * spread**2 + 1 - level)

    x = torch.tensor([[1.3]], dtype=torch.float64)
    first = solver.steps.levels[0]
    place = (x - math.sqrt(first) * mean) / deviation(first)
    for index, level in enumerate(solver.steps.levels[:-2]):
        toward = math.sqrt(level) * spread**2 / deviation(level) ** 2
        x = solver.step(index, x, mean + toward * (x - math.sqrt(level) * mean))
    last = solver.steps.levels[-2]
    return abs(float(x - math.sqrt(last) * mean - place * deviation(last)))


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm++", 2), ("unipc", 2)])
def test_solvers_converge_at_their_order(name, order):
    """Twice the steps: half the error for order 1, a quarter for order 2 (nearly, at these numbers)."""
    assert error(name, 256) < error(name, 128) / 2**order * 1.35


@pytest.mark.parametrize("name", ["dpm++", "unipc"])
def test_higher_order_needs_fewer_steps(name):
    assert error(name, 8) < error("ddim", 25)


def test_unknown_solver():
    with pytest.raises(ValueError, match=r"solver: 'euler' is none of ddim, dpm\+\+, unipc"):
        make_solver("euler", 8)


@dataclass
class Recorder:
    """A denoiser that thinks the clean picture is `value` of its frame's speech, and remembers how it was called."""

    reuses: bool = True

    def __post_init__(self):
        self.calls = []

    def prepare(self, conditions):
        return conditions.speech[:, 0, 0]

    def predict(self, lower, t, prepared, deep=None):
        self.calls.append((len(lower), int(t[0]), deep))
        level = alpha_bars()[int(t[0])]
        clean = prepared[:, None, None, None]
        noise = (lower - math.sqrt(level) * clean) / math.sqrt(1 - level)
        return noise, torch.tensor(float(len(self.calls)))


def conditions(*values):
    count = len(values)
    return Conditions.hide_lower_half(
        frames=torch.zeros(count, 3, 128, 128),
        references=torch.zeros(count, 3, 128, 128),
        speech=torch.tensor(values).reshape(count, 1, 1).expand(count, 80, 16),
        noise=start_noise(7),
    )


@pytest.mark.parametrize("solver", ["ddim", "dpm++", "unipc"])
@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("warm_start", [0.0, 0.5])
def test_every_frame_arrives_at_its_own_picture(solver, batch, warm_start):
    sampler = Sampler(Recorder(), steps=6, solver=solver, batch=batch, warm_start=warm_start)
    drawn = sampler.sample(conditions(-0.5, 0.0, 0.75), start_noise(7))
    assert drawn.shape == (3, 3, 64, 128)
    for frame, value in zip(drawn, (-0.5, 0.0, 0.75), strict=True):
        torch.testing.assert_close(frame, torch.full_like(frame, value), atol=1e-4, rtol=0)


def test_reuse_computes_deep_features_at_every_nth_step():
    recorder = Recorder()
    Sampler(recorder, steps=7, reuse=3).sample(conditions(0.1), start_noise(7))
    assert [None if deep is None else int(deep) for _, _, deep in recorder.calls][:7:3] == [None, None, None]
    assert all(deep is not None for step, (_, _, deep) in enumerate(recorder.calls) if step % 3)


def test_warm_start_computes_the_first_steps_once():
    recorder = Recorder()
    Sampler(recorder, steps=10, warm_start=0.4).sample(conditions(0.1, 0.2, 0.3), start_noise(7))
    assert len(recorder.calls) == 4 + 3 * 6
    recorder.calls.clear()
    Sampler(recorder, steps=10, warm_start=0.4).sample(conditions(0.1), start_noise(7))
    assert len(recorder.calls) == 10, "a frame alone shares with nobody"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps: 0"),
        ({"reuse": 0}, "reuse: 0"),
        ({"warm_start": 1.0}, "warm_start: 1.0"),
        ({"batch": 0}, "batch: 0"),
        ({"solver": "euler"}, "solver: 'euler'"),
    ],
)
def test_numbers_out_of_range_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Sampler(Recorder(), **wrong)


def test_reuse_needs_a_denoiser_that_can():
    with pytest.raises(ValueError, match="reuse: 2 needs the network in torch"):
        Sampler(Recorder(reuses=False), reuse=2)
