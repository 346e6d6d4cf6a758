"""lipscore tells a mouth that follows from one that does not, and a clean picture from a spoilt one."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from models.mouth.geometry import measure
from models.mouth.path import MouthPath

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "models" / "mouth"))
from person import Person, portrait, speaking_person  # noqa: E402


def lipscore() -> Any:
    spec = importlib.util.spec_from_file_location("lipscore", ROOT / "tools" / "lipscore.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["lipscore"] = module
    spec.loader.exec_module(module)
    return module


def video(path: Path, frames: list[Any]) -> str:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    return str(path)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return speaking_person(tmp_path_factory.mktemp("person"), 40)


def path_csv(person: Person, place: Path, order: int = 1) -> str:
    known = measure(person.landmarks)[::order, :2]
    units = (known - known.min(0)) / np.ptp(known, axis=0)
    none = np.zeros(len(units), bool)
    values = np.concatenate([units, units * 0], 1).astype(np.float32)
    MouthPath(np.arange(len(units)) / 25, values, none, units[:, 0] < 0.02).write(place)
    return str(place)


def test_a_mouth_that_follows_scores_high(person: Person, tmp_path: Path) -> None:
    tool = lipscore()
    spoken = video(tmp_path / "spoken.mkv", person.frames)
    still = video(tmp_path / "still.mkv", [person.frames[10]] * 40)  # the mouth wide open
    target = path_csv(person, tmp_path / "target.csv")
    good, got = tool.score(spoken, target, spoken, spoken)
    assert good["target"]["aperture"] > 0.85 and abs(good["target"]["aperture_lag_s"]) <= 0.04
    assert good["target"]["closures"] >= 2 and good["target"]["closures_hit"] > 0.6
    assert good["truth"]["aperture"] == pytest.approx(1.0)
    assert good["source"] == {  # and no seam, since nothing was changed
        "flicker": 1.0,
        "flicker_mouth": 1.0,
        "sharpness": 1.0,
        "psnr_outside_db": pytest.approx(138.13, abs=0.1),
    }
    bad = tool.score(still, target, None, spoken)[0]["target"]
    assert abs(bad["aperture"]) < 0.5 and bad["closures_hit"] == 0
    tool.plot_scores(got, target, None, tmp_path / "curves.png")
    page = cv2.imread(str(tmp_path / "curves.png"))
    red, green = (page[..., 2] > page[..., 0] + 60), (page[..., 1] > page[..., 0] + 40)
    assert (red.any(0) | green.any(0)).sum() > 150  # curves over a second and a half
    tool.sheet(spoken, got.landmarks, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_blur_and_damage_are_seen(person: Person, tmp_path: Path) -> None:
    tool = lipscore()
    damaged = []
    for frame in person.frames[:10]:
        soft = (
            frame.astype(np.uint16) + np.roll(frame, 2, 0) + np.roll(frame, 2, 1) + np.roll(frame, (2, 2), (0, 1))
        ) // 4
        soft[:40] = 0
        damaged.append(soft.astype(np.uint8))
    source = video(tmp_path / "source.mkv", person.frames[:6])  # shorter: played back and forth
    scores, _ = tool.score(video(tmp_path / "damaged.mkv", damaged), None, None, source)
    assert scores["source"]["sharpness"] < 0.7
    assert scores["source"]["psnr_outside_db"] < 25


def flickers(person: Person, tmp_path: Path, drawn: list[Any], source: list[Any]) -> dict[str, float]:
    paths = [video(tmp_path / f"{name}.mkv", frames) for name, frames in (("out", drawn), ("src", source))]
    lipscore()
    from mouthpictures import picture_scores

    return picture_scores(*paths, person.landmarks[: len(drawn)])


def test_a_mouth_that_speaks_over_one_at_rest_does_not_flicker(person: Person, tmp_path: Path) -> None:
    still = [portrait()] * 20
    assert flickers(person, tmp_path, person.frames[:20], still)["flicker"] < 1.3


def test_light_that_pumps_is_flicker(person: Person, tmp_path: Path) -> None:
    # two levels more and less on the lower face, from frame to frame, on a mouth that moves as its source does
    chin = person.landmarks[0][[205, 425, 152]]
    left, right, bottom = int(chin[0, 0]), int(chin[1, 0]), int(chin[2, 1])
    pumped = [frame.copy() for frame in person.frames[:20]]
    for index, frame in enumerate(pumped):
        frame[int(chin[0, 1]) : bottom, left:right] += np.uint8(3 * (index % 2))
    assert flickers(person, tmp_path, pumped, person.frames[:20])["flicker"] > 1.3


def test_a_seam_is_found_where_the_picture_was_changed(person: Person, tmp_path: Path) -> None:
    # a patch beside the jaw, where nobody would look for a mouth, laid over with hard edges or with soft ones
    x, y = person.landmarks[0][172].astype(int)
    hard = np.zeros(portrait().shape[:2], np.float32)
    hard[y - 40 : y + 40, x - 40 : x + 40] = 14
    scores = [
        flickers(
            person,
            tmp_path,
            [np.clip(f + a[..., None], 0, 255).astype(np.uint8) for f in person.frames[:4]],
            person.frames[:4],
        )
        for a in (hard, cv2.GaussianBlur(hard, (0, 0), 12))
    ]
    assert scores[0]["seam"] > 1.1 > scores[1]["seam"]


def test_a_source_bounces(tmp_path: Path) -> None:
    numbered = [np.full((64, 64, 3), 20 * index, np.uint8) for index in range(5)]
    lipscore()
    from mouthpictures import bounced

    frames = bounced(video(tmp_path / "numbered.mkv", numbered))
    shown = [int(next(frames)[0, 0, 0]) // 20 for _ in range(12)]
    assert shown == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]


def test_the_command_prints_json_and_one_line_for_a_wrong_file(person: Person, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools" / "lipscore.py")]
    spoken = video(tmp_path / "spoken.mkv", person.frames[:5])
    done = subprocess.run([*command, spoken, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["frames"] == 5
    wrong = subprocess.run([*command, str(tmp_path / "none.mp4")], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1 and wrong.stderr.startswith("lipscore: ") and wrong.stderr.count("\n") == 1
