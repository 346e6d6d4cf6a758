"""Boxes, crops and pasting as Diff2Lip's code has them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.mouth.paper import box_at, box_of, place_whole, placement_of, smoothed, stretch_out
from models.mouth.paste import mix


def boxes(*lefts: int) -> list[np.ndarray]:
    return [np.array([left, left, left + 9, left + 9]) for left in lefts]


def seen_from(all_of_them: list[np.ndarray], index: int) -> np.ndarray:
    """As a stage sees it: four boxes before, four after."""
    first = max(0, index - 4)
    return smoothed(all_of_them[first : index + 5], index - first, last=index + 5 > len(all_of_them))


@pytest.mark.parametrize(
    ("lefts", "expected"),
    [
        (range(0, 80, 10), [20, 30, 40, 50, 54, 56, 58, 57]),
        (range(0, 30, 10), [15, 15, 17]),
        (range(0, 50, 10), [20, 24, 26, 28, 27]),
    ],
)
def test_smoothing_equals_the_reference(lefts: range, expected: list[int]) -> None:
    """The first two rows were measured on the reference; the third is its rule done by hand for just five boxes."""
    found = [int(seen_from(boxes(*lefts), index)[0]) for index in range(len(lefts))]
    assert found == expected


def test_a_box_lies_in_the_frame_in_whole_pixels() -> None:
    points = np.array([[-3.5, 10.9], [50.9, 99.5]], np.float32)
    assert box_of(points, 90, 40).tolist() == [0, 10, 40, 90]


def test_the_placement_tells_the_box() -> None:
    random = np.random.default_rng(3)
    for _ in range(500):
        low = random.integers(0, 4000, 2)
        box = np.concatenate([low, low + random.integers(8, 2000, 2)])
        assert box_at(placement_of(box, 128), 128).tolist() == box.tolist()


def test_out_and_back_is_a_plain_stretch() -> None:
    frame = np.random.default_rng(4).integers(0, 255, (200, 300, 3), np.uint8)
    before, box, crop = frame.copy(), np.array([40, 20, 240, 180]), np.empty((128, 128, 3), np.uint8)
    stretch_out(frame[20:180, 40:240], crop)
    assert np.array_equal(crop, cv2.resize(before[20:180, 40:240], (128, 128)))
    placed = place_whole(crop, box)
    assert placed.box == (40, 20, 240, 180) and (placed.mask == 255).all()
    mix(frame[20:180, 40:240], placed.picture, placed.mask)
    assert np.array_equal(frame[20:180, 40:240], cv2.resize(crop, (200, 160)))
    frame[20:180, 40:240] = before[20:180, 40:240]
    assert np.array_equal(frame, before)
