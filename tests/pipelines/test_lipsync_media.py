"""lipsync.yaml on all kinds of media: what goes in comes out, but for the mouth."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soundfile
from media_files import Clip, Picture, packet_times, psnr, shown, write_clip
from runs import track_ends

from graph.report import Report
from graph.runner import Graph
from graph.stage import run_stage
from stages.decode import Decode
from stages.media.planes import Layout, samples_of

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "pipelines" / "samples"
SIZE = 256


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place for kept results of each test's own."""
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path / "home"))


@cache
def portrait() -> list[Picture]:
    """The sample's pictures, uint8 (SIZE, SIZE, 3) RGB."""
    with av.open(str(SAMPLES / "portrait.mp4")) as file:
        whole = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    return [np.asarray(cv2.resize(one, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8) for one in whole]


def stored(number: int, clip: Clip) -> Picture:
    """A picture as it has to lie in the file so that a player shows it upright."""
    image = portrait()[number]
    image = image[:, ::-1] if clip.mirrored else image
    return np.ascontiguousarray(np.rot90(image, -(clip.rotation // 90)))


def sound(path: Path, seconds: float) -> Path:
    """The first seconds of the sample's speech."""
    samples, rate = soundfile.read(SAMPLES / "speech.wav")
    soundfile.write(path, samples[: round(seconds * rate)], rate)
    return path


def lipsync(source: Path, speech: Path, output: Path, **inputs: Any) -> Report:
    values = {"video": str(source), "audio": str(speech), "output": str(output), **inputs}
    return Graph.load(ROOT / "pipelines" / "lipsync.yaml").run(values)


BT709 = {"colorspace": 1, "color_range": 1, "color_primaries": 1, "color_trc": 1}
PQ = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 16}
GAPS = [Fraction(1, 30), Fraction(1, 15), Fraction(1, 30), Fraction(1, 10)]
VARIABLE = [sum((GAPS * 6)[:index], Fraction(0)) for index in range(18)]


@dataclass
class Row:
    """A clip, how long the sound is, and what is asked for; `frames` come out, and `says` is in a note."""

    name: str
    clip: Clip
    seconds: float
    frames: int
    into: str = "out.mp4"
    source: str = "in.mp4"
    inputs: dict[str, str] = field(default_factory=dict)
    says: str | None = None


X265 = {"crf": "4", "preset": "ultrafast", "x265-params": "log-level=error"}
ROWS = [
    Row("sound shorter, 29.97", Clip(24, Fraction(30000, 1001), colours=BT709), 0.5, 15),
    Row("sound longer, back and forth, 23.976", Clip(12, Fraction(24000, 1001)), 0.8, 19, "out.mkv"),
    Row("as long as the video, 60", Clip(30, Fraction(60)), 0.8, 30, inputs={"length": "video"}),
    Row("variable rate", Clip(times=VARIABLE, rate=Fraction(30)), 1.2, 18, "out.mov", inputs={"length": "shortest"}),
    Row("turned", Clip(15, Fraction(25), rotation=90, sar=Fraction(4, 3)), 0.6, 15, "out.mov"),
    Row("turned and mirrored, webm", Clip(15, Fraction(25), rotation=270, mirrored=True), 0.6, 15, "out.webm"),
    Row("full range", Clip(15, Fraction(25), colours={**BT709, "color_range": 2}, pix_fmt="yuvj420p"), 0.6, 15),
    Row("10 bits", Clip(15, Fraction(25), pix_fmt="yuv422p10le"), 0.6, 15, source="in.mkv"),
    Row(
        "12 bits",
        Clip(15, Fraction(25), pix_fmt="yuv420p12le", codec="libx265", options=X265),
        0.6,
        15,
        says="12 bits a sample become 10",
    ),
    Row("HDR", Clip(15, Fraction(25), pix_fmt="yuv420p10le", colours=PQ), 0.6, 15, says="HDR stays"),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name, marks=pytest.mark.slow) for row in ROWS])
def test_what_goes_in_comes_out(tmp_path: Path, row: Row) -> None:
    clip = row.clip
    clip.width = clip.height = SIZE
    clip.draw = lambda number, *_: stored(number, clip)
    source, target = write_clip(tmp_path / row.source, clip), tmp_path / row.into
    speech = sound(tmp_path / "speech.wav", row.seconds)
    codec = {"codec": "vp9", "preset": "8"} if row.into.endswith(".webm") else {}
    report = lipsync(source, speech, target, crf=8.0, **codec, **row.inputs)
    assert report.status == "done", report.error
    assert row.says is None or any(row.says in note for note in report.notes)
    check_times(row, target)
    check_pictures(row, source, target)
    check_tags(row, target)


def check_times(row: Row, target: Path) -> None:
    """Every picture at its time to a millisecond, and both tracks of one length."""
    times = list(row.clip.times or [index / row.clip.rate for index in range(row.frames)])
    heard = packet_times(target)
    assert len(heard) == row.frames
    assert max(abs(one - other) for one, other in zip(heard, times, strict=True)) <= Fraction(1, 1000)
    ends = track_ends(target)
    assert abs(ends["video"] - ends["audio"]) <= (0.1 if row.clip.times else 1 / row.clip.rate)


def check_pictures(row: Row, source: Path, target: Path) -> None:
    """Upright, its upper third as it was, and its mouth not as it was."""
    before, after = (run_stage(Decode(str(path))) for path in (source, target))
    place = [*range(len(before)), *range(len(before) - 2, 0, -1)]
    upper, mouth = slice(0, SIZE // 3), slice(SIZE // 2, SIZE)
    moved = []
    for number, packet in enumerate(after):
        was = before[place[number % len(place)]].frame
        assert packet.frame.shape == was.shape == (SIZE, SIZE, 3)
        assert psnr(packet.frame[upper], was[upper]) > 34
        moved.append(np.abs(packet.frame[mouth].astype(float) - was[mouth]).max())
    assert max(moved) > 40
    if not row.says:
        assert psnr(shown(stored(0, row.clip), row.clip), portrait()[0]) == 99
        assert psnr(after[0].frame[upper], portrait()[0][upper]) > 30


def check_tags(row: Row, target: Path) -> None:
    """The colours are told as they were, and samples have the bits that they had, as far as H.264 has them."""
    with av.open(str(target)) as container:
        stream: Any = container.streams.video[0]
        assert stream.sample_aspect_ratio == (Fraction(3, 4) if row.clip.sar != 1 else 1)
        frame = next(container.decode(stream))
    assert frame.rotation == 0
    assert {name: int(getattr(frame, name)) for name in row.clip.colours} == row.clip.colours
    wanted = row.clip.pix_fmt.replace("yuvj", "yuv").replace("12le", "10le")
    assert frame.format.name.replace("yuvj", "yuv") == wanted


LOSSLESS = [
    Clip(10, Fraction(25), codec="ffv1", options={}),
    Clip(10, Fraction(25), width=SIZE + 1, height=SIZE - 1, codec="ffv1", options={}, pix_fmt="yuv444p10le"),
    Clip(10, Fraction(25), width=SIZE - 1, height=SIZE + 1, codec="ffv1", options={}, pix_fmt="yuv420p10le"),
    Clip(10, Fraction(25), rotation=90, pix_fmt="yuv420p10le"),
]


@pytest.mark.slow
@pytest.mark.parametrize("clip", LOSSLESS, ids=lambda clip: f"{clip.pix_fmt}, {clip.width}, {clip.rotation}")
def test_around_the_mouth_the_samples_are_the_decoder_s(tmp_path: Path, clip: Clip) -> None:
    clip.width, clip.height = (SIZE, SIZE) if clip.width == 64 else (clip.width, clip.height)
    clip.draw = lambda number, *size: np.asarray(cv2.resize(stored(number, clip), size), np.uint8)
    source = write_clip(tmp_path / ("in.mp4" if clip.rotation else "in.mkv"), clip)
    speech = sound(tmp_path / "speech.wav", 0.4)
    report = lipsync(source, speech, tmp_path / "out.mkv", codec="ffv1")
    assert report.status == "done", report.error
    before, after = (run_stage(Decode(str(path), pixels="source")) for path in (source, tmp_path / "out.mkv"))
    layout = Layout(clip.pix_fmt, clip.width, clip.height)
    shares = []
    for one, other in zip(before, after, strict=True):
        for old, new in zip(samples_of(one.planes, layout), samples_of(other.planes, layout), strict=True):
            rows, columns = old.shape
            changed = old != new
            assert not changed[: rows // 3].any() and not changed[:, : columns // 6].any()
            assert not changed[:, -columns // 6 :].any()
            shares.append(changed.mean())
    assert 0.005 < np.mean(shares) < 0.25


@pytest.mark.parametrize(("seconds", "said"), [(0.0, "nothing can be decoded|zero length"), (None, "no such")])
def test_sound_that_is_none_ends_it_before_work(tmp_path: Path, seconds: float | None, said: str) -> None:
    from graph.spec import GraphMistakes

    speech = tmp_path / "speech.wav"
    if seconds is not None:
        sound(speech, seconds)
    try:
        error = str(lipsync(SAMPLES / "portrait.mp4", speech, tmp_path / "out.mp4").error)
    except GraphMistakes as mistakes:
        error = str(mistakes)
    assert any(words in error for words in said.split("|")), error
    assert not (tmp_path / "out.mp4").exists()
