"""Times stay exact over hours, whatever the rate, and a playlist has no gap and no jump."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.media.times import STANDARD_RATES, Playlist, Times, constant_rate

MILLISECOND = Fraction(1, 1000)


@pytest.mark.parametrize("rate", STANDARD_RATES)
@pytest.mark.parametrize("base", [MILLISECOND, Fraction(1, 90_000), Fraction(1, 12_800)])
def test_three_hours_at_a_constant_rate(rate: Fraction, base: Fraction) -> None:
    count = int(3 * 3600 * rate)
    ticks = np.rint(np.arange(count) * float(1 / (rate * base))).astype(np.int64)
    assert constant_rate(ticks, base, []) == rate


def test_what_a_container_rounds_is_taken_as_it_is_meant() -> None:
    ticks = np.array([0, 17, 33, 50, 67], np.int64)
    assert constant_rate(ticks, MILLISECOND, [Fraction(19001, 317)]) == Fraction(60000, 1001)
    assert constant_rate(ticks, MILLISECOND, [Fraction(60)]) == 60


def test_a_dropped_picture_makes_the_rate_variable() -> None:
    ticks = np.delete(np.arange(100) * 512, 50)
    assert constant_rate(ticks, Fraction(1, 12_800), [Fraction(25)]) is None


def test_jitter_makes_the_rate_variable() -> None:
    ticks = np.arange(100) * 40 + np.random.default_rng(1).integers(-3, 4, 100)
    assert constant_rate(np.sort(ticks), MILLISECOND, [Fraction(25)]) is None


def varying(gaps: list[int]) -> Times:
    ticks = np.cumsum([0, *gaps[:-1]]).astype(np.int64)
    return Times(ticks, MILLISECOND, None, gaps[-1] * MILLISECOND)


def steady(count: int, rate: Fraction) -> Times:
    return Times(np.arange(count, dtype=np.int64), 1 / rate, rate, 1 / rate)


clips = st.one_of(
    st.lists(st.integers(5, 200), min_size=1, max_size=30).map(varying),
    st.builds(steady, st.integers(1, 50), st.sampled_from([*STANDARD_RATES])),
)


@settings(max_examples=200, deadline=None)
@given(
    times=clips,
    seconds=st.fractions(Fraction(1, 10), 20, max_denominator=1000),
    rate=st.sampled_from([None, Fraction(30)]),
)
def test_back_and_forth_until_the_sound_ends(times: Times, seconds: Fraction, rate: Fraction | None) -> None:
    playlist = Playlist(times, until=seconds, fps=rate)
    entries = [playlist.entry(packet) for packet in range(playlist.count)]
    shown, at = [index for index, _ in entries], [time for _, time in entries]
    longest = max(times.at(index + 1) - times.at(index) for index in range(times.count))
    assert at[0] == 0 and all(one < other for one, other in pairwise(at))
    assert abs(playlist.duration - seconds) <= max(longest, 1 / rate if rate else longest)
    assert set(shown) <= set(range(times.count))
    if rate is None:
        assert all(abs(one - other) == min(times.count - 1, 1) for one, other in pairwise(shown))


@settings(max_examples=100, deadline=None)
@given(times=clips, rate=st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(60)]))
def test_resampling_shows_what_is_on(times: Times, rate: Fraction) -> None:
    playlist = Playlist(times, fps=rate)
    for packet in range(playlist.count):
        index, time = playlist.entry(packet)
        assert time == packet / rate
        assert times.at(index) <= time + MILLISECOND
        assert index == times.count - 1 or times.at(index + 1) > time - MILLISECOND


def test_parts_of_a_video_join_without_gap_or_overlap() -> None:
    times = steady(1000, Fraction(30000, 1001))
    cuts = [0.0, 3.3, 10.01, 20.0, 33.4]
    joined = []
    for start, end in pairwise(cuts):
        part = Playlist(times, start=Fraction(str(start)), end=Fraction(str(end)))
        joined += [part.entry(packet) for packet in range(part.count)]
    assert joined == [(index, index / Fraction(30000, 1001)) for index in range(1000)]
