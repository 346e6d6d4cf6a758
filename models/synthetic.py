"""Weights made by a formula: what a network is checked and timed with where its real weights cannot be had.

A picture drawn with them means nothing; but every implementation that is given them must draw the same one.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn


def synthetic_weights(like: Mapping[str, Tensor], salt: str = "") -> dict[str, Tensor]:
    """A state dict with the keys, shapes and kinds of `like` (which may be on the meta device).

    Each tensor is drawn from numpy's RandomState(crc32(key + salt)), standard normal, and scaled: matrices and kernels
    by 1/√(inputs), `running_var` as 1 + 0.1·|r|, other weights of one dimension as 1 + 0.1·r, the rest as 0.1·r; whole
    numbers are 0.
    """
    import torch

    weights = {}
    for key, tensor in like.items():
        shape = tuple(tensor.shape)
        if not tensor.is_floating_point():
            weights[key] = torch.zeros(shape, dtype=tensor.dtype)
            continue
        draw = np.random.RandomState(zlib.crc32((key + salt).encode())).standard_normal(math.prod(shape)).reshape(shape)
        if len(shape) >= 2:
            draw = draw / math.sqrt(math.prod(shape[1:]))
        elif key.endswith("running_var"):
            draw = 1 + 0.1 * np.abs(draw)
        elif key.endswith("weight"):
            draw = 1 + 0.1 * draw
        else:
            draw = 0.1 * draw
        weights[key] = torch.from_numpy(draw.astype(np.float32))
    return weights


def fill(network: nn.Module, salt: str = "") -> None:
    """Give a network (made on the meta device, or real) synthetic weights, and set it to inference."""
    network.load_state_dict(synthetic_weights(network.state_dict(), salt), assign=True)
    network.eval().requires_grad_(False)
