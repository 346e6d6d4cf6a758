"""From the shapes that a map gives to a path that can be shown: style, closures that close, teeth, silence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.mouth.articulation import LEAD
from models.mouth.path import APERTURE, JAW, REST, MouthPath
from models.mouth.phones import CLOSURES, FRAME_RATE, TEETH, Phone
from models.mouth.smooth import smoothed
from models.mouth.speech import Speech

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

#: the most that is asked of a mouth, in units of its range
MOST = 1.15
#: seconds around the start of a p, b or m in which the lips touch, at least; and what they take to close and to part
BEFORE, AFTER, RAMP = 0.025, 0.045, 0.055
#: the share of such a phone through which lips or teeth stay together
_HELD = 0.5
#: how far apart the lips are at most on f and v: the lower one touches the teeth
_TEETH = 0.14
#: seconds after a voice has ended until the mouth is shut, and before it begins (beyond the lead) that it opens
SHUT, OPEN = 0.12, 0.08


def speaking(speech: Speech, shapes: Floats, style: float = 1.0, smooth: float = 0.04, lead: float = LEAD) -> MouthPath:
    """The path of a mouth that speaks `speech` with the shapes [T, 4] of a map.

    `style`: how much it moves, 1 as the map has it, around the mouth at rest. `smooth`: the standard deviation, in
    seconds, by which movements are smoothed (closures and silence are not). `lead` as in `articulate`.
    """
    heard = [phone for phone in speech.phones if phone.label not in CLOSURES or speech.dips(phone)]
    return performed(heard, speech.pauses, shapes, style, smooth, lead)


def performed(
    phones: list[Phone],
    pauses: list[tuple[int, int]],
    shapes: Floats,
    style: float = 1.0,
    smooth: float = 0.04,
    lead: float = LEAD,
) -> MouthPath:
    """As `speaking`, of phones that are all believed and of pauses (first and one-past-last frame)."""
    count = len(shapes)
    values = styled(shapes, style)
    if smooth > 0 and count:
        values = smoothed(values, smooth * FRAME_RATE, held=True)
    open_, silent = silence(pauses, count, lead)
    values = REST + open_[:, None] * (values - REST)
    free = gate([phone for phone in phones if phone.label in TEETH], count, _HELD)
    values[:, APERTURE] = free * values[:, APERTURE] + (1 - free) * np.minimum(values[:, APERTURE], _TEETH)
    kept = gate([phone for phone in phones if phone.label in CLOSURES], count, _HELD)
    values[:, APERTURE] *= kept
    values[:, JAW] *= 0.5 + 0.5 * kept
    times = np.arange(count) / FRAME_RATE
    return MouthPath(times, np.clip(values, 0, MOST).astype(np.float32), silent, (kept == 0) & ~silent)


def styled(shapes: Floats, style: float) -> Floats:
    """Shapes [T, 4] that move `style` times as much, within what a mouth can be asked for."""
    return np.asarray(np.clip(REST + style * (shapes - REST), 0, MOST), np.float32)


def silence(pauses: list[tuple[int, int]], count: int, lead: float) -> tuple[Floats, Flags]:
    """How far the mouth may be open, 0..1, and where it rests in a pause, both [count].

    A pause begins for the mouth when it has shut after the voice, and ends when it opens for the next word.
    """
    open_ = np.ones(count, np.float32)
    silent = np.zeros(count, bool)
    for first, end in pauses:
        begin = 0 if first == 0 else first + round(SHUT * FRAME_RATE)
        until = count if end >= count else end - round((lead + OPEN) * FRAME_RATE)
        if until - begin < 2:
            middle = min(max((begin + until) // 2, first), end - 1)
            begin, until = middle, middle + 1
        _dent(open_, begin, until, round(SHUT * FRAME_RATE))
        silent[begin:until] = True
    return open_, silent


def gate(phones: list[Phone], count: int, held: float) -> Floats:
    """0 while the lips do what a phone needs, 1 away from it, float32 [count].

    Measured on real mouths, lips meet about when the recogniser says that such a phone begins.
    """
    open_ = np.ones(count, np.float32)
    for phone in phones:
        first = phone.start - round(BEFORE * FRAME_RATE)
        end = phone.start + max(round(AFTER * FRAME_RATE), round(held * (phone.end - phone.start)))
        _dent(open_, first, end, round(RAMP * FRAME_RATE))
    return open_


def _dent(track: Floats, first: int, end: int, ramp: int) -> None:
    """0 in frames first .. end, rising to 1 as half a cosine on both sides, under what is there."""
    begin, stop = max(0, first - ramp), min(len(track), end + ramp)
    frames = np.arange(begin, stop)
    away = np.maximum(np.maximum(first - frames, frames - (end - 1)), 0) / (ramp + 1)
    track[begin:stop] = np.minimum(track[begin:stop], (1 - np.cos(np.pi * np.minimum(away, 1))) / 2)
