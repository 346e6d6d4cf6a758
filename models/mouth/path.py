"""The path of a mouth: what the lips shall do at each moment, in units of the person's own range.

A path is kept as CSV, so that one can be looked at, plotted, mended by hand or made by another program.
"""

from __future__ import annotations

import csv
import math
import os
from array import array
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Shapes = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

#: samples per second of every path that this project makes
RATE = 100
#: the columns of `MouthPath.values`, in order
COLUMNS = ("aperture", "width", "protrusion", "jaw")
APERTURE, WIDTH, PROTRUSION, JAW = range(4)
#: a mouth at rest: lips together, corners and jaw relaxed, as faces show it between sentences
REST = np.array([0.0, 0.3, 0.25, 0.15], np.float32)
#: seconds in which a mouth comes to rest where a path has ended
SETTLE = 0.12

_HEADER = ("time", *COLUMNS, "silent", "closed")


@dataclass(frozen=True)
class MouthPath:
    """What a mouth does over time.

    `times`: float64 [T], seconds, rising; a path made from speech begins at 0 and has `RATE` samples a second.
    `values`: float32 [T, 4], the columns of `COLUMNS`. Each is a place in the person's own range of that measure: 0 is
    its 2nd percentile over that person's video (lips together, narrowest, least protruded, jaw shut), 1 its 98th, and
    linear between; up to 1.15 may be asked for.
    `silent`: bool [T], within a pause of speech longer than 0.3 s.
    `closed`: bool [T], the lips must touch (p, b, m).
    """

    times: Floats
    values: Shapes
    silent: Flags
    closed: Flags

    def __post_init__(self) -> None:
        count = len(self.times)
        if self.values.shape != (count, len(COLUMNS)) or self.silent.shape != (count,) or self.closed.shape != (count,):
            raise ValueError(
                f"a mouth path of {count} times takes values [{count}, {len(COLUMNS)}] and flags [{count}], got "
                f"{self.values.shape}, {self.silent.shape} and {self.closed.shape}"
            )
        if count and not (np.isfinite(self.times).all() and np.isfinite(self.values).all()):
            raise ValueError("a mouth path holds finite numbers only")
        if count > 1 and np.diff(self.times).min() <= 0:
            raise ValueError("the times of a mouth path must rise")

    def __len__(self) -> int:
        return len(self.times)

    @property
    def duration(self) -> float:
        """Seconds from 0 to the end of the last sample; 0 where there is none."""
        if not len(self):
            return 0.0
        return float(self.times[-1] + (self.times[-1] - self.times[-2] if len(self) > 1 else 1 / RATE))

    def at(self, times: npt.ArrayLike) -> MouthPath:
        """The path at other times (seconds, rising), such as those of video frames.

        Values are interpolated linearly, flags are those of the nearest sample. A closure that falls between two of the
        times is kept at the nearest of them, so that none is lost at a low frame rate. Outside of the path the mouth
        is silent and comes to `REST`.
        """
        wanted = np.atleast_1d(np.asarray(times, np.float64))
        if not len(self):
            return _resting(wanted)
        values = np.stack([np.interp(wanted, self.times, column) for column in self._columns], axis=1)
        nearest = _nearest(self.times, wanted)
        silent, closed = self.silent[nearest].copy(), self.closed[nearest].copy()
        for first, last in self._closures_near(wanted):
            if not closed[(wanted >= self.times[first]) & (wanted <= self.times[last])].any():
                _keep(self, first, last, wanted, values, closed)
        past = np.maximum(self.times[0] - wanted, wanted - self.duration)
        share = np.clip(past / SETTLE, 0, 1)[:, None]
        silent[past > 0], closed[past > 0] = True, False
        return MouthPath(wanted, (values * (1 - share) + REST * share).astype(np.float32), silent, closed)

    @cached_property
    def _columns(self) -> Floats:
        """The values by column, float64 as they are interpolated."""
        return np.ascontiguousarray(self.values.T, np.float64)

    @cached_property
    def _closures(self) -> tuple[list[tuple[int, int]], Floats]:
        """Every closure's first and last sample, and the second of its middle."""
        found = runs(self.closed)
        return found, np.array([(self.times[first] + self.times[last]) / 2 for first, last in found])

    def _closures_near(self, wanted: Floats) -> list[tuple[int, int]]:
        """The closures whose middle lies as near to one of the times (rising) as `_keep` asks for."""
        if not len(wanted):
            return []
        found, middles = self._closures
        reach = _spacing(wanted)
        first = np.searchsorted(middles, wanted[0] - reach)
        return found[first : np.searchsorted(middles, wanted[-1] + reach, "right")]

    def write(self, path: str | Path) -> None:
        """Write the path as CSV (`time,aperture,width,protrusion,jaw,silent,closed`), whole or not at all.

        Raises OSError where the folder cannot be written.
        """
        place = Path(path)
        partial = place.with_name(f".{place.name}.{os.getpid()}.part")
        try:
            with partial.open("w", newline="", encoding="utf-8") as file:
                self._write_rows(file)
            partial.replace(place)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def _write_rows(self, file: TextIO) -> None:
        file.write(",".join(_HEADER) + "\n")
        for time, row, silent, closed in zip(self.times, self.values, self.silent, self.closed, strict=True):
            numbers = ",".join(f"{value:.4f}" for value in row)
            file.write(f"{time:.4f},{numbers},{silent:d},{closed:d}\n")

    @staticmethod
    def read(path: str | Path) -> MouthPath:
        """Read what `write` wrote. Raises ValueError that names file and line where a row is not what it should be."""
        numbers = array("d")  # eight bytes a number: hours of speech are millions of them
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            try:
                head = next(lines, [])
                if tuple(head) != _HEADER:
                    raise ValueError(f"{path}:1: a mouth path begins with the line {','.join(_HEADER)}")
                for row in lines:
                    if row:
                        before = numbers[-len(_HEADER)] if numbers else -math.inf
                        numbers.extend(_numbers(row, before, f"{path}:{lines.line_num}"))
            except (UnicodeDecodeError, csv.Error) as error:
                raise ValueError(f"{path}: is no CSV text ({error})") from None
        if not numbers:
            raise ValueError(f"{path}: holds no rows")
        table = np.frombuffer(numbers).reshape(-1, len(_HEADER))
        return MouthPath(table[:, 0], table[:, 1:5].astype(np.float32), table[:, 5] > 0, table[:, 6] > 0)


def runs(flags: Flags) -> list[tuple[int, int]]:
    """First and last index of every unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(after) - 1) for first, after in edges.reshape(-1, 2)]


def _resting(times: Floats) -> MouthPath:
    return MouthPath(times, np.tile(REST, (len(times), 1)), np.ones(len(times), bool), np.zeros(len(times), bool))


def _nearest(grid: Floats, wanted: Floats) -> npt.NDArray[np.intp]:
    right = np.clip(np.searchsorted(grid, wanted), 1, max(1, len(grid) - 1))
    left = right - 1
    right = np.minimum(right, len(grid) - 1)
    return np.where(np.abs(wanted - grid[left]) <= np.abs(grid[right] - wanted), left, right)


def _keep(path: MouthPath, first: int, last: int, wanted: Floats, values: Floats, closed: Flags) -> None:
    middle = (path.times[first] + path.times[last]) / 2
    place = int(np.abs(wanted - middle).argmin())
    if abs(wanted[place] - middle) <= _spacing(wanted):
        values[place], closed[place] = path.values[(first + last) // 2], True


def _spacing(wanted: Floats) -> float:
    """The longest step between the times, at least that of a path made from speech."""
    return max(float(np.diff(wanted).max(initial=0.0)), 1 / RATE)


def _numbers(row: list[str], before: float, place: str) -> list[float]:
    if len(row) != len(_HEADER):
        raise ValueError(f"{place}: has {len(row)} columns, not the {len(_HEADER)} of the first line")
    numbers = []
    for name, word in zip(_HEADER, row, strict=True):
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{place}: '{word}' in column '{name}' is not a number")
        if name in ("silent", "closed") and number not in (0, 1):
            raise ValueError(f"{place}: '{word}' in column '{name}' is neither 0 nor 1")
        numbers.append(number)
    if numbers[0] <= before:
        raise ValueError(f"{place}: the time {numbers[0]:g} does not come after {before:g}, the one before it")
    return numbers
