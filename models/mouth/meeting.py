"""Where lips meet that are apart in the picture they come from: nothing of what they showed stays between them, and the
line where they meet is as soft and dark as it is on lips."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.mouth.geometry import TOUCHING, Floats
from models.mouth.lips import Lips
from models.mouth.window import Window

Picture = npt.NDArray[np.uint8]

#: on p, b and m each lip is rolled in by so much: lips do not stop where they meet, they press (Löfqvist and Gracco,
#: "Lip and jaw kinematics in bilabial stop consonant production", 1997)
PRESS = 0.016
#: where lips come as near as this, over the face height, so much beside their edges is left out too: the edges are
#: found no better, and what stays of teeth would shine between lips that touch
_NEAR, _UNSURE = 0.02, 0.01
#: half the width of the line between lips that touch, over the face height; how dark it is, and its colour as a share
#: of the lips' own
_CREASE, _SHADE = 0.002, 0.5
_MEETING = np.array([0.60, 0.36, 0.36], np.float32)
#: how soft the edge of a lip is, standard deviation in pixels: as a camera has it, no more
_SOFT = 0.6
#: spacing of the tables that edges are sampled into, pixels
_COLUMN = 0.25


def nearness(lips: Lips, height: float) -> float:
    """1 where lips touch, 0 where they are well apart; `height` of the face, pixels."""
    return max(0.0, 1 - lips.gap / (_NEAR * height))


def without_edges(come: Lips, lips: Lips, height: float) -> Lips:
    """The lips `come` that take the shape of `lips`, without what lies on their edges as far as they shall be near."""
    return come.parted(_UNSURE * height * nearness(lips, height))


def meet(picture: Picture, window: Window, lips: Lips, come: Lips, swept: int = 0) -> None:
    """Soften the edge of the lower of `lips` in a crop where it has risen over what the lips `come` showed, and shade
    it as far as they are near: pixels meet there that have come from two places. `window` holds the lips; `swept`: how
    many pixels beside the edge may show what lay between, where a map does not know every pixel."""
    import cv2

    height = window.axes.height
    upper, lower = lips.edges[1], lips.edges[2]
    closed = np.clip((come.edges[2] - come.edges[1] - lower + upper)[:, 1] / (TOUCHING * height) - 0.5, 0, 1)
    if not closed.any():
        return
    reach = 4 * _CREASE * height + 4
    edges = lips.edges.reshape(-1, 2)
    window = window.within(window.axes.leave(np.concatenate([edges - reach, edges + reach])))
    across, down = window.local()
    share = edge_at(np.stack([lower[:, 0], closed], 1), across)
    share = np.where((across > lower[0, 0]) & (across < lower[-1, 0]), share, 0)[..., None]
    near, width = nearness(lips, height), max(0.8, _CREASE * height)
    away = np.abs(down - edge_at(lower, across))[..., None]
    line, around = (share * np.exp(-((away / reach) ** 2)) for reach in (width, width + swept))
    colour = _colour(*_red(picture, window, lips))
    part = window.of(picture).astype(np.float32)
    part -= np.maximum(part - colour, 0) * np.minimum(1, 3 * near * around)  # lighter than lips are teeth only
    soft = cv2.GaussianBlur(part, (0, 0), _SOFT)
    part += (soft - part) * (line * (0.5 + 0.5 * near))
    part += (np.minimum(colour * _MEETING, part) - part) * (_SHADE * near * line)
    window.of(picture)[...] = np.clip(part + 0.5, 0, 255).astype(np.uint8)


def lip_light(picture: Picture, window: Window, lips: Lips) -> tuple[Floats, float]:
    """The median colour [3] of the red of the lips in a crop, and the level of light on them (the brightest skin
    around). `window` holds them."""
    red, around = _red(picture, window, lips)
    skin = window.of(picture)[around > 0]
    level = float(np.percentile(skin.mean(1), 80)) if len(red) and len(skin) else 160.0
    return _colour(red, around), level


def _red(picture: Picture, window: Window, lips: Lips) -> tuple[Picture, Picture]:
    """The pixels [n, 3] of the red of the lips in a crop, and a mask of the window: above 0 on the skin around them."""
    import cv2

    mask = np.zeros(window.shape, np.uint8)
    outline = window.axes.leave(np.concatenate([lips.edges[0], lips.edges[3][::-1]])) - (window.left, window.top)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 255)
    around = cv2.subtract(cv2.dilate(mask, np.ones((9, 9), np.uint8)), mask)
    return window.of(picture)[mask > 0], np.asarray(around, np.uint8)


def _colour(red: Picture, around: Picture) -> Floats:
    """The median [3] of the pixels [n, 3] of lips; where there are none, or no skin around, what lips may have."""
    if not len(red) or not around.any():
        return np.full(3, 90, np.float32)
    return np.asarray(np.median(red, 0), np.float32)


def edge_at(edge: Floats, across: Floats) -> Floats:
    """How far down an edge [n, 2] lies at `across` [h, w]."""
    start = float(across.min())
    columns = np.arange(start, float(across.max()) + 2, _COLUMN)
    table: Floats = np.asarray(np.interp(columns, np.maximum.accumulate(edge[:, 0]), edge[:, 1]), np.float32)
    return table[np.round((across - start) / _COLUMN).astype(np.int32)]
