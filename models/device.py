"""Where and in which number format torch computes, chosen from words a user writes."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import torch
    from torch import nn

DtypeName = Literal["auto", "fp32", "bf16", "fp16"]


def choose_device(name: str) -> torch.device:
    """`auto` (CUDA where there is one), `cpu` or `cuda:N`.

    Raises ValueError for other words, or a CUDA device that is not there.
    """
    import torch

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError(f"device: {name!r} is not auto, cpu, cuda or cuda:N")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda:0" if found else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= found:
        raise ValueError(f"device: {name} is not there: torch sees {found} CUDA devices")
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto`: fp16 on CUDA, as the models were run by their authors, fp32 on the CPU.

    Raises ValueError for other words, and for fp16 on the CPU, where torch is hundreds of times slower with it.
    """
    import torch

    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if name not in get_args(DtypeName):
        raise ValueError(f"dtype: {name!r} is none of {', '.join(get_args(DtypeName))}")
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name == "fp16" and device.type == "cpu":
        raise ValueError("dtype: fp16 is hundreds of times slower than fp32 on a CPU: take fp32, or bf16")
    return kinds[name]


def dtype_word(dtype: torch.dtype) -> str:
    """fp32, bf16 or fp16."""
    return {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}[str(dtype).removeprefix("torch.")]


def lower_precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """A context in which matrices are multiplied in `dtype` while norms and sums stay in float32."""
    import torch

    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def narrow(network: nn.Module, dtype: torch.dtype) -> None:
    """Keep the weights that `lower_precision` multiplies with in `dtype`: else they are converted at each use."""
    from torch import nn

    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)):
            module.to(dtype)
