"""The graphs about faces, run as a user runs them, on the sample."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from graph.load import parameters
from graph.runner import Graph

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "pipelines"
SAMPLE = PIPELINES / "samples" / "portrait.mp4"


def pictures(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What `faces_annotated` wrote: the lines, and the frames of its video."""
    folder = tmp_path_factory.mktemp("faces")
    graph = Graph.load(PIPELINES / "faces_annotated.yaml")
    report = graph.run(output=str(folder / "faces.jsonl"), drawn=str(folder / "faces.mp4"))
    assert report.exit_code == 0
    return lines_of(folder / "faces.jsonl"), pictures(folder / "faces.mp4")


def test_every_frame_has_its_line(found):
    lines, _ = found
    assert [line["index"] for line in lines] == list(range(125))
    np.testing.assert_allclose([line["time"] for line in lines], np.arange(125) / 25, atol=1e-5)
    assert all([face["id"] for face in line["faces"]] == [0] for line in lines)
    assert all(len(line["faces"][0]["landmarks"]) == 468 for line in lines)


def test_faces_alone_writes_the_same_lines(found, tmp_path):
    picture = tmp_path / "faces.png"
    report = Graph.load(PIPELINES / "faces.yaml").run(output=str(tmp_path / "faces.jsonl"), picture=str(picture))
    assert report.exit_code == 0
    assert lines_of(tmp_path / "faces.jsonl") == found[0]
    shown = cv2.imread(str(picture))
    assert shown.shape[1] == 512 and 512 < shown.shape[0] < 560, "one frame, and a line below it"


def test_ids_of_faces_are_those_that_lipsync_takes():
    """They depend on what is detected: in the same frames, by the same detector, in all graphs."""

    def sought(name):
        one = Graph.load(PIPELINES / f"{name}.yaml").check().stages["detect"]
        return {key: parameter.default for key, parameter in parameters(one.cls).items()} | one.params

    assert sought("survey")["every"] == 5
    for name in ("faces", "faces_annotated", "people"):
        assert sought(name) == sought("survey")


def test_landmarks_move_with_the_camera_and_no_more(found):
    """The sample is a still that was filmed: its mesh moves smoothly."""
    landmarks = np.array([line["faces"][0]["landmarks"] for line in found[0]])
    jerk = np.diff(landmarks[5:], 2, axis=0)
    assert np.linalg.norm(jerk, axis=2).mean() < 0.3


def test_the_drawing_is_on_the_face(found):
    lines, drawn = found
    frames = pictures(SAMPLE)
    assert len(drawn) == len(frames)
    for index in (0, 60, 124):
        changed = np.abs(drawn[index].astype(int) - frames[index]).max(2) > 60
        x0, y0, x1, y1 = np.array(lines[index]["faces"][0]["box"]).astype(int)
        inside = changed[y0 - 40 : y1 + 40, x0 - 40 : x1 + 40].sum()
        assert inside > 0.95 * changed.sum() > 500


def test_anonymize(tmp_path):
    report = Graph.load(PIPELINES / "anonymize.yaml").run(output=str(tmp_path / "anonymous.mp4"))
    assert report.exit_code == 0
    frames, blurred = pictures(SAMPLE), pictures(tmp_path / "anonymous.mp4")
    assert len(blurred) == len(frames)
    for before, after in zip(frames[::25], blurred[::25], strict=True):
        change = np.abs(after.astype(int) - before).mean(2)
        assert change[130:240, 190:310].mean() > 10
        assert change[:, :60].mean() < 3
        detail = [np.abs(np.diff(picture[150:230, 200:300].astype(int), axis=1)).mean() for picture in (before, after)]
        assert detail[1] < 0.3 * detail[0]
