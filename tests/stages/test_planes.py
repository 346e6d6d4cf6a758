"""Pictures as the file has them: nothing is converted that a codec takes, and what is converted is said."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from media_files import Clip, number_of, packet_times, picture, psnr, shown, write_clip
from runs import Run, transcode

from graph.stage import Caps, infer_caps, run_stage
from stages.decode import Decode
from stages.encode import Encode

#: bt2020nc, limited, bt2020, PQ
PQ = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 16}
#: 1000 cd/m² at most, colours of P3
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"


def run(source: Path, target: Path, **given: Any) -> Run:
    return transcode(Decode(str(source), pixels="source"), Encode(str(target), pixels="source", **given))


def lossless(path: Path, pix_fmt: str, **given: Any) -> Path:
    return write_clip(path, Clip(count=4, codec="ffv1", options={}, pix_fmt=pix_fmt, **given))


def frames(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def samples(frame: Any) -> bytes:
    """All samples of a frame, row by row and plane by plane."""
    rows = []
    for plane in frame.planes:
        size = 2 if any(component.bits > 8 for component in frame.format.components) else 1
        whole = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        rows.append(whole[:, : plane.width * size].tobytes())
    return b"".join(rows)


FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv440p"]


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 47)])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_planes_are_the_samples_of_the_file(tmp_path: Path, pix_fmt: str, width: int, height: int) -> None:
    source = lossless(tmp_path / "in.mkv", pix_fmt, width=width, height=height)
    stage = Decode(str(source), pixels="source")
    packets = run_stage(stage)
    assert [packet.planes.tobytes() for packet in packets] == [samples(frame) for frame in frames(source)]
    assert not stage.notes
    stage.open()
    told = infer_caps(stage, Caps()).stream
    stage.close()
    assert told["layout"] == {"pixels": pix_fmt, "width": width, "height": height}


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 47)])
@pytest.mark.parametrize("pix_fmt", [*FORMATS, "bgr0"])
def test_lossless_is_lossless(tmp_path: Path, pix_fmt: str, width: int, height: int) -> None:
    source = lossless(tmp_path / "in.mkv", pix_fmt, width=width, height=height)
    assert run(source, tmp_path / "out.mkv", codec="ffv1").notes == []
    before, after = frames(source), frames(tmp_path / "out.mkv")
    assert {frame.format.name for frame in after} == {pix_fmt}
    assert [samples(frame) for frame in after] == [samples(frame) for frame in before]


def test_nothing_lies_between_the_decoder_and_the_encoder(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=6, width=160, height=96))
    assert run(source, tmp_path / "out.mp4", crf=0.0).notes == []  # x264 is lossless at 0
    assert [samples(one) for one in frames(tmp_path / "out.mp4")] == [samples(one) for one in frames(source)]


def test_the_sample_keeps_more_than_45_db_at_crf_12(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "pipelines" / "samples" / "portrait.mp4"
    run(source, tmp_path / "out.mp4", crf=12.0)
    before, after = (run_stage(Decode(str(path), end=1.0)) for path in (source, tmp_path / "out.mp4"))
    for one, other in zip(before, after, strict=True):
        assert psnr(one.frame, other.frame) > 45


TAKEN = [
    ("h264", ".mp4", "yuv420p10le", "yuv420p10le", None),
    ("h264", ".mp4", "yuv422p10le", "yuv422p10le", None),
    ("h264", ".mp4", "yuv420p12le", "yuv420p10le", "12 bits a sample become 10"),
    ("hevc", ".mp4", "yuv420p10le", "yuv420p10le", None),
    ("hevc", ".mkv", "yuv444p12le", "yuv444p12le", None),
    ("av1", ".mp4", "yuv420p10le", "yuv420p10le", None),
    ("av1", ".mp4", "yuv422p10le", "yuv420p10le", "become yuv420p10le"),
    ("prores", ".mov", "yuv420p10le", "yuv422p10le", "become yuv422p10le"),
    ("prores", ".mov", "yuv444p10le", "yuv444p10le", None),
    ("vp9", ".webm", "yuv444p", "yuv444p", None),
]


@pytest.mark.parametrize(("codec", "suffix", "pix_fmt", "expected", "said"), TAKEN)
def test_depth_and_hdr_are_kept_by_what_the_codec_can(
    tmp_path: Path, codec: str, suffix: str, pix_fmt: str, expected: str, said: str | None
) -> None:
    source = lossless(tmp_path / "in.mkv", pix_fmt, width=128, height=96, colours=PQ)
    target = tmp_path / f"out{suffix}"
    preset = {"vp9": "8", "hevc": "ultrafast", "av1": "11"}.get(codec)
    notes = run(source, target, codec=codec, preset=preset, **({} if codec == "prores" else {"crf": 4.0})).notes
    rarely_played = [note for note in notes if "few browsers" in note]
    assert len(rarely_played) == (codec == "h264")
    assert len(notes) - len(rarely_played) == (said is not None) and (said or "") in "".join(notes)
    for one, other in zip(frames(source), frames(target), strict=True):
        assert other.format.name == expected
        assert (other.colorspace, other.color_primaries, other.color_trc) == (9, 9, 16) or codec == "vp9"
        assert other.color_range == 1
        deep = [np.frombuffer(frame.reformat(format="gray16le").planes[0], "<u2") for frame in (one, other)]
        error = np.mean((deep[0].astype(float) - deep[1]) ** 2)
        assert 10 * np.log10(65535**2 / error) > 42


@pytest.mark.parametrize(("codec", "suffix"), [("h264", ".mp4"), ("hevc", ".mkv"), ("av1", ".mp4")])
def test_what_hdr_was_made_for_is_kept(tmp_path: Path, codec: str, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    notes = run(mastered(tmp_path / "in.mp4"), target, codec=codec, preset={"av1": "11"}.get(codec)).notes
    assert not [note for note in notes if "HDR" in note]
    frame = frames(target)[0]
    numbers = np.frombuffer(bytes(frame.side_data.get(Type.MASTERING_DISPLAY_METADATA)), np.int32)[:20]
    told = numbers[0::2] / numbers[1::2]
    wanted = [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329, 0.0001, 1000]
    assert told == pytest.approx(wanted, abs=1e-4)
    level = np.frombuffer(bytes(frame.side_data.get(Type.CONTENT_LIGHT_LEVEL)), np.uint32)
    assert level.tolist() == [1000, 400]


def mastered(path: Path) -> Path:
    """HEVC in PQ that says what it was made for."""
    params = f"log-level=error:master-display={DISPLAY}:max-cll=1000,400"
    clip = Clip(count=4, width=128, height=96, codec="libx265", pix_fmt="yuv420p10le", colours=PQ)
    clip.options = {"x265-params": params, "crf": "4"}
    return write_clip(path, clip)


def test_a_codec_that_cannot_be_told_of_hdr_says_so(tmp_path: Path) -> None:
    notes = run(mastered(tmp_path / "in.mp4"), tmp_path / "out.mov", codec="prores").notes
    assert any("cannot be told" in note for note in notes)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "h264"), (".mov", "h264"), (".mkv", "h264"), (".webm", "vp9")])
@pytest.mark.parametrize("rate", ["24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60"])
def test_rates_and_times_are_kept(tmp_path: Path, rate: str, suffix: str, codec: str) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=30, rate=Fraction(rate)))
    target = tmp_path / f"out{suffix}"
    run(source, target, codec=codec, preset="8" if codec == "vp9" else None)
    packets = run_stage(Decode(str(target)))
    assert [number_of(packet.frame) for packet in packets] == list(range(30))
    assert [packet.time for packet in packets] == [index / Fraction(rate) for index in range(30)]


def test_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    gaps = [Fraction(1, 30), Fraction(1, 15), Fraction(1, 30), Fraction(1, 10), Fraction(1, 90)] * 8
    times = [sum(gaps[:index], Fraction(0)) for index in range(40)]
    source = write_clip(tmp_path / "in.mp4", Clip(times=times, rate=Fraction(30), start=Fraction(1, 30)))
    run(source, tmp_path / "out.mp4")
    assert packet_times(tmp_path / "out.mp4") == times


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotated_clips_come_out_upright(tmp_path: Path, rotation: int, mirrored: bool, pix_fmt: str) -> None:
    clip = Clip(count=3, width=128, height=96, pix_fmt=pix_fmt, sar=Fraction(4, 3))
    clip.rotation, clip.mirrored = rotation, mirrored
    source = write_clip(tmp_path / "in.mp4", clip)
    run(source, tmp_path / "out.mkv", crf=4.0)
    with av.open(str(tmp_path / "out.mkv")) as container:
        [stream] = container.streams.video
        assert stream.sample_aspect_ratio == (Fraction(3, 4) if rotation in (90, 270) else Fraction(4, 3))
    for index, frame in enumerate(frames(tmp_path / "out.mkv")):
        assert (frame.rotation, frame.format.name) == (0, pix_fmt)
        assert psnr(frame.to_ndarray(format="rgb24"), shown(picture(index, 128, 96), clip)) > 30


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p"])
@pytest.mark.parametrize(("rotation", "mirrored"), [(90, False), (180, True), (270, True)])
def test_luma_is_turned_bit_for_bit(tmp_path: Path, rotation: int, mirrored: bool, pix_fmt: str) -> None:
    clip = Clip(count=2, width=64, height=48, pix_fmt=pix_fmt, options={"crf": "20"})
    clip.rotation, clip.mirrored = rotation, mirrored
    source = write_clip(tmp_path / "in.mp4", clip)
    size = "<u2" if "10" in pix_fmt else "u1"
    for frame, packet in zip(frames(source), run_stage(Decode(str(source), pixels="source")), strict=True):
        luma = np.frombuffer(frame.planes[0], size).reshape(48, -1)[:, :64]
        assert np.array_equal(packet.planes.view(size)[: 64 * 48], shown(luma, clip).ravel())


COLOURS = [(1, 1, 1, 1), (6, 1, 6, 6), (5, 2, 5, 1), (1, 2, 1, 13), (9, 1, 9, 14), (2, 0, 2, 2)]


@pytest.mark.parametrize("codec", ["h264", "vp9", "prores"])
@pytest.mark.parametrize(("matrix", "range_", "primaries", "transfer"), COLOURS)
def test_colours_come_out_as_they_went_in(
    tmp_path: Path, codec: str, matrix: int, range_: int, primaries: int, transfer: int
) -> None:
    colours = {"colorspace": matrix, "color_range": range_, "color_primaries": primaries, "color_trc": transfer}
    clip = Clip(count=2, width=96, height=64, codec="libx264", colours=colours, options={"crf": "1"})
    source = write_clip(tmp_path / "in.mp4", clip)
    target = tmp_path / ("out.mkv" if codec == "vp9" else "out.mov")
    notes = run(source, target, codec=codec, **({} if codec == "prores" else {"crf": 4.0})).notes
    frame = frames(target)[0]
    assert frame.colorspace == matrix
    assert frame.color_range in ((1,) if codec == "prores" else (range_,) if range_ else (0, 1))
    assert any("full range" in note for note in notes) == (codec == "prores" and range_ == 2)
    if codec != "vp9":
        assert (frame.color_primaries, frame.color_trc) == (primaries, transfer)
    before, after = (run_stage(Decode(str(path)))[1].frame[34:].astype(float) for path in (source, target))
    assert np.abs((before - after).mean(axis=(0, 1))).max() < 1.2


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_odd_sizes_survive(tmp_path: Path, codec: str) -> None:
    source = lossless(tmp_path / "in.mkv", "yuv420p10le", width=131, height=97)
    notes = run(source, tmp_path / "out.mkv", codec=codec, crf=4.0, preset={"av1": "11"}.get(codec)).notes
    assert any("odd" in note for note in notes) == (codec != "av1")
    after = frames(tmp_path / "out.mkv")
    assert {(frame.width, frame.height) for frame in after} == {(131, 97)}
    assert after[0].format.name == ("yuv420p10le" if codec == "av1" else "yuv444p10le")
    assert psnr(after[2].to_ndarray(format="rgb24"), picture(2, 131, 97)) > 28


def test_what_is_no_yuv_is_rgb(tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "in.png"), picture(5, 128, 96)[:, :, ::-1])
    run(tmp_path / "in.png", tmp_path / "out.mp4", crf=1.0)
    [frame] = frames(tmp_path / "out.mp4")
    assert frame.format.name == "yuv420p"
    assert psnr(frame.to_ndarray(format="rgb24"), picture(5, 128, 96)) > 28


def test_a_reader_without_planes_is_refused(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(count=3))
    with pytest.raises(ValueError, match="RGB only"):
        run_stage(Decode(str(source), reader="decord", pixels="source"))


def pq(luminance: float) -> float:
    """SMPTE ST 2084, equation 5.2: cd/m² to a signal of 0..1."""
    part = (luminance / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * part) / (1 + 18.6875 * part)) ** 78.84375)


def test_what_is_read_as_rgb_is_tone_mapped_up_to_the_peak_that_is_told(tmp_path: Path) -> None:
    greys = [0, 1, 10, 50, 100, 203, 400, 600, 1000]
    path = tmp_path / "greys.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16 * len(greys), 64, "yuv420p10le"
        for name, value in PQ.items():
            setattr(stream.codec_context, name, value)
        stream.codec_context.options = {"x265-params": f"log-level=error:lossless=1:master-display={DISPLAY}"}
        frame: Any = av.VideoFrame(16 * len(greys), 64, "yuv420p10le")
        row = np.repeat([round(64 + 876 * pq(grey)) for grey in greys], 16).astype("<u2")
        inside = np.frombuffer(frame.planes[0], "<u2").reshape(64, -1)
        inside[:, : len(row)] = row
        for plane in frame.planes[1:]:
            np.frombuffer(plane, "<u2")[:] = 512
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    stage = Decode(str(path))
    [packet] = run_stage(stage)
    assert any("tone-mapped" in note and "ST 2094-10" in note for note in stage.notes)
    levels = packet.frame[32, 8::16].astype(int)
    assert np.ptp(levels, axis=1).max() <= 2, "a grey stays grey"
    assert (np.diff(levels[:, 1]) > 8).all(), "no two of them fall together"
    assert levels[0, 1] <= 1 and levels[-1, 1] >= 253
    assert 155 < levels[greys.index(203), 1] < 195, "diffuse white is bright, with room above it"


def test_deeper_pictures_read_as_rgb_are_said_to_lose_bits(tmp_path: Path) -> None:
    stage = Decode(str(lossless(tmp_path / "in.mkv", "yuv420p10le")))
    run_stage(stage)
    assert any("10 bits" in note for note in stage.notes)
