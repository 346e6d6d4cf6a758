"""Sound and picture stay together over an hour, and memory does not grow with it."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
from media_files import Sound, beep_times, beeps, write_sound
from runs import track_ends

from graph.stage import Caps, Packet, infer_caps
from stages.decode import Decode
from stages.encode import Encode
from stages.media.audio import AudioReader

RATE = Fraction(30000, 1001)
BLACK, WHITE = np.zeros((16, 32, 3), np.uint8), np.full((16, 32, 3), 255, np.uint8)


def flashing(minutes: int, every: int) -> tuple[int, set[int], list[float]]:
    """How many frames, which of them flash, and when they do in seconds: the one nearest to each `every` seconds."""
    count = int(minutes * 60 * RATE)
    flashes = {round(second * RATE) for second in range(5, minutes * 60 - 5, every)}
    return count, flashes, sorted(float(index / RATE) for index in flashes)


def flashes_of(path: Path) -> list[float]:
    """When white pictures are shown, in seconds."""
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        frames = container.decode(stream)
        return [float(frame.pts * stream.time_base) for frame in frames if memoryview(frame.planes[0])[5] > 128]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_hour_stays_in_sync_in_bounded_memory(tmp_path: Path) -> None:
    count, flashes, expected = flashing(60, 61)
    sound = write_sound(tmp_path / "a.m4a", Sound(beeps(expected, 3600, 44_100), 44_100))
    encode = Encode(str(tmp_path / "in.mp4"), audio=str(sound), crf=30.0, preset="ultrafast", threads=1)
    encode.open()
    infer_caps(encode, Caps({"frame": (16, 32, 3)}, {"rate": str(RATE), "duration": str(count / RATE)}))
    sizes = []
    for index in range(count):
        encode.process(Packet(index, index / RATE, {"frame": WHITE if index in flashes else BLACK}, {}))
        if index % 9000 == 0:
            sizes.append(psutil.Process().memory_info().rss)
    encode.finish()
    encode.close()
    assert max(sizes[3:]) - sizes[2] < 8 << 20
    shown = flashes_of(tmp_path / "in.mp4")
    assert shown == pytest.approx(expected, abs=0.001)
    with AudioReader(str(tmp_path / "in.mp4")) as reader:
        heard = beep_times(np.concatenate([reader.read(part * 16_000, 16_000) for part in range(3600)]), 16_000)
    assert len(heard) == len(shown)
    assert max(abs(one - other) for one, other in zip(heard, shown, strict=True)) < float(1 / RATE) / 2
    ends = track_ends(tmp_path / "in.mp4")
    assert abs(ends["video"] - ends["audio"]) <= float(1 / RATE)
    decode = Decode(str(tmp_path / "in.mp4"))
    decode.open()
    assert decode.configure().stream["rate"] == str(RATE)
    decode.seek(count - 1)
    packet = Packet(0, Fraction(0), {"frame": np.empty((16, 32, 3), np.uint8)}, decode.writes)
    assert decode.produce(packet) and packet.time == (count - 1) / RATE
    decode.close()


def test_playing_backwards_holds_few_frames(tmp_path: Path) -> None:
    from media_files import Clip, write_clip

    options = {"preset": "ultrafast", "g": "300", "crf": "40"}
    source = write_clip(tmp_path / "in.mp4", Clip(count=300, width=640, height=480, options=options))
    sound = write_sound(tmp_path / "a.wav", Sound(beeps([], 24, 8_000), 8_000, "pcm_s16le"))
    decode = Decode(str(source), until=str(sound))
    decode.open()
    decode.configure()
    packet = Packet(0, Fraction(0), {"frame": np.empty((480, 640, 3), np.uint8)}, decode.writes)
    sizes = []
    while decode.produce(packet):
        sizes.append(psutil.Process().memory_info().rss)
    decode.close()
    frame = 640 * 480 * 3 // 2
    assert max(sizes) - sizes[200] < 64 * frame
