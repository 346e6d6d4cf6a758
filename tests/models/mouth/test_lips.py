"""Bends of the lips: what they move, and what stays where it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from person import mesh

from models.mouth.bend import Bend, Goal
from models.mouth.geometry import JAW, Axes
from models.mouth.lips import Lips, sides


def bent(to: Lips, own: Lips, across: Any, down: Any) -> tuple[Any, Any]:
    """Where pixels come from when the lips of the mesh take another shape."""
    axes = Axes.of(mesh())
    goal = Goal(to, own, axes.height, sides(mesh(), axes))
    return Bend(goal, own)(goal.spots(across, down))


def bend(gap: float, breadth: float, lift: float = 0.0) -> tuple[Axes, Any, Any, Any]:
    """The face's axes, pixels around it, and how far a bend moves them: `gap` wider, `breadth` times as broad, all
    lips higher by `lift` (over the face height)."""
    axes = Axes.of(mesh())
    own = Lips.of(mesh(), axes)
    to = own.shaped(max(0.0, own.gap + gap * axes.height), own.breadth * breadth, axes.height)
    to = Lips(to.edges - np.array([0, lift * axes.height], np.float32), to.jaw)
    reach = 0.7 * axes.height
    across, down = np.meshgrid(np.arange(-reach, reach, dtype=np.float32), np.arange(-5, reach, dtype=np.float32))
    x, y = bent(to, own, across, down)
    return axes, across, down, np.stack([x - across, y - down], -1)


SHAPES = [(0.1, 0.85, 0.0), (-0.05, 1.15, 0.0), (0.05, 1.0, 0.03), (0.0, 1.2, -0.03)]


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_beside_the_face_moves(shape: tuple[float, float, float]) -> None:
    axes, across, _, moves = bend(*shape)
    line = axes.enter(mesh()[list(JAW)])[:, 0]
    beside = (across < line.min()) | (across > line.max())
    assert np.abs(moves[~beside]).max() > 0.01 * axes.height
    assert np.abs(moves[beside]).max() == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_what_moves_sideways_moves_smoothly(shape: tuple[float, float, float]) -> None:
    _, _, _, moves = bend(*shape)
    # from one column to the next the origin advances: nothing is folded over, nothing smeared
    advance = 1 + np.diff(moves[..., 0], axis=1)
    assert advance.min() > 0.2 and advance.max() < 2.5


def test_the_jaw_line_goes_where_the_other_shape_has_it() -> None:
    axes = Axes.of(mesh())
    own = Lips.of(mesh(), axes)
    to = own.shaped(own.gap + 0.1 * axes.height, own.breadth, axes.height)
    points = to.jaw[3:8]
    x, y = bent(to, own, points[None, :, 0], points[None, :, 1])
    off = np.abs(np.stack([x[0], y[0]], 1) - own.jaw[3:8])
    assert (to.jaw[3:8] - own.jaw[3:8])[:, 1].min() > 0.02 * axes.height
    assert off[:, 1].max() < 0.012 * axes.height


def test_teeth_keep_their_size_where_the_gap_gets_smaller() -> None:
    axes = Axes.of(mesh())
    own = Lips.of(mesh(), axes).shaped(0.12 * axes.height, 0.3 * axes.height, axes.height)
    to = own.shaped(0.05 * axes.height, 0.3 * axes.height, axes.height)
    top, bottom = to.edges[1, 5], to.edges[2, 5]
    down = np.arange(top[1] + 1, bottom[1] - 1, 1.0, dtype=np.float32)[:, None]
    _, y = bent(to, own, np.full_like(down, top[0]), down)
    assert len(down) > 4
    assert np.allclose(np.diff(y[:, 0]), 1, atol=1e-3)
    assert abs(float(y[0, 0]) - float(own.edges[1, 5, 1]) - 1) < 1.5


def test_a_gap_that_opens_under_hanging_teeth_shows_no_chin() -> None:
    axes = Axes.of(mesh())
    own = Lips.of(mesh(), axes)
    to = own.shaped(own.gap + 0.08 * axes.height, own.breadth, axes.height)
    down = np.arange(0, float(to.chin[1]), 0.5, dtype=np.float32)[:, None]
    goal = Goal(to, own, axes.height, sides(mesh(), axes))
    spots = goal.spots(np.full_like(down, to.edges[1, 5, 0]), down)
    hanging = Bend(goal, own, hanging=True)
    (_, y), depth = hanging(spots), hanging.depth(spots)
    between = (down[:, 0] > to.edges[1, 5, 1]) & (down[:, 0] < to.edges[2, 5, 1])
    assert y[between].max() <= own.edges[2, 5, 1] + 0.6
    assert depth[between].max() > 0.07 * axes.height
    # the edge of the lip is met without a jump, so it can be drawn smoothly
    assert np.abs(np.diff(y[:, 0])).max() < 1.5


def smiling() -> Lips:
    """Lips whose gap is as wide at its sides as in its middle, 12 px, as a smile shows it."""
    x = np.linspace(-50, 50, 11, dtype=np.float32)
    lines = [np.full(11, y, np.float32) for y in (30, 40, 52, 62)]
    for inner in (1, 2):
        lines[inner][[0, -1]] = 46
    edges = np.stack([np.stack([x, line], 1) for line in lines])
    return Lips(edges, np.stack([x * 2, 110 - np.abs(x)], 1))


def test_a_smile_closes_from_corner_to_corner() -> None:
    shut = smiling().shaped(0.0, smiling().breadth, 300)
    assert np.abs(shut.edges[2, :, 1] - shut.edges[1, :, 1]).max() < 1e-3
    half = smiling().shaped(6.0, smiling().breadth, 300)
    assert half.edges[2, 1:-1, 1] - half.edges[1, 1:-1, 1] == pytest.approx(6)
    wider = smiling().shaped(14.0, smiling().breadth, 300)
    assert wider.gap == pytest.approx(14) and wider.edges[2, 1, 1] - wider.edges[1, 1, 1] < 13


def test_lips_part_where_they_are_open_and_only_into_themselves() -> None:
    parted = smiling().parted(3.0)
    assert parted.gap == pytest.approx(18)
    assert parted.edges[1:3, [0, -1]] == pytest.approx(smiling().edges[1:3, [0, -1]])
    most = smiling().parted(40.0)
    assert (most.edges[1, :, 1] > most.edges[0, :, 1]).all() and (most.edges[2, :, 1] < most.edges[3, :, 1]).all()


def test_lips_that_press_are_rolled_in_and_stay_where_they_meet() -> None:
    shut = smiling().shaped(0.0, smiling().breadth, 300)
    thick = shut.edges[1, 1:-1, 1] - shut.edges[0, 1:-1, 1]
    pressed = shut.pressed(2.0)
    assert np.array_equal(pressed.edges[1:3], shut.edges[1:3]) and np.array_equal(pressed.jaw, shut.jaw)
    assert pressed.edges[1, 1:-1, 1] - pressed.edges[0, 1:-1, 1] == pytest.approx(thick - 2)
    most = shut.pressed(100.0)
    assert most.edges[1, 1:-1, 1] - most.edges[0, 1:-1, 1] == pytest.approx(0.6 * thick)
    assert most.edges[:, [0, -1], 0] == pytest.approx(shut.edges[:, [0, -1], 0])
