"""Several sounds at once: their sum, to the sample, lowered as a whole where it would not fit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from stages.media.audio import ContainerSound, Samples, gapless
from stages.media.probe import decoded, only, open_input

#: samples of a block
BLOCK = 16_384
#: the peak of a sum that had to be lowered: 1 dB under full scale
CEILING = 10 ** (-1 / 20)


class Mix:
    """The sum of the sounds of some files, each from time zero of its own clock on; silence where one has ended.

    `rate` and `channels` are the highest among them, `count` the samples of the longest. A mono sound goes to the first
    two channels, a stereo sound to front left and right. `gain` is 1 where the sum stays within full scale; else it
    brings the peak of the whole to `CEILING`. Raises ValueError where a file has no sound, or channels that the others
    have no place for.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.sounds = [ContainerSound(path) for path in paths]
        self.rate = max(sound.rate for sound in self.sounds)
        self.channels = max(sound.channels for sound in self.sounds)
        widest = next(sound for sound in self.sounds if sound.channels == self.channels)
        for sound in self.sounds:
            if 2 < sound.channels < self.channels:
                raise ValueError(
                    f"{sound.path} has {sound.channels} channels, {widest.path} has {self.channels}: beside it only "
                    "mono, stereo or as many can be mixed"
                )
        self.count = max(round(sound.duration * self.rate) for sound in self.sounds)
        self.tally: Counter[str] = Counter()
        self.peak = max((float(np.abs(block).max(initial=0)) for block in self._sums()), default=0.0)
        self.gain = 1.0 if self.peak <= 1 else CEILING / self.peak
        self.tally.clear()

    @property
    def blocks_in_all(self) -> int:
        """How many blocks there are."""
        return math.ceil(self.count / BLOCK)

    def blocks(self) -> Iterator[Samples]:
        """The sum, float32 [n, channels] within -1..1, `BLOCK` samples at a time; the last block may be shorter."""
        gain = np.float32(self.gain)
        for block in self._sums():
            yield block if self.gain == 1 else block * gain

    def _sums(self) -> Iterator[Samples]:
        strands = [self._strand(sound) for sound in self.sounds]
        for start in range(0, self.count, BLOCK):
            total = np.zeros((min(BLOCK, self.count - start), self.channels), np.float32)
            for strand in strands:
                part = next(strand, total[:0])[: len(total)]
                total[: len(part), : part.shape[1]] += part
            yield total

    def _strand(self, sound: ContainerSound) -> Iterator[Samples]:
        """One sound at the rate of the mix, [n, channels], `BLOCK` samples at a time but for the last."""
        held: list[Samples] = []
        ready = 0
        for block in self._resampled(sound):
            held.append(np.repeat(block, min(2, self.channels), axis=1) if block.shape[1] == 1 else block)
            ready += len(block)
            while ready >= BLOCK:
                joined = np.concatenate(held)
                yield joined[:BLOCK]
                held, ready = [joined[BLOCK:]], len(joined) - BLOCK
        if ready:
            yield np.concatenate(held)

    def _resampled(self, sound: ContainerSound) -> Iterator[Samples]:
        """[n, channels] at the rate of the mix (soxr, HQ), in phase with the original."""
        with open_input(sound.path) as container:
            stream = container.streams.audio[0]
            only(container, stream)
            frames = decoded(container, stream, self.tally)
            blocks = gapless(frames, sound.rate, sound.zero, Fraction(sound.duration))
            if sound.rate == self.rate:
                yield from (np.ascontiguousarray(block.T) for block in blocks)
                return
            import soxr

            channels = sound.channels
            changed = soxr.ResampleStream(sound.rate, self.rate, channels, dtype="float32", quality="HQ")
            for block in blocks:
                yield changed.resample_chunk(np.ascontiguousarray(block.T)).reshape(-1, channels)
            yield changed.resample_chunk(np.zeros((0, channels), np.float32), last=True).reshape(-1, channels)
