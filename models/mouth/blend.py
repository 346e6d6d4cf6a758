"""Bringing a drawn picture to the light around it, cheap enough for video: it keeps its own details and takes the level
of its surroundings.

`light` tells how much lighter one picture of a face is than another by all the skin that both show. `membrane` is for
drawings that are to be trusted at their seam only: instead of solving Poisson's equation for the picture (Pérez,
Gangnet, Blake, SIGGRAPH 2003) one can solve Laplace's for the difference at the seam and add it (the membrane of
Farbman et al., SIGGRAPH 2009): it is smooth, so a coarse grid holds it, and coarse cells average the seam.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.mouth.geometry import Floats

Picture = npt.NDArray[np.uint8]

#: longest side of the grid that the membrane is solved on
_GRID = 48
#: differences of light vary by less than this over a lower face, in levels
_LIGHT = 14.0
#: the share of skin around a cell below which the mean of all skin counts more
_LITTLE = 0.02
#: how much of what is finer than the binomial of 3x3 pixels is put back: nearest to what OpenCV's cubic (a = -0.75)
#: takes from details on the mean over all shifts between pixels, in pictures whose power falls as 1/f²
_LOST = 0.3
#: the mean of the four cells around one
_NEIGHBOURS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4


def membrane(under: Picture, over: Picture, inside: Picture) -> Floats:
    """The smooth field float32 [h, w, 3] that `over` lacks to meet `under` around `inside`.

    `under`, `over` uint8 [h, w, 3]; `inside` uint8 [h, w], above 0 where `over` will be used. Around it both must show
    the same things; the field is their difference there and harmonic inside.
    """
    import cv2

    h, w = inside.shape
    k = min(1.0, _GRID / max(h, w))
    size = (max(4, round(w * k)), max(4, round(h * k)))
    small = [cv2.resize(p, size, interpolation=cv2.INTER_AREA).astype(np.float32) for p in (under, over)]
    free = cv2.resize(inside, size, interpolation=cv2.INTER_AREA) > 127
    difference = small[0] - small[1]
    field = harmonic(difference, (free | _foreign(difference, free)).astype(np.float32))
    return np.asarray(cv2.resize(field, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)


def _foreign(difference: Floats, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Cells around the free ones where the pictures do not show the same thing, such as a background behind one jaw.

    Around the seam the differences are of light: alike in all of it. What is far from their median is something else,
    and must not bleed in. At least half of the seam is always trusted.
    """
    import cv2

    ring = (cv2.dilate(free.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & ~free
    if not ring.any():
        return np.zeros_like(free)
    far = np.abs(difference - np.median(difference[ring], axis=0)).max(2)
    return np.asarray(~free & (far > max(_LIGHT, float(np.median(far[ring])))), np.bool_)


def harmonic(values: Floats, free: Floats) -> Floats:
    """Fill cells where `free` is 1 of float32 `values` [h, w, c] with the harmonic function of the others.

    From coarse to fine: each level starts with the coarser one's answer and needs a few sweeps only.
    """
    import cv2

    h, w = free.shape
    if min(h, w) <= 6:
        start, sweeps = values * (1 - free)[..., None], 60
        start += free[..., None] * (start.sum((0, 1)) / max(float((1 - free).sum()), 1.0))
    else:
        half = ((w + 1) // 2, (h + 1) // 2)
        held = cv2.resize(1 - free, half, interpolation=cv2.INTER_AREA)
        known = cv2.resize(values * (1 - free)[..., None], half, interpolation=cv2.INTER_AREA)
        coarse = np.asarray(known / np.maximum(held, 1e-3)[..., None], np.float32)
        filled = harmonic(coarse, (held < 0.05).astype(np.float32))
        start = np.asarray(cv2.resize(filled, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
        sweeps = 12
    mask = free.astype(np.uint8)
    field = cv2.copyTo(start, mask, values.copy())
    for _ in range(sweeps):
        cv2.copyTo(cv2.filter2D(field, -1, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE), mask, field)
    return np.asarray(field, np.float32)


def light(difference: Floats, skin: Floats, reach: float) -> Floats:
    """How much lighter one picture of a face is than another, smooth, float32 [h, w, 3], both small.

    `difference` [h, w, 3]: the one minus the other, laid over each other; `skin` [h, w], 0..1: how far a cell shows in
    both pictures what light falls on alike. The mean of the difference over some `reach` cells of skin, less of what is
    far from its median; the mean of all of it where no skin is near. Unlike `membrane` it rests on all that both
    pictures share and not on a seam, where the least that is misplaced tells: it stays steady from frame to frame.
    """
    import cv2

    seen = np.compress((skin > 0.5).ravel(), difference.reshape(-1, 3), axis=0)
    if not len(seen):
        return np.zeros_like(difference)
    off = np.abs(difference - np.partition(seen, len(seen) // 2, axis=0)[len(seen) // 2])
    far = np.maximum(np.maximum(off[..., 0], off[..., 1]), off[..., 2])
    h, w = skin.shape
    # what will be as smooth is told by every second cell
    told = np.zeros((h + h % 2, w + w % 2, 4), np.float32)
    weight = np.divide(skin, 1 + (far * (1 / _LIGHT)) ** 2, out=told[:h, :w, 3])
    np.multiply(difference, weight[..., None], out=told[:h, :w, :3])
    whole = np.array(cv2.sumElems(told), np.float32)
    few = cv2.resize(told, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    few = cv2.GaussianBlur(few, (0, 0), reach / 2) + _LITTLE * whole / whole[3]
    field = few[..., :3] / few[..., 3:]
    return np.asarray(cv2.resize(field, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)[:h, :w], np.float32)


def restored(picture: Floats) -> Floats:
    """`picture` float32 [h, w, 3] with the details back that resampling it once by cubic interpolation has taken."""
    import cv2

    smooth = cv2.GaussianBlur(picture, (3, 3), 0)
    return np.asarray(cv2.addWeighted(picture, 1 + _LOST, smooth, -_LOST, 0), np.float32)


def soften(mask: Picture, reach: int) -> Floats:
    """A feathered copy float32 [h, w] (0..1) of a mask of 0 and 255 that ends where the mask ends."""
    import cv2

    reach = max(1, reach)
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    away = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    return eased(away * (1 / reach))


def eased(share: Floats) -> Floats:
    """0 below 0, 1 above 1, smooth between."""
    share = np.minimum(np.maximum(share, 0), 1)
    rest = 3 - 2 * share
    share *= share
    share *= rest
    return np.asarray(share, np.float32)


def rounded(picture: Floats) -> Picture:
    """A picture in whole levels, 0 to 255; the one given is used up."""
    import cv2

    cv2.threshold(picture, 0, 0, cv2.THRESH_TOZERO, dst=picture)
    return np.asarray(cv2.convertScaleAbs(picture), np.uint8)
