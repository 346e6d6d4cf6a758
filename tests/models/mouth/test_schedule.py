"""What a packet shall show is the path at the packet's own time, whether it lies at those of the rate or between."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from person import Person, path_of

from models.mouth.schedule import Schedule
from models.mouth.survey import Survey


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), None])
@pytest.mark.parametrize("late", [0.0, 0.4])
def test_the_mouth_is_that_of_the_packets_time(person: Person, rate: Fraction | None, late: float) -> None:
    t = np.arange(400)
    closed = (t % 40) < 6
    path = path_of(np.stack([t / 400, 1 - t / 400, 0 * t, 0 * t], 1).astype(np.float32), closed=closed)
    with Survey(person.folder) as survey:
        schedule = Schedule(survey, path, rate, lead=0.05)
        for index in (0, 1, 63, 127, 128, 129, 255, 256, 300):  # blocks end at 128 and 256
            time = (index + late) / float(rate or 25)
            units, shut = schedule.mouth(time)
            place = (time + 0.05) * 25
            assert units[:2] == pytest.approx([place / 400, 1 - place / 400], abs=1e-3)
            assert shut or not closed[round(place)]
            inside = closed[max(0, round(place) - 2) : round(place) + 3].any()
            assert not shut or inside


@pytest.mark.parametrize("step", [0.01, 0.04, 0.5])
def test_lips_press_as_the_path_closes_around_a_time(person: Person, step: float) -> None:
    t = np.arange(60)
    closed = (t % 20) == 7
    path = path_of(np.zeros((60, 4), np.float32), rate=1 / step, closed=closed)
    with Survey(person.folder) as survey:
        schedule = Schedule(survey, path, Fraction(25), lead=0.05)
        for time in np.arange(-1.0, 60 * step + 1, 0.013):
            around = path.at(time + 0.05 + np.linspace(-0.02, 0.02, 5))
            assert schedule.pressed(float(time)) == float(around.closed.mean())
