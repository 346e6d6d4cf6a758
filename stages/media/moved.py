"""Pictures of planes with a part of their samples taken from beside where they are; all others are copied."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.mouth.cut import Box
from stages.media.planes import Layout, samples_of

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def move(image: Picture, layout: Layout, box: Box, by: Floats, out: Picture) -> None:
    """Fill `out` with `image`, both of that layout, what lies in `box` moved.

    The edges of `box` are multiples of 4 pixels. `by`: how far, in pixels (right, down), what comes to lie at nodes
    [rows, columns, 2] has moved; they divide the box evenly, between them it is linear. Where it is 0 samples are what
    they were, else they are interpolated (bicubic), of 8 bits or of more.
    """
    out[...] = image
    if layout.is_rgb:
        _move_samples(image.reshape(layout.shape), box, by, (1, 1), out.reshape(layout.shape), 255)
        return
    steps = [(1, 1), layout.steps, layout.steps]
    for before, after, step in zip(samples_of(image, layout), samples_of(out, layout), steps, strict=True):
        _move_samples(before, box, by, step, after, (1 << layout.bits) - 1)


def _move_samples(before: Any, box: Box, by: Floats, step: tuple[int, int], after: Any, most: int) -> None:
    import cv2

    down, across = step
    left, top, right, bottom = box.left // across, box.top // down, box.right // across, box.bottom // down
    field = cv2.resize(by, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    x = np.arange(left, right, dtype=np.float32) - field[..., 0] / np.float32(across)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - field[..., 1] / np.float32(down)
    taken = cv2.remap(before, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    np.minimum(taken, most, out=after[top:bottom, left:right])
