"""Faces keep their ids when they move, hide and cross, and the right one is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from models.faces.choice import Choice
from models.faces.tracker import FaceTracker

RED, BLUE, GREEN = (200, 60, 50), (50, 80, 200), (60, 180, 70)


def face(x, y, side=60, score=0.9):
    box = [x - side / 2, y - side / 2, x + side / 2, y + side / 2]
    return np.array([*box, score, *np.tile([x, y], 5)], np.float32)


def picture(*people):
    """A frame with a coloured square and a coat for every (face, colour), later ones in front."""
    frame = np.full((240, 480, 3), 120, np.uint8)
    for one, colour in people:
        x0, y0, x1, y1 = one[:4].astype(int)
        frame[max(y0, 0) : max(y1 + 30, 0), max(x0, 0) : max(x1, 0)] = colour
    return frame


def follow(tracker, moments, rate=25):
    """Ids by colour for each moment: a list of (face, colour); the rows come in a changing order."""
    found = []
    for index, people in enumerate(moments):
        turned = people[:: -1 if index % 2 else 1]
        rows = np.array([one for one, _ in turned], np.float32).reshape(-1, 15)
        ids = tracker.update(picture(*people), rows, index / rate)
        found.append({colour: one for (_, colour), one in zip(turned, ids, strict=True)})
    return found


def test_two_faces_that_pass_each_other():
    moments = []
    for index in range(60):
        left, right = face(60 + 6 * index, 120), face(420 - 6 * index, 120)
        hidden = abs(left[0] - right[0]) < 40
        moments.append([(left, RED)] if hidden else [(right, BLUE), (left, RED)])
    found = follow(FaceTracker(), moments)
    assert len({one[RED] for one in found}) == 1
    assert len({one[BLUE] for one in found if BLUE in one}) == 1
    assert found[0][RED] != found[0][BLUE]


def test_two_faces_that_meet_and_turn_back():
    """Motion alone would swap them: they look different."""
    way = [*range(20), *range(20, 0, -1)]
    moments = []
    for step in way:
        left, right = face(100 + 6 * step, 120), face(380 - 6 * step, 120)
        moments.append([(right, BLUE), (left, RED)] if step < 19 else [(left, RED)])
    found = follow(FaceTracker(), moments)
    assert found[-1] == found[0]


def test_a_hidden_face_keeps_its_id_for_the_stated_time():
    for gap, kept in ((20, True), (40, False)):
        moments = [[(face(100 + index, 100), RED)] for index in range(10)] + [[]] * gap
        found = follow(FaceTracker(bridge=1.0), [*moments, [(face(118, 100), RED)]])
        assert (found[-1][RED] == found[0][RED]) is kept


def test_a_face_that_was_hidden_on_its_way_may_come_out_far_off_but_has_to_look_like_it():
    for colour, kept in ((RED, True), (GREEN, False)):
        way = [[(face(60 + 8 * index, 120), RED)] for index in range(12)]
        found = follow(FaceTracker(), [*way, *[[]] * 15, [(face(60 + 8 * 27, 120), colour)]])
        assert (found[-1][colour] == found[0][RED]) is kept


def test_detections_of_every_fifth_frame_are_enough():
    moments = [[(face(60 + 5 * index, 120), RED)] if index % 5 == 0 else [] for index in range(60)]
    assert {one[RED] for one in follow(FaceTracker(), moments) if one} == {0}


def test_a_cut_gives_new_ids_never_old_ones():
    tracker = FaceTracker()
    people = [(face(100, 100), RED), (face(300, 100), BLUE)]
    before = follow(tracker, [people])[0]
    tracker.reset()
    after = follow(tracker, [people])[0]
    assert not set(before.values()) & set(after.values())


def test_another_face_elsewhere_is_another():
    found = follow(FaceTracker(), [[(face(100, 100), RED)], [(face(300, 100), RED)], [(face(300, 100, side=150), RED)]])
    assert len({one[RED] for one in found}) == 3


FACES = np.stack([face(240, 120, 120), face(60, 100, 80), face(400, 90, 100)])
IDS = [7, 3, 5]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("largest", [0, 2, 1]),
        ("left", [1, 0, 2]),
        ("right", [2, 0, 1]),
        ("index=1", [2]),
        ("index=3", []),
        ("at=62,100.5", [1]),
        ("at=5,5", []),
        ("track=5", [2]),
        ("track=3,7", [0, 1]),
        ("track=4", []),
        ("5", [2]),
        ("3,7", [0, 1]),
    ],
)
def test_choice(text, rows):
    assert Choice.parse(text).order(FACES, IDS) == rows
    assert Choice.parse(text).order(FACES[:0], []) == []


@pytest.mark.parametrize("text", ["biggest", "index=", "index=-1", "at=3", "track=a", "track=", "largest=1", ""])
def test_choices_that_are_none(text):
    with pytest.raises(ValueError, match="is not largest, left, right, index=N, at=x,y or track=ID"):
        Choice.parse(text)
