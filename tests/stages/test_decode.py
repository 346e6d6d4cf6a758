"""Every picture of a file comes out once, upright, in its colours, at its time."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_files import (
    Clip,
    Picture,
    Sound,
    beeps,
    number_of,
    packet_times,
    picture,
    psnr,
    shown,
    write_clip,
    write_sound,
)
from runs import facts

from graph.stage import Caps, Packet, blank_arrays, infer_caps, run_stage
from stages.decode import Decode

RATES = ["24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60"]


def decode(path: Path, **given: Any) -> list[Packet]:
    return run_stage(Decode(str(path), **given))


def numbers(packets: list[Packet]) -> list[int]:
    return [number_of(packet.frame) for packet in packets]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("rate", RATES)
def test_constant_rates_are_exact(tmp_path: Path, rate: str, suffix: str) -> None:
    path = write_clip(tmp_path / f"clip{suffix}", Clip(count=70, rate=Fraction(rate)))
    packets = decode(path)
    assert numbers(packets) == list(range(70))
    assert [packet.time for packet in packets] == [index / Fraction(rate) for index in range(70)]
    told = facts(path)
    assert (told["rate"], told["packets"], told["variable"]) == (rate, 70, False)


CODECS = [
    ("clip.mp4", "libx264", {"preset": "veryfast", "bf": "3", "g": "12"}),
    ("clip.mp4", "libx264", {"preset": "veryfast", "x264-params": "open-gop=1:keyint=10:bframes=3:b-pyramid=normal"}),
    ("clip.mp4", "libx265", {"preset": "ultrafast", "x265-params": "log-level=none:keyint=12:open-gop=1"}),
    ("clip.webm", "libvpx-vp9", {"cpu-used": "8", "deadline": "realtime", "auto-alt-ref": "1", "lag-in-frames": "12"}),
    ("clip.mp4", "libsvtav1", {"preset": "12"}),
    ("clip.avi", "mpeg4", {"bf": "2", "q": "2"}),
    ("clip.ts", "mpeg2video", {"bf": "2", "q": "2"}),
    ("clip.mov", "prores_ks", {}),
    ("clip.mkv", "ffv1", {}),
    ("clip.h264", "libx264", {"preset": "veryfast", "bf": "2"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), CODECS)
def test_pictures_come_in_order_of_presentation(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    clip = Clip(count=40, codec=codec, options=options, pix_fmt=pix_fmt, width=160, height=96)
    path = write_clip(tmp_path / name, clip)
    packets = decode(path)
    assert numbers(packets) == list(range(40))
    assert [packet.time for packet in packets] == [Fraction(index, 25) for index in range(40)]


def test_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    gaps = [Fraction(1, 30), Fraction(1, 15), Fraction(1, 30), Fraction(1, 10)] * 10
    times = [sum(gaps[:index], Fraction(0)) for index in range(40)]
    path = write_clip(tmp_path / "clip.mp4", Clip(times=times, rate=Fraction(30), start=Fraction(1, 30)))
    packets = decode(path)
    assert [packet.time for packet in packets] == packet_times(path)
    assert [packet.time for packet in packets] == times
    assert numbers(packets) == list(range(40))
    assert (facts(path)["rate"], facts(path)["variable"]) == (None, True)


def test_resampled_by_time(tmp_path: Path) -> None:
    times = [Fraction(n, 30) for n in (0, 1, 3, 4, 8, 9, 10, 15)]
    path = write_clip(tmp_path / "clip.mp4", Clip(times=times, rate=Fraction(30)))
    packets = decode(path, fps="30")
    assert numbers(packets)[:16] == [0, 1, 1, 2, 3, 3, 3, 3, 4, 5, 6, 6, 6, 6, 6, 7]
    assert [packet.time for packet in packets] == [Fraction(n, 30) for n in range(len(packets))]
    slow = decode(write_clip(tmp_path / "fast.mp4", Clip(count=60, rate=Fraction(60))), fps="29.97")
    assert facts(tmp_path / "fast.mp4", fps="29.97")["rate"] == "30000/1001"
    assert numbers(slow) == [int(Fraction(n * 1001, 30_000) * 60 + Fraction(1, 50)) for n in range(30)]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_display_matrices_are_applied(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    clip = Clip(count=3, rotation=rotation, mirrored=mirrored, sar=Fraction(8, 9))
    path = write_clip(tmp_path / "clip.mp4", clip)
    for index, packet in enumerate(decode(path)):
        assert psnr(packet.frame, shown(picture(index), clip)) > 38
    assert facts(path)["sar"] == ("9/8" if rotation in (90, 270) else "8/9")


SIZES = [(65, 48), (64, 47), (63, 49), (2, 2), (1920, 8)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_sizes_survive(tmp_path: Path, width: int, height: int) -> None:
    clip = Clip(count=2, width=width, height=height, codec="ffv1", options={}, pix_fmt="yuv444p")
    packets = decode(write_clip(tmp_path / "clip.mkv", clip))
    assert packets[1].frame.shape == (height, width, 3)
    assert psnr(packets[1].frame, picture(1, width, height)) > 45


COLOURS = [
    ("yuv420p", 1, 1),
    ("yuv420p", 5, 1),
    ("yuv420p", 6, 2),
    ("yuv420p", 1, 2),
    ("yuv420p", 9, 1),
    ("yuv422p", 1, 1),
    ("yuv444p", 1, 2),
    ("yuv420p10le", 1, 1),
    ("yuv422p10le", 9, 1),
    ("yuv420p", 2, 1),
]


@pytest.mark.parametrize(("pixels", "matrix", "range_"), COLOURS)
def test_colours_are_right(tmp_path: Path, pixels: str, matrix: int, range_: int) -> None:
    colours = {"colorspace": matrix, "color_range": range_, "color_primaries": 1, "color_trc": 1}
    clip = Clip(count=2, codec="ffv1", options={}, pix_fmt=pixels, colours=colours, width=96, height=64)
    path = write_clip(tmp_path / "clip.mkv", clip)
    for index, packet in enumerate(decode(path)):
        smooth = packet.frame[34:].astype(float) - picture(index, 96, 64)[34:]
        assert np.abs(smooth.mean(axis=(0, 1))).max() < 0.7
        assert np.abs(smooth).mean() < 1.5
    names = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020nc", 2: None}
    assert facts(path)["colour"]["matrix"] == names[matrix]
    assert facts(path)["colour"]["range"] == {1: "limited", 2: "full"}[range_]


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_tone_mapped_and_said(tmp_path: Path, transfer: int) -> None:
    colours = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": transfer}
    clip = Clip(count=2, codec="ffv1", options={}, pix_fmt="yuv420p10le", colours=colours)
    stage = Decode(str(write_clip(tmp_path / "clip.mkv", clip)))
    first, second = run_stage(stage)
    assert any("tone-mapped" in note for note in stage.notes)
    assert facts(tmp_path / "clip.mkv")["colour"]["transfer"] == "bt709"
    columns = first.frame[30:].astype(float).mean(axis=(0, 2))
    assert (np.diff(columns[:58]) > -2).all() and 20 < columns.mean() < 245
    assert second.time == Fraction(1, 25)


def test_interlaced_video_is_deinterlaced_and_said(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.options = {"flags": "+ilme+ildct", "q": "2", "alternate_scan": "1", "top": "1"}
        for index in range(12):
            image = np.full((96, 128, 3), 40, np.uint8)
            image[0::2, index * 8 : index * 8 + 24] = 220
            image[1::2, index * 8 + 4 : index * 8 + 28] = 220
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    stage = Decode(str(path))
    packets = run_stage(stage)
    assert any("deinterlaced" in note for note in stage.notes)
    assert [packet.time for packet in packets] == [Fraction(n, 25) for n in range(12)]
    image = packets[6].frame[8:-8].astype(float).mean(axis=2)
    combing = np.abs(2 * image[1:-1] - image[:-2] - image[2:]).mean()
    assert combing < 4


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0.4, 0.8, range(10, 20)), (None, 0.2, range(5)), (1.4, None, range(35, 40))]
)
def test_ranges_are_exact_and_keep_the_clock(
    tmp_path: Path, start: float | None, end: float | None, expected: range
) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(count=40, options={"preset": "veryfast", "g": "12"}))
    packets = decode(path, start=start, end=end)
    assert numbers(packets) == list(expected)
    assert [packet.time for packet in packets] == [Fraction(n, 25) for n in expected]
    assert [packet.source_index for packet in packets] == list(expected)


LENGTHS = [
    (0.2, "audio", [0, 1, 2, 3, 4]),
    (0.4, "audio", list(range(10))),
    (1.0, "audio", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6]),
    (1.0, "video", list(range(10))),
    (1.0, "shortest", list(range(10))),
    (0.2, "shortest", list(range(5))),
    (0.2, "video", list(range(10))),
]


@pytest.mark.parametrize(("seconds", "length", "expected"), LENGTHS)
def test_the_sound_says_how_long(tmp_path: Path, seconds: float, length: Any, expected: list[int]) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(count=10, options={"preset": "veryfast", "g": "4"}))
    sound = write_sound(tmp_path / "a.wav", Sound(beeps([], seconds, 16_000), 16_000, "pcm_s16le"))
    packets = decode(path, until=str(sound), length=length)
    assert numbers(packets) == expected
    assert [packet.source_index for packet in packets] == expected
    assert [packet.time for packet in packets] == [Fraction(n, 25) for n in range(len(expected))]
    assert facts(path, until=str(sound), length=length)["packets"] == len(expected)


def test_back_and_forth_at_a_variable_rate(tmp_path: Path) -> None:
    times = [Fraction(n, 30) for n in (0, 1, 3, 4, 8)]
    path = write_clip(tmp_path / "clip.mp4", Clip(times=times, rate=Fraction(30)))
    sound = write_sound(tmp_path / "a.wav", Sound(beeps([], 0.6, 16_000), 16_000, "pcm_s16le"))
    packets = decode(path, until=str(sound))
    assert numbers(packets) == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1]
    assert [packet.time * 30 for packet in packets] == [0, 1, 3, 4, 8, 12, 13, 15, 16, 17]


@pytest.mark.parametrize(("reader", "open_gop"), [("pyav", 1), ("pyav", 0), ("decord", 0)])
def test_it_goes_on_where_it_is_told(tmp_path: Path, reader: Any, open_gop: int) -> None:
    options = {"preset": "veryfast", "x264-params": f"keyint=20:open-gop={open_gop}"}
    path = write_clip(tmp_path / "clip.mp4", Clip(count=90, options=options))
    sound = write_sound(tmp_path / "a.wav", Sound(beeps([], 10.0, 16_000), 16_000, "pcm_s16le"))
    whole = decode(path, until=str(sound), reader=reader)
    for index in (0, 1, 37, 85, 100, 177, 180, 249):
        stage = Decode(str(path), until=str(sound), reader=reader)
        stage.open()
        caps = infer_caps(stage, Caps())
        stage.seek(index)
        for expected in whole[index : index + 3]:
            packet = Packet(expected.index, Fraction(0), blank_arrays(stage, caps), stage.writes)
            assert stage.produce(packet)
            assert (packet.time, packet.source_index) == (expected.time, expected.source_index)
            assert np.array_equal(packet.frame, expected.frame)
        stage.close()


def test_both_readers_give_the_same_pictures(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(count=30, width=128, height=96))
    for one, other in zip(decode(path), decode(path, reader="decord"), strict=True):
        assert one.time == other.time
        assert psnr(one.frame, other.frame) > 38


def test_decord_is_refused_where_it_would_be_wrong(tmp_path: Path) -> None:
    turned = write_clip(tmp_path / "turned.mp4", Clip(count=3, rotation=90))
    deep = write_clip(tmp_path / "deep.mkv", Clip(count=3, pix_fmt="yuv420p10le", codec="ffv1", options={}))
    options = {"preset": "veryfast", "x264-params": "keyint=20:open-gop=1:scenecut=0"}
    opened = write_clip(tmp_path / "opened.mp4", Clip(count=60, options=options))
    for path, words in [(turned, "display matrix"), (deep, "pixel format"), (opened, "open")]:
        with pytest.raises(ValueError, match=words):
            decode(path, reader="decord")


def still(path: Path, image: Picture) -> Path:
    import cv2

    cv2.imwrite(str(path), image[:, :, ::-1])
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tiff", "a.webp"])
def test_stills(tmp_path: Path, name: str) -> None:
    path = still(tmp_path / name, picture(5))
    packets = decode(path, end=0.2)
    assert numbers(packets) == [5] * 5
    assert [packet.time for packet in packets] == [Fraction(n, 25) for n in range(5)]
    sound = write_sound(tmp_path / "a.wav", Sound(beeps([], 1.0, 16_000), 16_000, "pcm_s16le"))
    assert len(decode(path, until=str(sound), fps="30")) == 30
    assert len(run_stage(Decode(path=str(path)))) == 1, "nothing says how long it is shown"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_of_a_photo_is_applied(tmp_path: Path, orientation: int) -> None:
    shown = picture(5, 64, 64)
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation]
    stored = np.rot90(shown, turns)
    stored = stored[:, ::-1] if orientation in (2, 4) else stored[::-1] if orientation in (5, 7) else stored
    data = still(tmp_path / "a.jpg", np.ascontiguousarray(stored)).read_bytes()
    tag = struct.pack(">HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + tag
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    [packet] = decode(tmp_path / "a.jpg", end=0.04)
    assert psnr(packet.frame, shown) > 30


def test_image_sequences(tmp_path: Path) -> None:
    for number in (2, 9, 10, 11, 100):
        still(tmp_path / f"image{number}.png", picture(number))
    (tmp_path / "notes.txt").write_text("not an image")
    assert numbers(decode(tmp_path)) == [2, 9, 10, 11, 100]
    assert numbers(decode(tmp_path / "image%d.png", fps="24")) == [2, 9, 10, 11, 100]
    assert facts(tmp_path / "image%d.png", fps="24")["rate"] == "24"
    still(tmp_path / "image50.png", picture(50, 32, 32))
    with pytest.raises(ValueError, match="one size"):
        decode(tmp_path)


def test_gif_keeps_its_times(tmp_path: Path) -> None:
    times = [Fraction(n, 100) for n in (0, 10, 14, 50)]
    clip = Clip(times=times, codec="gif", pix_fmt="rgb8", rate=Fraction(100), options={})
    path = write_clip(tmp_path / "clip.gif", clip)
    packets = decode(path)
    assert [packet.time for packet in packets] == times
    assert numbers(packets) == [0, 1, 2, 3]


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    import cv2

    image = np.full((8, 8, 4), 200, np.uint8)
    image[:4, :, 3] = 0
    image[4:, :, 3] = 255
    cv2.imwrite(str(tmp_path / "a.png"), image)
    [packet] = decode(tmp_path / "a.png", end=0.04)
    assert (packet.frame[:4] == 0).all() and (packet.frame[4:] == 200).all()


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_a_truncated_file_gives_what_is_there(tmp_path: Path, suffix: str) -> None:
    options = {"preset": "veryfast", "g": "10", "crf": "1"}
    clip = Clip(
        count=100,
        width=160,
        height=128,
        options=options,
        container={"movflags": "faststart"} if suffix == ".mp4" else {},
    )
    path = write_clip(tmp_path / f"clip{suffix}", clip)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    packets = decode(path)
    assert 40 < len(packets) < 80
    assert numbers(packets)[:40] == list(range(40))
    assert all(number <= packet.time * 25 for packet, number in zip(packets, numbers(packets), strict=True))
    stage = Decode(str(path))
    run_stage(stage)
    if suffix == ".mp4":
        assert any("not whole" in note for note in stage.notes)


def test_damage_in_the_middle_costs_no_time(tmp_path: Path) -> None:
    options = {"preset": "veryfast", "g": "10", "crf": "1"}
    path = write_clip(tmp_path / "clip.mp4", Clip(count=60, width=160, height=128, options=options))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        damaged = [packet for packet in container.demux(video=0) if packet.size][24:34]
    for packet in damaged:
        data[packet.pos + 4 : packet.pos + packet.size] = bytes(packet.size - 4)
    path.write_bytes(data)
    stage = Decode(str(path))
    packets = run_stage(stage)
    assert [packet.time for packet in packets] == [Fraction(n, 25) for n in range(60)]
    shown = numbers(packets)
    assert shown[:20] == list(range(20)) and shown[40:] == list(range(40, 60))
    assert stage.counts["missing_frames"] >= 1
    assert any("could not be decoded" in note for note in stage.notes)


def test_wrong_files_are_named(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is no video\n" * 50)
    only_sound = write_sound(tmp_path / "sound.m4a", Sound(beeps([], 1.0, 48_000)))
    good = write_clip(tmp_path / "clip.mp4", Clip(count=10))
    (tmp_path / "empty").mkdir()
    whole = good.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[:200])
    cases: list[tuple[Path, dict[str, Any], str]] = [
        (tmp_path / "none.mp4", {}, "no such"),
        (text, {}, "no media file"),
        (only_sound, {}, "no video stream"),
        (tmp_path / "empty", {}, "no image"),
        (tmp_path / "cut.mp4", {}, "no media file"),
        (tmp_path / "x%03d.png", {}, "pattern"),
        (good, {"start": 5.0}, "no picture"),
        (good, {"until": str(good)}, "no audio stream"),
    ]
    for path, given, words in cases:
        with pytest.raises(ValueError, match=words):
            decode(path, **given)


@pytest.mark.parametrize(
    "given", [{"start": -1.0}, {"start": 2.0, "end": 1.0}, {"fps": "fast"}, {"fps": "0"}, {"threads": 0}]
)
def test_parameters_that_make_no_sense(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"start|end|rate|threads"):
        Decode("", **given)


@pytest.mark.parametrize(
    "given", [{"path": "none.mp4"}, {"path": "none.png"}, {"path": "x%03d.png"}, {"until": "none.wav"}]
)
def test_what_is_not_there_is_a_mistake_before_anything_runs(tmp_path: Path, given: dict[str, str]) -> None:
    clip = str(write_clip(tmp_path / "clip.mp4", Clip(count=5)))
    with pytest.raises(ValueError, match=r"no such|no file fits"):
        Decode(**{"path": clip, **{name: str(tmp_path / value) for name, value in given.items()}})
    for path in ("", "s3://bucket/clip.mp4", clip):
        Decode(path, until=path)
