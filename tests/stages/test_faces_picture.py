"""One picture shows every face with its id, each where it is seen best."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_clips import wall, with_heads

import models.faces.album
from graph.stage import run_stage
from models.faces.album import Album
from models.faces.cast import Cast
from models.faces.draw import BY_ID
from stages.faces_picture import FacesPicture
from stages.people import People


def face(x: float, y: float, side: float = 80, score: float = 0.9, turned: float = 0.0) -> np.ndarray:
    """A row of `faces`; `turned` moves the nose to the side, in distances of the eyes."""
    half = side / 2
    eyes = [[x - side / 5, y - side / 8], [x + side / 5, y - side / 8]]
    nose = [x + turned * side * 0.4, y]
    mouth = [[x - side / 6, y + side / 4], [x + side / 6, y + side / 4]]
    box = [x - half, y - half, x + half, y + half, score]
    return np.concatenate([box, np.ravel([*eyes, nose, *mouth])]).astype(np.float32)


def packet(frame: np.ndarray, *seen: tuple[int, np.ndarray]) -> dict[str, np.ndarray]:
    rows = np.array([row for _, row in seen], np.float32).reshape(-1, 15)
    return {"frame": frame, "faces": rows, "ids": np.array([one for one, _ in seen], np.int32)}


def coloured(picture: np.ndarray, one: int) -> np.ndarray:
    """Where the picture has the colour of an id."""
    return np.abs(picture.astype(int) - BY_ID[one % len(BY_ID)]).max(2) < 40


def read(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path))[..., ::-1])


GREY = np.full((360, 640, 3), 90, np.uint8)


def test_faces_that_are_there_together_are_shown_together(tmp_path: Path) -> None:
    left, right = face(160, 180), face(480, 180)
    frames = [packet(GREY, (0, left))] * 3 + [packet(GREY, (0, left), (1, right))] * 3 + [packet(GREY, (1, right))] * 3
    stage = FacesPicture(str(tmp_path / "faces.png"))
    run_stage(stage, frames)
    picture = read(tmp_path / "faces.png")
    assert picture.shape[1] == 640 and 360 < picture.shape[0] < 400
    for one, x in ((0, 160), (1, 480)):
        rows, columns = np.nonzero(coloured(picture, one)[:360])
        assert abs((columns.min() + columns.max()) / 2 - x) < 4
        assert abs(rows.max() - 220) < 3
        assert 105 < rows.min() < 125, "the id stands above the box"
    assert stage.counts == {"faces": 2}


def test_faces_of_different_scenes_are_shown_side_by_side(tmp_path: Path) -> None:
    frames = [packet(wall(one), (one, face(320, 180))) for one in range(4) for _ in range(3)]
    run_stage(FacesPicture(str(tmp_path / "faces.png")), frames)
    picture = read(tmp_path / "faces.png")
    assert picture.shape[1] == 1280 and 720 < picture.shape[0] < 800
    high = picture.shape[0] // 2
    for one in range(4):
        panel = picture[one // 2 * high :, one % 2 * 640 :][: high - 30, :640]
        assert coloured(panel, one)[120:240, 250:400].sum() > 300
        background = wall(one)[5:60, 5:60].mean((0, 1))
        assert np.abs(panel[5:60, 5:60].mean((0, 1)) - background).max() < 12


@pytest.mark.parametrize(
    "worse",
    [face(160, 180, score=0.6), face(20, 180), face(160, 180, side=30), face(160, 180, turned=2.5)],
    ids=["unsure", "at the edge", "small", "turned"],
)
def test_a_face_is_shown_where_it_is_seen_best(worse: np.ndarray) -> None:
    album = Album()
    for index, row in enumerate([worse, face(160, 180), worse]):
        album.look(GREY, row[None], [7], index / 25)
    (shot,) = album.shots()
    assert shot.time == 1 / 25


def test_a_large_video_makes_no_huge_picture() -> None:
    album = Album()
    for one in range(9):
        album.look(np.zeros((2160, 3840, 3), np.uint8), face(1000, 1000, 900)[None], [one], float(one))
    picture = album.picture()
    assert max(picture.shape) <= 2560 and min(picture.shape[:2]) > 1000


def test_memory_is_bounded_and_what_has_no_room_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models.faces.album, "KEPT", 20)
    stage = FacesPicture(str(tmp_path / "faces.png"))
    long = [packet(GREY, (one, face(160, 180))) for one in range(5) for _ in range(20)]
    short = [packet(GREY, (one, face(160, 180))) for one in range(5, 40)]
    run_stage(stage, long + short)
    assert len(stage._album._shots) == 20
    assert {shot.ids[0] for shot in stage._album._shots.values()} >= set(range(5)), "those seen longest are kept"
    assert stage.counts == {"faces": 40}
    assert "no room was left" in stage.notes[0]


def test_no_face_no_picture(tmp_path: Path) -> None:
    stage = FacesPicture(str(tmp_path / "faces.png"))
    run_stage(stage, [packet(GREY)] * 3)
    assert not list(tmp_path.iterdir())
    assert "there is no face to show" in stage.notes[0]
    with pytest.raises(ValueError, match=r"has to go to a \.png or \.jpg file, not to faces\.gif"):
        FacesPicture("faces.gif")


# ---------------------------------------------------------------------------------------------------------- people

WARM, COLD, PLAIN = (1.2, 0.95, 0.7), (0.7, 0.9, 1.3), (1.0, 1.0, 1.0)


Head = tuple[int, tuple[float, float], tuple[float, float, float]]


def told(scenes: list[list[Head]], most: int = 4) -> list[list[int]]:
    """People as lists of ids, from scenes of a second: (id, place of the head, tint) of each face."""
    cast = Cast()
    for number, scene in enumerate(scenes):
        frame = with_heads([(*place, 200) for _, place, _ in scene], number, [tint for *_, tint in scene])
        for index in range(25):
            rows = np.array([face(x, y + 15, 110) for _, (x, y), _ in scene], np.float32)
            cast.see(frame, rows, [one for one, *_ in scene], number + index / 25)
    return [[track.id for track in person] for person in cast.people(most, 0.5)[0]]


def test_people_over_cuts() -> None:
    """Shot and counter-shot: who looks alike is one person; two who are there at once never are."""
    left, right, middle = (160, 180), (480, 180), (320, 180)
    scenes = [
        [(0, left, WARM), (1, right, COLD)],
        [(2, middle, COLD)],
        [(3, middle, WARM)],
        [(4, right, WARM), (5, left, COLD)],
    ]
    assert told(scenes) == [[0, 3, 4], [1, 2, 5]]
    assert told([[(0, left, PLAIN), (1, right, PLAIN)]]) == [[0], [1]]


def test_no_more_people_than_asked_for() -> None:
    scenes = [[(0, (160, 180), WARM)], [(1, (160, 180), COLD), (2, (480, 180), WARM)]]
    assert told(scenes, most=1) == [[0, 1]] or told(scenes, most=1) == [[0, 2]]


def test_the_map_of_people(tmp_path: Path) -> None:
    """Seen longest first; what lasts too short is no one."""
    frames = [packet(GREY, (0, face(100, 180)), *([(1, face(500, 180))] if index > 9 else [])) for index in range(30)]
    frames[5] = packet(GREY, (0, face(100, 180)), (2, face(300, 180)))
    stage = People(str(tmp_path / "people.json"))
    run_stage(stage, frames)
    assert json.loads((tmp_path / "people.json").read_text()) == {"0": "0", "1": "1"}
    assert stage.counts == {"tracks": 3, "left_out": 1}
    assert not stage.notes
    less = People(str(tmp_path / "people.json"), most=1)
    run_stage(less, frames)
    assert json.loads((tmp_path / "people.json").read_text()) == {"0": "0"}
    assert "more than 1 people; left out: track 1 (0.4 to 1.2 s)" in less.notes[0]


def test_a_still_shows_people_too(tmp_path: Path) -> None:
    run_stage(People(str(tmp_path / "people.json")), [packet(GREY, (0, face(100, 180)), (1, face(400, 180)))])
    assert json.loads((tmp_path / "people.json").read_text()) == {"0": "0", "1": "1"}


def test_nobody_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no face"):
        run_stage(People(str(tmp_path / "people.json")), [packet(GREY)] * 20)
    short = [packet(GREY, (0, face(100, 180)))] * 8 + [packet(GREY)] * 40
    with pytest.raises(ValueError, match=r"no face is to be seen for 0\.5 s or more"):
        run_stage(People(str(tmp_path / "people.json")), short)
    with pytest.raises(ValueError, match="most has to lie between 1 and 16, not 0"):
        People("people.json", most=0)
