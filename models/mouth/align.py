"""Bringing a face onto the face of a frame: an affine fit of the points that speech does not move.

Points are complex numbers x + iy here: an affine map takes z to az + bz̄ + c, a similarity is one without b, and what
fits best is linear in the points that are to be met. So a mesh has one matrix, whatever it is laid over.
"""

from __future__ import annotations

import numpy as np

from models.mouth.geometry import STABLE, Floats

#: the points just above the mouth, which say best where it belongs, and how far they are heard
_NOSE_BASE = (2, 98, 327, 1)
_HEARD = 0.8
_POINTS = np.array([*STABLE, *_NOSE_BASE])
#: how far the fit is held to a similarity: turned heads foreshorten, noise must not shear
_STIFFNESS = 0.6
#: the share of its power by which a fit is held, so that points on one line have one too
_HOLD = 1e-9


class Alignment:
    """Meshes that shall be laid over others."""

    def __init__(self, meshes: Floats) -> None:
        """`meshes`: landmarks [n, 468, 2], each in the pixels of its own picture."""
        points = _complex(meshes[:, _POINTS])
        count = len(STABLE)
        middle, nose = points[:, :count].mean(1), points[:, count:].mean(1)
        mean = np.where(np.arange(len(_POINTS)) < count, 1 / count, 0)
        nose_mean = np.where(np.arange(len(_POINTS)) < count, 0, 1 / len(_NOSE_BASE))
        off = np.pad(points[:, :count] - middle[:, None], ((0, 0), (0, len(_NOSE_BASE))))
        # the normal equations of Σ|t - az - bz̄|² for z off their middle
        pair = np.stack([off, off.conj()], 1)
        power = (np.abs(off) ** 2).sum(1)[:, None, None]
        free = np.linalg.solve(pair.conj() @ pair.transpose(0, 2, 1) + _HOLD * power * np.eye(2), pair.conj())
        linear = (1 - _STIFFNESS) * free
        linear[:, 0] += _STIFFNESS * off.conj() / power[:, 0]
        there = (1 - _HEARD) * mean + _HEARD * nose_mean
        here = (1 - _HEARD) * middle + _HEARD * nose
        shift = there - linear[:, 0] * here[:, None] - linear[:, 1] * here.conj()[:, None]
        self._fits = np.concatenate([linear, shift[:, None]], 1).astype(np.complex64)

    def onto(self, row: int, target: Floats) -> Floats:
        """The affine map [2, 3] from the pixels of mesh `row` to those of landmarks `target` [468, 2].

        Between the least-squares similarity (Umeyama 1991 without reflection) and the least-squares affine map of the
        points that speech does not move, then shifted so that the base of the nose lies where the target's does.
        """
        a, b, c = (self._fits[row] @ _complex(target[_POINTS])).tolist()
        linear = [[a.real + b.real, b.imag - a.imag, c.real], [a.imag + b.imag, a.real - b.real, c.imag]]
        return np.array(linear, np.float32)


def _complex(points: Floats) -> np.ndarray:
    return np.ascontiguousarray(points, np.float64).view(np.complex128)[..., 0]
