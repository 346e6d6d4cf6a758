"""Pasting a drawn crop back into its frame: only where its mask is above 0, only the region that it covers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.mouth.blend import membrane
from models.mouth.cut import Box, shift_of
from models.mouth.geometry import Floats

Picture = npt.NDArray[np.uint8]


class Placed(NamedTuple):
    """A drawing as it lies in the frame: `box` there, `picture` uint8 [h, w, 3] and `mask` uint8 [h, w] inside it."""

    box: Box
    picture: Picture
    mask: Picture


def place(drawn: Picture, mask: Picture, placement: Floats, height: int, width: int, around: int = 0) -> Placed | None:
    """`drawn` [s, s, 3] and `mask` [s, s] (0..255) as they lie in a frame of that size; None where nothing is in it.

    `placement` [2, 3] maps the frame's pixels to the crop's. The box holds all where the mask is above 0, and `around`
    more pixels of the crop on each side.
    """
    import cv2

    left, top, across, down = cv2.boundingRect(mask)
    if not across:
        return None
    right, bottom = min(mask.shape[1], left + across + around), min(mask.shape[0], top + down + around)
    left, top = max(0, left - around), max(0, top - around)
    shift = shift_of(placement)
    if shift is None:
        return _mapped(drawn, mask, placement, Box(left, top, right, bottom), Box(0, 0, width, height))
    x, y = shift
    box = Box(left + x, top + y, right + x, bottom + y).within(Box(0, 0, width, height))
    part = (slice(box.top - y, box.bottom - y), slice(box.left - x, box.right - x))
    return None if box.empty else Placed(box, drawn[part], mask[part])


def _mapped(drawn: Picture, mask: Picture, placement: Floats, part: Box, frame: Box) -> Placed | None:
    import cv2

    corners = np.array([[x, y] for x in (part.left, part.right) for y in (part.top, part.bottom)], np.float32)
    back = cv2.invertAffineTransform(placement)
    points = corners @ back[:, :2].T + back[:, 2]
    low, high = np.floor(points.min(0)).astype(int) - 2, np.ceil(points.max(0)).astype(int) + 2
    box = Box(int(low[0]), int(low[1]), int(high[0]), int(high[1])).within(frame)
    if box.empty:
        return None
    size = (box.right - box.left, box.bottom - box.top)
    onto = box.inside(placement)
    flags = cv2.WARP_INVERSE_MAP
    picture = cv2.warpAffine(drawn, onto, size, flags=flags | cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    shown = cv2.warpAffine(mask, onto, size, flags=flags | cv2.INTER_LINEAR, borderValue=0)
    return Placed(box, np.asarray(picture, np.uint8), np.asarray(shown, np.uint8))


def relit(under: Picture, drawn: Picture, mask: Picture) -> Picture:
    """The drawing brought to the level of light that the frame has around the mask: `under` is the frame there."""
    inside = np.where(mask > 0, 255, 0).astype(np.uint8)
    return np.asarray(np.clip(drawn + membrane(under, drawn, inside) + 0.5, 0, 255), np.uint8)


def mix(region: Picture, drawn: Picture, mask: Picture) -> None:
    """Change `region` uint8 [h, w, 3] in place to `drawn`, as far as `mask` [h, w] (0..255) says."""
    import cv2

    partly = (mask > 0) & (mask < 255)
    if partly.any():
        share = mask[partly].astype(np.float32)[:, None] / 255
        under = region[partly]
        mixed = under + (drawn[partly] - under.astype(np.float32)) * share
        region[partly] = (mixed + 0.5).astype(np.uint8)
    whole = np.where(mask == 255, 255, 0).astype(np.uint8)
    region[...] = cv2.copyTo(np.ascontiguousarray(drawn), whole, np.ascontiguousarray(region))
