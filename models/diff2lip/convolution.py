"""3×3 convolutions with fewer multiplications than their definition has, and the same numbers but for rounding."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: places of a picture: fewer are convolved plainly (there the kernels are large, and their copies would be); of more,
#: so many at a time, that what is between stays in the cache
LARGE = 64 * 64


class _Convolution(nn.Conv2d):
    """A 3×3 convolution, padded by 1, that works with other kernels made of its own: once, when they are first used."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1)
        self._made: Tensor | None = None

    @abstractmethod
    def _make(self) -> Tensor:
        """The other kernels."""

    def _kernels(self) -> Tensor:
        made, weight = self._made, self.weight
        if made is None or (made.device, made.dtype) != (weight.device, weight.dtype):
            self._made = made = self._make()
        return made

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._made = None
        super()._load_from_state_dict(*args, **kwargs)


class RowsConvolution(_Convolution):
    """The 3×3 convolution with half the multiplications, for large pictures in float32 on a CPU; else the plain one.

    Winograd's F(4, 3) over the rows (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016):
    six sums of six rows, each convolved with a 1×3 kernel of its own, are summed up to four rows of the result; plainly
    four rows take twelve 1×3 kernels. Over columns too: fewer multiplications, more sums, more rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, h, w] → [N, out_channels, h, w]."""
        n, _, height, width = x.shape
        if not self._pays(x):
            return super().forward(x)
        out = x.new_empty(n, self.out_channels, height, width)
        strip = LARGE // width // 4 * 4
        for top in range(0, height, strip):
            rows = out[:, :, top : top + strip]
            bottom = top + rows.shape[2]
            sums = _sums_of_six(F.pad(x, (0, 0, 1 - top, bottom + 1 - height)))
            products = F.conv2d(sums.flatten(1, 2), self._kernels(), padding=(0, 1), groups=6)
            _put_rows(products.reshape(n, 6, self.out_channels, -1, width), self.bias, rows)
        return out

    def _pays(self, x: Tensor) -> bool:
        height, width = x.shape[2:]
        large = height * width >= LARGE and height % 4 == 0 and width <= LARGE // 4
        ours = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32
        traced = torch.onnx.is_in_onnx_export() or torch.compiler.is_compiling()  # who runs graphs has ways of his own
        return large and ours and not traced

    def _make(self) -> Tensor:
        """[6·out_channels, channels, 1, 3]: the kernel's polynomial in the rows at 0, 1, -1, 2, -2 and infinity."""
        shares = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
        matrix = torch.tensor(shares, dtype=torch.float64, device=self.weight.device) / 24
        kernels = torch.einsum("pr,ocrs->pocs", matrix, self.weight.double())
        return kernels.flatten(0, 1).unsqueeze(2).to(self.weight.dtype)


def _sums_of_six(padded: Tensor) -> Tensor:
    """Rows [N, C, 4·k + 2, w] as [N, 6, C, k, w]: of every six rows, four apart, the sums that kernels are given."""
    n, channels, height, w = padded.shape
    one, two, three, four, five, six = (padded[:, :, first : first + height - 5 : 4] for first in range(6))
    sums = padded.new_empty(n, 6, channels, (height - 2) // 4, w)
    odd, even = torch.sub(five, three, alpha=4), torch.sub(four, two, alpha=4)
    torch.add(odd, even, out=sums[:, 1])
    torch.sub(odd, even, out=sums[:, 2])
    torch.sub(five, three, out=odd)
    torch.sub(four, two, out=even)
    torch.add(odd, even, alpha=2, out=sums[:, 3])
    torch.sub(odd, even, alpha=2, out=sums[:, 4])
    torch.sub(odd, three - one, alpha=4, out=sums[:, 0])
    torch.sub(six - four, even, alpha=4, out=sums[:, 5])
    return sums


def _put_rows(products: Tensor, bias: Tensor | None, rows: Tensor) -> None:
    """Write rows [N, C, 4·k, w], the bias added: the sums of [N, 6, C, k, w]."""
    fours = rows.view(*rows.shape[:2], -1, 4, rows.shape[3])
    first, plus, minus, plus_two, minus_two, last = products.unbind(1)
    near, near_apart = plus + minus, plus - minus
    far, far_apart = plus_two + minus_two, plus_two - minus_two
    if bias is not None:
        near += bias[:, None, None]
        near_apart += bias[:, None, None]
    torch.add(near, far, out=fours[:, :, :, 0]).add_(first)
    torch.add(near_apart, far_apart, alpha=2, out=fours[:, :, :, 1])
    torch.add(near, far, alpha=4, out=fours[:, :, :, 2])
    torch.add(near_apart, far_apart, alpha=8, out=fours[:, :, :, 3]).add_(last)


class GrowingConvolution(_Convolution):
    """The 3×3 convolution of a picture that was enlarged twofold by repeating pixels, without enlarging it.

    Of the nine inputs of an output pixel only four differ, so each of the four outputs that take the place of a pixel
    is a 2×2 convolution, its kernel a sum of rows and columns of the 3×3 one: 4/9 of the work.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, h, w] → [N, out_channels, 2h, 2w]."""
        n, _, h, w = x.shape
        bias = None if self.bias is None else self.bias.repeat(4)
        corners = F.conv2d(x, self._kernels(), bias, padding=1).reshape(n, 2, 2, -1, h + 1, w + 1)
        upper = torch.stack([corners[:, 0, 0, :, :h, :w], corners[:, 0, 1, :, :h, 1:]], dim=-1)
        lower = torch.stack([corners[:, 1, 0, :, 1:, :w], corners[:, 1, 1, :, 1:, 1:]], dim=-1)
        return torch.stack([upper, lower], dim=3).reshape(n, -1, 2 * h, 2 * w)

    def _make(self) -> Tensor:
        """[4·out_channels, channels, 2, 2]: upper left, upper right, lower left, lower right."""
        rows = [_first_apart(self.weight, 2), _last_apart(self.weight, 2)]
        return torch.cat([fold(row, 3) for row in rows for fold in (_first_apart, _last_apart)])


def _first_apart(kernel: Tensor, dim: int) -> Tensor:
    """Three taps as two: the first, and the sum of the others."""
    one, two, three = kernel.unbind(dim)
    return torch.stack([one, two + three], dim)


def _last_apart(kernel: Tensor, dim: int) -> Tensor:
    one, two, three = kernel.unbind(dim)
    return torch.stack([one + two, three], dim)
