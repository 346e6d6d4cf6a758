"""Tracks smoothed along their time, by OpenCV: scipy's filters take a quarter of a second to be imported."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def smoothed(track: Floats, frames: float, held: bool = False) -> npt.NDArray[np.float32]:
    """A track [T] or [T, n] smoothed along T by a Gaussian whose standard deviation is so many `frames`, float32.

    Cut off at four standard deviations. Beyond its ends the track is mirrored, or `held` as it is there.
    """
    import cv2

    if not track.size:
        return np.asarray(track, np.float32)
    columns = np.ascontiguousarray(track, np.float32).reshape(len(track), -1)
    kernel = cv2.getGaussianKernel(2 * round(4 * frames) + 1, frames, cv2.CV_32F)
    border = cv2.BORDER_REPLICATE if held else cv2.BORDER_REFLECT
    done = cv2.sepFilter2D(columns, cv2.CV_32F, np.ones(1, np.float32), kernel, borderType=border)
    return np.asarray(done, np.float32).reshape(track.shape)
