"""Videos made of the sample's face: heads that move, hide, cross, and scenes that are cut."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
SAMPLE = Path(__file__).parents[2] / "pipelines" / "samples" / "portrait.mp4"
HEIGHT, WIDTH = 360, 640
#: where the sample's first frame shows the head: rows, columns
HEAD = (slice(10, 330), slice(110, 400))


@cache
def portrait() -> Picture:
    """The first frame of the sample."""
    with av.open(str(SAMPLE)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def wall(seed: int = 0) -> Picture:
    """A background without faces."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.uniform(40, 220, (5, 8, 3)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse, 0, 255).astype(np.uint8)


def with_heads(
    places: Sequence[tuple[float, float, float]], seed: int = 0, tints: Sequence[tuple[float, float, float]] = ()
) -> Picture:
    """A frame with a head at each (x, y of its middle, height), later ones in front, tinted by factors of RGB."""
    frame = wall(seed)
    head = portrait()[HEAD]
    rows, columns = head.shape[:2]
    y, x = np.mgrid[0:rows, 0:columns]
    alpha = np.clip(8 * (1 - np.hypot((x - columns / 2) / (columns / 2), (y - rows / 2) / (rows / 2))), 0, 1)
    for number, (middle_x, middle_y, height) in enumerate(places):
        scale = height / rows
        there = np.array([[scale, 0, middle_x - scale * columns / 2], [0, scale, middle_y - scale * rows / 2]])
        tint = np.array(tints[number] if tints else (1, 1, 1))
        size = (WIDTH, HEIGHT)
        picture = cv2.warpAffine(np.clip(head * tint, 0, 255).astype(np.uint8), there, size, flags=cv2.INTER_AREA)
        cover = cv2.warpAffine(alpha.astype(np.float32), there, size)[..., None]
        frame = (frame + cover * (picture.astype(np.float32) - frame)).astype(np.uint8)
    return frame
