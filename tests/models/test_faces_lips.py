"""Lips that are found closer follow what a mouth does, also where the rest of the face tells something else."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent / "mouth"))
from person import mesh, meshes, portrait

from models.faces.lips import POINTS, LipMesh
from models.mouth.bend import Bend, Goal
from models.mouth.blend import rounded
from models.mouth.geometry import Axes, measure
from models.mouth.lips import Lips, sides
from models.mouth.window import Sheet, Window


def bent(share: float) -> np.ndarray:
    """The portrait with its mouth `share` times as wide, and nothing else changed."""
    picture, landmarks = portrait().copy(), LipMesh()(portrait(), mesh())
    axes = Axes.of(landmarks)
    own = Lips.of(landmarks, axes)
    lips = own.shaped(own.gap, own.breadth * share, axes.height)
    goal = Goal(lips, own, axes.height, sides(landmarks, axes))
    window = Window.holding(axes, axes.leave(goal.corners), picture.shape)
    maps = Sheet(window, goal).maps(window, Bend(goal, own))
    window.of(picture)[...] = rounded(maps.picture(portrait(), window))
    return picture


def test_only_lips_are_changed_and_they_stay_near():
    landmarks = mesh()
    found = LipMesh()(portrait(), landmarks)
    others = np.setdiff1d(np.arange(468), POINTS)
    np.testing.assert_array_equal(found[others], landmarks[others])
    away = np.linalg.norm(found - landmarks, axis=1)[list(POINTS)]
    assert 0 < away.mean() < 0.05 * float(Axes.of(landmarks).height)
    assert found[13, 1] <= found[14, 1] + 1 and found[61, 0] < found[291, 0]


def test_a_mouth_that_is_bent_is_seen_where_the_mesh_alone_is_blind():
    shares = np.array([0.75, 0.85, 1.0, 1.1, 1.2])
    frames = [bent(share) for share in shares]
    closer, alone = LipMesh(), meshes(frames)
    widths = measure(np.stack([closer(frame, one) for frame, one in zip(frames, alone, strict=True)]))[:, 1]
    rise, before = (np.polyfit(shares, one / one[2], 1)[0] for one in (widths, measure(alone)[:, 1]))
    assert 0.5 < rise < 1.2 and rise > 2 * before
    assert np.corrcoef(shares, widths)[0, 1] > 0.97


@pytest.mark.parametrize("angle", [-40, 25])
def test_a_tilted_head(angle):
    import cv2

    frame, landmarks = portrait(), mesh()
    upright = LipMesh()(frame, landmarks)
    x, y = landmarks[1]
    turn = cv2.getRotationMatrix2D((float(x), float(y)), angle, 1)
    tilted = cv2.warpAffine(frame, turn, frame.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    moved = LipMesh()(tilted, (landmarks @ turn[:, :2].T + turn[:, 2]).astype(np.float32))
    wanted = upright @ turn[:, :2].T + turn[:, 2]
    assert np.linalg.norm(moved - wanted, axis=1)[list(POINTS)].mean() < 0.01 * float(Axes.of(landmarks).height)
