"""Frames change their size, and lie side by side."""

import numpy as np
import pytest

from graph.stage import run_stage
from stages.resize import Resize
from stages.stack import Stack

FRAME = np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({"scale": 0.5}, (24, 32, 3)),
        ({"width": 32}, (24, 32, 3)),
        ({"height": 96}, (96, 128, 3)),
        ({"width": 10, "height": 20}, (20, 10, 3)),
    ],
)
def test_sizes(given: dict[str, float], shape: tuple[int, ...]) -> None:
    [packet] = run_stage(Resize(**given), [{"frame": FRAME}])
    assert packet.resized.shape == shape


def test_half_size_is_the_average_of_four() -> None:
    [packet] = run_stage(Resize(scale=0.5), [{"frame": FRAME}])
    expected = FRAME.reshape(24, 2, 32, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(packet.resized - expected).max() <= 0.51


@pytest.mark.parametrize("given", [{}, {"scale": 2.0, "width": 10}, {"width": 0}, {"scale": -1.0}])
def test_sizes_that_make_no_sense(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"resize takes|above 0"):
        Resize(**given)


def test_two_frames_side_by_side() -> None:
    other = FRAME[:, :20] // 2
    [packet] = run_stage(Stack(gap=4), [{"left": FRAME, "right": other}])
    assert packet.stacked.shape == (48, 88, 3)
    assert np.array_equal(packet.stacked[:, :64], FRAME)
    assert not packet.stacked[:, 64:68].any()
    assert np.array_equal(packet.stacked[:, 68:], other)


def test_frames_of_different_height_do_not_stack() -> None:
    with pytest.raises(ValueError, match="right"):
        run_stage(Stack(), [{"left": FRAME, "right": FRAME[:30]}])
