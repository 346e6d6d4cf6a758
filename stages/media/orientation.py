"""Display matrices: how a decoded picture is turned and mirrored before it is shown.

The matrix is nine 32-bit numbers, row by row (ISO/IEC 14496-12, 6.2.2): (x', y') = (a·x + c·y, b·x + d·y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Orientation:
    """`turns` quarter turns clockwise, after mirroring left and right if `mirrored`."""

    turns: int = 0
    mirrored: bool = False

    @property
    def swaps(self) -> bool:
        """Whether width and height change places."""
        return self.turns % 2 == 1

    def __str__(self) -> str:
        return f"{self.turns * 90}° clockwise" + (", mirrored" if self.mirrored else "")

    def apply(self, image: Picture, out: Picture) -> None:
        """Write the picture as it is shown into `out`."""
        import cv2

        if self.mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
        if self.turns == 0:
            np.copyto(out, image)
            return
        codes = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)
        cv2.rotate(np.ascontiguousarray(image), codes[self.turns - 1], dst=out)


def orientation_of(frame: Any) -> Orientation:
    """How a decoded frame is shown; ValueError where its matrix turns by something else than quarters."""
    from av.sidedata.sidedata import Type

    try:
        data = frame.side_data.get(Type.DISPLAYMATRIX)
    except ValueError:  # the frame has side data of a kind that this PyAV has no name for
        return Orientation(round(-frame.rotation / 90) % 4)
    if data is None:
        return Orientation()
    a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(bytes(data), np.int32))
    return from_matrix(a, b, c, d)


def from_matrix(a: int, b: int, c: int, d: int) -> Orientation:
    """The orientation of a display matrix's upper left part."""
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    size = max(abs(a), abs(b), 1)
    near = (round(a / size), round(b / size))
    quarters = {(1, 0): 0, (0, 1): 1, (-1, 0): 2, (0, -1): 3}
    if near not in quarters or min(abs(a), abs(b)) > size / 100:
        raise ValueError("its display matrix turns the picture by an angle that is no quarter turn")
    return Orientation(quarters[near], mirrored)
