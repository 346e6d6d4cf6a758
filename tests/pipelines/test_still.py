"""A still picture speaks: lipsync run as a user runs it, on one PNG."""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, np.ndarray[Any, Any], list[np.ndarray[Any, Any]]]:
    """The report, the still (a part of the sample's first frame) and the frames of the video, all RGB."""
    folder = tmp_path_factory.mktemp("still")
    with av.open(str(SAMPLES / "portrait.mp4")) as container:
        still = next(container.decode(video=0)).to_ndarray(format="rgb24")[20:340, 90:410]
    cv2.imwrite(str(folder / "face.png"), still[..., ::-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHRUN_HOME", str(folder / "home"))
        report = Graph.load(PIPELINES / "lipsync.yaml").run(
            video=str(folder / "face.png"), output=str(folder / "out.mp4")
        )
    with av.open(str(folder / "out.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return report, still, frames


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
