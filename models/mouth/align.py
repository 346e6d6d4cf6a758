"""Bringing an exemplar's face onto the face of a frame: an affine fit of the points that speech does not move."""

from __future__ import annotations

import numpy as np

from models.mouth.geometry import STABLE, Floats, apply, fit_affine

#: the points just above the mouth, which say best where it belongs
_NOSE_BASE = np.array([2, 98, 327, 1])
_STABLE = np.array(STABLE)
#: how far the fit is held to a similarity: turned heads foreshorten, noise must not shear
_STIFFNESS = 0.6


def align(exemplar: Floats, target: Floats) -> Floats:
    """The affine map [2, 3] from the exemplar's pixels to the target's, of landmarks [468, 2] each.

    Fitted to the points that speech does not move, then shifted so that the base of the nose lies where the target's
    does.
    """
    fit = fit_affine(exemplar[_STABLE], target[_STABLE], _STIFFNESS)
    fit[:, 2] += 0.8 * (target[_NOSE_BASE] - apply(fit, exemplar[_NOSE_BASE])).mean(0)
    return np.asarray(fit, np.float32)
