"""Measures, poses, affine fits: known faces give known numbers."""

from __future__ import annotations

import numpy as np
import pytest
from person import mesh

from models.mouth.align import Alignment
from models.mouth.geometry import Axes, Range, apply, invert, measure, pose


def turned(points: np.ndarray, degrees: float, scale: float = 1.0) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)) * scale, np.sin(np.radians(degrees)) * scale
    return (points @ np.array([[c, s], [-s, c]]) + (30, -12)).astype(np.float32)


@pytest.mark.parametrize("degrees", [-35.0, 0.0, 20.0])
def test_measures_do_not_change_with_place_size_and_roll(degrees: float) -> None:
    moved = turned(mesh(), degrees, 1.7)
    assert measure(moved) == pytest.approx(measure(mesh()), rel=1e-3)
    assert pose(moved)[2] - pose(mesh())[2] == pytest.approx(degrees, abs=0.1)
    assert pose(moved)[:2] == pytest.approx(pose(mesh())[:2], abs=0.1)


def test_axes_lead_in_and_out() -> None:
    axes = Axes.of(turned(mesh(), 15))
    points = turned(mesh(), 15)
    assert axes.leave(axes.enter(points)) == pytest.approx(points, abs=1e-3)
    assert axes.enter(points)[152, 1] > 0.2 * axes.height  # the chin is below the nose


def test_units_count_from_the_second_to_the_98th_percentile() -> None:
    measures = np.linspace(0, 1, 101)[:, None] * np.array([1, 2, 3, 4]) + 0.5
    reach = Range.of(measures.astype(np.float32))
    assert reach.units(reach.low) == pytest.approx([0, 0, 0, 0])
    assert reach.raw(np.ones(4, np.float32)) == pytest.approx([1.48, 2.46, 3.44, 4.42], abs=1e-3)


def test_a_survey_without_faces_has_no_range() -> None:
    with pytest.raises(ValueError, match="no frame of the survey shows a face"):
        Range.of(np.full((5, 4), np.nan, np.float32))


def test_a_face_that_is_turned_and_scaled_is_laid_over_itself() -> None:
    others = np.stack([mesh(), turned(mesh(), -10, 1.3)])
    fit = Alignment(others).onto(0, turned(mesh(), 25, 0.8))
    assert apply(fit, mesh()) == pytest.approx(turned(mesh(), 25, 0.8), abs=0.01)
    assert apply(invert(fit), apply(fit, mesh())) == pytest.approx(mesh(), abs=0.01)
    fit = Alignment(others).onto(1, mesh())
    assert apply(fit, others[1]) == pytest.approx(mesh(), abs=0.01)


def test_a_face_seen_from_the_side_is_narrowed_and_lies_under_its_nose() -> None:
    narrow = (mesh() * (0.8, 1)).astype(np.float32)
    fit = Alignment(mesh()[None]).onto(0, narrow)
    assert 0.8 < fit[0, 0] < fit[1, 1] < 1  # between a similarity, which scales both alike, and what is seen
    assert abs(fit[0, 1] + fit[1, 0]) < 1e-3  # and nothing shears
    points, tall = [2, 98, 327, 1], float(np.ptp(narrow[:, 1]))
    assert apply(fit, mesh()[points]).mean(0) == pytest.approx(narrow[points].mean(0), abs=0.02 * tall)
