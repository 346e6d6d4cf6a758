"""From noise to the lower half of a face: the loop over the steps, with what may be saved between steps and frames."""

from __future__ import annotations

import math
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from models.diff2lip.conditions import SIZE, SPLIT, Conditions
from models.diff2lip.solvers import Solver, SolverName, make_solver

P = TypeVar("P")


class Denoiser(Protocol[P]):
    """What predicts the noise: `Network`, or the same through ONNX Runtime. P is what it makes of the conditions."""

    @property
    def reuses(self) -> bool:
        """Whether `predict` can go on from deep features."""
        ...

    def prepare(self, conditions: Conditions) -> P:
        """Do what the steps of these frames share."""
        ...

    def predict(
        self, lower: Tensor, t: Tensor, prepared: P, deep: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The noise [N, 3, 64, 128] in the lower half, and the deep features if it has any to give."""
        ...


def start_noise(seed: int) -> Tensor:
    """Normal noise [1, 3, 128, 128] that every frame starts from: another for each, and the mouth would flicker."""
    return torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def clean_estimate(x: Tensor, noise: Tensor, level: float) -> Tensor:
    """The picture that x [N, …] is, if `noise` is what was added to it, within -1…1; `level`: alpha-bar."""
    return (x / math.sqrt(level) - math.sqrt(1 / level - 1) * noise).clamp(-1, 1)


class Sampler(Generic[P]):
    """Draws lower halves with a denoiser.

    steps, solver: how many calls of the network a frame, and how they are joined.
    reuse: the deep features are computed at every `reuse`-th step only (1: at each, exact).
    warm_start: the share of the steps (0…1, first ones) that frames of one call have in common: they are computed for
        the middle frame only (0: none, exact).
    batch: frames at once in the network.
    Raises ValueError where a number is out of its range.
    """

    def __init__(
        self,
        denoiser: Denoiser[P],
        *,
        steps: int = 25,
        solver: SolverName = "ddim",
        reuse: int = 1,
        warm_start: float = 0.0,
        batch: int = 1,
    ) -> None:
        make_solver(solver, steps)
        if reuse < 1:
            raise ValueError(f"reuse: {reuse} is less than 1 (1 computes every step in full)")
        if reuse > 1 and not denoiser.reuses:
            raise ValueError(f"reuse: {reuse} needs the network in torch; through ONNX Runtime every step is in full")
        if not 0 <= warm_start < 1:
            raise ValueError(f"warm_start: {warm_start} is not a share of the steps, from 0 to less than 1")
        if batch < 1:
            raise ValueError(f"batch: {batch} is less than 1")
        self._denoiser = denoiser
        self._steps = steps
        self._solver = solver
        self._reuse = reuse
        self._shared = int(warm_start * steps)
        self._batch = batch

    def sample(self, conditions: Conditions, noise: Tensor) -> Tensor:
        """The lower halves [N, 3, 64, 128] in -1…1, from `noise` [1, 3, 128, 128]."""
        lower = noise[:, :, SPLIT:]
        solver = make_solver(self._solver, self._steps)
        count, shared = len(conditions), 0
        if count > 1 and self._shared:
            shared = self._shared
            middle = self._denoiser.prepare(conditions.part(count // 2, count // 2 + 1))
            lower = self._walk(middle, lower, solver, 0, shared)
        drawn = []
        for start in range(0, count, self._batch):
            part = conditions.part(start, min(start + self._batch, count))
            prepared = self._denoiser.prepare(part)
            x = lower.expand(len(part), -1, -1, -1)
            drawn.append(self._walk(prepared, x, solver.repeat(len(part)), shared, self._steps))
        return torch.cat(drawn)

    def _walk(self, prepared: P, x: Tensor, solver: Solver, start: int, stop: int) -> Tensor:
        deep: Tensor | None = None
        for index in range(start, stop):
            times = torch.full((len(x),), solver.steps.times[index], device=x.device)
            kept = deep if (index - start) % self._reuse else None
            noise, deep = self._denoiser.predict(x, times, prepared, kept)
            x = solver.step(index, x, clean_estimate(x, noise, solver.steps.levels[index]))
        return x
