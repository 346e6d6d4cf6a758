"""A run that was ended goes on after its last whole segment, and what comes of it is what an undisturbed run writes."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_files import Clip, Sound, beep_times, beeps, number_of, packet_times, write_clip, write_sound
from runs import Run, track_ends, transcode

from graph.stage import run_stage
from stages.decode import Decode
from stages.encode import Encode
from stages.media.audio import AudioReader

RATE = Fraction(30000, 1001)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """100 frames of 30000/1001, with beeps."""
    track = Sound(beeps([0.5, 1.2, 2.8], 100 / float(RATE), 48_000))
    return write_clip(tmp_path / "clip.mp4", Clip(count=100, rate=RATE, sound=track))


def go(source: Path, target: Path, stop: int | None = None, resume: bool = False, **params: Any) -> Run:
    """decode → encode in segments of a second."""
    given = {"audio": str(source), "segment": 1.0, **params}
    decode = {"path": str(source), "until": None}
    facts = {
        "graph": "test",
        "inputs": {"video": str(source), **{name: value for name, value in given.items() if name == "crf"}},
        "stages": {
            "decode": {"use": "decode", "with": decode, "sink": False},
            "encode": {"use": "encode", "with": {"path": str(target), **given}, "sink": True},
        },
    }
    return transcode(Decode(str(source)), Encode(str(target), **given), stop, resume=resume, run_facts=facts)


def pictures(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def left_over(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()} - {"clip.mp4", "a.wav"}


CODECS = [("ffv1", ".mkv"), ("h264", ".mp4"), ("hevc", ".mov"), ("av1", ".webm"), ("vp9", ".mkv"), ("prores", ".mov")]


@pytest.mark.parametrize(("codec", "suffix"), CODECS)
def test_a_run_goes_on_where_it_was_ended(clip: Path, tmp_path: Path, codec: str, suffix: str) -> None:
    preset = {"av1": "12", "vp9": "8", "hevc": "ultrafast"}.get(codec)
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    go(clip, one, codec=codec, preset=preset)
    go(clip, two, stop=40, codec=codec, preset=preset)
    again = go(clip, two, stop=75, resume=True, codec=codec, preset=preset)
    assert again.times[0] == 40 / RATE, "nothing is encoded twice"
    last = go(clip, two, resume=True, codec=codec, preset=preset)
    assert last.times[0] == 75 / RATE
    assert (last.outputs[0].frames, last.outputs[0].duration) == (100, float(100 / RATE))
    assert packet_times(two) == packet_times(one)
    assert track_ends(two) == pytest.approx(track_ends(one))
    found, wanted = pictures(two), pictures(one)
    assert [number_of(image) for image in found] == list(range(100))
    if codec == "ffv1":
        assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
    with AudioReader(str(two)) as reader:
        assert beep_times(reader.read(0, 56_000), 16_000) == pytest.approx([0.5, 1.2, 2.8], abs=0.004)
    assert left_over(tmp_path) == {one.name, two.name}


def test_pieces_are_what_one_piece_is(clip: Path, tmp_path: Path) -> None:
    go(clip, tmp_path / "pieces.mkv", codec="ffv1")
    go(clip, tmp_path / "one.mkv", codec="ffv1", segment=0.0)
    pieces, one = pictures(tmp_path / "pieces.mkv"), pictures(tmp_path / "one.mkv")
    assert all(np.array_equal(a, b) for a, b in zip(pieces, one, strict=True))
    assert packet_times(tmp_path / "pieces.mkv") == packet_times(tmp_path / "one.mkv")
    assert track_ends(tmp_path / "pieces.mkv") == pytest.approx(track_ends(tmp_path / "one.mkv"))


def test_every_segment_begins_with_a_key_frame_and_plays(clip: Path, tmp_path: Path) -> None:
    go(clip, tmp_path / "out.mp4", stop=80)
    folder = tmp_path / "out.mp4.segments"
    rows = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert [(row["first"], row["after"], row["packets"]) for row in rows] == [(0, 30, 30), (30, 60, 30), (60, 80, 20)]
    assert [Fraction(row["begin"]) for row in rows] == [0, 30 / RATE, 60 / RATE]
    for row in rows:
        place = folder / row["file"]
        assert place.stat().st_size == row["bytes"]
        seen = [number_of(packet.frame) for packet in run_stage(Decode(str(place)))]
        assert seen == list(range(row["first"], row["after"]))
        with av.open(str(place)) as container:
            assert next(packet for packet in container.demux(video=0) if packet.size).is_keyframe


def test_a_variable_rate_is_kept(tmp_path: Path) -> None:
    steps = [Fraction(1, 25), Fraction(1, 10), Fraction(3, 50), Fraction(1, 50)]
    times = [sum(steps[: at % 4], at // 4 * sum(steps)) for at in range(60)]
    source = write_clip(tmp_path / "clip.mp4", Clip(times=times, options={"crf": "4", "preset": "veryfast"}))
    go(source, tmp_path / "one.mp4", audio=None, segment=0.0)
    go(source, tmp_path / "two.mp4", audio=None, stop=33)
    go(source, tmp_path / "two.mp4", audio=None, resume=True)
    assert packet_times(tmp_path / "two.mp4") == packet_times(tmp_path / "one.mp4") == times
    assert track_ends(tmp_path / "two.mp4")["video"] == pytest.approx(float(times[-1] + steps[-1]))


@pytest.mark.parametrize("how", ["cut", "gone", "half a line", "no journal"])
def test_a_segment_that_is_not_whole_is_made_again(clip: Path, tmp_path: Path, how: str) -> None:
    target, folder = tmp_path / "out.mkv", tmp_path / "out.mkv.segments"
    go(clip, tmp_path / "one.mkv", codec="ffv1")
    go(clip, target, stop=80, codec="ffv1")
    segment, journal = folder / "000001.mkv", folder / "journal.jsonl"
    if how == "cut":
        segment.write_bytes(segment.read_bytes()[:-100])
    elif how == "gone":
        segment.unlink()
    elif how == "half a line":
        journal.write_text(journal.read_text()[:-20])
    else:
        journal.unlink()
    run = go(clip, target, resume=True, codec="ffv1")
    assert run.times[0] == {"half a line": 60, "no journal": 0}.get(how, 30) / RATE
    found, wanted = pictures(target), pictures(tmp_path / "one.mkv")
    assert len(found) == 100
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_without_resume_a_run_begins_anew(clip: Path, tmp_path: Path) -> None:
    go(clip, tmp_path / "out.mkv", stop=80, codec="ffv1")
    run = go(clip, tmp_path / "out.mkv", codec="ffv1")
    assert len(run.times) == 100
    assert left_over(tmp_path) == {"out.mkv"}


def test_a_run_that_is_not_the_same_is_refused_and_harms_nothing(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    sound = write_sound(tmp_path / "a.wav", Sound(beeps([0.5], 3, 16_000), 16_000, "pcm_s16le"))
    go(clip, target, stop=80, crf=20.0, audio=str(sound))
    before = {one.name: one.read_bytes() for one in (tmp_path / "out.mp4.segments").iterdir()}
    with pytest.raises(ValueError, match=r"of another run: crf: 30.0, was 20.0 \("):
        go(clip, target, resume=True, crf=30.0, audio=str(sound))
    with pytest.raises(ValueError, match=r"of another run: encode.threads: 1, was none \("):
        go(clip, target, resume=True, crf=20.0, audio=str(sound), threads=1)
    kept = sound.read_bytes()
    write_sound(sound, Sound(beeps([0.6], 3, 16_000), 16_000, "pcm_s16le"))
    with pytest.raises(ValueError, match=r"a.wav has changed \("):
        go(clip, target, resume=True, crf=20.0, audio=str(sound))
    assert {one.name: one.read_bytes() for one in (tmp_path / "out.mp4.segments").iterdir()} == before
    sound.write_bytes(kept)
    assert len(go(clip, target, resume=True, crf=20.0, audio=str(sound)).times) == 20


def test_two_runs_do_not_write_one_output_and_the_second_is_told_at_once(clip: Path, tmp_path: Path) -> None:
    class Second(Encode):
        def finish(self) -> Any:
            other = Encode(str(tmp_path / "out.mkv"), codec="ffv1", segment=1.0)
            with pytest.raises(OSError, match="being written by another run"):
                other.preflight()
            with pytest.raises(OSError, match="being written by another run"):
                other.open()
            return super().finish()

    transcode(Decode(str(clip)), Second(str(tmp_path / "out.mkv"), codec="ffv1", segment=1.0))
    assert len(pictures(tmp_path / "out.mkv")) == 100


def test_with_nothing_to_go_on_with_a_run_begins_and_says_so(clip: Path, tmp_path: Path) -> None:
    run = go(clip, tmp_path / "out.mkv", codec="ffv1", resume=True)
    assert len(run.times) == 100
    assert any("begun anew" in note for note in run.notes)
    run = go(clip, tmp_path / "out.mkv", codec="ffv1", resume=True, segment=0.0)
    assert any("segment: 0" in note for note in run.notes)


@pytest.mark.parametrize(("suffix", "rate"), [(".mp4", 16_000), (".mkv", 44_100), (".webm", 44_100)])
def test_sound_that_is_encoded_ahead_is_the_sound_that_is_encoded_along(
    clip: Path, tmp_path: Path, suffix: str, rate: int
) -> None:
    """Segments are joined in the end; by then the sound has been encoded with the picture, to the same packets."""
    sound = tmp_path / "a.wav"
    write_sound(sound, Sound(beeps([0.6, 1.3, 2.9], 4, rate), rate, "pcm_s16le"))
    found = []
    for segment in (1.0, 0.0):
        target = tmp_path / f"{segment}{suffix}"
        codec = "vp9" if suffix == ".webm" else "h264"
        transcode(Decode(str(clip)), Encode(str(target), codec=codec, audio=str(sound), segment=segment))
        with av.open(str(target)) as file:
            stream = file.streams.audio[0]
            found.append([(one.pts, one.duration, bytes(one)) for one in file.demux(stream) if one.size])
    assert len(found[0]) > 50 and found[0] == found[1]
