"""A line of JSON a frame, and a file that is there when it is whole."""

from __future__ import annotations

import json

import numpy as np
import pytest

from graph.stage import run_stage
from stages.faces_jsonl import FacesJsonl

FACE = np.array([10.123456, 20, 110, 140, 0.87654321, *range(10)], np.float32)


def rows():
    landmarks = np.arange(936, dtype=np.float32).reshape(1, 468, 2) / 7
    found = {"faces": FACE[None], "ids": np.array([5], np.int32), "meshes": landmarks}
    none = {name: value[:0] for name, value in found.items()}
    return [found, none, found]


def test_lines(tmp_path):
    path = tmp_path / "faces.jsonl"
    stage = FacesJsonl(str(path))
    run_stage(stage, rows(), rate=25)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    told = [(line["index"], line["time"], len(line["faces"])) for line in lines]
    assert told == [(0, 0, 1), (1, 0.04, 0), (2, 0.08, 1)]
    (face,) = lines[0]["faces"]
    assert face["id"] == 5
    assert face["box"] == [10.12, 20, 110, 140]
    assert face["score"] == 0.8765
    assert face["points"] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    np.testing.assert_allclose(face["landmarks"], rows()[0]["meshes"][0], atol=0.0051)
    assert stage.counts == {"faces": 2}


def test_faces_alone_and_unknown_points(tmp_path):
    face = FACE.copy()
    face[5:] = np.nan
    stage = FacesJsonl(str(tmp_path / "faces.jsonl"), meshes=False, digits=0)
    assert set(stage.reads) == {"faces"}
    run_stage(stage, [{"faces": face[None]}])
    (line,) = map(json.loads, (tmp_path / "faces.jsonl").read_text().splitlines())
    assert line["faces"] == [{"box": [10, 20, 110, 140], "score": 0.8765, "points": [[None, None]] * 5}]


def test_a_run_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "faces.jsonl"
    path.write_text("before")
    stage = FacesJsonl(str(path))
    stage.open()
    stage.close()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_finish_tells_the_file(tmp_path):
    stage = FacesJsonl(str(tmp_path / "faces.jsonl"))
    stage.open()
    (output,) = stage.finish()
    stage.close()
    assert (output.path, output.frames) == (str(tmp_path / "faces.jsonl"), 0)


def test_wrong_parameters(tmp_path):
    with pytest.raises(ValueError, match="digits has to be"):
        FacesJsonl("faces.jsonl", digits=9)
    with pytest.raises(ValueError, match="is a folder"):
        FacesJsonl(str(tmp_path)).open()
    with pytest.raises(OSError, match="nowhere"):
        FacesJsonl(str(tmp_path / "nowhere" / "faces.jsonl")).open()
