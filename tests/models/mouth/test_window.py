"""Pictures that bends make of a part of a crop: in full as every pixel's own map makes them, and coarser."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from person import mesh, portrait

from models.mouth.bend import Bend, Goal
from models.mouth.geometry import Axes, Floats, apply
from models.mouth.lips import Lips, sides
from models.mouth.window import Sheet, Window


def turned(angle: float) -> tuple[np.ndarray, Floats]:
    """The portrait and its mesh, tilted by so many degrees."""
    x, y = mesh()[1].tolist()
    turn = cv2.getRotationMatrix2D((x, y), angle, 1)
    picture = cv2.warpAffine(portrait(), turn, portrait().shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(picture, np.uint8), apply(turn.astype(np.float32), mesh())


def opened(landmarks: Floats, shape: tuple[int, ...]) -> tuple[Window, Goal, Bend]:
    """A bend that opens the mouth, and the window that it moves."""
    axes = Axes.of(landmarks)
    own = Lips.of(landmarks, axes)
    lips = own.shaped(own.gap + 0.04 * axes.height, own.breadth, axes.height)
    goal = Goal(lips, own, axes.height, sides(landmarks, axes))
    return Window.holding(axes, axes.leave(goal.corners), shape), goal, Bend(goal, own)


@pytest.mark.parametrize("angle", [0.0, 20.0])
def test_a_map_of_every_second_pixel_shows_what_that_of_each_does(angle: float) -> None:
    picture, landmarks = turned(angle)
    window, goal, bend = opened(landmarks, picture.shape)
    few, all_ = (Sheet(window, goal, step).maps(window, bend).picture(picture, window) for step in (2, 1))
    assert few.shape == (*window.shape, 3)
    off = np.abs(few - all_).max(2)
    assert off.mean() < 0.5 and np.percentile(off, 99) < 8  # where the lips part the map has a fold
    assert np.abs(few - window.of(picture)).max() > 40  # and something was moved


def test_a_part_of_a_window_shows_what_the_window_does() -> None:
    window, goal, bend = opened(mesh(), portrait().shape)
    part = window.around(goal.to)
    sheet = Sheet(window, goal)
    whole = sheet.maps(window, bend).picture(portrait(), window)
    assert part.shape != window.shape
    assert np.allclose(sheet.maps(window, bend).picture(portrait(), part), window.part(whole, part), atol=0.01)
    assert np.allclose(sheet.maps(part, bend).picture(portrait(), part), window.part(whole, part), atol=0.01)


@pytest.mark.parametrize("block", [2, 3, 5])
def test_a_coarse_picture_is_the_means_of_the_full_one(block: int) -> None:
    window, goal, bend = opened(mesh(), portrait().shape)
    maps = Sheet(window, goal).maps(window, bend)
    means = window.coarse(maps.picture(portrait(), window), block)
    coarse = maps.coarse(portrait(), block)
    assert coarse.shape == means.shape
    off = np.abs(coarse - means)[1:-1, 1:-1]
    assert off.mean() < 1.5 and np.percentile(off, 99) < 12
    assert np.abs((coarse - means)[1:-1, 1:-1].mean((0, 1))).max() < 0.3  # of the light nothing is lost


def test_maps_that_lead_out_of_a_picture_show_its_edge() -> None:
    window, goal, bend = opened(mesh(), portrait().shape)
    away = np.array([[1, 0, 10_000], [0, 1, 0]], np.float32)
    shown = Sheet(window, goal).maps(window, bend, away).picture(portrait(), window)
    top, bottom = int(mesh()[:, 1].min()), int(mesh()[:, 1].max())
    assert np.abs(shown - shown[:, :1]).max() < 60
    edge = portrait()[top:bottom, -1].astype(np.float32)
    assert edge.min() - 30 < shown.min() and shown.max() < edge.max() + 30
