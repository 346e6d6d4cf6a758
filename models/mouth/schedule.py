"""What each packet of a run will show, told ahead from files: its time, its frame of the source, the mouth it shall
have.

The mouth path and the survey lie on disk before the second pass starts, so looking ahead needs no frames.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from models.mouth.choose import Wanted
from models.mouth.geometry import Floats
from models.mouth.path import RATE, MouthPath
from models.mouth.survey import Survey

#: the mouth that `style` exaggerates from: closed, middling wide, jaw shut
_NEUTRAL = np.array([0.0, 0.5, 0.3, 0.0], np.float32)
#: seconds around a moment over which a closure begins and ends
_AROUND = np.linspace(-0.02, 0.02, 5)
#: packets of a rate are looked up so many at a time, where they lie at its times as nearly as this, in steps
_BLOCK, _EXACT = 128, 0.01


class Schedule:
    """Times and source frames by packet index, for a video that plays forth and back, and the wanted mouth."""

    def __init__(self, survey: Survey, path: MouthPath, rate: Fraction | None, lead: float = 0.0) -> None:
        """`rate`: packets a second, None where it varies: then the times are those of the source. `lead`: seconds by
        which the mouth comes before the path."""
        self.path, self.lead, self.rate = path, lead, rate
        self._block = lru_cache(maxsize=4)(self._path_of)
        table = survey.table()
        self._pose: Floats = table["pose"]
        self._times = table["time"].astype(np.float64) - (float(table["time"][0]) if len(table) else 0.0)
        self._step = float(np.median(np.diff(self._times))) if len(table) > 1 else 1.0

    def times(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The presentation times of packets, seconds from the first."""
        if self.rate is not None:
            return indices / float(self.rate)
        last = len(self._times) - 1
        turns, place = np.divmod(indices, max(last, 1))
        back = self._times[last] - self._times[last - place]
        lap = self._times[last] or self._step
        return np.asarray(
            turns * lap + np.where(turns % 2 == 0, self._times[np.minimum(place, last)], back), np.float64
        )

    def frames(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The frames of the source that packets are expected to show: forth and back, the ends once each.

        At another rate than the source's, as many packets as fill its time play it once.
        """
        count = len(self._times)
        base = count
        if self.rate is not None:
            base = max(1, round(float(self._times[-1] + self._step) * float(self.rate)))
        turns, place = np.divmod(indices, max(base - 1, 1))
        place = np.where(turns % 2 == 0, place, base - 1 - place)
        return np.clip(place if base == count else place * count // base, 0, count - 1).astype(np.int64)

    def wanted(self, start: int, stop: int) -> Wanted:
        """What packets [start, stop) shall show."""
        indices = np.arange(start, stop)
        path = self.path.at(self.times(indices) + self.lead)
        return Wanted(path.values, path.closed | path.silent, self._pose[self.frames(indices)])

    def mouth(self, time: float) -> tuple[Floats, bool]:
        """The mouth at a packet's own `time` in seconds: units [4] of the person's range, and whether the lips
        touch."""
        index = None if self.rate is None else round(time * float(self.rate))
        if index is not None and abs(index - time * float(self.rate or 0)) < _EXACT:
            block, place = divmod(index, _BLOCK)
            path, place = self._block(block), place + 1
        else:
            step = self._step if self.rate is None else 1 / float(self.rate)
            path, place = self.path.at(time + self.lead + np.array([-step, 0, step])), 1
        return path.values[place], bool(path.closed[place] or path.silent[place])

    def _path_of(self, block: int) -> MouthPath:
        """The path at a block of packets, and one more on each side."""
        return self.path.at(self.times(np.arange(block * _BLOCK - 1, (block + 1) * _BLOCK + 1)) + self.lead)

    def pressed(self, time: float) -> float:
        """How far the lips press against each other at a packet's own `time`, as for p, b and m: 0..1, smooth."""
        around = time + self.lead + _AROUND
        shut, room = self._closures
        first = np.searchsorted(shut, around[0] - room)
        if first == len(shut) or shut[first] > around[-1] + room:
            return 0.0
        return float(self.path.at(around).closed.mean())

    @cached_property
    def _closures(self) -> tuple[npt.NDArray[np.float64], float]:
        """The times of the path at which lips touch, and seconds from all of them beyond which they surely do not."""
        times = self.path.times
        return times[self.path.closed], float(np.diff(times).max(initial=1 / RATE)) + float(np.ptp(_AROUND))


def styled(path: MouthPath, style: float = 1.0, smooth: float = 0.0) -> MouthPath:
    """The path with its moves `style` times as large, smoothed over `smooth` seconds (standard deviation).

    Closures and silences keep their values, whatever is asked for.
    """
    values = path.values.astype(np.float32)
    if smooth > 0 and len(path) > 1:
        values = _smoothed(path, smooth)
    values = _NEUTRAL + (values - _NEUTRAL) * style
    kept = path.closed | path.silent
    values[kept] = path.values[kept]
    values = np.clip(values, -0.15, 1.3)
    return MouthPath(path.times, values.astype(np.float32), path.silent, path.closed)


def _smoothed(path: MouthPath, sigma: float) -> Floats:
    step = float(np.median(np.diff(path.times)))
    reach = max(1, round(3 * sigma / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / sigma) ** 2)
    padded = np.pad(path.values, ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T]
    return np.stack(columns, 1).astype(np.float32)
