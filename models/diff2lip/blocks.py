"""What Diff2Lip's network is made of. Attribute names are those of the official checkpoint's keys."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.diff2lip.convolution import GrowingConvolution, RowsConvolution

GROUPS = 32
HEAD = 64  # channels of an attention head


def sinusoid(positions: Tensor, size: int) -> Tensor:
    """Positions [N] as float32 [N, size]: cosines first, then sines, at size/2 frequencies from 1 down to 1/10000."""
    half = size // 2
    places = torch.arange(half, dtype=torch.float32, device=positions.device)
    frequencies = torch.exp(places * (-math.log(10_000) / half))
    angles = positions.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def embedding_layers(size: int, width: int) -> nn.Sequential:
    """Two linear layers that turn a sinusoid [N, size] into an embedding [N, width]."""
    return nn.Sequential(nn.Linear(size, width), nn.SiLU(), nn.Linear(width, width))


class ResidualBlock(nn.Module):
    """Norm, SiLU, 3×3 convolution, twice, the embedding added between; around it the input itself (or a 1×1 of it).

    Maps [N, channels, h, w] and an embedding [N, embedding] to [N, out_channels, h', w']. `shrink` averages over so
    many rows and columns ahead of the first convolution and on the way around; `grow` repeats rows and columns there.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        embedding: int,
        shrink: tuple[int, int] | None = None,
        grow: bool = False,
    ) -> None:
        super().__init__()
        self.shrink = shrink
        self.grow = grow
        convolution = GrowingConvolution if grow else RowsConvolution
        self.in_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, channels), nn.SiLU(inplace=True), convolution(channels, out_channels)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, out_channels),
            nn.SiLU(inplace=True),
            nn.Identity(),
            RowsConvolution(out_channels, out_channels),
        )
        self.skip_connection = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """[N, channels, h, w], [N, embedding] → [N, out_channels, h', w']."""
        norm, activation, convolution = self.in_layers
        h = activation(norm(x))
        if self.shrink is not None:
            h, x = _averaged(h, *self.shrink), _averaged(x, *self.shrink)
        if self.grow:
            x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        h = convolution(h)
        h += self.emb_layers(embedding).to(h.dtype)[:, :, None, None]
        out: Tensor = self.out_layers(h)
        out += self.skip_connection(x)
        return out


def _averaged(x: Tensor, rows: int, columns: int) -> Tensor:
    """The means of so many rows and columns, 1 or 2: on a CPU `avg_pool2d` takes nine times as long."""
    if rows == 2:
        x = x[:, :, ::2] + x[:, :, 1::2]
    if columns == 2:
        x = x[..., ::2] + x[..., 1::2]
    return x / (rows * columns)


class SelfAttention(nn.Module):
    """Every place of a picture [N, C, h, w] attends to every other, in C / 64 heads; the input is added.

    The 3·C channels of `qkv` are head-major: for each head 64 of the query, 64 of the key, 64 of the value.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] → the same shape."""
        n, c, h, w = x.shape
        places = self.norm(x.reshape(n, c, h * w)).transpose(1, 2)
        heads = F.linear(places, self.qkv.weight.squeeze(2), self.qkv.bias).reshape(n, h * w, c // HEAD, 3, HEAD)
        query, key, value = heads.permute(3, 0, 2, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(n, h * w, c)
        mixed = F.linear(seen, self.proj_out.weight.squeeze(2), self.proj_out.bias)
        return x + mixed.transpose(1, 2).reshape(n, c, h, w)


class Level(nn.ModuleList):
    """The modules between two skip connections, run one after the other; residual blocks are given the embedding."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__(modules)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """[N, c, h, w], [N, embedding] → [N, c', h', w']."""
        for module in self:
            x = module(x, embedding) if isinstance(module, ResidualBlock) else module(x)
        return x


class SpeechEncoder(nn.Module):
    """A mel window [N, 80, 16] as a picture of features [N, 128, 8, 8].

    Its residual blocks take an embedding too, of a step that is always 0: a constant, but one with weights of its own.
    """

    WIDTH = 32

    def __init__(self) -> None:
        super().__init__()
        width = self.WIDTH
        self.time_embed = embedding_layers(width, width)
        self.input_block = nn.Sequential(nn.Conv1d(80, 64, 3, padding=1), nn.GroupNorm(GROUPS, 64), nn.SiLU())
        levels: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1)]
        channels = width
        for out_channels, shrink in ((32, (2, 1)), (64, (2, 1)), (96, (2, 2)), (128, None)):
            levels.append(ResidualBlock(channels, out_channels, width))
            levels.append(ResidualBlock(out_channels, out_channels, width))
            if shrink is not None:
                levels.append(ResidualBlock(out_channels, out_channels, width, shrink))
            channels = out_channels
        self.encoder_blocks = nn.ModuleList(Level([level]) for level in levels)
        self.middle_block = Level([ResidualBlock(channels, channels, width)])

    def forward(self, mel: Tensor) -> Tensor:
        """[N, 80, 16] in -4…4 → [N, 128, 8, 8]."""
        still = torch.zeros(len(mel), device=mel.device)
        embedding = self.time_embed(sinusoid(still, self.WIDTH))
        x = self.input_block(mel).unsqueeze(1)
        for level in self.encoder_blocks:
            x = level(x, embedding)
        encoded: Tensor = self.middle_block(x, embedding)
        return encoded
