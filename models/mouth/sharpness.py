"""How sharp a mouth is: less where motion has blurred it, and where the face was smaller."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.mouth.geometry import Axes, Floats, apply

Picture = npt.NDArray[np.uint8]

#: faces are compared at this height, pixels; how much of it around the mouth is looked at, across and below the nose
_HEIGHT, _ACROSS, _DOWN = 200, 0.5, 0.42
#: what is told apart: details between the first two of these and the last two (standard deviations, pixels)
_FINE, _MIDDLE, _COARSE = 1.0, 2.0, 4.0
#: added to what is there of coarse details, levels: a picture without any is not sharp
_NOISE = 0.3


def sharpness(crop: Picture, placement: Floats, landmarks: Floats) -> float:
    """Fine details of a lower face over its coarse ones (differences of Gaussians), 0.4 to 0.6 on usual pictures.

    `crop` uint8 [h, w, 3], `placement` [2, 3] the map to it from a frame, `landmarks` [468, 2] the mesh in that frame.
    A blur of half a percent of the face height (standard deviation) takes a tenth of it; teeth add to it, so that only
    mouths of like shapes compare.
    """
    import cv2

    axes = Axes.of(apply(placement, landmarks))
    scale = axes.height / _HEIGHT
    width, height = int(_ACROSS * _HEIGHT), int(_DOWN * _HEIGHT)
    linear = np.stack([axes.across, axes.down], 1) * scale
    back = np.concatenate([linear, (axes.origin - linear @ np.array([width / 2, 0]))[:, None]], 1)
    if scale > 1:
        crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), scale / 2), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    face = cv2.warpAffine(crop, back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, middle, coarse = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (_FINE, _MIDDLE, _COARSE))
    return float(cv2.absdiff(fine, middle).mean() / (cv2.absdiff(middle, coarse).mean() + _NOISE))
