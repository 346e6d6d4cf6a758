"""What goes in comes out: every frame at its time, in its colours, with its sound; and no surprise where it cannot."""

import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from media_files import (
    Clip,
    Sound,
    beep_times,
    beeps,
    number_of,
    packet_times,
    picture,
    psnr,
    shown,
    write_clip,
    write_sound,
)
from runs import track_ends, transcode

from graph.stage import Caps, Packet, infer_caps, run_stage
from stages.decode import Decode
from stages.encode import Encode
from stages.media.audio import AudioReader

ROOT = Path(__file__).parents[2]
RATES = ["24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60"]


def decoded(path: Path) -> list[Packet]:
    return run_stage(Decode(str(path)))


def run(source: Path, target: Path, **given: Any) -> Any:
    return transcode(Decode(str(source)), Encode(str(target), **given))


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "h264"), (".mov", "h264"), (".mkv", "h264"), (".webm", "vp9")])
@pytest.mark.parametrize("rate", RATES)
def test_rates_and_times_are_kept(tmp_path: Path, rate: str, suffix: str, codec: str) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=40, rate=Fraction(rate)))
    target = tmp_path / f"out{suffix}"
    preset = "8" if codec == "vp9" else None
    [output] = run(source, target, codec=codec, preset=preset).outputs
    packets = decoded(target)
    assert [number_of(packet.frame) for packet in packets] == list(range(40))
    assert [packet.time for packet in packets] == [index / Fraction(rate) for index in range(40)]
    assert (output.path, output.frames) == (str(target), 40)
    assert output.duration == pytest.approx(40 / Fraction(rate))
    assert track_ends(target)["video"] == pytest.approx(float(40 / Fraction(rate)), abs=0.001)
    with av.open(str(target)) as container:
        assert container.start_time == 0
        if suffix in (".mp4", ".mov"):
            assert container.streams.video[0].average_rate == Fraction(rate)


def test_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    gaps = [Fraction(1, 30), Fraction(1, 15), Fraction(1, 30), Fraction(1, 10), Fraction(1, 90)] * 12
    times = [sum(gaps[:index], Fraction(0)) for index in range(60)]
    source = write_clip(tmp_path / "in.mp4", Clip(times=times, rate=Fraction(30), start=Fraction(1, 30)))
    for name, allowed in (("out.mp4", 0), ("out.mov", 0), ("out.mkv", Fraction(1, 1000))):
        run(source, tmp_path / name)
        heard = packet_times(tmp_path / name)
        assert len(heard) == 60
        assert max(abs(one - other) for one, other in zip(heard, times, strict=True)) <= allowed
        assert [number_of(packet.frame) for packet in decoded(tmp_path / name)] == list(range(60))


@pytest.mark.parametrize("segment", [0.0, 20.0])
@pytest.mark.parametrize("frames", [46, 47, 48, 51])
def test_the_last_picture_of_a_variable_rate_is_shown_as_long_as_it_was(
    tmp_path: Path, frames: int, segment: float
) -> None:
    gaps = [Fraction(1, 30), Fraction(1, 15), Fraction(1, 30), Fraction(1, 10), Fraction(1, 90)] * 11
    times = [sum(gaps[:index], Fraction(0)) for index in range(frames)]
    options = {"preset": "veryfast", "bf": "0"}
    source = write_clip(tmp_path / "in.mp4", Clip(times=times, rate=Fraction(30), options=options))
    for suffix in (".mp4", ".mov", ".mkv"):
        [output] = run(source, tmp_path / f"out{suffix}", segment=segment).outputs
        assert output.duration == pytest.approx(track_ends(source)["video"], abs=0.001)
        assert track_ends(tmp_path / f"out{suffix}")["video"] == pytest.approx(output.duration, abs=0.0015)


CODECS = [
    (".mp4", "h264", 34),
    (".mov", "h264", 34),
    (".mkv", "h264", 34),
    (".mp4", "hevc", 34),
    (".mov", "hevc", 34),
    (".mkv", "hevc", 34),
    (".mp4", "av1", 32),
    (".webm", "av1", 32),
    (".webm", "vp9", 32),
    (".mkv", "vp9", 32),
    (".mov", "prores", 34),
    (".mkv", "ffv1", 99),
]


@pytest.mark.parametrize(("suffix", "codec", "quality"), CODECS)
def test_codecs_and_containers(tmp_path: Path, suffix: str, codec: str, quality: float) -> None:
    source = write_clip(tmp_path / "in.mkv", Clip(count=12, width=192, height=128, codec="ffv1", options={}))
    target = tmp_path / f"out{suffix}"
    run(source, target, codec=codec, preset={"vp9": "8", "hevc": "ultrafast"}.get(codec))
    for one, other in zip(decoded(source), decoded(target), strict=True):
        assert one.time == other.time
        assert psnr(one.frame, other.frame) >= quality
    with av.open(str(target)) as container:
        assert (
            container.streams.video[0].codec_context.name.split("-")[0]
            in {
                "h264": ("h264",),
                "hevc": ("hevc",),
                "av1": ("av1", "libdav1d"),
                "vp9": ("vp9", "libvpx"),
                "prores": ("prores",),
                "ffv1": ("ffv1",),
            }[codec]
        )


@pytest.mark.parametrize(("width", "height"), [(65, 48), (64, 49), (131, 97)])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "ffv1", "prores"])
def test_odd_sizes_survive(tmp_path: Path, codec: str, width: int, height: int) -> None:
    clip = Clip(count=3, width=width, height=height, codec="ffv1", options={}, pix_fmt="yuv444p")
    source = write_clip(tmp_path / "in.mkv", clip)
    target = tmp_path / ("out.mov" if codec == "prores" else "out.mkv")
    preset = {"av1": "12", "vp9": "8", "hevc": "ultrafast"}.get(codec)
    result = run(source, target, codec=codec, preset=preset)
    packets = decoded(target)
    assert packets[0].frame.shape == (height, width, 3)
    assert [number_of(packet.frame) for packet in packets] == [0, 1, 2]
    assert psnr(packets[2].frame, picture(2, width, height)) > 28
    assert any("odd" in note for note in result.notes) == (codec in ("h264", "hevc", "prores"))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotated_clips_come_out_upright(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    clip = Clip(count=4, width=128, height=96, rotation=rotation, mirrored=mirrored, sar=Fraction(4, 3))
    source = write_clip(tmp_path / "in.mp4", clip)
    run(source, tmp_path / "out.mp4", crf=8.0)
    with av.open(str(tmp_path / "out.mp4")) as container:
        [stream] = container.streams.video
        expected = Fraction(3, 4) if rotation in (90, 270) else Fraction(4, 3)
        assert stream.sample_aspect_ratio == expected
        for index, frame in enumerate(container.decode(stream)):
            assert frame.rotation == 0
            assert psnr(frame.to_ndarray(format="rgb24"), shown(picture(index, 128, 96), clip)) > 30


COLOURS = [(1, 1, 1, 1), (6, 1, 6, 6), (5, 2, 5, 1), (1, 2, 1, 13), (9, 1, 9, 14), (2, 0, 2, 2)]


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "prores"])
@pytest.mark.parametrize(("matrix", "range_", "primaries", "transfer"), COLOURS)
def test_colours_come_out_as_they_went_in(
    tmp_path: Path, codec: str, matrix: int, range_: int, primaries: int, transfer: int
) -> None:
    colours = {"colorspace": matrix, "color_range": range_, "color_primaries": primaries, "color_trc": transfer}
    clip = Clip(count=2, width=96, height=64, codec="libx264", colours=colours, options={"crf": "1"})
    source = write_clip(tmp_path / "in.mp4", clip)
    target = tmp_path / ("out.mov" if codec in ("prores", "h264") else "out.mkv")
    run(source, target, codec=codec, **({} if codec == "prores" else {"crf": 4.0}))
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
    assert frame.colorspace == matrix
    assert frame.color_range in ((1,) if codec == "prores" else (range_,) if range_ else (0, 1))
    if codec != "vp9":
        assert (frame.color_primaries, frame.color_trc) == (primaries, transfer)
    before, after = decoded(source)[1].frame[34:], decoded(target)[1].frame[34:]
    assert np.abs((before.astype(float) - after).mean(axis=(0, 1))).max() < 1.2


def test_lossless_is_lossless(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=10, width=128, height=96))
    run(source, tmp_path / "out.mkv", codec="ffv1")
    for one, other in zip(decoded(source), decoded(tmp_path / "out.mkv"), strict=True):
        assert np.array_equal(one.frame, other.frame)


def test_decoding_and_encoding_again_does_not_shift_the_picture(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).normal(0, 6, (96, 128, 3))
    image = (picture(3, 128, 96) * 0.8 + 20 + noise).clip(0, 255).astype(np.uint8)
    encode = Encode(str(tmp_path / "a.mp4"), crf=0.0)
    run_stage(encode, [{"frame": image}], stream={"time_base": "1/25"})
    first = decoded(tmp_path / "a.mp4")[0].frame
    for _ in range(4):
        run(tmp_path / "a.mp4", tmp_path / "b.mp4", crf=0.0)
        (tmp_path / "b.mp4").replace(tmp_path / "a.mp4")
    last = decoded(tmp_path / "a.mp4")[0].frame
    assert np.abs((last.astype(float) - first).mean(axis=(0, 1))).max() < 0.3
    assert psnr(first, last) > 40


LENGTHS = [1.2, 1.96, 2.0, 2.04, 3.5]


@pytest.mark.parametrize("rate", ["25", "60000/1001"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
@pytest.mark.parametrize("seconds", LENGTHS)
def test_both_tracks_end_together(tmp_path: Path, seconds: float, suffix: str, rate: str) -> None:
    frame = float(1 / Fraction(rate))
    source = write_clip(tmp_path / "in.mp4", Clip(count=round(2 / frame), rate=Fraction(rate)))
    sound = write_sound(tmp_path / "a.m4a", Sound(beeps([0.5, 1.0], seconds, 44_100, 2), 44_100))
    target = tmp_path / f"out{suffix}"
    codec = "vp9" if suffix == ".webm" else "h264"
    run(source, target, audio=str(sound), codec=codec, preset="8" if codec == "vp9" else None)
    ends = track_ends(target)
    assert ends["video"] == pytest.approx(2, abs=frame)
    assert abs(ends["audio"] - ends["video"]) <= frame
    with AudioReader(str(target)) as reader:
        assert beep_times(reader.read(0, 32_000), 16_000) == pytest.approx([0.5, 1.0], abs=0.003)
        rate_kept = 48_000 if suffix == ".webm" else 44_100
        assert (reader.source_rate, reader.channels) == (rate_kept, 2)


SOUNDS = [
    ("a.wav", "pcm_s16le", 8_000, 1, ".mp4", "aac", 8_000),
    ("a.wav", "pcm_s24le", 192_000, 2, ".mp4", "aac", 96_000),
    ("a.wav", "pcm_s16le", 48_000, 6, ".mp4", "aac", 48_000),
    ("a.wav", "pcm_s16le", 48_000, 2, ".mov", "pcm_s16le", 48_000),
    ("a.wav", "pcm_s16le", 48_000, 2, ".mkv", "pcm_s16le", 48_000),
    ("a.flac", "flac", 44_100, 2, ".mkv", "flac", 44_100),
    ("a.mp3", "libmp3lame", 44_100, 2, ".mp4", "mp3float", 44_100),
    ("a.m4a", "aac", 32_000, 1, ".mov", "aac", 32_000),
    ("a.ogg", "libopus", 48_000, 2, ".webm", "opus", 48_000),
    ("a.m4a", "aac", 44_100, 6, ".webm", "opus", 48_000),
]


@pytest.mark.parametrize(("name", "codec", "rate", "channels", "suffix", "expected", "kept"), SOUNDS)
def test_sound_keeps_its_rate_and_channels(
    tmp_path: Path, name: str, codec: str, rate: int, channels: int, suffix: str, expected: str, kept: int
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=50))
    sound = write_sound(tmp_path / name, Sound(beeps([0.5, 1.5], 2.0, rate, channels), rate, codec))
    target = tmp_path / f"out{suffix}"
    video = {"codec": "vp9", "preset": "8"} if suffix == ".webm" else {}
    run(source, target, audio=str(sound), **video)
    with av.open(str(target)) as container:
        [stream] = container.streams.audio
        name = stream.codec_context.name
        assert {"libopus": "opus", "mp3": "mp3float"}.get(name, name) == expected
        assert (stream.rate, stream.channels) == (kept, channels)
    with AudioReader(str(target)) as reader:
        assert beep_times(reader.read(0, 32_000), 16_000) == pytest.approx([0.5, 1.5], abs=0.004)
    assert abs(track_ends(target)["audio"] - 2) <= 0.04


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(("video_start", "sound_start"), [(0, 0), (0.5, 0), (0, 0.3), (0.2, 0.1)])
def test_sound_stays_in_sync_whichever_begins_first(
    tmp_path: Path, suffix: str, video_start: float, sound_start: float
) -> None:
    sound = Sound(beeps([1 - sound_start, 1.5 - sound_start], 2, 48_000), start=Fraction(str(sound_start)))
    clip = Clip(count=50, start=Fraction(str(video_start)), sound=sound)
    source = write_clip(tmp_path / "in.mp4", clip)
    expected = [1 - video_start, 1.5 - video_start]
    with AudioReader(str(source)) as reader:
        assert beep_times(reader.read(0, 48_000), 16_000) == pytest.approx(expected, abs=0.003)
    target = tmp_path / f"out{suffix}"
    run(source, target, audio=str(source))
    with AudioReader(str(target)) as reader:
        assert beep_times(reader.read(0, 48_000), 16_000) == pytest.approx(expected, abs=0.003)


def test_the_sound_of_the_source(tmp_path: Path) -> None:
    loud = write_clip(tmp_path / "loud.mp4", Clip(count=50, sound=Sound(beeps([0.5], 2, 48_000))))
    silent = write_clip(tmp_path / "silent.mp4", Clip(count=5))
    assert run(loud, tmp_path / "out.mp4", audio="source").notes == []
    with AudioReader(str(tmp_path / "out.mp4")) as reader:
        assert beep_times(reader.read(0, 32_000), 16_000) == pytest.approx([0.5], abs=0.003)
    assert run(silent, tmp_path / "out.mp4", audio="source").notes == [
        "the source has no sound, so the output has none"
    ]
    assert set(track_ends(tmp_path / "out.mp4")) == {"video"}


def test_a_range_takes_its_own_sound(tmp_path: Path) -> None:
    clip = Clip(count=100, sound=Sound(beeps([1, 2, 3], 4, 48_000)))
    source = write_clip(tmp_path / "in.mp4", clip)
    decode = Decode(str(source), start=1.6, end=3.2)
    transcode(decode, Encode(str(tmp_path / "out.mp4"), audio=str(source)))
    packets = decoded(tmp_path / "out.mp4")
    assert [number_of(packet.frame) for packet in packets] == list(range(40, 80))
    with AudioReader(str(tmp_path / "out.mp4")) as reader:
        assert beep_times(reader.read(0, 48_000), 16_000) == pytest.approx([0.4, 1.4], abs=0.003)
        assert reader.duration == pytest.approx(1.6, abs=0.001)


def test_another_files_sound_begins_with_the_range(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=50))
    sound = write_sound(tmp_path / "a.wav", Sound(beeps([0.2, 1.4], 1.6, 16_000), 16_000, "pcm_s16le"))
    decode = Decode(str(source), start=0.8, end=1.6, until=str(sound))
    transcode(decode, Encode(str(tmp_path / "out.mp4"), audio=str(sound)))
    packets = decoded(tmp_path / "out.mp4")
    assert [number_of(packet.frame) for packet in packets][:25] == [*range(20, 40), 38, 37, 36, 35, 34]
    assert len(packets) == 40
    with AudioReader(str(tmp_path / "out.mp4")) as reader:
        assert beep_times(reader.read(0, 48_000), 16_000) == pytest.approx([0.2, 1.4], abs=0.003)


def test_a_failed_run_leaves_a_part_that_plays(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=90, sound=Sound(beeps([0.5], 3.6, 48_000))))
    for suffix in (".mp4", ".mkv"):
        transcode(Decode(str(source)), Encode(str(tmp_path / f"out{suffix}"), audio=str(source)), stop=60)
        assert not (tmp_path / f"out{suffix}").exists()
        part = decoded(tmp_path / f"out.partial{suffix}")
        assert [number_of(packet.frame) for packet in part] == list(range(60))
        with AudioReader(str(tmp_path / f"out.partial{suffix}")) as reader:
            assert beep_times(reader.read(0, 32_000), 16_000) == pytest.approx([0.5], abs=0.003)


KILLED = """
import os, signal, sys
sys.path[:0] = [{root!r}, {tests!r}]
from runs import transcode
from stages.decode import Decode
from stages.encode import Encode
class Killed(Encode):
    def process(self, packet):
        super().process(packet)
        if packet.index == 250:
            os.kill(os.getpid(), signal.SIGKILL)
transcode(Decode({source!r}), Killed({target!r}, audio={source!r}, segment={segment}))
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("segment", [0, 4])
def test_what_was_written_plays_after_sigkill(tmp_path: Path, suffix: str, segment: float) -> None:
    clip = Clip(count=300, width=160, height=128, sound=Sound(beeps([0.5, 3.0], 12, 48_000)))
    source, target = write_clip(tmp_path / "in.mp4", clip), tmp_path / f"out{suffix}"
    tests = str(Path(__file__).parent)
    root = str(Path(tests).parents[1])
    code = KILLED.format(root=root, tests=tests, source=str(source), target=str(target), segment=segment)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    left = [tmp_path / f"out.partial{suffix}"]
    if segment:
        left = sorted((tmp_path / f"out{suffix}.segments").glob(f"0*{suffix}"))
        assert len(left) == 3
    seen = [number_of(packet.frame) for path in left for packet in decoded(path)]
    whole = 200 if segment else 100
    assert len(seen) > whole
    assert seen[:whole] == list(range(whole))
    assert not target.exists()


def test_success_leaves_the_output_only(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=5))
    run(source, tmp_path / "out.mp4")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat") and b"moof" not in data


def test_provenance(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=3, metadata={"title": "Mine", "comment": "first"}))
    for name in ("out.mp4", "out.mkv", "out.mov"):
        target = str(tmp_path / name)
        transcode(Decode(str(source)), Encode(target, keep=["metadata"]), facts={"generator": "rewrite"})
        with av.open(target) as container:
            told = {key.lower(): value for key, value in container.metadata.items()}
        assert told["title"] == "Mine"
        assert "first" in told["comment"] and "graphrun" in told["comment"] and "rewrite" in told["comment"]
    transcode(Decode(str(source)), Encode(str(tmp_path / "out.mp4"), provenance=False))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert "comment" not in container.metadata and "title" not in container.metadata


def rich_source(path: Path) -> Path:
    """A Matroska file with two sounds, subtitles and chapters."""
    plain = write_clip(path.with_name("plain.mkv"), Clip(count=50, sound=Sound(beeps([0.5], 2, 48_000))))
    subtitles = path.with_name("words.srt")
    subtitles.write_text("1\n00:00:00,200 --> 00:00:00,900\nHello\n\n2\n00:00:01,200 --> 00:00:01,900\nagain\n")
    other = write_sound(path.with_name("b.mka"), Sound(beeps([1.0], 2, 48_000), codec="libopus"))
    inputs = [av.open(str(file)) for file in (plain, subtitles, other)]
    with av.open(str(path), "w") as output:
        pairs = [(stream, output.add_stream_from_template(stream)) for file in inputs for stream in file.streams]
        pairs[-1][1].metadata["language"] = "deu"
        chapter = {"id": 1, "start": 0, "end": 1000, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}
        output.set_chapters([chapter, {**chapter, "id": 2, "start": 1000, "end": 2000, "metadata": {"title": "Two"}}])
        for file in inputs:
            for packet in file.demux():
                if packet.size:
                    packet.stream = next(mine for theirs, mine in pairs if theirs is packet.stream)
                    output.mux(packet)
    for file in inputs:
        file.close()
    return path


def test_what_is_kept_of_the_source(tmp_path: Path) -> None:
    source = rich_source(tmp_path / "in.mkv")
    keep: Any = ["subtitles", "chapters", "audio"]
    result = run(source, tmp_path / "out.mkv", audio=str(source), keep=keep)
    assert result.notes == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        kinds = [stream.type for stream in container.streams]
        assert kinds == ["video", "audio", "audio", "subtitle"]
        assert container.streams.audio[1].metadata["language"] == "deu"
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One", "Two"]
        said = [bytes(packet) for packet in container.demux(container.streams.subtitles[0]) if packet.size]
        assert said == [b"Hello", b"again"]
    run(source, tmp_path / "out.mp4", audio=str(source), keep=["chapters", "audio"])
    with av.open(str(tmp_path / "out.mp4")) as container:
        kinds = [stream.type for stream in container.streams if stream.type != "data"]
        assert kinds == ["video", "audio", "audio"]
        assert len(container.chapters()) == 2
    run(source, tmp_path / "bare.mkv")
    with av.open(str(tmp_path / "bare.mkv")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.chapters() == []


SUBTITLES = [
    (".mp4", "h264", "mov_text", 20.0),
    (".mp4", "h264", "mov_text", 0.4),
    (".mov", "h264", "mov_text", 20.0),
    (".webm", "vp9", "webvtt", 20.0),
    (".webm", "vp9", "webvtt", 0.0),
    (".mkv", "h264", "subrip", 20.0),
    (".mkv", "h264", "subrip", 0.0),
]


@pytest.mark.parametrize(("suffix", "codec", "kind", "segment"), SUBTITLES)
def test_subtitles_become_what_the_container_takes(
    tmp_path: Path, suffix: str, codec: str, kind: str, segment: float
) -> None:
    source, target = rich_source(tmp_path / "in.mkv"), tmp_path / f"out{suffix}"
    preset = "8" if codec == "vp9" else None
    decode = Decode(str(source), start=0.4, end=1.6)
    encode = Encode(str(target), keep=["subtitles"], codec=codec, preset=preset, segment=segment)
    notes = transcode(decode, encode).notes
    assert any(f"become {kind}" in note for note in notes) == (kind != "subrip")
    subtitles_are(target, kind, [(b"Hello", 0, 0.5), (b"again", 0.8, 1.2)])
    again = tmp_path / f"again{suffix}"
    assert run(target, again, keep=["subtitles"], codec=codec, preset=preset, segment=segment).notes == []
    subtitles_are(again, kind, [(b"Hello", 0, 0.5), (b"again", 0.8, 1.2)])


def subtitles_are(target: Path, kind: str, expected: list[tuple[bytes, float, float]]) -> None:
    """A file shows these lines from when to when, and no others."""
    with av.open(str(target)) as container:
        [stream] = container.streams.subtitles
        assert stream.codec_context.codec.canonical_name == kind
        shown = []
        for packet in container.demux(stream):
            for one in packet.decode() if packet.size else ():
                text = bytes(one.ass).rpartition(b",,")[2]
                begin = float(packet.pts * packet.time_base)
                shown += [(text, begin, begin + float(packet.duration * packet.time_base))] if text else []
    assert [text for text, *_ in shown] == [text for text, *_ in expected]
    for (_, *times), (_, *wanted) in zip(shown, expected, strict=True):
        assert times == pytest.approx(wanted, abs=0.002)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"path": "out.avi"}, r"\.mp4"),
    ({"path": "out"}, r"\.mp4"),
    ({"path": "out.mp4", "codec": "divx"}, "no codec 'divx'"),
    ({"path": "out.webm"}, r"\.webm cannot hold h264"),
    ({"path": "out.mp4", "codec": "ffv1"}, "cannot hold"),
    ({"path": "out.mp4", "codec": "prores"}, "cannot hold"),
    ({"path": "out.mov", "codec": "av1"}, "cannot hold"),
    ({"path": "out.mp4", "crf": 60.0}, "0 to 51"),
    ({"path": "out.mkv", "codec": "ffv1", "crf": 3.0}, "lossless"),
    ({"path": "out.mp4", "threads": 0}, "threads"),
    ({"path": "out.mp4", "segment": -1.0}, "segment"),
    ({"path": "out.mp4", "segment": 0.0, "keep": ["subtitles"]}, "segments"),
    ({"path": "out.mp4", "audio": "none.wav"}, "no such audio file: none.wav"),
    ({"path": "/proc/out.mp4"}, "cannot be written"),
    (
        {"path": str(ROOT / "pipelines/samples/portrait.mp4"), "audio": str(ROOT / "pipelines/samples/portrait.mp4")},
        "input",
    ),
]


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_parameters_that_cannot_work(given: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, OSError), match=words):
        Encode(**given)


def test_errors_come_before_work_starts(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=5))
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros((0, 1), np.float32), 16_000)
    write_sound(tmp_path / "a.wav", Sound(beeps([], 0.1, 8_000), 8_000, "pcm_s16le"))
    (tmp_path / "folder.mp4").mkdir()
    link = tmp_path / "link.mp4"
    link.symlink_to(source)
    cases: list[tuple[Path, dict[str, Any], str]] = [
        (tmp_path / "none" / "out.mp4", {}, "no folder"),
        (Path("/proc/out.mp4"), {}, "cannot be written"),
        (tmp_path / "folder.mp4", {}, "it is a folder"),
        (source, {}, "also the input"),
        (link, {}, "also the input"),
        (tmp_path / "out.mp4", {"audio": str(source)}, "no audio stream"),
        (tmp_path / "out.mp4", {"audio": str(tmp_path / "none.wav")}, "no such audio file"),
        (tmp_path / "out.mp4", {"audio": str(silent)}, "zero length|nothing can be decoded"),
        (tmp_path / "out.mp4", {"preset": "soon"}, "libx264"),
        (tmp_path / "out.mp4", {"codec": "h264_nvenc"}, "h264_nvenc"),
        (tmp_path / "out.webm", {"codec": "vp9", "audio": str(tmp_path / "a.wav"), "audio_codec": "aac"}, "AAC"),
    ]
    before = source.read_bytes()
    for path, given, words in cases:
        with pytest.raises((ValueError, OSError), match=words) as told:
            run(source, path, **given)
        assert len(str(told.value).splitlines()) == 1
    assert source.read_bytes() == before
    assert not list(tmp_path.glob("*.partial.*"))


def test_no_frames_is_an_error(tmp_path: Path) -> None:
    encode = Encode(str(tmp_path / "out.mp4"))
    encode.open()
    infer_caps(encode, Caps({"frame": (48, 64, 3)}, {"rate": "25"}))
    with pytest.raises(ValueError, match="no frame"):
        encode.finish()
    encode.close()
    assert not list(tmp_path.iterdir())


def test_damaged_sound_is_silent_and_said(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=50))
    sound = write_sound(tmp_path / "a.m4a", Sound(beeps([0.2, 1.0, 1.8], 2, 48_000)))
    data = bytearray(sound.read_bytes())
    with av.open(str(sound)) as container:
        middle = [packet for packet in container.demux() if packet.size and 0.9 < packet.pts / 48_000 < 1.2]
    for packet in middle:
        data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    sound.write_bytes(data)
    encode = Encode(str(tmp_path / "out.mp4"), audio=str(sound), audio_codec="aac")
    notes = transcode(Decode(str(source)), encode).notes
    assert encode.counts["damaged_sound_packets"] > 5 and any("silence" in note for note in notes)
    with AudioReader(str(tmp_path / "out.mp4")) as reader:
        heard = beep_times(reader.read(0, 32_000), 16_000)
    assert [heard[0], heard[-1]] == pytest.approx([0.2, 1.8], abs=0.003)
