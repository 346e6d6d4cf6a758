"""What is counted is counted right."""

from __future__ import annotations

import os
import random

import pytest

from graph.stats import Histogram, MemoryWatch


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 0.99])
def test_percentiles_are_right_within_seven_percent(share: float) -> None:
    rng = random.Random(3)
    times = [int(10 ** rng.uniform(3, 9)) for _ in range(20_000)]
    histogram = Histogram()
    for one in times:
        histogram.add(one)
    true = sorted(times)[int(share * len(times))]
    assert histogram.percentile(share) == pytest.approx(true, rel=0.07)
    assert histogram.summary()["max"] == round(max(times) / 1e6, 3)


def test_small_numbers_have_buckets_of_their_own() -> None:
    histogram = Histogram()
    for one in [0, 1, 2, 3, 7, 7, 7, 8, 15, 16]:
        histogram.add(one)
    assert histogram.percentile(0.6) == pytest.approx(7, abs=1)
    assert Histogram().percentile(0.5) == 0


def test_memory_that_is_used_for_a_moment_is_seen() -> None:
    watch, own = MemoryWatch(), [os.getpid()]
    watch.look(own, 0.0)
    before = watch.peak
    held = b"\1" * int(0.3 * before)
    watch.look(own, 0.25)
    del held
    watch.look(own, 0.5)
    assert watch.peak > 1.25 * before
    assert watch.each == {own[0]: watch.peak}
