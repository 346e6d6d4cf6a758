"""Real clips: HEVC, a variable rate, MPEG-4, no sound. They are no part of the repository, so they may be absent."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import packet_times, psnr
from runs import track_ends, transcode

from graph.stage import run_stage
from stages.decode import Decode
from stages.encode import Encode

MEDIA = Path(os.environ.get("GRAPHRUN_MEDIA", Path(__file__).parents[2] / ".." / "shared" / "media"))
SECONDS = 0.5
CLIPS = ["ls_demo1.mp4", "st_aoc.mp4", "mt_sun.mp4", "vr_1.mp4", "vr_4.mp4", "ve_vasa11.mp4", "em_a.mp4"]


@pytest.mark.parametrize("name", CLIPS)
def test_at_crf_12_pictures_keep_more_than_45_db(tmp_path: Path, name: str) -> None:
    source, target = MEDIA / name, tmp_path / "out.mp4"
    if not source.is_file():
        pytest.skip(f"there is no {source}: set GRAPHRUN_MEDIA to the folder of the clips")
    encode = Encode(str(target), crf=12.0, pixels="source")
    transcode(Decode(str(source), end=SECONDS, pixels="source"), encode)
    before, after = run_stage(Decode(str(source), end=SECONDS)), run_stage(Decode(str(target)))
    pairs = [np.stack([one.frame, other.frame]) for one, other in zip(before, after, strict=True)]
    whole = np.concatenate(pairs, axis=1)
    assert psnr(whole[0], whole[1]) > 45


@pytest.mark.parametrize("name", CLIPS)
def test_a_real_clip_comes_out_as_it_went_in(tmp_path: Path, name: str) -> None:
    source = MEDIA / name
    if not source.is_file():
        pytest.skip(f"there is no {source}: set GRAPHRUN_MEDIA to the folder of the clips")
    times = [time for time in packet_times(source) if time < SECONDS]
    target = tmp_path / "out.mp4"
    run = transcode(Decode(str(source), end=SECONDS), Encode(str(target), audio="source"))
    assert max(abs(one - other) for one, other in zip(run.times, times, strict=True)) < Fraction(1, 1000)
    assert run.outputs[0].frames == len(times)
    before, after = run_stage(Decode(str(source), end=SECONDS)), run_stage(Decode(str(target)))
    assert [packet.time for packet in after] == [packet.time for packet in before]
    ratios = [psnr(one.frame, other.frame) for one, other in zip(before, after, strict=True)]
    assert np.mean(ratios) > 40 and min(ratios) > 38
    shift = np.mean(
        [one.frame.mean((0, 1)) - other.frame.mean((0, 1)) for one, other in zip(before, after, strict=True)]
    )
    assert abs(shift) < 0.2
    with av.open(str(source)) as container:
        has_sound = bool(container.streams.audio)
    ends = track_ends(target)
    assert ("audio" in ends) == has_sound
    if has_sound:
        assert abs(ends["audio"] - ends["video"]) <= 1 / 24
