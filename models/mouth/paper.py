"""How Diff2Lip's code cuts faces out and puts them back: whole pixels, smoothed boxes, stretched, hard edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.mouth import cut
from models.mouth.geometry import Floats
from models.mouth.names import AHEAD
from models.mouth.paste import Placed

Picture = npt.NDArray[np.uint8]
Box = npt.NDArray[np.int64]


def box_of(landmarks: Floats, height: int, width: int) -> Box:
    """Left, top, right and bottom (the last two not included) of the face, int64 [4], within a frame of that size.

    Of landmarks [468, 2]: the paper's code has its boxes from another detector, cut down to whole pixels alike.
    """
    edges = np.concatenate([landmarks.min(0), landmarks.max(0)])
    return np.asarray(np.clip(edges, 0, [width, height, width, height]), np.int64)


def smoothed(boxes: Sequence[Box], index: int, last: bool) -> Box:
    """Box `index` as the paper's code smooths it: the mean of it and the next four, cut down to whole pixels.

    boxes: those around it, up to four before and four after; last: whether they end where the video ends. There the
    mean is of the last five, some of which are smoothed already.
    """
    if index + AHEAD <= len(boxes) or not last:
        return np.asarray(np.mean(boxes[index : index + AHEAD], axis=0), np.int64)
    rows = np.array(boxes)
    tail = rows[len(rows) - AHEAD :]  # fewer than five rows: from the end, as the paper's code has it
    for place in range(max(0, len(rows) - AHEAD), index + 1):
        rows[place] = np.mean(tail, axis=0)
    return np.asarray(rows[index])


def placement_of(box: Box, size: int) -> Floats:
    """The map [2, 3] from the frame's pixels to those of the crop of `size` that the box is stretched to."""
    k = size / (box[2:] - box[:2])
    return np.array([[k[0], 0, (0.5 - box[0]) * k[0] - 0.5], [0, k[1], (0.5 - box[1]) * k[1] - 0.5]], np.float32)


def box_at(placement: Floats, size: int) -> Box:
    """The box that `placement_of` made the map of."""
    k = placement[[0, 1], [0, 1]].astype(np.float64)
    low = 0.5 - (placement[:, 2] + 0.5) / k
    return np.round(np.concatenate([low, low + size / k])).astype(np.int64)


def stretch_out(region: Picture, crop: Picture) -> None:
    """Fill `crop` uint8 [s, s, 3] with the box's pixels of the frame, bilinear."""
    import cv2

    cv2.resize(region, crop.shape[:2], dst=crop, interpolation=cv2.INTER_LINEAR)


def place_whole(drawn: Picture, box: Box) -> Placed:
    """`drawn` [s, s, 3] as it covers the whole box, stretched, bilinear."""
    import cv2

    left, top, right, bottom = (int(edge) for edge in box)
    size = (right - left, bottom - top)
    picture = np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return Placed(cut.Box(left, top, right, bottom), picture, np.full((size[1], size[0]), 255, np.uint8))
