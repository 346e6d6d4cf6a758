"""Smoothing without lag: the One Euro filter (Casiez, Roussel and Vogel, CHI 2012) over landmarks.

A low pass whose cut-off rises with speed: slow at rest, where noise shows, open in motion, where lag would.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.faces import Floats

Doubles = npt.NDArray[np.float64]


class OneEuro:
    """Filters vectors [..., 2], one call a frame; each has its own cut-off, from its own speed.

    The cut-off is `rest` Hz at rest and rises by `rise` Hz for each unit of speed; `speed` is the cut-off of the speed.
    """

    def __init__(self, rest: float, rise: float, speed: float) -> None:
        self.rest = rest
        self.rise = rise
        self.speed = speed
        self._last: tuple[Doubles, Doubles, Doubles] | None = None

    def __call__(self, values: Doubles, step: float, unit: float = 1.0) -> Doubles:
        """The smoothed values, `step` seconds after the call before; speeds are taken in `unit` a second."""
        if self._last is None:
            self._last = values, values, np.zeros_like(values)
            return values
        raw, smooth, velocity = self._last
        velocity = velocity + _share(self.speed, step) * ((values - raw) / (step * unit) - velocity)
        speeds = np.linalg.norm(velocity, axis=-1, keepdims=True)
        smooth = smooth + _share(self.rest + self.rise * speeds, step) * (values - smooth)
        self._last = values, smooth, velocity
        return smooth


class LandmarkFilter:
    """Filters landmarks [n, 2]: the place of the whole head by one filter, the shape by another that is quicker.

    What shakes a mesh at rest is mostly the whole of it, through the region that it is looked for in; what has to stay
    quick are the lips. Speeds are taken in sizes of the face, so that near and far faces are treated alike.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew with the next call: after a cut, or for another face."""
        self._place = OneEuro(rest=0.4, rise=60.0, speed=4.0)
        self._shape = OneEuro(rest=1.0, rise=150.0, speed=8.0)
        self._time: float | None = None

    def __call__(self, landmarks: Floats, time: float, size: float) -> Floats:
        """The smoothed landmarks at `time` (seconds) of a face of `size` pixels; begins anew where time goes back."""
        if self._time is not None and time <= self._time:
            self.reset()
        step = time - self._time if self._time is not None else 1.0
        self._time = time
        points = landmarks.astype(np.float64)
        middle = points.mean(0, keepdims=True)
        smooth = self._place(middle, step, size) + self._shape(points - middle, step, size)
        return smooth.astype(np.float32)


def _share(cutoff: Doubles | float, step: float) -> Doubles:
    """How much of the new value a low pass of that cut-off (Hz) takes after `step` seconds (the paper's equation 6)."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff) * step)))
