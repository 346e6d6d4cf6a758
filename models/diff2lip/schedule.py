"""The noise schedule Diff2Lip was trained with, and which of its 1000 steps a sampler visits.

Linear betas from 1e-4 to 0.02 (Ho et al., "Denoising Diffusion Probabilistic Models", NeurIPS 2020); alpha-bar is the
share of the picture that is left at a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

TRAINED = 1000


@cache
def alpha_bars() -> npt.NDArray[np.float64]:
    """Alpha-bar of the steps 0…999, float64 [1000], falling from 0.9999 to 4e-5."""
    betas = np.linspace(1e-4, 0.02, TRAINED, dtype=np.float64)
    return np.cumprod(1 - betas, dtype=np.float64)


@dataclass(frozen=True)
class Steps:
    """The steps a sampler visits, from noise to picture.

    times: the step numbers given to the network, falling; levels: alpha-bar at each of them, and 1 after the last.
    """

    times: tuple[int, ...]
    levels: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.times)


def _visit(times: list[int]) -> Steps:
    bars = alpha_bars()
    return Steps(tuple(times), (*(float(bars[t]) for t in times), 1.0))


def even_steps(count: int) -> Steps:
    """`count` steps counted up from 0 at an even distance, as the paper's code has them: 25 are 960, 920, … 40, 0.

    The whole distance that gives exactly `count` steps is taken where there is one, else the steps are rounded down.
    Raises ValueError unless 1 ≤ count ≤ 1000.
    """
    _check(count)
    for distance in range(1, TRAINED + 1):
        times = list(range(0, TRAINED, distance))
        if len(times) == count:
            return _visit(times[::-1])
    return _visit([i * TRAINED // count for i in range(count)][::-1])


def leading_steps(count: int, first: int = 960) -> Steps:
    """`count` steps from `first` down at an even distance, without 0: what the solvers of higher order visit.

    They go from the last of them straight to the picture; a step at 0, where no noise is left, would be wasted. 960 is
    where the paper's 25 steps begin, so all solvers start from the same noise. Raises ValueError unless
    1 ≤ count ≤ 960.
    """
    _check(count, first)
    return _visit([round(first * (count - i) / count) for i in range(count)])


def _check(count: int, most: int = TRAINED) -> None:
    if not 1 <= count <= most:
        raise ValueError(f"steps: {count} is not between 1 and {most}")
