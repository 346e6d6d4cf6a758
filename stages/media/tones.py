"""HDR as the SDR that stages look at, and back: the tone mapping of `decode`, point by point.

libswscale's mapping has no inverse of its own and cannot be asked for single colours. So it is asked for a grid of
colours, given to it as a picture that has all that a frame of the file says of its light; between the points it is
taken as linear. The way back is Newton's method on the points of such a grid.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.media.filters import Chain, tone_mapped

Floats = npt.NDArray[np.float32]

#: points of the grids along each side, there and back
THERE, BACK = 65, 33

#: of Newton's method, and how far around a point its slope is taken
STEPS, STEP = 6, np.float32(1 / 128)


class Tones:
    """Between RGB in PQ or HLG (0..1, as coded) and RGB in BT.709 (0..255), for the frames of one file.

    Mapped as the first frame would be: what HDR10+ says of single scenes is not followed.
    """

    def __init__(self, path: str) -> None:
        self._there = _mapped_grid(path) * np.float32(255)
        greys = self._there.reshape(THERE, THERE, THERE, 3)[(np.arange(THERE),) * 3].mean(1)
        self._codes = np.linspace(0, 1, 4097)
        self._greys = np.maximum.accumulate(np.interp(self._codes, np.linspace(0, 1, THERE), greys))
        #: the code of each of 256 greys; a colour's channels go through it before the grid, which is nearly linear then
        self._code_of = self._coded(np.arange(256.0))

    def there(self, codes: Floats) -> Floats:
        """Coded HDR (…, 3) 0..1 as SDR 0..255."""
        return _look_up(self._there, THERE, codes)

    def back(self, picture: npt.NDArray[np.uint8]) -> Floats:
        """SDR uint8 (…, 3) as the coded HDR (0..1) that it would come from."""
        return _look_up(self._back, BACK, self._code_of[picture] / self._code_of[255])

    def _coded(self, greys: npt.NDArray[np.float64]) -> Floats:
        """The codes of greys (0..255)."""
        below = self._greys < self._greys[-1] - 0.5  # there the curve is flat: brighter than the brightest that is told
        return np.asarray(np.interp(greys, self._greys[below], self._codes[below]), np.float32)

    @cached_property
    def _back(self) -> Floats:
        """The codes [n, 3] that are mapped to the points of the grid back, none brighter than white.

        Those who only look never ask for them.
        """
        from scipy.spatial import KDTree

        most = self._code_of[255]
        wanted = np.interp(_grid(BACK) * most, self._codes, self._greys).astype(np.float32)
        known = (_grid(THERE) <= most).all(1)
        codes = _grid(THERE)[known][KDTree(self._there[known]).query(wanted)[1]]
        for _ in range(STEPS):
            missing = wanted - self.there(codes)
            slopes = np.stack([self._slope(codes, channel) for channel in range(3)], 2)
            turned = slopes.transpose(0, 2, 1)
            damped = turned @ slopes + np.eye(3, dtype=np.float32)  # Levenberg's way, where colours fall together
            moved = np.clip(codes + np.linalg.solve(damped, turned @ missing[..., None])[..., 0], 0, most)
            better = np.abs(wanted - self.there(moved)).sum(1) < np.abs(missing).sum(1)
            codes[better] = moved[better]
        return np.asarray(codes, np.float32)

    def _slope(self, codes: Floats, channel: int) -> Floats:
        low, high = codes.copy(), codes.copy()
        low[:, channel] = np.maximum(low[:, channel] - STEP, 0)
        high[:, channel] = np.minimum(high[:, channel] + STEP, 1)
        return np.asarray((self.there(high) - self.there(low)) / (high - low)[:, channel, None], np.float32)


def _grid(points: int) -> Floats:
    """All colours [n, 3] whose channels are one of so many levels from 0 to 1, blue changing fastest."""
    level = np.linspace(0, 1, points, dtype=np.float32)
    return np.stack(np.meshgrid(level, level, level, indexing="ij"), 3).reshape(-1, 3)


def _look_up(grid: Floats, points: int, colours: Floats) -> Floats:
    """Values of a grid [points³, 3] at colours (…, 3) of 0..1, linear between its points."""
    places = np.clip(colours, 0, 1) * np.float32(points - 1)
    cells = np.minimum(places.astype(np.int32), points - 2)
    red, green, blue = np.moveaxis((places - cells)[..., None], -2, 0)
    first = (cells[..., 0] * points + cells[..., 1]) * points + cells[..., 2]

    def along_blue(offset: int) -> Floats:
        low = grid[first + offset]
        return np.asarray(low + (grid[first + offset + 1] - low) * blue, np.float32)

    def along_green(offset: int) -> Floats:
        low = along_blue(offset)
        return np.asarray(low + (along_blue(offset + points) - low) * green, np.float32)

    low = along_green(0)
    return np.asarray(low + (along_green(points * points) - low) * red, np.float32)


def _mapped_grid(path: str) -> Floats:
    """What tone mapping makes of the colours of a grid in a frame of the file: [n, 3], 0..1."""
    colours = _grid(THERE)
    height, width = THERE, THERE * THERE
    frame = _first_frame(path, width, height)
    for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):  # GBR
        rows = np.frombuffer(plane, "<u2").reshape(-1, plane.line_size // 2)
        rows[:height, :width] = np.rint(colours[:, channel] * 65535).reshape(height, width)
    chain = Chain(width, height, "gbrp16le", Fraction(1, 1), [*tone_mapped(16), ("format", "gbrp16le")])
    done = next(chain.push(frame))
    mapped = [np.frombuffer(plane, "<u2").reshape(height, -1)[:, :width].ravel() for plane in done.planes]
    return np.asarray(np.stack([mapped[2], mapped[0], mapped[1]], 1) / 65535, np.float32)


def _first_frame(path: str, width: int, height: int) -> Any:
    """The first frame of a video with all that it says of itself, as RGB with 16 bits in another size."""
    from stages.media.probe import decoded, open_input, video_stream

    with open_input(path) as container:
        first = next(iter(decoded(container, video_stream(container))))
        filters = [("scale", f"{width}:{height}"), ("format", "gbrp16le")]
        first.pts, first.time_base = 0, Fraction(1, 1)
        return next(Chain(first.width, first.height, first.format.name, Fraction(1, 1), filters).push(first))
