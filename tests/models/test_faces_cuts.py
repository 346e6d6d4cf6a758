"""Cuts are found where there are some; pans, zooms, flashes and fades are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.faces.cuts import CutDetector

HEIGHT, WIDTH = 180, 320


def scene(seed, height=HEIGHT, width=WIDTH):
    """A picture of soft shapes and some detail, different for every seed."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.uniform(0, 255, (6, 9, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(random.uniform(-40, 40, (40, 70, 3)), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(coarse + fine, 0, 255).astype(np.uint8)


def noisy(picture, seed):
    return np.clip(picture + np.random.default_rng(seed).normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def cuts(frames):
    detector = CutDetector()
    return [index for index, frame in enumerate(frames) if detector.cut(frame)]


def lit(picture, gain, lift=0.0):
    return np.clip(picture.astype(np.float32) * gain + lift, 0, 255).astype(np.uint8)


def test_five_cuts_in_ten_seconds():
    frames = [noisy(scene(index // 42), index) for index in range(250)]
    assert cuts(frames) == [42, 84, 126, 168, 210]


def test_scenes_of_a_single_frame():
    assert cuts([scene(seed) for seed in range(8)]) == list(range(1, 8))


@pytest.mark.parametrize("speed", [2, 10, 24])
def test_a_pan_is_no_cut(speed):
    wide = scene(1, HEIGHT, WIDTH + 40 * speed)
    assert cuts([wide[:, index * speed :][:, :WIDTH] for index in range(40)]) == []


def test_a_zoom_is_no_cut():
    large = scene(2, 2 * HEIGHT, 2 * WIDTH)
    frames = []
    for index in range(40):
        y, x = 2 * index, round(2 * index * WIDTH / HEIGHT)
        part = large[y : 2 * HEIGHT - y, x : 2 * WIDTH - x]
        frames.append(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
    assert cuts(frames) == []


@pytest.mark.parametrize("gain", [0.5, 1.6])
def test_light_that_changes_is_no_cut(gain):
    assert cuts([scene(3)] * 10 + [lit(scene(3), gain)] * 10) == []


def test_a_white_flash_is_no_cut():
    white = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    assert cuts([scene(4)] * 10 + [white] + [scene(4)] * 10) == []
    assert cuts([scene(4)] * 10 + [lit(scene(4), 0.4, 150)] * 2 + [scene(4)] * 10) == []


def test_a_cut_in_the_dark_of_a_fade_is_found_when_it_shows():
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    fade = [lit(scene(5), 1 - index / 8) for index in range(9)]
    rise = [lit(scene(6), index / 8) for index in range(1, 9)]
    found = cuts([*fade, *[black] * 5, *rise])
    assert len(found) == 1
    assert 14 <= found[0] <= 17


def test_motion_before_a_cut_does_not_hide_it():
    wide = scene(7, HEIGHT, WIDTH + 400)
    frames = [noisy(wide[:, index * 20 :][:, :WIDTH], index) for index in range(20)]
    assert cuts([*frames, *[scene(8)] * 3]) == [20]


def test_the_first_frame_is_none():
    assert cuts([scene(9)]) == []
