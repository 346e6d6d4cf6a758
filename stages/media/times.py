"""When pictures are shown, as exact fractions: constant and variable rates, ranges, resampling, back and forth."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

#: rates that are tried beside those that a file declares
STANDARD_RATES = tuple(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)) + tuple(
    Fraction(n) for n in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 100, 120)
)
#: how far times may lie off a constant rate, in seconds, or one tick of the time base if that is longer
TOLERANCE = Fraction(1, 2000)

Length = Literal["audio", "video", "shortest"]


@dataclass(frozen=True)
class Times:
    """Presentation times of all pictures of a file, relative to the first.

    `ticks`: int64, rising, in units of `base` seconds. `rate`: pictures a second where it is constant, else None; then
    the exact times are `index / rate`, which the ticks only round. `last`: how long the last picture is shown.
    """

    ticks: npt.NDArray[np.int64]
    base: Fraction
    rate: Fraction | None
    last: Fraction

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return len(self.ticks)

    @property
    def duration(self) -> Fraction:
        """Seconds from the first picture until the last is no longer shown."""
        return self.at(self.count - 1) + self.last

    def at(self, index: int) -> Fraction:
        """When picture `index` is shown; `count` stands for the end."""
        if self.rate is not None:
            return index / self.rate
        return self.duration if index == self.count else int(self.ticks[index]) * self.base

    def shown_at(self, time: Fraction) -> int:
        """Which picture is on at `time`; the first before the start, the last after the end."""
        return max(bisect_right(range(self.count), time + TOLERANCE / 2, key=self.at) - 1, 0)

    def first_from(self, time: Fraction) -> int:
        """The first picture shown at `time` or later, times within half a millisecond taken as equal; else `count`."""
        return bisect_left(range(self.count), time - TOLERANCE / 2, key=self.at)


def constant_rate(ticks: npt.NDArray[np.int64], base: Fraction, declared: Sequence[Fraction]) -> Fraction | None:
    """The rate that explains all times to the rounding of the time base, declared ones first; None if there is none."""
    declared = [standard(rate) for rate in declared]
    if len(ticks) < 2:
        return next(iter(declared), None)
    allowed = float(max(TOLERANCE / base, Fraction(1)))
    places = np.arange(len(ticks), dtype=np.float64)
    average = (len(ticks) - 1) / (int(ticks[-1] - ticks[0]) * base)
    best: tuple[float, Fraction] | None = None
    for rate in (*declared, *(rate for rate in STANDARD_RATES if abs(rate / average - 1) < Fraction(1, 100))):
        error = float(np.abs(np.rint(places * float(1 / (rate * base))) - ticks).max())
        if error <= allowed and (best is None or error < best[0]):
            best = error, rate
    return best[1] if best else None


def standard(rate: Fraction) -> Fraction:
    """A rate as containers round it (19001/317), as what it means (60000/1001)."""
    return next((known for known in STANDARD_RATES if abs(rate / known - 1) < Fraction(1, 10_000)), rate)


class Playlist:
    """Which picture each packet shows, and when.

    `start`, `end`: seconds of the file that are used, from the first picture. `fps`: resample to this rate; each packet
    shows what is on at its time. `until`: seconds after which the packets end; how it counts says `length`: `audio`
    plays the range back and forth until then, `shortest` ends with whichever is shorter, `video` with the video. A
    picture belongs to it if its middle lies before the end.

    Times lie on the file's clock, so that its own sound fits; with `from_zero` the range begins at 0, so that another
    file's does. Raises ValueError where the range holds no picture.
    """

    def __init__(
        self,
        times: Times,
        *,
        start: Fraction | None = None,
        end: Fraction | None = None,
        fps: Fraction | None = None,
        until: Fraction | None = None,
        length: Length = "audio",
        from_zero: bool = False,
    ) -> None:
        self._times = times
        self._low = 0 if start is None else times.first_from(start)
        self._high = times.count if end is None else times.first_from(end)
        if self._low >= self._high:
            wanted = f"from {float(start or 0):.3f} s to {float(times.duration if end is None else end):.3f} s"
            raise ValueError(f"{wanted} there is no picture (the video lasts {float(times.duration):.3f} s)")
        self._begin = times.at(self._low)
        self._zero = Fraction(0) if from_zero else self._begin
        self._fps = fps
        #: the exact rate of the packets, None where it varies
        self.rate = fps or times.rate
        self._span = times.at(self._high) - self._begin
        self._base = self._high - self._low if fps is None else max(_rounded(self._span * fps), 1)
        self._repeats = until is not None and length == "audio"
        #: how many packets there are
        self.count = self._count(until, length)

    @property
    def duration(self) -> Fraction:
        """Seconds from the first packet until the last is no longer shown."""
        ends_with_video = self.rate is None and self.count == self._base and not self._repeats
        return self._span if ends_with_video else self._offset(self.count)

    def entry(self, packet: int) -> tuple[int, Fraction]:
        """Index of the picture that packet `packet` shows, and the packet's time."""
        turn, place = divmod(packet, max(self._base - 1, 1))
        place = place if turn % 2 == 0 else self._base - 1 - place
        if self._base == 1:
            place = 0
        return self._source(place), self._zero + self._offset(packet)

    def _source(self, place: int) -> int:
        if self._fps is None:
            return self._low + place
        return min(max(self._times.shown_at(self._begin + place / self._fps), self._low), self._high - 1)

    def _offset(self, packet: int) -> Fraction:
        """Seconds from the first packet to this one; played backwards, pictures keep the distances they have."""
        if self.rate is not None:
            return packet / self.rate
        if self._base == 1:
            return packet * self._span
        turn, place = divmod(packet, self._base - 1)
        lap = self._times.at(self._high - 1) - self._begin
        if turn % 2 == 0:
            return turn * lap + self._times.at(self._low + place) - self._begin
        return turn * lap + self._times.at(self._high - 1) - self._times.at(self._high - 1 - place)

    def _count(self, until: Fraction | None, length: Length) -> int:
        if until is None or length == "video":
            return self._base
        left = until - self._zero
        if length == "shortest" and left >= self._span:
            return self._base
        if self.rate is not None:
            count = _rounded(left * self.rate)
        else:
            lap = self._offset(max(self._base - 1, 1))
            most = 2 + int(left / lap + 1) * self._base
            count = bisect_right(range(most), left, key=lambda n: (self._offset(n) + self._offset(n + 1)) / 2)
        return max(count, 1) if length == "audio" else min(max(count, 1), self._base)


def _rounded(value: Fraction) -> int:
    """The nearest whole number, halves upward."""
    return int((value + Fraction(1, 2)) // 1)
