"""Pasting a drawn crop back into its frame: only where its mask is above 0, only the region that it covers."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from models.mouth.blend import membrane
from models.mouth.cut import shift_of
from models.mouth.geometry import Floats

Picture = npt.NDArray[np.uint8]
BlendName = Literal["feather", "poisson"]


def paste(frame: Picture, drawn: Picture, mask: Picture, placement: Floats, blend: BlendName = "feather") -> None:
    """Change `frame` uint8 [h, w, 3] in place: `drawn` [s, s, 3] where `mask` [s, s] (0..255) is above 0.

    `placement` [2, 3] maps the frame's pixels to the crop's. `feather` mixes by the mask; `poisson` first brings the
    drawing to the level of light that the frame has around the mask.
    """
    import cv2

    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return
    if blend == "poisson":  # needs to see what lies around the mask
        left, top, right, bottom = max(0, left - 8), max(0, top - 8), left + width + 8, top + height + 8
        width, height = min(mask.shape[1], right) - left, min(mask.shape[0], bottom) - top
    shift = shift_of(placement)
    if shift is None:
        _paste_mapped(frame, drawn, mask, placement, (left, top, width, height), blend)
        return
    x0, y0 = max(0, left + shift[0]), max(0, top + shift[1])
    x1, y1 = min(frame.shape[1], left + width + shift[0]), min(frame.shape[0], top + height + shift[1])
    if x0 < x1 and y0 < y1:
        part = (slice(y0 - shift[1], y1 - shift[1]), slice(x0 - shift[0], x1 - shift[0]))
        _mix(frame[y0:y1, x0:x1], drawn[part], mask[part], blend)


def _paste_mapped(
    frame: Picture, drawn: Picture, mask: Picture, placement: Floats, box: tuple[int, int, int, int], blend: BlendName
) -> None:
    import cv2

    left, top, width, height = box
    right, bottom = left + width, top + height
    corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]], np.float32)
    back = cv2.invertAffineTransform(placement)
    points = corners @ back[:, :2].T + back[:, 2]
    low = np.maximum(np.floor(points.min(0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + 2, [frame.shape[1], frame.shape[0]])
    if (low >= high).any():
        return
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    onto = placement.copy()  # region → frame → crop
    onto[:, 2] += placement[:, :2] @ low.astype(np.float32)
    flags = cv2.WARP_INVERSE_MAP
    picture = cv2.warpAffine(drawn, onto, size, flags=flags | cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    part = cv2.warpAffine(mask, onto, size, flags=flags | cv2.INTER_LINEAR, borderValue=0)
    region = frame[low[1] : high[1], low[0] : high[0]]
    _mix(region, np.asarray(picture, np.uint8), np.asarray(part, np.uint8), blend)


def _mix(region: Picture, drawn: Picture, mask: Picture, blend: BlendName) -> None:
    import cv2

    if blend == "poisson":
        inside = np.where(mask > 0, 255, 0).astype(np.uint8)
        drawn = np.clip(drawn + membrane(region, drawn, inside) + 0.5, 0, 255).astype(np.uint8)
    partly = (mask > 0) & (mask < 255)
    if partly.any():
        share = mask[partly].astype(np.float32)[:, None] / 255
        under = region[partly]
        mixed = under + (drawn[partly] - under.astype(np.float32)) * share
        region[partly] = (mixed + 0.5).astype(np.uint8)
    whole = np.where(mask == 255, 255, 0).astype(np.uint8)
    region[...] = cv2.copyTo(np.ascontiguousarray(drawn), whole, np.ascontiguousarray(region))
