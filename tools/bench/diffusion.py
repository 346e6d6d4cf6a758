"""How fast Diff2Lip draws on this machine, and what its shortcuts cost: weights and pictures are made by a formula.

    python tools/bench/diffusion.py speed [--rounds N] [--threads N] [--json]
    python tools/bench/diffusion.py shortcuts [--frames N] [--json]
    python tools/bench/diffusion.py int8 [--json]

`speed`: in turn, round after round, a forward of the whole network at batch 1 in fp32 (counted as 157.37 GFLOP, what
the network takes as it is defined, though it is given with fewer multiplications) and a plain 128→128 3×3 convolution
at 64×64 alone; the best of the rounds of each. With `--threads 1` seconds are the processor's, which other jobs on the
machine change less than those of the clock.
`shortcuts`: solvers, reuse of deep features, shared starts, each with processor seconds a frame and its error against
the same solver's picture without the shortcut, and against 25 steps of DDIM. `int8`: the network's convolutions in 8
bits, in ONNX Runtime.
--json prints one object a line.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.diff2lip import Conditions, Network, Sampler, start_noise
from models.diff2lip.export import STEP, OnnxDenoiser, export
from models.synthetic import fill

NETWORK_GFLOP = 157.37
CONVOLUTION_GFLOP = 2 * 9 * 128 * 128 * 64 * 64 / 1e9


@dataclass(frozen=True)
class Shortcut:
    """A row of the table: how to sample, and the row whose pictures it should give."""

    name: str
    sampler: dict[str, Any]
    without: str | None = None


SHORTCUTS = (
    Shortcut("ddim 25", {}),
    Shortcut("ddim 25, reuse 2", {"reuse": 2}, "ddim 25"),
    Shortcut("ddim 25, reuse 3", {"reuse": 3}, "ddim 25"),
    Shortcut("ddim 25, warm_start 0.4", {"warm_start": 0.4}, "ddim 25"),
    Shortcut("ddim 8", {"steps": 8}, "ddim 25"),
    Shortcut("dpm++ 8", {"steps": 8, "solver": "dpm++"}, "dpm++ 25"),
    Shortcut("unipc 8", {"steps": 8, "solver": "unipc"}, "unipc 25"),
    Shortcut("dpm++ 8, reuse 2", {"steps": 8, "solver": "dpm++", "reuse": 2}, "dpm++ 8"),
    Shortcut("dpm++ 4", {"steps": 4, "solver": "dpm++"}, "dpm++ 25"),
    Shortcut("dpm++ 25", {"solver": "dpm++"}),
    Shortcut("unipc 25", {"solver": "unipc"}),
)


def network() -> Network:
    """The whole network, with synthetic weights."""
    with torch.device("meta"):
        made = Network()
    fill(made)
    return made


def conditions(frames: int) -> Conditions:
    """Smooth pictures that change a little from frame to frame, and speech that does."""
    random = np.random.default_rng(1)
    coarse = torch.from_numpy(random.uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32))
    still, moving = torch.nn.functional.interpolate(coarse, size=(128, 128), mode="bicubic").clamp(-1, 1)
    pictures = torch.stack([(still + 0.05 * i * moving).clamp(-1, 1) for i in range(frames)])
    speech = random.uniform(-4, 4, (80, 16 + 3 * frames)).astype(np.float32)
    windows = torch.stack([torch.from_numpy(speech[:, 3 * i : 3 * i + 16]) for i in range(frames)])
    return Conditions.hide_lower_half(frames=pictures, references=pictures, speech=windows, noise=start_noise(7))


def clock(work: Callable[[], object], timer: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that `work` takes."""
    begin = timer()
    work()
    return timer() - begin


def speed(rounds: int) -> list[dict[str, Any]]:
    """GFLOP/s of the network and of one convolution, measured in turn."""
    model, given = network(), conditions(1)
    prepared = model.prepare(given)
    lower, t = start_noise(7)[:, :, 64:], torch.tensor([960])
    kernel, picture = torch.randn(128, 128, 3, 3), torch.randn(1, 128, 64, 64)
    timer = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    whole: list[float] = []
    alone: list[float] = []
    for _ in range(rounds + 1):
        whole.append(clock(lambda: model.predict(lower, t, prepared), timer))
        alone.extend(clock(lambda: torch.conv2d(picture, kernel, padding=1), timer) for _ in range(20))
    network_rate, convolution_rate = NETWORK_GFLOP / min(whole[1:]), CONVOLUTION_GFLOP / min(alone[20:])
    return [
        {"name": "network", "seconds": min(whole[1:]), "gflop_per_s": network_rate},
        {"name": "convolution", "seconds": min(alone[20:]), "gflop_per_s": convolution_rate},
        {"name": "share", "share": network_rate / convolution_rate, "threads": torch.get_num_threads()},
    ]


def psnr(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Decibels between pictures in -1…1."""
    error = float((found - wanted).square().mean())
    return math.inf if error == 0 else 10 * math.log10(4 / error)


def shortcuts(frames: int) -> Iterable[dict[str, Any]]:
    """Seconds of the processor a frame, which other jobs change little, and errors of every row."""
    model, given, noise = network(), conditions(frames), start_noise(7)
    drawn: dict[str, torch.Tensor] = {}
    took: dict[str, float] = {}
    for row in SHORTCUTS:
        sampler = Sampler(model, **row.sampler)
        begin = time.process_time()
        drawn[row.name] = sampler.sample(given, noise)
        took[row.name] = (time.process_time() - begin) / frames
    for row in SHORTCUTS:
        yield {
            "name": row.name,
            "cpu_seconds_per_frame": took[row.name],
            "times_as_fast": took["ddim 25"] / took[row.name],
            "psnr_without_shortcut": psnr(drawn[row.name], drawn[row.without]) if row.without else None,
            "psnr_to_ddim_25": psnr(drawn[row.name], drawn["ddim 25"]),
        }


class Calibration:
    """Inputs of the step graph along a trajectory, for ONNX Runtime's calibration."""

    def __init__(self, denoiser: OnnxDenoiser, count: int) -> None:
        given = conditions(count)
        _, style = denoiser.prepare(given)
        level = np.array([0.5], np.float32)
        random = np.random.default_rng(2)
        self._rows = iter(
            {
                "x": random.standard_normal((1, 3, 128, 128)).astype(np.float32),
                "t": np.array([960 - 960 * i // count], np.int64),
                "image": given.image[i : i + 1].numpy(),
                "reference": given.reference[i : i + 1].numpy(),
                "style": style[i : i + 1].numpy(),
                "level": level,
                "level_after": level,
            }
            for i in range(count)
        )

    def get_next(self) -> dict[str, Any] | None:
        """One set of inputs, or None at the end."""
        return next(self._rows, None)


def int8(threads: int) -> Iterable[dict[str, Any]]:
    """fp32 and int8 (calibrated, convolutions only) in ONNX Runtime: processor seconds a forward, and the error."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    given, noise = conditions(1), start_noise(7)
    with tempfile.TemporaryDirectory() as scratch:
        folder, small = Path(scratch) / "fp32", Path(scratch) / "int8"
        export(network(), folder)
        small.mkdir()
        (small / "speech.onnx").symlink_to(folder / "speech.onnx")
        wide = OnnxDenoiser(folder, "cpu", threads)
        quantize_static(
            folder / STEP,
            small / STEP,
            Calibration(wide, 4),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv"],
        )
        drawn: dict[str, torch.Tensor] = {}
        for name, denoiser in (("onnx fp32", wide), ("onnx int8", OnnxDenoiser(small, "cpu", threads))):
            prepared = denoiser.prepare(given)
            step = (noise[:, :, 64:], torch.tensor([400]), prepared)
            seconds = min(clock(lambda: denoiser.predict(*step), time.process_time) for _ in range(4))  # noqa: B023
            drawn[name] = Sampler(denoiser, steps=8, solver="dpm++").sample(given, noise)
            size = sum(file.stat().st_size for file in (folder if "fp32" in name else small).glob("step*"))
            to_fp32 = psnr(drawn[name], drawn["onnx fp32"])
            yield {"name": name, "cpu_seconds": seconds, "megabytes": size / 1e6, "psnr_to_fp32": to_fp32}


def table(rows: list[dict[str, Any]]) -> str:
    """Rows of equal keys or not, aligned."""
    shown = [{key: _shown(value) for key, value in row.items()} for row in rows]
    keys = list(dict.fromkeys(key for row in shown for key in row))
    wide = {key: max(len(key), *(len(row.get(key, "")) for row in shown)) for key in keys}
    lines = ["  ".join(key.ljust(wide[key]) for key in keys)]
    lines += ["  ".join(row.get(key, "").ljust(wide[key]) for key in keys) for row in shown]
    return "\n".join(lines)


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def main() -> int:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="?", default="speed", choices=["speed", "shortcuts", "int8"])
    parser.add_argument("--rounds", type=int, default=8, help="of `speed`")
    parser.add_argument("--frames", type=int, default=2, help="of `shortcuts`")
    parser.add_argument("--threads", type=int, default=0, help="default: torch's own choice")
    parser.add_argument("--json", action="store_true", help="one object a line")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    with torch.inference_mode():
        if given.what == "speed":
            rows = speed(given.rounds)
        else:
            rows = list(shortcuts(given.frames) if given.what == "shortcuts" else int8(given.threads))
    print("\n".join(json.dumps(row) for row in rows) if given.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
