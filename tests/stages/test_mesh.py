"""Every face with its mesh and an id that it keeps; the ids are those that `track` takes."""

from __future__ import annotations

import numpy as np
import pytest
from face_clips import wall, with_heads

from graph.stage import run_stage
from stages.detect import Detect
from stages.mesh import FaceMesh
from stages.track import Track

HEADS = [(110, 180, 200), (320, 170, 230), (520, 185, 170)]


def detected(frames, every=1):
    found = run_stage(Detect(every=every, device="cpu"), [{"frame": frame} for frame in frames])
    return [{"frame": packet.frame, "faces": packet.faces} for packet in found]


def test_every_face_has_its_mesh():
    stage = FaceMesh(device="cpu")
    packets = run_stage(stage, detected([with_heads(HEADS)] * 3))
    for packet in packets:
        assert packet.followed.shape == (3, 15)
        assert packet.meshes.shape == (3, 468, 2)
        assert packet.ids.tolist() == [0, 1, 2]
        middles = packet.meshes.mean(1)
        assert ((packet.followed[:, :2] < middles) & (middles < packet.followed[:, 2:4])).all()
    assert stage.counts == {"faces": 9}


def test_between_detections_the_mesh_follows():
    places = [[(150 + 5 * index, 180, 200), (500 - 5 * index, 180, 180)] for index in range(11)]
    packets = run_stage(FaceMesh(device="cpu"), detected([with_heads(place) for place in places], every=5))
    for packet, place in zip(packets, places, strict=True):
        by_id = dict(zip(packet.ids.tolist(), packet.meshes.mean(1)[:, 0], strict=True))
        assert by_id.keys() == {0, 1}
        assert abs(by_id[0] - place[0][0]) < 20
        assert abs(by_id[1] - place[1][0]) < 20
        boxes = packet.followed[:, :4].reshape(-1, 2, 2)
        assert ((boxes[:, 0] < packet.meshes.mean(1)) & (packet.meshes.mean(1) < boxes[:, 1])).all()


def test_ids_are_those_of_track():
    frames = [with_heads(HEADS)] * 3 + [wall(7)] * 2 + [with_heads(HEADS[:2], seed=3)] * 3
    rows = detected(frames)
    packets = run_stage(FaceMesh(device="cpu"), rows)
    for one in (1, 4):
        tracked = run_stage(Track(device="cpu", face=f"track={one}"), rows)
        for packet, other in zip(packets, tracked, strict=True):
            ids = packet.ids.tolist()
            assert other.face["found"] == (one in ids)
            if one in ids:
                np.testing.assert_allclose(packet.meshes[ids.index(one)], other.landmarks, atol=1e-3)


def test_no_faces_no_rows():
    (packet,) = run_stage(FaceMesh(device="cpu"), detected([wall()]))
    assert packet.followed.shape == (0, 15)
    assert packet.ids.shape == (0,)
    assert packet.meshes.shape == (0, 468, 2)


def test_wrong_parameters():
    with pytest.raises(ValueError, match="bridge has to be"):
        FaceMesh(bridge=-2)
    with pytest.raises(ValueError, match="auto, cpu, cuda"):
        FaceMesh(device="fast")
