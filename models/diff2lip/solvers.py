"""From the noisy picture to the clean one in few steps: DDIM, DPM-Solver++(2M) and UniPC.

A solver is given, at each step, the picture x [N, …] and the network's estimate of the clean picture, and answers with
the picture at the next step. With alpha-bar a: alpha = √a, sigma = √(1-a), lambda = log(alpha / sigma).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, Protocol, get_args

from torch import Tensor

from models.diff2lip.schedule import Steps, even_steps, leading_steps

SolverName = Literal["ddim", "dpm++", "unipc"]


class Solver(Protocol):
    """`steps`: what it visits. A solver may remember earlier steps: one object serves one trajectory."""

    steps: Steps

    def step(self, index: int, x: Tensor, clean: Tensor) -> Tensor:
        """x at `steps.times[index]` and the estimate of the clean picture there → x at the next of the steps."""
        ...

    def repeat(self, count: int) -> Solver:
        """A solver at the same place of `count` trajectories that were one so far."""
        ...


class DDIM:
    """Song et al., "Denoising Diffusion Implicit Models", ICLR 2021, equation 12 with sigma 0: the paper's sampler."""

    def __init__(self, count: int) -> None:
        self.steps = even_steps(count)

    def step(self, index: int, x: Tensor, clean: Tensor) -> Tensor:
        """First order: the noise is what the clean picture leaves of x."""
        now, after = self.steps.levels[index : index + 2]
        noise = (x / math.sqrt(now) - clean) / math.sqrt(1 / now - 1)
        return math.sqrt(after) * clean + math.sqrt(1 - after) * noise

    def repeat(self, count: int) -> DDIM:
        """DDIM remembers nothing."""
        return self


class _Multistep:
    """What the solvers that look back one step share: coefficients, and the estimate of the step before."""

    def __init__(self, count: int) -> None:
        self.steps = leading_steps(count)
        self._alphas = [math.sqrt(level) for level in self.steps.levels]
        self._sigmas = [math.sqrt(1 - level) for level in self.steps.levels]
        ratios = zip(self._alphas, self._sigmas, strict=True)
        self._lambdas = [math.log(alpha / sigma) if sigma else math.inf for alpha, sigma in ratios]
        self._before: Tensor | None = None

    def _wide(self, index: int) -> float:
        """How far lambda moves from step `index` to the next; infinite for the last."""
        return self._lambdas[index + 1] - self._lambdas[index]

    def _slope(self, index: int, clean: Tensor) -> Tensor:
        """D1 = (estimate - estimate of the step before) / r, with r the step before in units of this one."""
        assert self._before is not None
        return (clean - self._before) * (self._wide(index) / self._wide(index - 1))


class DPMSolver(_Multistep):
    """DPM-Solver++(2M): Lu et al., "DPM-Solver++", 2022, algorithm 2. First order at the first and the last step."""

    def step(self, index: int, x: Tensor, clean: Tensor) -> Tensor:
        """x' = (sigma'/sigma) x - alpha' (e^-h - 1) D, with D the estimate extrapolated by half a step."""
        wide = self._wide(index)
        guess = clean
        if self._before is not None and math.isfinite(wide):
            guess = clean + self._slope(index, clean) / 2
        self._before = clean
        ratio = self._sigmas[index + 1] / self._sigmas[index]
        return ratio * x - self._alphas[index + 1] * math.expm1(-wide) * guess

    def repeat(self, count: int) -> DPMSolver:
        """The estimate of the step before is that of all."""
        other = DPMSolver(len(self.steps))
        other._before = None if self._before is None else _repeated(self._before, count)
        return other


class UniPC(_Multistep):
    """UniPC of order 2, B(h) = e^h - 1: Zhao et al., "UniPC", NeurIPS 2023, algorithms 5 to 8, in terms of the picture.

    Each estimate of the network first corrects the picture it was made for (order 2, with the estimate itself as a
    further point), then predicts the next one: no more calls of the network than a predictor alone.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._from: tuple[Tensor, Tensor, Tensor | None] | None = None

    def step(self, index: int, x: Tensor, clean: Tensor) -> Tensor:
        """Correct x by the estimate made at it, then go on to the next step."""
        if self._from is not None:
            x = self._corrected(index - 1, clean)
        slope = self._slope(index, clean) if self._before is not None and math.isfinite(self._wide(index)) else None
        self._from = (x, clean, slope)
        self._before = clean
        after = self._first_order(index, x, clean)
        if slope is not None:
            after = after - self._alphas[index + 1] * math.expm1(-self._wide(index)) * slope / 2
        return after

    def _first_order(self, index: int, x: Tensor, clean: Tensor) -> Tensor:
        ratio = self._sigmas[index + 1] / self._sigmas[index]
        return ratio * x - self._alphas[index + 1] * math.expm1(-self._wide(index)) * clean

    def _corrected(self, index: int, found: Tensor) -> Tensor:
        """x at step index + 1 once more, from step `index`, now that the estimate `found` at index + 1 is known."""
        assert self._from is not None
        x, clean, slope = self._from
        scale = self._alphas[index + 1] * math.expm1(-self._wide(index))
        change = found - clean
        if slope is None:
            return self._first_order(index, x, clean) - scale * change / 2
        back, ahead = self._corrector_weights(index)
        return self._first_order(index, x, clean) - scale * (back * slope + ahead * change)

    def _corrector_weights(self, index: int) -> tuple[float, float]:
        """Solution of equation 10's two conditions for the points r (the step before, negative) and 1."""
        h = -self._wide(index)
        r = -self._wide(index - 1) / self._wide(index)
        phi2 = math.expm1(h) / h - 1
        first, second = phi2 / math.expm1(h), 2 * (phi2 / h - 0.5) / math.expm1(h)
        back = (second - first) / (r - 1)
        return back, first - back

    def repeat(self, count: int) -> UniPC:
        """What is remembered is that of all."""
        other = UniPC(len(self.steps))
        other._before = None if self._before is None else _repeated(self._before, count)
        if self._from is not None:
            x, clean, slope = (None if part is None else _repeated(part, count) for part in self._from)
            assert x is not None and clean is not None
            other._from = (x, clean, slope)
        return other


def _repeated(tensor: Tensor, count: int) -> Tensor:
    return tensor.expand(count, *tensor.shape[1:])


_SOLVERS: dict[str, Callable[[int], Solver]] = {"ddim": DDIM, "dpm++": DPMSolver, "unipc": UniPC}


def make_solver(name: str, steps: int) -> Solver:
    """A fresh solver; ValueError for an unknown name or a number of steps out of range."""
    if name not in _SOLVERS:
        raise ValueError(f"solver: {name!r} is none of {', '.join(get_args(SolverName))}")
    return _SOLVERS[name](steps)
