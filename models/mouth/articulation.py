"""The general map from speech to the mouth: targets of phones, blended by dominance functions, and the voice's sound.

Every phone has a target for each measure of the mouth and a dominance over its neighbours that fades before and after
it (Cohen and Massaro, Modeling coarticulation in synthetic visual speech, 1993): at each moment the mouth is the mean
of all targets, weighted by their dominance there. So a vowel is rounded before it sounds, and "t" takes the lips of its
neighbours. Where the recogniser mistakes a phone, the sound itself still tells: the vocal tract is a tube that ends at
the lips, and its resonances rise as the jaw drops and fall as the lips are rounded, so the bands of the voice are
weighed as well. Both tables are in `articulation.json`, which names its sources.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.mouth.path import APERTURE, COLUMNS, JAW
from models.mouth.phones import CLOSURES, FRAME_RATE, Phone
from models.mouth.smooth import smoothed
from models.mouth.speech import Speech
from models.mouth.voice import BANDS, FEATURES

Floats = npt.NDArray[np.float32]

TABLE = Path(__file__).with_name("articulation.json")
#: seconds by which lips and jaw move before the sound that they shape is heard at its fullest
LEAD = 0.1
#: seconds by which the mouth comes before the voice's sound less than before the middles of phones: what sounds now is
#: the shape that the mouth has now
_AT_ONCE = 0.07
#: the share of an opening that follows how loud the voice is, and the opening at its usual level
_FOLLOWS, _USUAL = 0.5, 1.3
#: the inner share of a phone in which its dominance is full
_HELD = 0.3
#: what a mouth does where no phone is near, and how strongly
_NEUTRAL = 0.01
#: seconds beyond which a phone no longer counts
_FAR = 0.6
_CHUNK = 6_000  # frames whose sound is weighed at a time


@dataclass(frozen=True)
class Articulation:
    """Targets and dominances of phones, and weights of the voice, each float32 [4] in the order of `path.COLUMNS`.

    `reach` [4]: seconds in which dominance fades to 1/e. `low`, `high` [4]: what the 2nd and the 98th percentile of
    blended shapes are over speech, which by the definition of the units have to become 0 and 1. `bands` [FEATURES, 4]:
    by how much, in those units, the mouth moves with a step of `Speech.sound` (the voicing tells nothing). `share` [4]:
    of the voice in the mix with the phones; `mixed_low`, `mixed_high` [4]: the percentiles of that mix.
    """

    targets: dict[str, Floats]
    dominances: dict[str, Floats]
    diphthongs: dict[str, tuple[str, str]]
    reach: Floats
    low: Floats
    high: Floats
    bands: Floats
    share: Floats
    mixed_low: Floats
    mixed_high: Floats

    @classmethod
    def read(cls, path: Path = TABLE) -> Articulation:
        """Read a table; raises ValueError where it is not one."""
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            rows = {phone: np.array(row, np.float32).reshape(len(COLUMNS), 2) for phone, row in table["phones"].items()}
            reach = np.array([table["reach"][name] for name in COLUMNS], np.float32)
            low, high = np.array([table["range"][name] for name in COLUMNS], np.float32).T
            voice = table["voice"]
            bands = np.zeros((FEATURES, len(COLUMNS)), np.float32)
            bands[:BANDS] = np.array([voice["bands"][name] for name in COLUMNS], np.float32).T
            share = np.array([voice["share"][name] for name in COLUMNS], np.float32)
            mixed_low, mixed_high = np.array([voice["range"][name] for name in COLUMNS], np.float32).T
            diphthongs = {phone: (parts[0], parts[1]) for phone, parts in table["diphthongs"].items()}
            known = {part: rows[part] for parts in diphthongs.values() for part in parts} | {"SIL": rows["SIL"]}
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is no table of articulation: {error!r}") from None
        spans = (*reach, *(high - low), *(mixed_high - mixed_low))
        if not all(np.isfinite(row).all() for row in (*known.values(), bands, share)) or not min(spans) > 0:
            raise ValueError(f"{path} is no table of articulation: targets must be finite, reach and range positive")
        return cls(
            {phone: row[:, 0] for phone, row in rows.items()},
            {phone: row[:, 1] for phone, row in rows.items()},
            diphthongs,
            reach,
            low,
            high,
            bands,
            share,
            mixed_low,
            mixed_high,
        )

    def units(self, blended: Floats) -> Floats:
        """Blended shapes [T, 4] in units of a person's range, 0 .. 1.15."""
        return np.clip((blended - self.low) / (self.high - self.low), 0, 1.15).astype(np.float32)

    def both(self, units: Floats, voice: Floats) -> Floats:
        """What phones say, in units [T, 4], mixed with what the voice says [T, 4], before `mixed`."""
        return np.asarray((1 - self.share) * units + self.share * voice, np.float32)

    def mixed(self, both: Floats) -> Floats:
        """The mix of phones and voice [T, 4] in units of a person's range, 0 .. 1.15."""
        return np.clip((both - self.mixed_low) / (self.mixed_high - self.mixed_low), 0, 1.15).astype(np.float32)

    def gestures(self, phones: list[Phone]) -> Iterator[tuple[str, float, float]]:
        """Phones of the table with start and end in seconds: diphthongs in two, whatever is unknown as a pause."""
        for label, first, last in phones:
            start, end = first / FRAME_RATE, last / FRAME_RATE
            if label in self.diphthongs:
                turn = start + 0.55 * (end - start)
                yield self.diphthongs[label][0], start, turn
                yield self.diphthongs[label][1], turn, end
            else:
                yield label if label in self.targets else "SIL", start, end


@cache
def general() -> Articulation:
    """The table that ships."""
    return Articulation.read()


def articulate(speech: Speech, lead: float = LEAD, table: Articulation | None = None) -> Floats:
    """The mouth of a recording after the general map: float32 [T, 4] in units of `MouthPath.values`.

    `lead`: seconds by which all but the closures come before their sound (a stop is heard when its lips part, so p, b
    and m have no lead beyond what the dominance gives them). Pauses are not enforced here (see `speaking`).
    """
    table = table or general()
    said = table.units(blend(speech.phones, len(speech), lead, table) * opening(speech, lead))
    return table.mixed(table.both(said, sounding(speech, lead, table)))


def sounding(speech: Speech, lead: float, table: Articulation) -> Floats:
    """What the voice's sound says of the mouth, float32 [T, 4]; 0 where it sounds as it does on the whole."""
    told = np.zeros((len(speech), len(COLUMNS)), np.float32)
    early = round((lead - _AT_ONCE) * FRAME_RATE)
    for first in range(0, len(speech), _CHUNK):
        end = min(first + _CHUNK, len(speech))
        told[first:end] = speech.sound(first + early, end + early) @ table.bands
    return told


def opening(speech: Speech, lead: float) -> Floats:
    """By what each measure is multiplied as the voice rises and falls, float32 [T, 4]: aperture and jaw follow it."""
    factors = np.ones((len(speech), len(COLUMNS)), np.float32)
    if len(speech):
        follows = ahead((1 - _FOLLOWS) + _FOLLOWS * _USUAL * speech.level, lead)
        factors[:, [APERTURE, JAW]] = follows[:, None]
    return factors


def blend(phones: list[Phone], count: int, lead: float, table: Articulation) -> Floats:
    """The targets of phones blended by their dominance, float32 [count, 4], before `Articulation.units`."""
    times = np.arange(count, dtype=np.float32) / FRAME_RATE
    weight = np.full((count, len(COLUMNS)), _NEUTRAL, np.float32)
    total = weight * (table.low + table.high) / 2
    for label, start, end in table.gestures(phones):
        middle = (start + end) / 2 - (0 if label in CLOSURES else lead)
        held = (end - start) / 2 * _HELD
        first = max(0, int((middle - held - _FAR) * FRAME_RATE))
        last = min(count, int((middle + held + _FAR) * FRAME_RATE) + 1)
        if last <= first:
            continue
        away = np.maximum(np.abs(times[first:last] - middle) - held, 0)
        dominance = table.dominances[label] * np.exp(-away[:, None] / table.reach)
        weight[first:last] += dominance
        total[first:last] += dominance * table.targets[label]
    return np.asarray(total / weight, np.float32)


def ahead(track: Floats, seconds: float) -> Floats:
    """A track [T] that much earlier, smoothed over 90 ms."""
    frames = np.arange(len(track))
    moved = np.interp(frames + seconds * FRAME_RATE, frames, track)
    return smoothed(moved, 2.2)
