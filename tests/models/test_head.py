"""How a head moves while its person speaks, and what that does to the picture around it."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.head.blink import EVERY, OPEN, Blink, closed
from models.head.field import Field
from models.head.path import LEVEL_RATE, NOD, REACH, SAMPLE_RATE, HeadPath, Pose, levels
from models.mouth.cut import Box
from models.mouth.geometry import face_height

sys.path.append(str(Path(__file__).parent / "mouth"))
from person import mesh, portrait

Floats = np.ndarray
LARGEST = [Pose(*(np.array(signs) * REACH + [0, signs[1] * NOD, 0, 0, 0, 0])) for signs in
           [(1, 1, 1, 1, 1, 1), (-1, 1, -1, -1, 1, -1), (1, -1, 1, 1, -1, 1), (-1, -1, 1, -1, -1, -1)]]  # fmt: skip


def speech(seconds: int, seed: int = 1) -> Floats:
    """Levels of syllables, four a second, of which some are stressed; silent in every fourth second."""
    random = np.random.default_rng(seed)
    at = np.arange(seconds * LEVEL_RATE) / LEVEL_RATE
    stressed = random.choice([0.3, 1.0], seconds * 4, p=[0.7, 0.3])[(at * 4).astype(int)]
    return np.asarray(np.sin(np.pi * 4 * at) ** 2 * stressed * (at.astype(int) % 4 < 3), np.float32)


def poses(path: HeadPath, seconds: int) -> Floats:
    """At 25 a second, over what is the most of each."""
    most = REACH._replace(pitch=REACH.pitch + NOD)
    return np.array([path.at(index / 25) for index in range(seconds * 25)]) / most


def test_there_is_no_movement_at_first_and_none_without_motion() -> None:
    path = HeadPath(speech(20), 1.0)
    assert not any(path.at(0)) and not any(path.at(-1))
    assert np.abs(poses(path, 20)[:4]).max() < 0.02, "it begins softly"
    assert not poses(HeadPath(speech(20), 0.0), 20).any()


@pytest.mark.parametrize("seed", range(4))
def test_a_head_moves_within_bounds_smoothly_and_slowly(seed: int) -> None:
    found = poses(HeadPath(speech(60, seed), 1.0, seed), 60)
    assert np.abs(found).max() <= 1
    assert (found.std(0) > 0.1).all(), "it moves every way there is"
    assert np.abs(np.diff(found, axis=0)).max() < 0.15
    power = np.abs(np.fft.rfft(found[50:] - found[50:].mean(0), axis=0)) ** 2
    slow = np.fft.rfftfreq(len(found) - 50, 1 / 25) < 1
    assert power[slow].sum() / power.sum() > 0.9


def test_each_pose_is_of_time_sound_and_seed_alone() -> None:
    one, same, other = (HeadPath(speech(20), 0.5, seed) for seed in (3, 3, 4))
    backwards = [same.at(index / 25) for index in reversed(range(500))][::-1]
    assert [one.at(index / 25) for index in range(500)] == backwards
    assert np.abs(poses(one, 20) - poses(other, 20)).max() > 0.1
    assert np.allclose(poses(HeadPath(speech(20), 1.0, 3), 20), 2 * poses(one, 20))


def test_a_head_nods_with_what_is_stressed_and_is_livelier_in_speech_than_in_silence() -> None:
    level = np.full(40 * LEVEL_RATE, 0.4, np.float32)
    stressed = np.arange(3, 38, 2)
    for second in stressed:
        level[second * LEVEL_RATE - 6 : second * LEVEL_RATE + 7] = 1
    even = HeadPath(np.full(len(level), 0.4, np.float32), 1.0)
    nods = [HeadPath(level, 1.0).at(second).pitch - even.at(second).pitch for second in stressed]
    between = [HeadPath(level, 1.0).at(second + 1).pitch - even.at(second + 1).pitch for second in stressed]
    assert min(nods) > 0.3 * NOD > 0 > max(between)
    still = poses(HeadPath(np.zeros(0, np.float32), 1.0), 40)
    assert 0.3 < np.abs(still).mean() / np.abs(poses(even, 40)).mean() < 0.6


def test_levels_are_of_the_sound_and_not_of_its_volume_or_how_it_is_read() -> None:
    random = np.random.default_rng(5)
    sound = (random.standard_normal(3 * SAMPLE_RATE) * np.repeat([0.02, 0.2, 0.0], SAMPLE_RATE)).astype(np.float32)
    found = levels([sound])
    assert len(found) == 3 * LEVEL_RATE and found.dtype == np.float32
    quiet, loud, silent = found.reshape(3, -1).mean(1)
    assert loud > 0.85 and 0.05 < quiet < 0.15 and silent == 0
    assert np.allclose(levels([sound / 10]), found, atol=1e-5)
    assert np.array_equal(levels([sound[:32_000], sound[32_000:]]), found)
    assert not levels([sound / 1e5]).max() > 0.2, "what is hardly there is not taken for speech"
    assert not len(levels([]))


PLACES = {
    "as it is": (512, 512, np.eye(2), 0),
    "in a large picture": (1080, 1920, np.eye(2), [500, 700]),
    "tilted": (512, 512, np.array([[0.9, -0.43], [0.43, 0.9]]), [140, -60]),
    "close": (512, 512, 2 * np.eye(2), [-260, -60]),
    "cut off": (300, 300, np.eye(2), [-180, 10]),
    "small": (96, 64, 0.2 * np.eye(2), 0),
}


def landmarks_in(place: str) -> tuple[Floats, int, int]:
    width, height, turn, shift = PLACES[place]
    return np.asarray(mesh() @ np.asarray(turn).T + shift, np.float32), width, height


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("pose", LARGEST)
def test_the_picture_neither_folds_nor_tears(place: str, pose: Pose) -> None:
    landmarks, width, height = landmarks_in(place)
    field = Field(landmarks, width, height)
    moved = field.moved(pose)
    left, top, right, bottom = field.box
    steps = (bottom - top) / moved.shape[0], (right - left) / moved.shape[1]
    strain = np.stack([np.gradient(moved, step, axis=axis) for axis, step in enumerate(steps)])
    assert np.abs(strain).max() < 0.3, "nothing is stretched or squeezed by more"
    edges = np.concatenate([moved[0], moved[-1], moved[:, 0], moved[:, -1]])
    assert np.abs(edges).max() < 0.1 + 0.001 * face_height(landmarks), "what lies around the box stays"
    assert field.box.within(Box(4, 4, width - 4, height - 4)) == field.box


def at(field: Field, moved: Floats, point: Floats) -> Floats:
    """How far the node next to a point moves."""
    rows, columns = moved.shape[:2]
    left, top, right, bottom = field.box
    row, column = int((point[1] - top) / (bottom - top) * rows), int((point[0] - left) / (right - left) * columns)
    return moved[row, column]


def test_a_turn_moves_the_nose_and_leaves_the_outline() -> None:
    field, height = Field(mesh(), 512, 512), face_height(mesh())
    turned = field.moved(Pose(0.07, 0, 0, 0, 0, 0))
    assert 0.02 < at(field, turned, mesh()[1])[0] / height < 0.03
    assert np.abs([at(field, turned, mesh()[point]) for point in (234, 454, 152)]).max() < 0.01 * height
    nod = field.moved(Pose(0, 0.07, 0, 0, 0, 0))
    assert 0.02 < at(field, nod, mesh()[1])[1] / height < 0.045
    assert np.abs(nod[..., 0]).max() < 0.2 * np.abs(nod[..., 1]).max()


def test_a_head_tilts_and_shifts_as_a_whole() -> None:
    field, height = Field(mesh(), 512, 512), face_height(mesh())
    shifted = field.moved(Pose(0, 0, 0, 0.02, 0, 0))
    face = np.array([at(field, shifted, point) for point in mesh()])
    assert np.abs(np.hypot(*face.T) / height - 0.02).max() < 0.002
    tilted = field.moved(Pose(0, 0, 0.02, 0, 0, 0))
    brow, chin = at(field, tilted, mesh()[10])[0], at(field, tilted, mesh()[152])[0]
    assert brow > 2.5 * chin > 0, "about the neck, clockwise"


def test_a_picture_without_room_for_a_head_to_move_has_nothing_that_moves() -> None:
    assert Field(mesh(), 8, 8).box.empty


@pytest.mark.parametrize("seed", range(3))
def test_eyes_blink_now_and_then_quickly_and_whole(seed: int) -> None:
    shares = np.array([closed(index / 25, seed) for index in range(60 * 25)])
    begins = np.flatnonzero((shares[1:] > 0) & (shares[:-1] == 0))
    ends = np.flatnonzero((shares[1:] == 0) & (shares[:-1] > 0))
    assert not shares[:10].any() and len(begins) == 60 // EVERY
    assert (ends - begins).max() <= 9, "0.36 s"
    assert min(shares[begin : begin + 9].max() for begin in begins) > 0.9
    assert [closed(index / 25, seed) for index in reversed(range(1500))][::-1] == shares.tolist()
    assert closed(-1, seed) == 0


def test_a_lid_covers_the_eye_and_nothing_else() -> None:
    for eye in Blink(mesh(), Box(0, 0, 512, 512)).eyes:
        left, top, right, bottom = eye.box
        seen = portrait()[top:bottom, left:right]
        assert eye.openness(seen) > 2 * OPEN
        laid = [(eye.closed(seen, share), share) for share in (0.05, 0.5, 1.0)]
        shown = [seen + (one.picture.astype(float) - seen) * (one.mask[..., None] / 255) for one, _ in laid]
        changes = [np.abs(one - seen).mean() for one in shown]
        assert 2 * changes[0] < changes[1] < changes[2]
        assert eye.openness(np.asarray(shown[2], np.uint8)) < OPEN, "the eye is gone"
        assert np.abs(shown[2] - seen)[[0, -1]].max() == 0 and np.abs(shown[2] - seen)[:, [0, -1]].max() == 0
        assert (laid[2][0].mask > 0).mean() > 0.2


def test_eyes_that_are_cut_off_or_small_do_not_blink() -> None:
    assert len(Blink(mesh(), Box(0, 0, 512, 512)).eyes) == 2
    assert len(Blink(mesh(), Box(0, 0, int(mesh()[263, 0]) - 4, 512)).eyes) == 1
    assert not Blink(mesh() / 10, Box(0, 0, 512, 512)).eyes


@pytest.mark.parametrize("what", ["nothing", "glasses", "shut"])
def test_eyes_that_are_shut_or_behind_glasses_do_not_blink(what: str) -> None:
    picture, blink = portrait().copy(), Blink(mesh(), Box(0, 0, 512, 512))
    corners = [mesh()[list(one)] for one in ((33, 133), (362, 263))]
    middles = [np.rint(one.mean(0)).astype(int) for one in corners]
    if what == "glasses":
        dark = (30, 25, 25)
        for middle in middles:
            cv2.ellipse(picture, middle.tolist(), (24, 18), 0, 0, 360, dark, 3)
        cv2.line(picture, (middles[0] + [24, 0]).tolist(), (middles[1] - [24, 0]).tolist(), dark, 3)
    if what == "shut":
        for left, top, right, bottom in (eye.box for eye in blink.eyes):
            picture[top:bottom, left:right] = (190, 150, 130)
    lids = blink.lids(lambda box: picture[box.top : box.bottom, box.left : box.right], 0.7)
    assert len(lids) == (2 if what == "nothing" else 0)
