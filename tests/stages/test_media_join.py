"""Parts of a video joined: what one run writes, picture for picture and at the same times, with one sound."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_files import Clip, Sound, beep_times, beeps, number_of, packet_times, write_clip
from runs import track_ends, transcode

from graph.stage import Caps, Packet, blank_arrays, infer_caps, run_stage
from stages.decode import Decode
from stages.encode import Encode

BOUNDS = (0, 13, 14, 40, 60)


def in_parts(source: Path, output: Path, bounds: tuple[int, ...] = BOUNDS, **params: Any) -> Encode:
    """Encode ranges of a video by themselves, then join them."""
    parts = []
    whole = Encode(str(output), **params)
    for at, (begin, end) in enumerate(pairwise(bounds)):
        decode = Decode(str(source))
        path = output.with_name(f"part{at}{output.suffix}")
        encode = Encode(**{**params, **whole.part(str(path))})
        decode.open()
        encode.open()
        caps = infer_caps(decode, Caps())
        infer_caps(encode, caps)
        decode.seek(begin)
        for index in range(begin, end):
            packet = Packet(index, Fraction(0), blank_arrays(decode, caps), decode.writes)
            assert decode.produce(packet)
            if index == begin:
                parts.append((str(path), packet.time))
            encode.process(packet)
        encode.finish()
        encode.close()
        decode.close()
    outputs = whole.join(parts, caps.stream)
    assert [(one.path, one.frames) for one in outputs] == [(str(output), bounds[-1])]
    return whole


def pictures(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """60 frames of 30000/1001, with beeps."""
    track = Sound(beeps([0.5, 1.2, 1.8], 2.002, 48_000))
    return write_clip(tmp_path / "clip.mp4", Clip(count=60, rate=Fraction(30000, 1001), sound=track))


def test_lossless_parts_equal_one_run(clip: Path, tmp_path: Path) -> None:
    transcode(Decode(str(clip)), Encode(str(tmp_path / "one.mkv"), codec="ffv1", audio=str(clip)))
    in_parts(clip, tmp_path / "joined.mkv", codec="ffv1", audio=str(clip))
    one, joined = pictures(tmp_path / "one.mkv"), pictures(tmp_path / "joined.mkv")
    assert len(one) == len(joined) == 60
    assert all(np.array_equal(a, b) for a, b in zip(one, joined, strict=True))
    assert packet_times(tmp_path / "one.mkv") == packet_times(tmp_path / "joined.mkv")


@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", ".mp4"), ("hevc", ".mp4"), ("vp9", ".webm"), ("prores", ".mov")]
)
def test_count_times_and_sound_are_those_of_one_run(clip: Path, tmp_path: Path, codec: str, suffix: str) -> None:
    one, joined = tmp_path / f"one{suffix}", tmp_path / f"joined{suffix}"
    transcode(Decode(str(clip)), Encode(str(one), codec=codec, audio=str(clip)))
    in_parts(clip, joined, codec=codec, audio=str(clip))
    assert packet_times(joined) == packet_times(one)
    assert [number_of(image) for image in pictures(joined)] == list(range(60))
    assert track_ends(joined) == pytest.approx(track_ends(one))
    assert heard(joined) == pytest.approx(heard(one), abs=1e-9) and len(heard(one)) == 3
    with av.open(str(joined)) as container:
        assert "Altered video" in {key.lower(): value for key, value in container.metadata.items()}["comment"]


def heard(path: Path) -> list[float]:
    """When the beeps of a file begin."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "mono", 48_000)
        frames = [one for frame in container.decode(audio=0) for one in resampler.resample(frame)]
    return beep_times(np.concatenate([one.to_ndarray()[0] for one in frames]), 48_000)


def test_a_variable_rate_is_kept_over_the_joints(tmp_path: Path) -> None:
    steps = [Fraction(1, 25), Fraction(1, 10), Fraction(3, 50), Fraction(1, 50)]
    times = [sum(steps[: at % 4], at // 4 * sum(steps)) for at in range(60)]
    clip = write_clip(tmp_path / "clip.mp4", Clip(times=times, options={"crf": "4", "preset": "veryfast"}))
    transcode(Decode(str(clip)), Encode(str(tmp_path / "one.mp4")))
    in_parts(clip, tmp_path / "joined.mp4")
    assert packet_times(tmp_path / "joined.mp4") == packet_times(tmp_path / "one.mp4") == times
    assert [number_of(image) for image in pictures(tmp_path / "joined.mp4")] == list(range(60))
    decode = Decode(str(clip))
    decode.open()
    lasts = Fraction(infer_caps(decode, Caps()).stream["duration"])
    assert track_ends(tmp_path / "joined.mp4")["video"] == pytest.approx(float(lasts))
    decode.close()


def test_the_joined_file_plays_from_anywhere(clip: Path, tmp_path: Path) -> None:
    in_parts(clip, tmp_path / "joined.mp4")
    decode = Decode(str(tmp_path / "joined.mp4"), start=1.0)
    assert [number_of(packet.frame) for packet in run_stage(decode)][:3] == [30, 31, 32]


def test_parts_that_were_encoded_otherwise_are_refused(clip: Path, tmp_path: Path) -> None:
    with_b = Encode(str(tmp_path / "a.mp4"), preset="veryfast")
    transcode(Decode(str(clip)), with_b)
    transcode(Decode(str(clip)), Encode(str(tmp_path / "b.mp4"), preset="ultrafast"))
    joined = Encode(str(tmp_path / "joined.mp4"))
    parts = [(str(tmp_path / "a.mp4"), Fraction(0)), (str(tmp_path / "b.mp4"), Fraction(60 * 1001, 30000))]
    with pytest.raises(ValueError, match="not encoded as the parts before it"):
        joined.join(parts, {"rate": "30000/1001", "duration": "4"})
    assert not list(tmp_path.glob("joined*"))
