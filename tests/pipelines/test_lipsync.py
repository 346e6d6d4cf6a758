"""lipsync.yaml from end to end, in real processes, on the sample and on real clips: what a user sees is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soundfile

from graph.report import Report
from graph.runner import Graph

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "pipelines" / "samples"
MEDIA = Path(os.environ.get("GRAPHRUN_MEDIA", ROOT.parent / "shared" / "media"))


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for kept results of this module's own."""
    folder = tmp_path_factory.mktemp("home")
    os.environ["GRAPHRUN_HOME"] = str(folder)
    yield folder
    del os.environ["GRAPHRUN_HOME"]


def lipsync(output: Path, changes: dict[str, Any] | None = None, **inputs: str) -> Report:
    values = {"output": str(output), **inputs}
    return Graph.load(ROOT / "pipelines" / "lipsync.yaml").run(values, changes=changes)


def tracks(path: Path) -> dict[str, Any]:
    """Frames, exact rate, and where each track ends in seconds."""
    with av.open(str(path)) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        ends = [float((stream.start_time + stream.duration) * stream.time_base) for stream in (video, audio)]
        frames = sum(1 for _ in file.decode(video))
        return {"frames": frames, "rate": video.average_rate, "video_end": ends[0], "audio_end": ends[1]}


def score(output: Path, home: Path, source: Path) -> dict[str, Any]:
    """What tools/lipscore.py says of an output, against the newest path that was kept."""
    path = max((home / "kept").glob("mouth-*.csv"), key=lambda one: one.stat().st_mtime)
    command = [sys.executable, str(ROOT / "tools" / "lipscore.py"), str(output), "--json"]
    ended = subprocess.run(
        [*command, "--target", str(path), "--source", str(source)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(ended.stdout))


def test_the_sample_speaks(tmp_path: Path, home: Path) -> None:
    output = tmp_path / "out.mp4"
    report = lipsync(output)
    assert report.status == "done", report.error
    seconds = soundfile.info(SAMPLES / "speech.wav").duration
    found = tracks(output)
    assert abs(found["frames"] - seconds * 25) <= 1
    assert found["rate"] == Fraction(25)
    assert abs(found["video_end"] - found["audio_end"]) <= 1 / 25
    assert report.packets == found["frames"] == report.outputs[0]["frames"]
    assert report.stages["diffuse"]["about"]["model"] == "warp"
    assert any("warp" in note for note in report.notes), "which generator ran, and why, is said"
    scores = score(output, home, SAMPLES / "portrait.mp4")
    assert scores["target"]["aperture"] >= 0.7
    assert scores["target"]["open_in_silence"] <= scores["target"]["shut_below"] * 1.5
    assert scores["source"]["psnr_outside_db"] > 40


def test_a_still_speaks(tmp_path: Path) -> None:
    with av.open(str(SAMPLES / "portrait.mp4")) as file:
        picture = next(file.decode(video=0)).to_ndarray(format="bgr24")
    cv2.imwrite(str(tmp_path / "still.png"), picture)
    report = lipsync(tmp_path / "out.mp4", video=str(tmp_path / "still.png"))
    assert report.status == "done", report.error
    assert abs(tracks(tmp_path / "out.mp4")["frames"] - 100) <= 1


@pytest.mark.parametrize(("length", "frames"), [("audio", 100), ("video", 125), ("shortest", 100)])
def test_how_long_it_lasts(tmp_path: Path, length: str, frames: int) -> None:
    report = lipsync(tmp_path / "out.mp4", length=length)
    assert report.status == "done", report.error
    found = tracks(tmp_path / "out.mp4")
    assert abs(found["frames"] - frames) <= 1
    assert abs(found["video_end"] - found["audio_end"]) <= 1 / 25


@pytest.mark.timed
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    sound, rate = soundfile.read(SAMPLES / "speech.wav")
    peaks = []
    for seconds in (24, 96):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, np.tile(sound, seconds // 4), rate)
        report = lipsync(tmp_path / "out.mp4", audio=str(path))
        assert report.status == "done", report.error
        peaks.append(report.memory["pss_peak"])
    assert peaks[1] < 1.05 * peaks[0]
    assert peaks[1] < 900e6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("video", "audio", "rate"),
    [("st_aoc.mp4", "st_deyu.wav", 25), ("mt_sun.mp4", "st_deyu.wav", 25), ("vr_1.mp4", "", 0)],
)
def test_real_clips_speak(tmp_path: Path, home: Path, video: str, audio: str, rate: int) -> None:
    if not (MEDIA / video).exists():
        pytest.skip(f"no real clips at {MEDIA} (GRAPHRUN_MEDIA)")
    sound = str(MEDIA / (audio or video))
    output = tmp_path / "out.mp4"
    report = lipsync(output, video=str(MEDIA / video), audio=sound)
    assert report.status == "done", report.error
    found = tracks(output)
    if rate:
        seconds = soundfile.info(sound).duration
        assert found["rate"] == rate
        assert abs(found["frames"] - seconds * rate) <= 1
    assert abs(found["video_end"] - found["audio_end"]) <= 0.07
    scores = score(output, home, MEDIA / video)
    assert scores["target"]["aperture"] >= 0.7
    assert scores["source"]["psnr_outside_db"] > 38
