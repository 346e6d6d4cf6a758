"""A still picture speaks: lipsync run as a user runs it, on one PNG."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from graph.runner import Graph
from models.mouth.survey import Survey

PIPELINES = Path(__file__).parents[2] / "pipelines"
SAMPLES = PIPELINES / "samples"
LIPSYNC = PIPELINES / "lipsync.yaml"
Frames = list[np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With `face.png` in it, a part of the sample's first frame, and what runs first kept for all tests."""
    folder = tmp_path_factory.mktemp("still")
    with av.open(str(SAMPLES / "portrait.mp4")) as container:
        still = next(container.decode(video=0)).to_ndarray(format="rgb24")[20:340, 90:410]
    cv2.imwrite(str(folder / "face.png"), still[..., ::-1])
    return folder


def frames_of(path: Path) -> Frames:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def spoken(folder: Path) -> tuple[Any, np.ndarray[Any, Any], Frames]:
    """The report, the still and the frames of the video, all RGB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHRUN_HOME", str(folder / "home"))
        report = Graph.load(LIPSYNC).run(video=str(folder / "face.png"), output=str(folder / "out.mp4"))
    still = np.ascontiguousarray(cv2.imread(str(folder / "face.png"))[..., ::-1])
    return report, still, frames_of(folder / "out.mp4")


def test_a_still_lasts_as_long_as_the_sound(spoken: Any) -> None:
    report, _, frames = spoken
    assert report.exit_code == 0
    assert abs(len(frames) / 25 - 4.0) <= 1 / 25
    assert any("draws with warp" in note for note in report.notes)


def test_its_mouth_moves_and_the_rest_of_it_does_not(spoken: Any, tmp_path: Path) -> None:
    _, still, frames = spoken
    report = Graph.load(PIPELINES / "survey.yaml").run(video=_written(still, tmp_path), output=str(tmp_path / "survey"))
    assert report.exit_code == 0
    with Survey(tmp_path / "survey") as survey:
        assert survey.count == 1
        landmarks, _ = survey.landmarks(0)
    moves = np.abs(np.diff(np.stack([frame.mean(2) for frame in frames]), axis=0)).mean(0)
    x, y = landmarks[13].round().astype(int)
    assert moves[y - 4 : y + 12, x - 12 : x + 12].mean() > 10 * moves[: int(landmarks[2, 1]) - 8].mean()
    above = np.stack(frames)[:, : int(landmarks[2, 1]) - 8].astype(np.float32)
    assert np.abs(above - still[: above.shape[1]]).mean() < 3


def _written(still: np.ndarray[Any, Any], folder: Path) -> str:
    cv2.imwrite(str(folder / "face.png"), still[..., ::-1])
    return str(folder / "face.png")


def graphrun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("graphrun"), LIPSYNC, *words],
        cwd=folder,
        env={**os.environ, "GRAPHRUN_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )


def lossless(folder: Path, name: str, *words: str) -> Frames:
    """The frames of a run, as they went to the encoder."""
    ended = graphrun(folder, "video=face.png", f"output={name}", "codec=ffv1", *words)
    assert ended.returncode == 0, ended.stderr
    return frames_of(folder / name)


def test_a_head_moves_on_demand_and_in_parts_as_in_one_run(spoken: Any, folder: Path) -> None:
    still = lossless(folder, "still.mkv")
    whole = lossless(folder, "whole.mkv", "motion=1")
    parts = lossless(folder, "parts.mkv", "motion=1", "--parts", "2")
    assert np.array_equal(whole[0], still[0])
    assert len(whole) == len(still) and np.array_equal(np.stack(whole), np.stack(parts))
    moved = np.abs(np.stack(whole).astype(int) - np.stack(still)).max((0, 3))
    assert not moved[[0, -1]].any() and not moved[:, [0, -1]].any()
    assert (moved > 20).mean() > 0.1
    eyes = slice(100, 130), slice(110, 210)
    assert np.abs(whole[50][eyes].astype(int) - still[50][eyes]).mean() > 3


def test_without_motion_no_stage_is_there_that_could_move_anything(folder: Path) -> None:
    video = str(folder / "face.png")
    graph = Graph.load(LIPSYNC)
    without, same, swayed = (graph.check(video=video, **given) for given in ({}, {"motion": 0.0}, {"motion": 0.1}))
    assert list(without.stages) == list(same.stages) == [name for name in swayed.stages if name != "sway"]
    assert without.plan == same.plan
    assert "composed" in without.stages["encode"].reads and "swayed" in swayed.stages["encode"].reads


def test_the_head_of_a_video_is_left_to_itself(tmp_path: Path) -> None:
    refused = graphrun(tmp_path, "motion=0.5", "output=out.mp4", "--report", "run.json")
    assert refused.returncode == 1
    assert "stage 'sway': motion moves the head of a single picture, but" in refused.stderr.splitlines()[-1]
    report = json.loads((tmp_path / "run.json").read_text())
    assert (report["first"], report["packets"]) == ({}, 0), "before the first pass over the video"
    assert not (tmp_path / "out.mp4").exists()
    assert "motion has to lie between 0 and 1, not 1.5" in graphrun(tmp_path, "motion=1.5").stderr
