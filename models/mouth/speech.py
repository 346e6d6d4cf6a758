"""A recording as the mouth needs it: its phones and its voice, joined from pieces, with its level and its pauses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.mouth.path import runs
from models.mouth.phones import FRAME_RATE, Phone, joined
from models.mouth.voice import BANDS, FEATURES, FLOOR, PAUSE, VOICING, background, loudness

Floats = npt.NDArray[np.float32]

#: a sound is speech where it stands this far out of the background, as a share of what the voice reaches, and at least
#: so many decibels
_SHARE, _LEAST = 0.25, 3.0
#: a recording whose loudest tenth stands out by less than this, decibels, holds no speech
_NOTHING = 6.0
#: what p, b and m must take from the bands above some 1 kHz, decibels; less is an error of the recogniser
_DIP = 10.0
_HIGH = slice(5, BANDS)
#: sounds shorter than this between two silences are clicks and breath, seconds
_BLIP = 0.06


class Piece(NamedTuple):
    """What was found in one block of a recording: it answers for the frames `first` .. `end`.

    `phones` are in frames of the recording and may reach beyond both; `voice` is float32 [end - first, FEATURES].
    """

    first: int
    end: int
    phones: list[Phone]
    voice: Floats


@dataclass(frozen=True)
class Speech:
    """The phones of a recording in order, and its voice [T, FEATURES] at 100 frames a second (see `voice.features`)."""

    phones: list[Phone]
    voice: npt.NDArray[np.floating]

    @classmethod
    def of(cls, pieces: Iterable[Piece], count: int) -> Speech:
        """Join pieces to a recording of `count` frames; frames that no piece answers for are silent."""
        voice = np.full((count, FEATURES), FLOOR, np.float16)
        voice[:, VOICING] = 0
        blocks = []
        for first, end, phones, part in pieces:
            voice[first:end] = part[: max(0, count - first)]
            blocks.append((first, end, phones))
        return cls(joined(blocks), voice)

    def __len__(self) -> int:
        return len(self.voice)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self) / FRAME_RATE

    @cached_property
    def loudness(self) -> Floats:
        """Decibels over the steady background, [T]; see `voice.loudness`."""
        return loudness(self.voice)

    @cached_property
    def reach(self) -> Floats:
        """What the voice reaches around each frame, decibels [T]: the 0.9 quantile of the loudness within 30 s."""
        if not len(self):
            return np.zeros(0, np.float32)
        whole = float(np.quantile(self.loudness, 0.9))
        near = background(self.loudness[:, None], seconds=30, share=0.9)[:, 0]
        return np.asarray(np.maximum(near, max(whole / 2, _NOTHING)), np.float32)

    @property
    def level(self) -> Floats:
        """How loud the voice is to its own measure, [T]: 1 where it reaches what it usually does, at most 1.2."""
        return np.asarray(np.clip(self.loudness / self.reach, 0, 1.2), np.float32)

    @cached_property
    def pauses(self) -> list[tuple[int, int]]:
        """First and one-past-last frame of every pause longer than 0.3 s. A breath that is heard is no pause."""
        quiet = self.loudness < np.maximum(_SHARE * self.reach, _LEAST)
        for first, last in runs(~quiet):
            if (last + 1 - first) / FRAME_RATE < _BLIP:
                quiet[first : last + 1] = True
        return [(first, last + 1) for first, last in runs(quiet) if (last + 1 - first) / FRAME_RATE > PAUSE]

    @cached_property
    def silent(self) -> npt.NDArray[np.bool_]:
        """Which frames lie in a pause, [T]."""
        flags = np.zeros(len(self), bool)
        for first, end in self.pauses:
            flags[first:end] = True
        return flags

    def dips(self, phone: Phone) -> bool:
        """Whether the bands above 1 kHz are muffled in a phone, as lips that touch do."""
        reach = 15
        high = self.voice[max(0, phone.start - reach) : phone.end + reach, _HIGH].astype(np.float32).mean(axis=1)
        inside = high[min(reach, phone.start) - 2 if phone.start > 2 else 0 :][: phone.end - phone.start + 4]
        return len(inside) > 0 and bool(high.max() - inside.min() >= _DIP)

    def normalised(self, first: int, end: int) -> Floats:
        """The voice of frames `first` .. `end` in steps of 20 dB from its mean while it speaks, [n, FEATURES]."""
        part = self.voice[first:end].astype(np.float32)
        part[:, :BANDS] = np.maximum(part[:, :BANDS] - self._usual, -60) / 20
        return part

    @cached_property
    def _usual(self) -> Floats:
        spoken = ~self.silent
        chosen = self.voice[spoken] if spoken.any() else self.voice
        return np.asarray(chosen[:, :BANDS].mean(axis=0, dtype=np.float64), np.float32)
