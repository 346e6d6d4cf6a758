"""A seam takes the light around it, and only the light."""

from __future__ import annotations

import numpy as np
import pytest

from models.mouth.blend import blend, harmonic, membrane, soften


def disc(size: int = 120) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2
    return np.where(x * x + y * y < (size * 0.3) ** 2, 255, 0).astype(np.uint8)


def texture(size: int = 120) -> np.ndarray:
    return np.random.default_rng(0).integers(90, 130, (size, size, 3)).astype(np.uint8)


def test_another_light_vanishes_and_the_grain_stays() -> None:
    under = texture()
    slope = np.linspace(-20, 20, 120)[None, :, None]
    over = np.clip(under + 25 + slope, 0, 255).astype(np.uint8)
    mixed = blend(under, over, disc(), soften(disc(), 8))
    inside = disc() > 0
    assert np.abs(mixed[inside].astype(int) - under[inside]).mean() < 2
    assert np.array_equal(mixed[~inside], under[~inside])


def test_what_lies_behind_one_picture_only_does_not_bleed_in() -> None:
    under, over = texture(), texture()
    under[:, :40] = 10  # a dark background that the other picture does not show
    field = membrane(under, over, disc())
    assert np.abs(field[60, 50:80]).max() < 4


def test_the_field_is_harmonic() -> None:
    y, x = np.mgrid[:40, :50].astype(np.float32)
    exact = np.stack([x * y / 20, x * x / 20 - y * y / 20], 2)
    free = np.zeros((40, 50), np.float32)
    free[8:30, 8:40] = 1
    assert harmonic(exact * (1 - free)[..., None], free) == pytest.approx(exact, abs=2.5)  # of values up to 80


def test_a_soft_mask_ends_where_the_mask_ends() -> None:
    soft = soften(disc(), 10)
    assert soft[disc() == 0].max() == 0 and soft.max() == 1
    assert np.abs(np.diff(soft[60])).max() < 0.25
