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
from models.mouth.smooth import smoothed
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
#: `sound` is in steps of so many decibels from what is usual, tells apart so many steps, and is averaged over so many
#: frames (standard deviation)
_STEP, _STEPS, _NEAR = 20.0, 1.5, 5.0
#: the level from which on a frame counts fully in that average, and what is left where nothing near is loud
_FULL, _FAINT = 0.5, 0.05


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

    def sound(self, first: int, end: int) -> Floats:
        """What the voice sounds like in frames `first` .. `end`, [n, FEATURES]; held still beyond the recording.

        Bands in steps of 20 dB from their mean while it speaks, -1.5 .. 1.5, and the voicing from its middle, -0.5 ..
        0.5. Averaged over some 0.1 s, in which a frame counts as much as it is loud: in a gap between two sounds, such
        as a "t" makes, that is what is beside it, as a mouth does not shut for it either. 0 in silence.
        """
        places = np.clip(np.arange(first, end), 0, len(self) - 1)
        reach = round(4 * _NEAR)
        begin, stop = max(0, int(places[0]) - reach), min(len(self), int(places[-1]) + reach + 1)
        part = self.voice[begin:stop].astype(np.float32)
        part[:, :BANDS] = np.clip((part[:, :BANDS] - self._usual) / _STEP, -_STEPS, _STEPS)
        part[:, VOICING] -= 0.5
        loud = self._loud(begin, stop)
        near = smoothed(part * loud[:, None], _NEAR)
        near /= (smoothed(loud, _NEAR) + _FAINT)[:, None]
        return near[places - begin]

    def _loud(self, first: int, end: int) -> Floats:
        """How much the sound of each of some frames counts, 0..1."""
        return np.asarray(np.clip(self.loudness[first:end] / self.reach[first:end] / _FULL, 0, 1), np.float32)

    @cached_property
    def _usual(self) -> Floats:
        loud = self._loud(0, len(self)).astype(np.float64)
        weights = loud if loud.any() else np.ones(len(self))
        total = np.einsum("t,tb->b", weights, self.voice[:, :BANDS], dtype=np.float64)
        return np.asarray(total / weights.sum(), np.float32)
