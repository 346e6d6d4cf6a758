"""Tracks smoothed along their time, as scipy smooths them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from models.mouth.smooth import smoothed


@pytest.mark.parametrize("shape", [(200,), (200, 4), (7, 3), (1, 14), (3,), (0, 4), (0,)])
@pytest.mark.parametrize("frames", [0.6, 2.5, 5.0])
@pytest.mark.parametrize("held", [False, True])
def test_a_track_is_smoothed_along_its_time(shape: tuple[int, ...], frames: float, held: bool) -> None:
    track = np.random.default_rng(1).normal(0, 10, shape).astype(np.float32)
    wanted = gaussian_filter1d(track, frames, axis=0, mode="nearest" if held else "reflect") if track.size else track
    found = smoothed(track, frames, held)
    assert found.shape == shape and found.dtype == np.float32
    assert np.allclose(found, wanted, atol=2e-4)


def test_the_track_itself_stays_as_it_is() -> None:
    track = np.arange(20.0, dtype=np.float32)
    smoothed(track, 3.0)
    assert np.array_equal(track, np.arange(20.0))
