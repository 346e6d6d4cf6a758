"""A drawing takes the light around it, and only the light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.mouth.blend import harmonic, light, membrane, restored, soften


def disc(size: int = 120) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2
    return np.where(x * x + y * y < (size * 0.3) ** 2, 255, 0).astype(np.uint8)


def texture(size: int = 120) -> np.ndarray:
    return np.random.default_rng(0).integers(90, 130, (size, size, 3)).astype(np.uint8)


def test_another_light_is_told_from_all_the_skin_and_steadily() -> None:
    slope = np.linspace(-20, 20, 40, dtype=np.float32)[None, :, None]
    skin = np.ones((40, 40), np.float32)
    skin[15:25, 12:28] = 0  # lips: what they show says nothing
    fields = []
    for seed in range(6):  # each time something else is misplaced: a tenth of the skin, and all of the lips
        random = np.random.default_rng(seed)
        difference = 25 + slope + random.normal(0, 2, (40, 40, 3)).astype(np.float32)
        difference[random.random((40, 40)) < 0.1] += 60
        difference[15:25, 12:28] = random.normal(0, 50, (10, 16, 3))
        fields.append(light(difference, skin, reach=8))
    assert np.abs(np.mean(fields, 0) - 25 - slope)[5:-5, 5:-5].mean() < 3
    assert np.std(fields, 0).max() < 2  # of what was misplaced, nothing flickers


def test_where_no_skin_is_seen_no_light_is_made_up() -> None:
    assert not light(np.full((8, 8, 3), 30, np.float32), np.zeros((8, 8), np.float32), reach=2).any()


def test_the_level_of_a_seam_is_taken_over() -> None:
    under = texture()
    over = np.clip(under + 25.0, 0, 255).astype(np.uint8)
    assert over + membrane(under, over, disc()) == pytest.approx(under, abs=2.5)


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


def test_what_resampling_takes_from_details_is_put_back() -> None:
    noise = np.fft.rfft2(np.random.default_rng(4).normal(size=(200, 200)))  # to a spectrum like that of pictures
    slope = np.hypot(np.fft.fftfreq(200)[:, None], np.fft.rfftfreq(200)) + 0.005
    falling = np.fft.irfft2(noise / slope)
    picture = np.repeat((128 + 40 * falling / falling.std()).clip(0, 255).astype(np.uint8)[..., None], 3, 2)
    kept, given_back = [], []
    for shift in np.linspace(0.05, 0.95, 7):
        onto = np.array([[1, 0, shift], [0, 1, 1 - shift]], np.float32)
        moved = np.asarray(cv2.warpAffine(picture, onto, (200, 200), flags=cv2.INTER_CUBIC), np.uint8)
        kept.append(sharpness(moved) / sharpness(picture))
        given_back.append(sharpness(restored(moved.astype(np.float32))) / sharpness(picture))
    assert np.mean(kept) < 0.9
    assert np.mean(given_back) == pytest.approx(1, abs=0.08)


def sharpness(picture: np.ndarray) -> float:
    return float(np.abs(cv2.Laplacian(picture[10:-10, 10:-10, 1], cv2.CV_32F)).mean())


def test_a_soft_mask_ends_where_the_mask_ends() -> None:
    soft = soften(disc(), 10)
    assert soft[disc() == 0].max() == 0 and soft.max() == 1
    assert np.abs(np.diff(soft[60])).max() < 0.25
