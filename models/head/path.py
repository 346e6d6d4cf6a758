"""What a head does while its person speaks: small turns, nods and tilts, livelier with the voice than in its pauses.

People hardly keep their heads still while they speak: heads go slowly from one posture to another, widest after pauses,
and nod sharply where the voice is loudest (Hadar, Steiner & Clifford Rose 1984, Involvement of head movement in speech
production). The postures are made up here, from a seed; pauses and loudness are the sound's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: of the samples that `levels` takes, and of what it gives
SAMPLE_RATE, LEVEL_RATE = 16_000, 50
#: amplitude below which there is silence, -70 dB
FLOOR = 3e-4


class Pose(NamedTuple):
    """How far a head has moved from where the picture shows it.

    `yaw` (to the picture's right), `pitch` (down) and `roll` (clockwise) in radians; `across` and `down` over the face
    height, along its own axes; `nearer` as a share of its size.
    """

    yaw: float
    pitch: float
    roll: float
    across: float
    down: float
    nearer: float


#: as far as a head goes with motion 1, but for nods: 4°, 2.5° and 1.6°, 1.2 % and 1 % of the face height, 1 % nearer
REACH = Pose(np.radians(4.0), np.radians(2.5), np.radians(1.6), 0.012, 0.01, 0.01)
#: what a nod is at its most, 2.5°
NOD = np.radians(2.5)
#: cycles a second that postures are made of, before each is put off a little by the seed
CYCLES = np.array([0.07, 0.13, 0.23, 0.39, 0.67])
#: how lively a head is in silence, where 1 is in speech
AT_REST = 0.4
#: seconds: in which a head begins to move, over which liveliness follows the voice, and that a nod takes
BEGIN, PHRASE, STRESS = 1.5, 0.8, 0.12


def levels(blocks: Iterable[Floats]) -> Floats:
    """The amplitude of a sound, float32 [n], 0 (silence) to 1 (the loudest twentieth of it), `LEVEL_RATE` a second.

    `blocks`: the sound one after the other, float32 [m], -1..1, mono at `SAMPLE_RATE`, m a multiple of 320 but for the
    last one's rest, which is left out.
    """
    step = SAMPLE_RATE // LEVEL_RATE
    powers = [np.square(block[: len(block) // step * step].reshape(-1, step)).mean(1) for block in blocks]
    amplitudes = np.sqrt(np.concatenate([np.zeros(1, np.float32), *powers])[1:])
    loud = max(float(np.percentile(amplitudes, 95)), FLOOR) if len(amplitudes) else 1.0
    return np.asarray(np.minimum(amplitudes / loud, 1), np.float32)


class HeadPath:
    """The poses of a head over time: the same for the same sound and seed, each time by itself.

    `level`: as `levels` gives it, from second 0 on; beyond its ends is silence. `motion`: how much of `REACH`, 0 to 1.
    """

    def __init__(self, level: Floats, motion: float, seed: int = 0) -> None:
        from scipy.ndimage import gaussian_filter1d

        voice = np.asarray(level, np.float64)
        slow, quick, usual = (
            gaussian_filter1d(voice, seconds * LEVEL_RATE, mode="constant") if len(voice) else np.zeros(1)
            for seconds in (PHRASE, STRESS, 4 * STRESS)
        )
        self._lively = AT_REST + (1 - AT_REST) * np.minimum(2 * slow, 1)
        self._stress = np.clip(2.5 * (quick - usual), -1, 1)
        self._motion = motion
        chance = np.random.default_rng(seed)
        self._cycles = CYCLES * chance.uniform(0.85, 1.15, (len(REACH), len(CYCLES)))
        self._phases = chance.uniform(0, 2 * np.pi, self._cycles.shape)
        shares = CYCLES**-0.5
        self._shares = shares / shares.sum()

    def at(self, time: float) -> Pose:
        """The pose at a time in seconds; at 0 and before there is no movement."""
        begun = smooth(time / BEGIN) * self._motion
        if not begun:
            return Pose(*np.zeros(len(REACH)))
        postures = np.sin(2 * np.pi * self._cycles * time + self._phases) @ self._shares
        moved = np.array(REACH) * postures * self._when(self._lively, time, AT_REST)
        moved[1] += NOD * self._when(self._stress, time, 0.0)
        return Pose(*(moved * begun).tolist())

    @staticmethod
    def _when(values: npt.NDArray[np.float64], time: float, beyond: float) -> float:
        return float(np.interp(time * LEVEL_RATE - 0.5, np.arange(len(values)), values, left=beyond, right=beyond))


def smooth(share: float) -> float:
    """From 0 to 1 without a jolt at either end."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)
