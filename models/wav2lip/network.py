"""Wav2Lip's network: a face with its lower half hidden, a reference of it and speech in, the face that speaks out.

Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild", ACM Multimedia 2020.
Attribute names are those of the official checkpoints' keys; Wav2Lip and Wav2Lip-GAN differ in their numbers only.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 96
#: first row that is hidden from the network
SPLIT = SIZE // 2

Pair = tuple[int, int]


class Unit(nn.Module):
    """Convolution, norm over the batch's statistics of training, the input added where `residual`, ReLU."""

    def __init__(
        self, channels: int, out_channels: int, kernel: int, stride: int | Pair, padding: int, residual: bool = False
    ) -> None:
        super().__init__()
        self.residual = residual
        self.conv_block = nn.Sequential(
            nn.Conv2d(channels, out_channels, kernel, stride, padding), nn.BatchNorm2d(out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, h, w] → [N, out_channels, h', w']."""
        out = self.conv_block(x)
        return F.relu(out + x if self.residual else out)


class GrowingUnit(nn.Module):
    """Transposed convolution, norm, ReLU: the picture grows."""

    def __init__(self, channels: int, out_channels: int, stride: int, padding: int, output_padding: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ConvTranspose2d(channels, out_channels, 3, stride, padding, output_padding), nn.BatchNorm2d(out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, h, w] → [N, out_channels, h', w']."""
        return F.relu(self.conv_block(x))


def _same(channels: int, times: int) -> list[nn.Module]:
    return [Unit(channels, channels, 3, 1, 1, residual=True) for _ in range(times)]


def _face_encoder() -> nn.ModuleList:
    """Seven blocks, from 96 pixels to 1."""
    blocks: list[list[nn.Module]] = [[Unit(6, 16, 7, 1, 3)]]
    for (channels, wide), more in zip(pairwise((16, 32, 64, 128, 256, 512)), (2, 3, 2, 2, 1), strict=True):
        blocks.append([Unit(channels, wide, 3, 2, 1), *_same(wide, more)])
    blocks.append([Unit(512, 512, 3, 1, 0), Unit(512, 512, 1, 1, 0)])
    return nn.ModuleList(nn.Sequential(*block) for block in blocks)


def _speech_encoder() -> nn.Sequential:
    """The mel window [N, 1, 80, 16] as 512 numbers."""
    return nn.Sequential(
        Unit(1, 32, 3, 1, 1),
        *_same(32, 2),
        Unit(32, 64, 3, (3, 1), 1),
        *_same(64, 2),
        Unit(64, 128, 3, 3, 1),
        *_same(128, 2),
        Unit(128, 256, 3, (3, 2), 1),
        *_same(256, 1),
        Unit(256, 512, 3, 1, 0),
        Unit(512, 512, 1, 1, 0),
    )


def _face_decoder() -> nn.ModuleList:
    """Seven blocks, from 1 pixel to 96; what each gives is joined with the encoder's of the same size."""
    blocks: list[list[nn.Module]] = [
        [Unit(512, 512, 1, 1, 0)],
        [GrowingUnit(1024, 512, 1, 0, 0), *_same(512, 1)],
    ]
    for channels, wide in ((1024, 512), (768, 384), (512, 256), (320, 128), (160, 64)):
        blocks.append([GrowingUnit(channels, wide, 2, 1, 1), *_same(wide, 2)])
    return nn.ModuleList(nn.Sequential(*block) for block in blocks)


class Network(nn.Module):
    """The whole network; 36,298,035 weights and 22,802 statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder_blocks = _face_encoder()
        self.audio_encoder = _speech_encoder()
        self.face_decoder_blocks = _face_decoder()
        self.output_block = nn.Sequential(Unit(80, 32, 3, 1, 1), nn.Conv2d(32, 3, 1), nn.Sigmoid())

    def forward(self, speech: Tensor, face: Tensor) -> Tensor:
        """The face that speaks, BGR [N, 3, 96, 96] in 0…1.

        speech: [N, 1, 80, 16] log-mel window in -4…4. face: BGR [N, 6, 96, 96] in 0…1, channels 0…2 the frame with rows
        48…95 zero, 3…5 the reference. Raises ValueError where a shape is another.
        """
        if speech.shape[1:] != (1, 80, 16):
            raise ValueError(f"Wav2Lip's speech has shape {list(speech.shape)}, it takes [N, 1, 80, 16]")
        if face.shape[1:] != (6, SIZE, SIZE):
            raise ValueError(f"Wav2Lip's face has shape {list(face.shape)}, it takes [N, 6, 96, 96]")
        seen = []
        for block in self.face_encoder_blocks:
            face = block(face)
            seen.append(face)
        x = self.audio_encoder(speech)
        for block in self.face_decoder_blocks:
            x = torch.cat([block(x), seen.pop()], dim=1)
        out: Tensor = self.output_block(x)
        return out
