"""The mel front end: the numbers of the reference, in one piece, in blocks and window by window."""

import numpy as np
import pytest

from models import mel


@pytest.fixture(scope="module")
def recording(golden):
    numbers = golden("diff2lip_audio")
    return numbers["wav"], numbers["mel"]


def test_equals_the_reference(recording):
    samples, expected = recording
    found = mel.log_mel(samples)
    assert found.dtype == np.float32 and found.shape == (80, 161)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_blocks_of_any_size_give_the_same_columns(recording):
    samples, _ = recording
    stream, random, at, parts = mel.MelStream(), np.random.default_rng(3), 0, []
    while at < len(samples):
        size = int(random.integers(0, 2500))
        parts.append(stream.push(samples[at : at + size]))
        at += size
    parts.append(stream.finish())
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), mel.log_mel(samples))


@pytest.mark.parametrize("length", [1, 199, 200, 399, 400, 1000])
def test_short_recordings_have_a_column_each_hop(length):
    assert mel.log_mel(np.zeros(length, np.float32)).shape == (80, 1 + length // 200)


def test_silence_is_minus_four():
    assert (mel.log_mel(np.zeros(16_000, np.float32)) == -4).all()


@pytest.mark.parametrize("samples", [np.zeros((2, 100), np.float32), np.zeros(0, np.float32)])
def test_only_mono_with_samples(samples):
    with pytest.raises(ValueError, match="mono samples"):
        mel.log_mel(samples)


def test_paper_starts_one_frame_early():
    assert [mel.paper_start(frame) for frame in range(12)] == [0, 0, 3, 6, 9, 12, 16, 19, 22, 25, 28, 32]


@pytest.mark.parametrize(("seconds", "frames"), [(1, 22), (2, 47), (4, 97), (10, 247), (60, 1497)])
def test_paper_drops_the_tail(seconds, frames):
    assert mel.paper_frames(1 + 80 * seconds) == frames


def test_paper_frames_counts_the_windows_that_fit():
    for columns in range(300):
        fitting = [frame for frame in range(200) if mel.paper_start(frame) + mel.STEPS <= columns]
        assert mel.paper_frames(columns) == len(fitting)


def window_at(samples, start):
    first, count = mel.window_span(start)
    padded = np.pad(samples, 8000)
    return mel.window(padded[8000 + first : 8000 + first + count], start, len(samples))


def test_windows_on_the_hop_are_columns_of_the_whole(recording):
    samples, expected = recording
    for column in (0, 1, 57, 145):
        found = window_at(samples, column * mel.HOP)
        np.testing.assert_allclose(found, expected[:, column : column + 16], atol=1e-5)


def test_windows_beyond_the_ends_are_silent_there(recording):
    samples, expected = recording
    before, after = window_at(samples, -3 * mel.HOP), window_at(samples, 150 * mel.HOP)
    assert (before[:, :3] == mel.SILENCE).all() and (after[:, 11:] == mel.SILENCE).all()
    np.testing.assert_allclose(before[:, 3:], expected[:, :13], atol=1e-5)
    np.testing.assert_allclose(after[:, :11], expected[:, 150:], atol=1e-5)


def test_windows_between_the_hops_follow_the_sound():
    """A click moves through the window with the start of it."""
    samples = np.zeros(16_000, np.float32)
    samples[8_000] = 1
    early, late = window_at(samples, 6_450), window_at(samples, 6_550)
    np.testing.assert_allclose(window_at(np.roll(samples, 100), 6_550), early, atol=1e-6)
    assert np.abs(early - late).max() > 0.1
