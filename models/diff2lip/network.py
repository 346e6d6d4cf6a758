"""Diff2Lip's network: a U-Net that, from a noisy lower half of a face and what it is told, predicts the noise.

Mukhopadhyay et al., "Diff2Lip: Audio Conditioned Diffusion Models for Lip-Synchronization", WACV 2024. 632 tensors,
101,670,630 numbers; the keys of its state dict are those of the official checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.diff2lip.blocks import (
    GROUPS,
    Level,
    ResidualBlock,
    SelfAttention,
    SpeechEncoder,
    embedding_layers,
    sinusoid,
)
from models.diff2lip.conditions import SIZE, SPLIT, Conditions, check_shape

WIDTH = 128
EMBEDDING = 4 * WIDTH
#: channels at 128, 64, 32, 16 and 8 pixels; attention from the third on
CHANNELS = (128, 128, 256, 384, 512)
ATTENTION_FROM = 2
BLOCKS = 2  # residual blocks a resolution on the way down; one more on the way up
#: levels at each end that work at 128×128: all that is computed anew when deep features are reused
SHALLOW = BLOCKS + 1


@dataclass(frozen=True)
class Prepared:
    """What does not change between the steps of a frame: see `Network.prepare`.

    style: [N, 512] of the speech; stem: [N, 128, 128, 128] the first convolution's share of all that is given.
    """

    style: Tensor
    stem: Tensor


class Network(nn.Module):
    """The whole network: `forward` is the plain definition; `prepare` and `predict` do the same without repeats."""

    #: whether `predict` can go on from deep features of an earlier step
    reuses = True

    def __init__(self) -> None:
        super().__init__()
        self.time_embed = embedding_layers(WIDTH, EMBEDDING)
        self.input_blocks, widths = _way_down()
        deepest = CHANNELS[-1]
        self.middle_block = Level(
            [
                ResidualBlock(deepest, deepest, EMBEDDING),
                SelfAttention(deepest),
                ResidualBlock(deepest, deepest, EMBEDDING),
            ]
        )
        self.output_blocks = _way_up(widths)
        self.out = nn.Sequential(nn.GroupNorm(GROUPS, WIDTH), nn.SiLU(), nn.Conv2d(WIDTH, 6, 3, padding=1))
        self.audio_encoder = SpeechEncoder()
        self.audio_encoder_to_style = nn.Sequential(
            nn.GroupNorm(GROUPS, 128), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(128, EMBEDDING, 1)
        )

    def style(self, speech: Tensor) -> Tensor:
        """What of the speech [N, 80, 16] is added to the embedding of the step: [N, 512]."""
        check_shape("speech", speech, (80, 16))
        return self.style_of(self.audio_encoder(speech))

    def style_of(self, encoded: Tensor) -> Tensor:
        """The encoder's features [N, 128, 8, 8] → [N, 512]."""
        style: Tensor = self.audio_encoder_to_style(encoded).flatten(1)
        return style

    def forward(self, x: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        """Noise (channels 0…2) and variance logits (3…5), [N, 6, 128, 128].

        x: [N, 3, 128, 128] the noisy picture, whose rows outside the mask are replaced by the given ones; t: [N] the
        step, 0…999. Raises ValueError where the shapes do not fit.
        """
        check_shape("x", x, (3, SIZE, SIZE), len(conditions))
        if t.shape != (len(x),):
            raise ValueError(f"Diff2Lip's 't' has shape {list(t.shape)}, it takes one step a frame: [{len(x)}]")
        given = conditions
        return self.draw(x, t, given.image, given.reference, given.mask, self.style(given.speech))

    def draw(self, x: Tensor, t: Tensor, image: Tensor, reference: Tensor, mask: Tensor, style: Tensor) -> Tensor:
        """As `forward`, for a style [N, 512] that is known and inputs that are not checked."""
        shown = x * mask + (1 - mask) * image
        h = self.input_blocks[0](torch.cat([shown, image, reference], dim=1), style)
        embedding = self._embed(t, style)
        h, _ = self._shallow(h, embedding, None)
        out: Tensor = self.out(h)
        return out

    def prepare(self, conditions: Conditions) -> Prepared:
        """Do once a frame what the steps share. Raises ValueError unless the mask is the lower half."""
        conditions.check_mask()
        upper = conditions.image * (1 - conditions.mask)
        stem = self.input_blocks[0](
            torch.cat([upper, conditions.image, conditions.reference], dim=1), torch.empty(0, device=upper.device)
        )
        return Prepared(self.style(conditions.speech), stem)

    def predict(
        self, lower: Tensor, t: Tensor, prepared: Prepared, deep: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The noise in the lower half, [N, 3, 64, 128], and the deep features, to be given to a later step.

        lower: [N, 3, 64, 128] rows 64…127 of the noisy picture; t: [N]. With `deep` (of an earlier step, as DeepCache
        does, Ma et al., CVPR 2024) only the levels at 128×128 are computed.
        """
        share = F.conv2d(F.pad(lower, (0, 0, 1, 0)), self._first.weight[:, :3], padding=1)
        h = prepared.stem.to(share.dtype, copy=True)
        h[:, :, SPLIT - 1 :] += share
        embedding = self._embed(t, prepared.style)
        h, deep = self._shallow(h, embedding, deep)
        drawn = self.out[:2](h)[:, :, SPLIT - 1 :]
        last = self._last
        noise = F.conv2d(drawn, last.weight[:3], None if last.bias is None else last.bias[:3], padding=1)
        return noise[:, :, 1:].float(), deep

    @property
    def _first(self) -> nn.Conv2d:
        return cast(nn.Conv2d, cast(Level, self.input_blocks[0])[0])

    @property
    def _last(self) -> nn.Conv2d:
        return cast(nn.Conv2d, self.out[2])

    def _embed(self, t: Tensor, style: Tensor) -> Tensor:
        embedding: Tensor = self.time_embed(sinusoid(t, WIDTH)) + style
        return embedding

    def _shallow(self, h: Tensor, embedding: Tensor, deep: Tensor | None) -> tuple[Tensor, Tensor]:
        skips = [h]
        for level in self.input_blocks[1:SHALLOW]:
            h = level(h, embedding)
            skips.append(h)
        if deep is None:
            deep = self._deep(h, embedding)
        h = deep
        for level in self.output_blocks[-SHALLOW:]:
            h = level(torch.cat([h, skips.pop()], dim=1), embedding)
        return h, deep

    def _deep(self, h: Tensor, embedding: Tensor) -> Tensor:
        skips = []
        for level in self.input_blocks[SHALLOW:]:
            h = level(h, embedding)
            skips.append(h)
        h = self.middle_block(h, embedding)
        for level in self.output_blocks[:-SHALLOW]:
            h = level(torch.cat([h, skips.pop()], dim=1), embedding)
        return h


class CompiledNetwork:
    """A network whose steps torch has compiled, as one graph; the first step of each batch size takes minutes."""

    reuses = True

    def __init__(self, network: Network) -> None:
        self.prepare = network.prepare
        self.predict = torch.compile(network.predict)


def _way_down() -> tuple[nn.ModuleList, list[int]]:
    """The levels from 128 to 8 pixels, and the channels that each gives to the way up."""
    levels = [Level([nn.Conv2d(9, WIDTH, 3, padding=1)])]
    widths = [WIDTH]
    channels = WIDTH
    for depth, wide in enumerate(CHANNELS):
        for _ in range(BLOCKS):
            levels.append(Level(_drawn(channels, wide, depth)))
            widths.append(channels := wide)
        if depth < len(CHANNELS) - 1:
            levels.append(Level([ResidualBlock(wide, wide, EMBEDDING, shrink=(2, 2))]))
            widths.append(wide)
    return nn.ModuleList(levels), widths


def _way_up(skips: Sequence[int]) -> nn.ModuleList:
    """The levels from 8 to 128 pixels; each takes what came before and one skip connection, the last one first."""
    levels = []
    waiting = list(skips)
    channels = CHANNELS[-1]
    for depth, wide in reversed(list(enumerate(CHANNELS))):
        for block in range(BLOCKS + 1):
            modules = _drawn(channels + waiting.pop(), wide, depth)
            channels = wide
            if depth and block == BLOCKS:
                modules.append(ResidualBlock(wide, wide, EMBEDDING, grow=True))
            levels.append(Level(modules))
    return nn.ModuleList(levels)


def _drawn(channels: int, wide: int, depth: int) -> list[nn.Module]:
    modules: list[nn.Module] = [ResidualBlock(channels, wide, EMBEDDING)]
    return [*modules, SelfAttention(wide)] if depth >= ATTENTION_FROM else modules
