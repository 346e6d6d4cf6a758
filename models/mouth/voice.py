"""What a voice does, a hundred times a second: how loud it is in each band, how voiced, and where it pauses."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from models.mouth.phones import FRAME_RATE, SAMPLE_RATE
from models.mouth.smooth import smoothed

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

HOP = SAMPLE_RATE // FRAME_RATE
WINDOW = 400
FFT = 512
#: mel bands from 100 to 7000 Hz, then the voicing
BANDS = 13
FEATURES = BANDS + 1
VOICING = BANDS
#: decibels under full scale below which nothing is told apart
FLOOR = -90.0
#: a pause is longer than this, seconds
PAUSE = 0.3

_BLOCK = 1_000  # frames transformed at a time


@cache
def _bands() -> Floats:
    """Triangles on the mel scale (2595·log10(1 + f/700)), float32 [FFT/2 + 1, BANDS], each summing to 1."""
    low, high = (2595 * float(np.log10(1 + hertz / 700)) for hertz in (100, 7000))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)[:, None]
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    weights = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(weights / weights.sum(axis=0), np.float32)


def features(samples: Floats) -> Floats:
    """The voice of `samples` (float32 [n], -1..1, mono, 16 kHz) as float32 [n // 160, FEATURES].

    Row i is centred on sample 160·i. Columns: the power of each mel band in decibels of full scale (at least `FLOOR`),
    then the voicing: the highest peak, 0..1, of the normalised autocorrelation between 70 and 400 Hz.
    """
    count = len(samples) // HOP
    out = np.empty((count, FEATURES), np.float32)
    padded = np.pad(samples, (WINDOW // 2, WINDOW))
    window = np.hanning(WINDOW).astype(np.float32)
    scale = np.float32(2 / window.sum() ** 2)
    low, high = SAMPLE_RATE // 400, SAMPLE_RATE // 70
    for first in range(0, count, _BLOCK):
        some = min(_BLOCK, count - first)
        frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[first * HOP :: HOP][:some] * window
        power = np.abs(np.fft.rfft(frames, FFT, axis=1)).astype(np.float32) ** 2
        out[first : first + some, :BANDS] = 10 * np.log10(np.maximum(power @ _bands() * scale, 10 ** (FLOOR / 10)))
        echo = np.fft.irfft(power, axis=1)[:, : high + 1]
        out[first : first + some, VOICING] = (echo[:, low:] / np.maximum(echo[:, :1], 1e-9)).max(axis=1).clip(0, 1)
    return out


def loudness(voice: npt.NDArray[np.floating]) -> Floats:
    """How far the voice stands out of what is always there, decibels [T], smoothed over 50 ms.

    Per band, the level of a steady background is what the quietest tenth of the surrounding 6 s reaches (after the
    minimum statistics of Martin 2001); the mean over bands of the excess.
    """
    if not len(voice):
        return np.zeros(0, np.float32)
    bands = smoothed(voice[:, :BANDS], 2.5)
    excess = np.maximum(bands - background(bands), 0)
    return np.asarray(excess.mean(axis=1), np.float32)


def background(bands: Floats, seconds: float = 6.0, share: float = 0.1) -> Floats:
    """The steady level of each column around each frame: its `share` quantile within `seconds`, [T, bands]."""
    step = FRAME_RATE // 2
    reach = int(seconds * FRAME_RATE / 2)
    places = np.arange(0, len(bands) + step, step)
    levels = np.stack([np.quantile(bands[max(0, at - reach) : at + reach + 1], share, axis=0) for at in places])
    frames = np.arange(len(bands))
    return np.stack([np.interp(frames, places, column) for column in levels.T], axis=1).astype(np.float32)
