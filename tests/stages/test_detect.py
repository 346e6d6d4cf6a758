"""The faces of the sample, found by the embedded detectors."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from graph.stage import run_stage
from stages.detect import Detect

SAMPLE = Path(__file__).parents[2] / "pipelines" / "samples" / "portrait.mp4"


@pytest.fixture(scope="module")
def frames():
    with av.open(str(SAMPLE)) as container:
        return [frame.to_ndarray(format="rgb24") for _, frame in zip(range(6), container.decode(video=0), strict=False)]


@pytest.mark.parametrize("model", ["blazeface", "blazeface_short"])
def test_finds_the_face_and_its_points(frames, model):
    packets = run_stage(Detect(model=model, device="cpu"), [{"frame": frame} for frame in frames])
    for packet in packets:
        (face,) = packet.faces
        right, left, nose, right_corner, left_corner = face[5:].reshape(5, 2)
        assert 0.5 < face[4] <= 1
        # looked up in the picture
        assert np.linalg.norm(right - [212, 158]) < 15
        assert np.linalg.norm(left - [292, 154]) < 15
        assert right[0] < nose[0] < left[0]
        assert right_corner[0] < nose[0] < left_corner[0]
        assert right[1] < nose[1] < right_corner[1]


def test_every(frames):
    packets = run_stage(Detect(every=3, device="cpu"), [{"frame": frame} for frame in frames])
    assert [len(packet.faces) for packet in packets] == [1, 0, 0, 1, 0, 0]


def test_nothing_in_an_empty_frame():
    (packet,) = run_stage(Detect(device="cpu"), [{"frame": np.full((240, 320, 3), 90, np.uint8)}])
    assert packet.faces.shape == (0, 15)


def test_pass_through_gives_no_rows(frames):
    (packet,) = run_stage(Detect(device="cpu"), [{"frame": frames[0]}])
    Detect().pass_through(packet)
    assert packet.faces.shape == (0, 15)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"score": 1.5}, "score has to be between 0 and 1"),
        ({"nms": -0.1}, "nms has to be"),
        ({"every": 0}, "every has to be at least 1"),
        ({"size": 0}, "size has to be at least 1"),
        ({"threads": 0}, "threads has to be at least 1"),
        ({"device": "gpu"}, "auto, cpu, cuda or cuda:N"),
    ],
)
def test_wrong_parameters(params, words):
    with pytest.raises(ValueError, match=words):
        Detect(**params)


def test_says_what_runs(frames):
    stage = Detect(device="cpu")
    run_stage(stage, [{"frame": frames[0]}])
    assert stage.about() == {"model": "blazeface", "size": 192, "provider": "CPUExecutionProvider"}
    assert stage.counts == {"detected": 1, "faces": 1}
