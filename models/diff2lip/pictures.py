"""Between pictures of bytes and the numbers of the network."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.diff2lip.conditions import SIZE, SPLIT

Bytes = npt.NDArray[np.uint8]
Rounding = Literal["nearest", "down"]


def checked(pictures: Bytes) -> Bytes:
    """The pictures; raises ValueError unless they are uint8 [N, 128, 128, 3]."""
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (SIZE, SIZE, 3):
        raise ValueError(f"Diff2Lip takes pictures uint8 [N, 128, 128, 3], got {pictures.dtype} {list(pictures.shape)}")
    return pictures


def to_numbers(pictures: Bytes) -> Tensor:
    """RGB uint8 [N, 128, 128, 3] → float32 [N, 3, 128, 128] in -1…1."""
    return numbers_of(torch.tensor(checked(pictures)))


def numbers_of(levels: Tensor) -> Tensor:
    """As `to_numbers`, of a tensor, where it is."""
    return levels.permute(0, 3, 1, 2).float() / 255 * 2 - 1


def to_bytes(numbers: Tensor, rounding: Rounding = "nearest") -> Bytes:
    """float [N, 3, h, w] in -1…1 (clipped) → RGB uint8 [N, h, w, 3]; `down` truncates as the paper's code."""
    pictures: Bytes = levels_of(numbers, rounding).cpu().numpy()
    return pictures


def levels_of(numbers: Tensor, rounding: Rounding = "nearest") -> Tensor:
    """As `to_bytes`, as a tensor, where it is."""
    scaled = ((numbers.float() + 1) / 2).clamp(0, 1) * 255
    if rounding == "nearest":
        scaled = scaled.round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def join(frames: Tensor, lower: Tensor) -> Tensor:
    """Frames [N, 3, 128, 128] with their lower half replaced by `lower` [N, 3, 64, 128]."""
    return torch.cat([frames[:, :, :SPLIT], lower.to(frames.dtype)], dim=2)
