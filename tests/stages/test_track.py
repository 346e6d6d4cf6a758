"""One face, chosen and kept: through motion, hiding, crossing and cuts, steady where it is still."""

from __future__ import annotations

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from face_clips import portrait, wall, with_heads

from graph.stage import run_stage
from stages.detect import Detect
from stages.track import Track

MEDIA = Path(os.environ.get("GRAPHRUN_MEDIA", Path(__file__).parents[2].parent / "shared" / "media"))
WARM, COLD = (1.2, 0.95, 0.7), (0.7, 0.9, 1.3)


def tracked(frames, every=1, **params):
    """The stage, and the packets that it gave."""
    found = run_stage(Detect(every=every, device="cpu"), [{"frame": frame} for frame in frames])
    stage = Track(device="cpu", **params)
    return stage, run_stage(stage, [{"frame": packet.frame, "faces": packet.faces} for packet in found])


def middles(packets):
    return np.stack([packet.landmarks.mean(0) for packet in packets])


def test_a_still_head_jitters_less_than_a_third_of_a_pixel():
    random = np.random.default_rng(1)
    frames = []
    for _ in range(40):
        grainy = np.clip(portrait() + random.normal(0, 4, portrait().shape), 0, 255).astype(np.uint8)
        _, packed = cv2.imencode(".jpg", grainy, [cv2.IMWRITE_JPEG_QUALITY, 70])
        frames.append(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    _, packets = tracked(frames)
    landmarks = np.stack([packet.landmarks for packet in packets])[10:]
    assert landmarks.std(0).mean() < 0.2
    assert np.linalg.norm(np.diff(landmarks, axis=0), axis=2).mean() < 0.3


@pytest.mark.parametrize("every", [1, 5])
def test_a_moving_head_is_followed(every):
    places = [(200 + 6 * index, 180 + 20 * np.sin(index / 4), 200) for index in range(40)]
    stage, packets = tracked([with_heads([place]) for place in places], every=every)
    away = middles(packets) - np.array(places)[:, :2]
    # the mesh's middle lies somewhere on the head, but always at the same place of it
    assert np.abs(away - away[3:].mean(0))[3:].max() < 3
    assert {packet.face["id"] for packet in packets} == {0}
    assert all(packet.face["found"] and packet.face["score"] > 0.5 for packet in packets)
    assert stage.counts["no_face"] == 0


@pytest.mark.parametrize(
    ("face", "x"),
    [("largest", 320), ("left", 110), ("right", 520), ("index=1", 110), ("at=515,185", 520), ("track=2", 520)],
)
def test_which_face(face, x):
    frame = with_heads([(110, 180, 200), (320, 170, 230), (520, 185, 170)])
    _, packets = tracked([frame] * 3, face=face)
    assert abs(middles(packets)[-1, 0] - x) < 15


def test_no_such_face():
    stage, packets = tracked([with_heads([(320, 180, 200)])] * 3, face="index=4")
    assert stage.counts["no_face"] == 3
    assert np.isnan(packets[0].landmarks).all()
    assert packets[0].face == {"found": False, "score": 0.0, "cut": False, "id": -1}


def test_the_chosen_one_stays_when_another_grows_larger():
    frames = [with_heads([(150, 180, 200), (480, 180, 120 + 4 * index)]) for index in range(30)]
    _, packets = tracked(frames)
    assert (middles(packets)[:, 0] < 200).all()


@pytest.mark.parametrize("every", [1, 5])
def test_two_faces_that_cross(every):
    frames, places = [], []
    for index in range(50):
        warm, cold = (120 + 8 * index, 175, 190), (520 - 8 * index, 185, 190)
        frames.append(with_heads([cold, warm], tints=[COLD, WARM]))
        places.append(warm[:2])
    _, packets = tracked(frames, every=every, face="left")
    away = np.linalg.norm(middles(packets) - places, axis=1)
    assert away.max() < 40
    assert len({packet.face["id"] for packet in packets}) == 1


@pytest.mark.parametrize("every", [1, 5])
def test_the_one_behind_is_passed_over_until_it_is_seen_again(every):
    """While another face is before it the mesh must not go over to that one: it would be given the wrong mouth."""
    frames, places = [], []
    for index in range(50):
        warm, cold = (120 + 8 * index, 175, 190), (520 - 8 * index, 185, 190)
        frames.append(with_heads([cold, warm], tints=[COLD, WARM]))
        places.append(cold[:2])
    stage, packets = tracked(frames, every=every, face="right")
    away = np.linalg.norm(middles(packets) - places, axis=1)
    assert away[:15].max() < 40 and away[-10:].max() < 40
    assert np.nansum(away > 40) <= 2, "on its way over to the other face"
    assert 5 <= stage.counts["no_face"] <= 20
    assert packets[-1].face["id"] == packets[0].face["id"]


@pytest.mark.parametrize(("gap", "lost"), [(12, 0), (40, 1)])
def test_a_face_that_hides(gap, lost):
    """Something is slid before the face, stays for `gap` frames, and is taken away."""
    frames = []
    for place in [-140] * 6 + list(range(-140, 300, 40)) + [260] * gap + list(range(300, 760, 40)) + [760] * 4:
        frame = with_heads([(320, 180, 150)])
        frame[90:280, max(place, 0) : max(place + 130, 0)] = (90, 110, 100)
        frames.append(frame)
    stage, packets = tracked(frames, bridge=1.0)
    assert stage.counts["scene_cuts"] == 0
    assert stage.counts["lost"] == lost
    assert gap <= stage.counts["no_face"] < gap + 16
    hidden = packets[17 + gap // 2]
    assert not hidden.face["found"]
    assert np.isnan(hidden.landmarks).all()
    assert packets[-1].face["found"]
    assert (packets[-1].face["id"] != packets[0].face["id"]) == bool(lost)


def test_five_cuts_in_ten_seconds():
    """Every scene begins with its own landmarks, not with what is left of the last one's."""
    places = [(200, 170, 180), (420, 190, 250), (320, 180, 300), (150, 160, 160), (500, 200, 220), (300, 180, 200)]
    scenes = [with_heads([place], seed=seed) for seed, place in enumerate(places)]
    stage, packets = tracked([scenes[index // 15] for index in range(90)])
    assert [packet.index for packet in packets if packet.face["cut"]] == [15, 30, 45, 60, 75]
    assert stage.counts["scene_cuts"] == 5
    assert stage.counts["no_face"] == 0
    for begin in range(0, 90, 15):
        drift = packets[begin].landmarks - packets[begin + 14].landmarks
        assert np.abs(drift).max() < 3
    assert len({packet.face["id"] for packet in packets}) == 6


def test_a_cut_to_nobody():
    frames = [with_heads([(320, 180, 200)])] * 5 + [wall(seed=5)] * 5
    stage, packets = tracked(frames)
    assert [packet.face["found"] for packet in packets] == [True] * 5 + [False] * 5
    assert stage.counts == {"scene_cuts": 1, "no_face": 5}


def test_without_smoothing_each_frame_stands_for_itself():
    places = [(200 + 30 * index, 180, 200) for index in range(4)]
    _, packets = tracked([with_heads([place]) for place in places], smooth=False)
    steps = np.diff(middles(packets)[:, 0])
    np.testing.assert_allclose(steps, 30, atol=2)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"face": "nicest"}, "is not largest, left"),
        ({"bridge": -1.0}, "bridge has to be"),
        ({"threads": 0}, "threads has to be"),
        ({"device": "tpu"}, "auto, cpu, cuda"),
    ],
)
def test_wrong_parameters(params, words):
    with pytest.raises(ValueError, match=words):
        Track(**params)


@pytest.mark.skipif(not MEDIA.is_dir(), reason="no clips in GRAPHRUN_MEDIA")
@pytest.mark.parametrize("name", ["st_aoc.mp4", "vr_1.mp4", "ls_demo1.mp4"])
def test_real_faces_are_never_lost(name):
    with av.open(str(MEDIA / name)) as container:
        pairs = zip(range(50), container.decode(video=0), strict=False)
        frames = [frame.to_ndarray(format="rgb24") for _, frame in pairs]
    stage, packets = tracked(frames, every=5)
    assert stage.counts == {}
    assert all(packet.face["score"] > 0.9 for packet in packets)
