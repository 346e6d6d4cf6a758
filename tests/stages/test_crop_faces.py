"""From detection to the crop, as lipsync.yaml does it: steady on a still head, new at every cut, nothing in profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from face_clips import portrait, with_heads

from graph.stage import Packet, run_stage
from models.mouth.geometry import pose
from models.mouth.path import MouthPath
from stages.crop import Crop
from stages.detect import Detect
from stages.diffuse import Diffuse
from stages.landmarks import Landmarks
from stages.survey import SurveySink
from stages.track import Track

Frames = list[np.ndarray]


def surveyed(frames: Frames, folder: Path, face: str = "largest") -> list[dict[str, Any]]:
    """Frames with their landmarks, by the stages of survey.yaml and the one that reads what they found."""
    found = run_stage(Detect(every=5, device="cpu"), [{"frame": frame} for frame in frames])
    given = [{"frame": packet.frame, "faces": packet.faces} for packet in found]
    tracked = run_stage(Track(face=face, smooth=False, device="cpu"), given)
    run_stage(SurveySink(str(folder)), [packet.fields() for packet in tracked])
    rows = [{"frame": frame, "source_index": index} for index, frame in enumerate(frames)]
    return [packet.fields() for packet in run_stage(Landmarks(str(folder)), rows)]


def corners(packets: list[Packet]) -> np.ndarray:
    """Where the crop's first and last pixel lie in the frame: [n, 2, 2]."""
    found = []
    for packet in packets:
        back = cv2.invertAffineTransform(packet.placement)
        ends = np.array([[0, 0], [packet.crop.shape[1] - 1] * 2])
        found.append(ends @ back[:, :2].T + back[:, 2])
    return np.array(found)


@pytest.mark.parametrize("model", ["wav2lip", "diff2lip", "auto"])
def test_the_crop_of_a_still_head_stays_where_it_is(model: Any, tmp_path: Path) -> None:
    """Grain and compression move its corners by less than 0.3 px."""
    random = np.random.default_rng(1)
    frames = []
    for _ in range(40):
        grainy = np.clip(portrait() + random.normal(0, 4, portrait().shape), 0, 255).astype(np.uint8)
        _, packed = cv2.imencode(".jpg", grainy, [cv2.IMWRITE_JPEG_QUALITY, 70])
        frames.append(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    places = corners(run_stage(Crop(model, survey=str(tmp_path)), surveyed(frames, tmp_path)))[5:]
    assert places.std(0).max() < 0.3
    assert np.abs(np.diff(places, axis=0)).mean() < 0.15
    if model == "auto":
        assert not np.diff(places, axis=0).any(), "whole pixels, so nothing is resampled"


def test_no_crop_spans_a_cut(tmp_path: Path) -> None:
    """Every frame's crop is what it is in a video of its scene alone, though heads move and five cuts lie between."""
    places = [(200, 170, 180), (420, 190, 240), (320, 180, 280), (170, 160, 160), (480, 200, 220), (300, 180, 200)]
    scenes = [
        [with_heads([(x + 3 * index, y - index, height)], seed) for index in range(15)]
        for seed, (x, y, height) in enumerate(places)
    ]
    whole = surveyed([frame for scene in scenes for frame in scene], tmp_path / "whole")
    assert [row["source_index"] for row in whole if row["face"]["cut"]] == [15, 30, 45, 60, 75]
    for number, scene in enumerate(scenes):
        alone = surveyed(scene, tmp_path / f"scene{number}")
        inside = whole[15 * number : 15 * number + 15]
        for crop in (Crop("wav2lip"), Crop("auto", size=256)):
            one, other = run_stage(crop, inside), run_stage(crop, alone)
            np.testing.assert_allclose(corners(one), corners(other), atol=0.05)
            for a, b in zip(one, other, strict=True):
                assert np.abs(a.crop.astype(int) - b.crop).mean() < 0.5


@pytest.mark.parametrize("limit", [20.0, 40.0, 60.0])
@pytest.mark.parametrize("side", [-1, 1])
def test_heads_that_are_turned_further_than_profile_pass_through(limit: float, side: int, tmp_path: Path) -> None:
    """By degrees as models.mouth.geometry.pose has them; counted, and nothing of the crop may be used."""
    rows = surveyed([portrait()] * 3, tmp_path / "survey")
    times = np.arange(100) / 50
    shut = np.zeros(100, bool)
    MouthPath(times, np.full((100, 4), 0.5, np.float32), shut, shut).write(tmp_path / "mouth.csv")
    turned = []
    for degrees in (limit - 5, limit + 5):
        points = rows[0]["landmarks"].copy()
        right, left = points[234], points[454]
        # the nose at the place between the ears that such a turn brings it to
        points[1] = right + (0.5 + 0.55 * np.tan(np.radians(side * degrees))) * (left - right)
        assert abs(pose(points)[0]) == pytest.approx(degrees, abs=0.1)
        turned.append({**rows[0], "landmarks": points})
    stage = Diffuse("warp", str(tmp_path / "survey"), str(tmp_path / "mouth.csv"), profile=limit)
    near, far = run_stage(stage, [packet.fields() for packet in run_stage(Crop("warp", size=256), turned)])
    assert near.mask.any() and not far.mask.any()
    assert np.array_equal(far.drawn, far.crop)
    assert stage.counts["passed_through"] == 1


def test_profile_is_a_parameter_with_bounds() -> None:
    for wrong in (4.0, 91.0):
        with pytest.raises(ValueError, match="profile has to lie between 5 and 90"):
            Diffuse("warp", "survey", "mouth.csv", profile=wrong)
