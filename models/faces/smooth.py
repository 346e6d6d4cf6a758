"""Smoothing without lag: the One Euro filter (Casiez, Roussel and Vogel, CHI 2012) over landmarks.

A low pass whose cut-off rises with speed: slow at rest, where noise shows, open in motion, where lag would.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.faces import Floats

#: cut-off at rest, Hz
REST = 0.4
#: by how many Hz the cut-off rises with a speed of one size of the face a second
RISE = 60.0
#: cut-off of the speed itself, Hz
SPEED = 4.0


class OneEuro:
    """Filters points [n, 2], one call a frame.

    `size` (the face's, in pixels) makes speeds comparable between near and far faces. Each point has its own cut-off,
    from its speed in the plane, so that lips stay quick in a head at rest; no point is slower than the whole.
    """

    def __init__(self, rest: float = REST, rise: float = RISE, speed: float = SPEED) -> None:
        self.rest = rest
        self.rise = rise
        self.speed = speed
        self.reset()

    def reset(self) -> None:
        """Begin anew with the next call: after a cut, or for another face."""
        self._time: float | None = None
        self._points: npt.NDArray[np.float64] = np.zeros((0, 2))
        self._raw = self._points
        self._velocity = self._points

    def __call__(self, points: Floats, time: float, size: float) -> Floats:
        """The smoothed points [n, 2] at `time` (seconds, later than the call before)."""
        values = points.astype(np.float64)
        if self._time is None or time <= self._time:
            self._points, self._raw, self._velocity = values, values, np.zeros_like(values)
        else:
            step = time - self._time
            raw_velocity = (values - self._raw) / step / size
            self._velocity += _share(self.speed, step) * (raw_velocity - self._velocity)
            speeds = np.linalg.norm(self._velocity, axis=-1, keepdims=True)
            whole = np.linalg.norm(self._velocity.mean(0))
            share = _share(self.rest + self.rise * np.maximum(speeds, whole), step)
            self._points = self._points + share * (values - self._points)
            self._raw = values
        self._time = time
        return self._points.astype(np.float32)


def _share(cutoff: npt.NDArray[np.float64] | float, step: float) -> npt.NDArray[np.float64]:
    """How much of the new value a low pass of that cut-off (Hz) takes after `step` seconds (the paper's equation 6)."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff) * step)))
