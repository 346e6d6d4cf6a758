"""What was found is drawn where it was found."""

from __future__ import annotations

import numpy as np

from graph.stage import run_stage
from stages.annotate import BOX, MESH, POINT, Annotate

FRAME = np.full((240, 320, 3), 40, np.uint8)
POINTS = np.array([[120, 90], [160, 90], [140, 110], [125, 130], [155, 130]], np.float32)
FACE = np.array([100, 60, 180, 150, 0.87, *POINTS.ravel()], np.float32)
LANDMARKS = np.stack([np.linspace(105, 175, 468), np.full(468, 75)], 1).astype(np.float32)


def is_colour(picture, x, y, colour):
    return np.abs(picture[y, x].astype(int) - colour).max() < 90


def test_boxes_points_and_meshes():
    row = {"frame": FRAME, "faces": FACE[None], "ids": np.array([3], np.int32), "meshes": LANDMARKS[None]}
    (packet,) = run_stage(Annotate(), [row])
    assert is_colour(packet.annotated, 100, 100, BOX)
    assert is_colour(packet.annotated, 140, 150, BOX)
    assert all(is_colour(packet.annotated, *point.astype(int), POINT) for point in POINTS)
    assert is_colour(packet.annotated, 140, 75, MESH)
    assert (packet.annotated[100, 190:] == FRAME[100, 190:]).all()


def test_without_meshes_only_faces_are_read():
    stage = Annotate(meshes=False)
    assert set(stage.reads) == {"frame", "faces"}
    (packet,) = run_stage(stage, [{"frame": FRAME, "faces": FACE[None]}])
    assert is_colour(packet.annotated, 100, 100, BOX)
    assert (packet.annotated[75, 110:170] == 40).all()


def test_ids_can_be_told_apart():
    rows = [{"frame": FRAME, "faces": FACE[None], "ids": np.array([one], np.int32), "meshes": LANDMARKS[None]}
            for one in (1, 8)]
    first, second = run_stage(Annotate(), rows)
    changed = np.argwhere((first.annotated != second.annotated).any(2))
    assert len(changed)
    assert changed[:, 0].max() < 62
    assert changed[:, 1].min() >= 98


def test_points_that_are_unknown_and_boxes_off_the_frame():
    face = np.array([-30, -20, 200, 300, 0.5, *[np.nan] * 10], np.float32)
    (packet,) = run_stage(Annotate(meshes=False), [{"frame": FRAME, "faces": face[None]}])
    assert is_colour(packet.annotated, 200, 200, BOX)
    assert sum(is_colour(packet.annotated, x, y, BOX) for x in range(30) for y in range(20)) > 100
    (packet,) = run_stage(Annotate(meshes=False), [{"frame": FRAME, "faces": face[:0].reshape(0, 15)}])
    assert (packet.annotated == FRAME).all()
