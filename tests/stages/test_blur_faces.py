"""Faces are unrecognisable, the rest of the frame is untouched."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from face_clips import HEIGHT, WIDTH, with_heads

from graph.stage import Packet, run_stage
from stages.blur_faces import BlurFaces
from stages.detect import Detect

NONE = np.zeros((0, 15), np.float32)


def row(x0, y0, x1, y1):
    return np.array([x0, y0, x1, y1, 0.9, *[0] * 10], np.float32)


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def blurred(frames, faces, **params):
    """The stage, and its packets, each of which sees its neighbours."""
    stage = BlurFaces(**params)
    given = [{"frame": frame, "faces": one} for frame, one in zip(frames, faces, strict=True)]
    packets = []
    for index, fields in enumerate(given):
        near = range(max(index - stage.window.before, 0), min(index + stage.window.after + 1, len(given)))
        others = [other for other in near if other != index]
        shown = {other - index: Packet(other, Fraction(other, 25), given[other], {}) for other in others}
        blank = {"blurred": np.zeros_like(fields["frame"])}
        packets.append(Packet(index, Fraction(index, 25), fields | blank, stage.writes, shown))
        stage.process(packets[-1])
    return stage, packets


def test_no_detector_finds_a_blurred_face_and_it_cannot_be_sharpened_back():
    frame = with_heads([(200, 180, 240), (480, 190, 160)])
    (found,) = run_stage(Detect(device="cpu", score=0.3), [{"frame": frame}])
    assert len(found.faces) == 2
    _, (packet,) = blurred([frame], [found.faces])
    x0, y0, x1, y1 = found.faces[0, :4].astype(int)
    detail = np.abs(cv2.Laplacian(packet.blurred[y0:y1, x0:x1], cv2.CV_32F)).mean()
    assert detail < 0.1 * np.abs(cv2.Laplacian(frame[y0:y1, x0:x1], cv2.CV_32F)).mean()
    (again,) = run_stage(Detect(device="cpu", score=0.5), [{"frame": np.ascontiguousarray(packet.blurred)}])
    assert len(again.faces) == 0


def test_the_rest_is_untouched():
    frame = picture()
    _, (packet,) = blurred([frame], [row(100, 100, 200, 180)[None]], margin=0.2)
    changed = np.argwhere((packet.blurred != frame).any(2))
    low, high = changed.min(0), changed.max(0)
    # 0.7 of the sides to each side of the middle, and a quarter of that for the soft edge
    assert (low >= [140 - 70, 150 - 88]).all()
    assert (high <= [140 + 70, 150 + 88]).all()
    assert (packet.blurred[100:181, 120:181] != frame[100:181, 120:181]).any(2).mean() > 0.99


def test_the_edge_is_soft():
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[::2] = 255
    _, (packet,) = blurred([frame], [row(220, 80, 420, 280)[None]])
    contrast = np.abs(np.diff(packet.blurred[:, 320, 0].astype(int)))[:-1]
    rise = contrast[10:60]
    assert rise.max() > 200
    assert contrast[120:240].max() < 20
    assert np.abs(np.diff(np.convolve(contrast, [0.5, 0.5], "valid"))).max() < 40


def test_a_missed_face_is_covered_where_its_neighbours_have_it():
    face = row(100, 100, 200, 200)[None]
    frames = [picture(seed) for seed in range(9)]
    stage, packets = blurred(frames, [face, face, NONE, NONE, face, NONE, NONE, NONE, NONE], hold=2)
    covered = [bool((packet.blurred != packet.frame).any()) for packet in packets]
    assert covered == [True] * 7 + [False] * 2
    assert stage.counts == {"faces": 7, "held": 4}


def test_a_moving_face_is_not_covered_twice():
    faces = [row(100 + 5 * index, 100, 200 + 5 * index, 200)[None] for index in range(5)]
    stage, _ = blurred([picture()] * 5, faces)
    assert stage.counts == {"faces": 5, "held": 0}


def test_without_hold_every_frame_stands_for_itself():
    face = row(100, 100, 200, 200)[None]
    _, packets = blurred([picture()] * 3, [face, NONE, face], hold=0)
    assert [bool((packet.blurred != packet.frame).any()) for packet in packets] == [True, False, True]


@pytest.mark.parametrize(
    "box", [(-60, -50, 50, 40), (600, 320, 700, 420), (-500, -500, 1200, 900), (700, 400, 720, 420)]
)
def test_faces_at_the_edge(box):
    frame = picture()
    _, (packet,) = blurred([frame], [row(*box)[None]])
    x0, x1 = np.clip([box[0], box[2]], 0, WIDTH)
    y0, y1 = np.clip([box[1], box[3]], 0, HEIGHT)
    assert (packet.blurred != frame).any() == (x1 > x0 and y1 > y0)


def test_stronger_leaves_less():
    frame = with_heads([(320, 180, 300)])
    faces = [row(240, 120, 400, 280)[None]]
    fine, coarse = (blurred([frame], faces, strength=strength)[1][0].blurred for strength in (0.1, 0.5))
    assert coarse[130:270, 250:390].std() < fine[130:270, 250:390].std()


@pytest.mark.parametrize("params", [{"strength": 0}, {"margin": -1}, {"hold": -1}, {"hold": 99}])
def test_wrong_parameters(params):
    with pytest.raises(ValueError, match=f"{next(iter(params))} has to be between"):
        BlurFaces(**params)
