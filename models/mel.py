"""The log-mel front end that Diff2Lip and Wav2Lip share: 16 kHz mono samples to 80 mel bins, 80 columns a second.

Pre-emphasis 0.97, a centred short-time Fourier transform (800 samples, hop 200, periodic Hann, zeros beyond the ends),
magnitudes on 80 Slaney mel bins from 55 to 7600 Hz, decibels, and a scale on which silence is exactly -4 and the
loudest is 4. Column t is centred on sample 200·t.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

RATE = 16_000
HOP = 200
FFT = 800
BINS = 80
#: columns in the window that a network is given: 200 ms
STEPS = 16
SILENCE = -4.0

_PRE_EMPHASIS = 0.97
_HALF = FFT // 2
_BLOCK = 1_024  # columns transformed at a time: bounds the memory of a long file at some 10 MB

Floats = npt.NDArray[np.float32]


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Slaney's scale: linear up to 1 kHz (15 mel), logarithmic above (27 mel for a factor of 6.4)."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def _hz_to_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * float(np.log(hz / 1000) / np.log(6.4))


@cache
def filterbank() -> Floats:
    """Triangles of equal area on Slaney's mel scale (Auditory Toolbox), float32 [80, 401]."""
    edges = _mel_to_hz(np.linspace(_hz_to_mel(55), _hz_to_mel(7600), BINS + 2))
    bins = np.linspace(0, RATE / 2, 1 + _HALF)
    ramps = edges[:, None] - bins
    rising = -ramps[:-2] / np.diff(edges)[:-1, None]
    falling = ramps[2:] / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


@cache
def _hann() -> npt.NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)


def _columns(emphasised: npt.NDArray[np.float64], count: int) -> Floats:
    """Mel columns [80, count] of samples after pre-emphasis; column i takes samples 200·i … 200·i + 799."""
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, FFT)[::HOP][:count]
    magnitudes = np.abs(np.fft.rfft(frames * _hann(), axis=1))
    decibels = 20 * np.log10(np.maximum(1e-5, magnitudes @ filterbank().T.astype(np.float64))) - 20
    scaled: Floats = np.clip(8 * (decibels + 100) / 100 - 4, -4, 4).astype(np.float32)
    return scaled.T


def _emphasise(samples: npt.NDArray[np.floating], before: float) -> npt.NDArray[np.float64]:
    """y[n] = x[n] - 0.97 x[n-1], float64; `before` is the sample before the first."""
    wide = samples.astype(np.float64)
    return wide - _PRE_EMPHASIS * np.concatenate([[before], wide[:-1]])


class MelStream:
    """Mel columns of samples that come in blocks of any size: the columns that `log_mel` gives for all of them at once.

    Holds less than one transform (800 samples) between blocks.
    """

    def __init__(self) -> None:
        self._held = np.zeros(_HALF)
        self._last = 0.0
        self._samples = 0
        self._given = 0

    def push(self, samples: npt.NDArray[np.floating]) -> Floats:
        """Take float samples in -1…1 (any length, also none) and give the columns [80, n] that they complete."""
        if len(samples) == 0:
            return np.empty((BINS, 0), np.float32)
        self._held = np.concatenate([self._held, _emphasise(samples, self._last)])
        self._last = float(samples[-1])
        self._samples += len(samples)
        return self._take(max(0, (len(self._held) - FFT) // HOP + 1))

    def finish(self) -> Floats:
        """The columns [80, n] that reach beyond the last sample; in all there are 1 + samples // 200."""
        self._held = np.concatenate([self._held, np.zeros(FFT)])
        return self._take(1 + self._samples // HOP - self._given)

    def _take(self, count: int) -> Floats:
        parts = []
        for start in range(0, count, _BLOCK):
            part = min(_BLOCK, count - start)
            parts.append(_columns(self._held[start * HOP : (start + part - 1) * HOP + FFT], part))
        self._held = self._held[count * HOP :]
        self._given += count
        return np.concatenate(parts, axis=1) if parts else np.empty((BINS, 0), np.float32)


def log_mel(samples: npt.NDArray[np.floating]) -> Floats:
    """Log-mel of a whole recording.

    `samples`: float [n] in -1…1, mono, 16 kHz. Returns float32 [80, 1 + n // 200] in -4…4.
    Raises ValueError if it is not one-dimensional or has no samples.
    """
    if samples.ndim != 1 or len(samples) == 0:
        raise ValueError(f"log_mel takes mono samples of shape [n] with n > 0, got shape {samples.shape}")
    stream = MelStream()
    return np.concatenate([stream.push(samples), stream.finish()], axis=1)


def paper_start(frame: int) -> int:
    """First mel column of the window of frame `frame` (from 0) at 25 fps, as the paper's code has it.

    floor(80 · max(frame - 1, 0) / 25): the window begins one frame early, and frames 0 and 1 share theirs.
    """
    return 80 * max(frame - 1, 0) // 25


def paper_frames(columns: int) -> int:
    """How many frames at 25 fps have a whole window in a mel of so many columns; the paper's code drops the rest."""
    if columns < STEPS:
        return 0
    return (25 * (columns - STEPS + 1) - 1) // 80 + 2


def window_span(start: int) -> tuple[int, int]:
    """Which samples the window is made of whose first column is centred on sample `start`: (first, count).

    One more than the transforms reach, at the front, for the pre-emphasis.
    """
    return start - _HALF - 1, (STEPS - 1) * HOP + FFT + 1


def window(samples: npt.NDArray[np.floating], start: int, length: int) -> Floats:
    """One mel window whose first column is centred on sample `start`, anywhere between the hops and beyond the ends.

    `samples`: float, those that `window_span(start)` names, zero outside the recording; `length`: of the recording, in
    samples. Returns float32 [80, 16]; columns centred outside of 0…length are silence, -4. On a multiple of 200 it
    equals those columns of `log_mel`. Raises ValueError if the number of samples is another.
    """
    first, count = window_span(start)
    if samples.shape != (count,):
        raise ValueError(f"a mel window is made of {count} samples, got shape {samples.shape}")
    emphasised = _emphasise(samples[1:], float(samples[0]))
    emphasised[max(0, length - first - 1) :] = 0  # the last sample's echo in the pre-emphasis is not of the recording
    columns = _columns(emphasised, STEPS)
    centres = start + HOP * np.arange(STEPS)
    columns[:, (centres < 0) | (centres > length)] = SILENCE
    return columns
