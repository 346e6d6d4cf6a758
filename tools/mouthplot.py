"""A plot of what a mouth did against what it should do, for lipscore.py: aperture above, width below, as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.mouth.path import MouthPath, runs

#: pixels of a panel, of the margin around it, and for a second
_TALL, _MARGIN, _SECOND = 220, 40, 120
#: BGR: what was measured, what was asked for, pauses, closures
_GOT, _ASKED, _PAUSE, _CLOSED = (40, 40, 200), (60, 140, 60), (235, 235, 235), (200, 170, 90)

Track = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def plot(got: Track, asked: Track | None, path: MouthPath | None, place: Path) -> None:
    """Draw tracks of times [n] (seconds) and measures [n, 4] to `place`; each is stretched from its 2nd to its 98th
    percentile. `path`: its pauses are shaded, its closures marked. Raises OSError where it cannot be written."""
    import cv2

    end = float(got[0][-1])
    page = np.full((2 * (_TALL + _MARGIN) + _MARGIN, int(end * _SECOND) + 2 * _MARGIN, 3), 255, np.uint8)
    for column, name in enumerate(("aperture", "width")):
        top = _MARGIN + column * (_TALL + _MARGIN)
        if path is not None:
            _shade(page, path.times, path.silent, _PAUSE, top, top + _TALL)
            if column == 0:
                _shade(page, path.times, path.closed, _CLOSED, top, top + 8)
        for track, colour in ((asked, _ASKED), (got, _GOT)):
            if track is not None:
                _line(page, track[0], track[1][:, column], colour, top, end)
        for second in range(int(end) + 1):
            cv2.putText(page, f"{second}s", (_x(second), top + _TALL + 16), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (90, 90, 90))
        cv2.putText(page, name, (_MARGIN, top - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    for text, colour, x in (("measured", _GOT, 140), ("asked for", _ASKED, 240)):
        cv2.putText(page, text, (x, _MARGIN - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    if not cv2.imwrite(str(place), page):
        raise OSError(f"cannot write {place}")


def _x(seconds: float) -> int:
    return _MARGIN + round(seconds * _SECOND)


def _shade(page: Any, times: Any, flags: Any, colour: tuple[int, int, int], top: int, bottom: int) -> None:
    for first, last in runs(flags):
        page[top:bottom, _x(times[first]) : min(_x(times[last]) + 1, page.shape[1] - _MARGIN)] = colour


def _line(page: Any, times: Any, values: Any, colour: tuple[int, int, int], top: int, end: float) -> None:
    """A curve; broken where a value is not known."""
    import cv2

    known = np.isfinite(values) & (times <= end)
    if not known.any():
        return
    low, high = np.percentile(values[known], [2, 98])
    level = np.clip((values - low) / max(high - low, 1e-6), -0.1, 1.1)
    for first, last in runs(known):
        y = top + _TALL * (1.1 - level[first : last + 1]) / 1.2
        points = np.stack([_MARGIN + times[first : last + 1] * _SECOND, y], 1).round().astype(np.int32)
        cv2.polylines(page, [points], False, colour, 1, cv2.LINE_AA)
