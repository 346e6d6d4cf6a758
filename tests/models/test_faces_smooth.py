"""A still head stays still, a moving one is not left behind."""

from __future__ import annotations

import numpy as np
import pytest

from models.faces.smooth import LandmarkFilter

RATE, SIZE = 25, 200.0
HEAD = np.random.default_rng(3).uniform(100, 100 + SIZE, (468, 2)).astype(np.float32)
LIP = 14


def smoothed(heads, rate=RATE, size=SIZE):
    keep = LandmarkFilter()
    return np.stack([keep(head, index / rate, size) for index, head in enumerate(heads)])


def response(frequency, amplitude):
    """Amplitude and delay (frames) with which one lip's swing comes through."""
    times = np.arange(100) / RATE
    heads = np.repeat(HEAD[None], 100, 0)
    heads[:, LIP, 1] += amplitude * np.sin(2 * np.pi * frequency * times)
    wave = np.exp(-2j * np.pi * frequency * times[25:])
    gain = (smoothed(heads)[25:, LIP, 1] @ wave) / (heads[25:, LIP, 1] @ wave)
    return abs(gain), -np.angle(gain) / (2 * np.pi * frequency) * RATE


def test_a_still_head_jitters_less_than_a_third_of_a_pixel():
    random = np.random.default_rng(4)
    shake = random.normal(0, 0.3, (150, 1, 2)) + random.normal(0, 0.15, (150, 468, 2))
    before = (HEAD + shake).astype(np.float32)
    after = smoothed(before)[25:]
    assert np.linalg.norm(np.diff(before, axis=0), axis=2).mean() > 0.5
    assert np.linalg.norm(np.diff(after, axis=0), axis=2).mean() < 0.25
    assert after.std(0).mean() < 0.2


def test_what_does_not_move_is_not_moved():
    np.testing.assert_allclose(smoothed([HEAD] * 10)[-1], HEAD, atol=1e-4)


def test_a_moving_head_is_followed():
    """Half a face a second: less than a quarter of a frame behind."""
    speed = SIZE / 2 / RATE
    heads = np.stack([HEAD + np.float32([index * speed, 0]) for index in range(60)])
    behind = (heads - smoothed(heads))[30:, :, 0].mean()
    assert 0 <= behind < 0.25 * speed


@pytest.mark.parametrize("frequency", [2, 4, 6])
def test_lips_stay_quick(frequency):
    """Syllables of an opening of 3 % of the face come through all but whole, a fifth of a frame late at most."""
    amplitude, delay = response(frequency, 0.015 * SIZE)
    assert amplitude > 0.92
    assert delay < 0.2


def test_near_and_far_faces_are_treated_alike():
    random = np.random.default_rng(5)
    heads = HEAD + np.cumsum(random.normal(0, 1, (40, 1, 2)), 0).astype(np.float32)
    np.testing.assert_allclose(smoothed(heads * 3, size=3 * SIZE), 3 * smoothed(heads), rtol=1e-4)


def test_times_need_not_be_even():
    """A frame that comes late counts for more."""
    keep, late = LandmarkFilter(), LandmarkFilter()
    for index in range(10):
        keep(HEAD, index / RATE, SIZE), late(HEAD, index / RATE, SIZE)
    moved = HEAD + np.float32([0.5, 0])
    assert late(moved, 9 / RATE + 0.5, SIZE)[0, 0] > keep(moved, 9 / RATE + 0.04, SIZE)[0, 0]


def test_reset_begins_anew():
    keep = LandmarkFilter()
    keep(HEAD, 0.0, SIZE)
    keep.reset()
    np.testing.assert_array_equal(keep(HEAD + 50, 0.04, SIZE), HEAD + 50)
