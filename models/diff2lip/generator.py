"""Diff2Lip as a generator: crops, references and speech in, crops that speak out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.device import dtype_word, lower_precision
from models.diff2lip.conditions import SIZE, SPLIT, Conditions
from models.diff2lip.pictures import Bytes, Rounding, checked, join, levels_of, numbers_of
from models.diff2lip.sampler import Denoiser, Sampler, start_noise
from models.diff2lip.solvers import SolverName
from models.lane import Lane

#: frames at once on a GPU; on a CPU one at a time is the fastest (docs/diff2lip.md)
GPU_BATCH = 16


class Diff2Lip:
    """Draws the lower half of 128×128 faces.

    denoiser: a `Network` on `device`, or one that runs through ONNX Runtime; `provider` says which, for the report.
    seed: of the noise that all frames start from. batch: frames at once, 0 for the best for the device.
    rounding: `nearest`, or `down` as the paper's code has it.
    For steps, solver, reuse and warm_start see `Sampler`; raises ValueError where one is out of range.
    """

    name = "diff2lip"
    size = SIZE
    first_row = SPLIT
    licence = "CC BY-NC 4.0"

    def __init__(
        self,
        denoiser: Denoiser[Any],
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        steps: int = 25,
        solver: SolverName = "ddim",
        seed: int = 7,
        batch: int = 0,
        reuse: int = 1,
        warm_start: float = 0.0,
        rounding: Rounding = "nearest",
        provider: str = "torch",
    ) -> None:
        self._device = device
        self._dtype = dtype
        self._rounding = rounding
        self._lane = Lane(device)
        self._noise = start_noise(seed).to(device)
        batch = batch or (GPU_BATCH if device.type == "cuda" else 1)
        self._sampler = Sampler(denoiser, steps=steps, solver=solver, reuse=reuse, warm_start=warm_start, batch=batch)
        self._about = {
            "model": self.name,
            "licence": self.licence,
            "device": str(device),
            "provider": provider,
            "dtype": dtype_word(dtype),
            "steps": steps,
            "solver": solver,
            "seed": seed,
            "batch": batch,
            "reuse": reuse,
            "warm_start": warm_start,
        }

    def about(self) -> dict[str, Any]:
        """Plain facts for the report."""
        return dict(self._about)

    @property
    def waits(self) -> bool:
        """Whether a GPU draws."""
        return self._device.type == "cuda"

    def draw(self, crops: Bytes, references: Bytes, speech: npt.NDArray[np.float32]) -> Bytes:
        """Crops that speak, RGB uint8 [N, 128, 128, 3]: rows 0…63 are those of `crops`, 64…127 are drawn.

        crops, references: RGB uint8 [N, 128, 128, 3]; speech: float32 [N, 80, 16]. Raises ValueError where shapes or
        numbers of frames do not fit, or the network gives something that is not a number.
        """
        return self.begin(crops, references, speech)()

    def begin(self, crops: Bytes, references: Bytes, speech: npt.NDArray[np.float32]) -> Callable[[], Bytes]:
        """As `draw`, but only begins on a GPU: what is returned waits for the pictures."""
        upload = self._lane.upload
        with torch.inference_mode(), lower_precision(self._device, self._dtype):
            frames = numbers_of(upload(checked(crops)))
            conditions = Conditions.hide_lower_half(
                frames=frames,
                references=numbers_of(upload(checked(references))),
                speech=upload(speech),
                noise=self._noise,
            )
            lower = self._sampler.sample(conditions, self._noise)
            numbers = self._lane.download(torch.isfinite(lower).all())
            pictures = self._lane.download(levels_of(join(frames, lower), self._rounding))

        def drawn() -> Bytes:
            if not numbers():
                raise ValueError("Diff2Lip drew something that is not a number: weights or inputs are broken")
            return pictures()

        return drawn
