"""Sound of any file lies where the file says, whatever its format, rate and channels."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_files import Sound, beep_times, beeps, write_sound

from stages.media.audio import KEPT, AudioReader

BEEPS = [0.25, 1.0, 1.75]

FORMATS = [
    ("a.wav", "pcm_s16le", 8_000, 1),
    ("a.wav", "pcm_s24le", 192_000, 2),
    ("a.wav", "pcm_s16le", 44_100, 6),
    ("a.flac", "flac", 96_000, 1),
    ("a.mp3", "libmp3lame", 44_100, 2),
    ("a.m4a", "aac", 44_100, 2),
    ("a.m4a", "aac", 48_000, 6),
    ("a.ogg", "libopus", 48_000, 2),
    ("a.opus", "libopus", 48_000, 1),
    ("a.mka", "libopus", 48_000, 1),
    ("a.mov", "pcm_s16le", 32_000, 2),
]


@pytest.mark.parametrize(("name", "codec", "rate", "channels"), FORMATS)
def test_beeps_are_where_they_were_put(tmp_path: Path, name: str, codec: str, rate: int, channels: int) -> None:
    sound = Sound(beeps(BEEPS, 2.0, rate, channels), rate, codec)
    with AudioReader(str(write_sound(tmp_path / name, sound))) as reader:
        assert (reader.source_rate, reader.channels) == (rate, channels)
        assert reader.duration == pytest.approx(2.0, abs=0.0015 if name == "a.mka" else 1e-9)
        heard = beep_times(reader.read(0, 32_000), 16_000)
    assert heard == pytest.approx(BEEPS, abs=0.002)


def test_windows_are_parts_of_the_whole(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (1, 44_100 * 30)).astype(np.float32)
    path = str(write_sound(tmp_path / "noise.wav", Sound(noise, 44_100, "pcm_f32le")))
    with AudioReader(path) as reader:
        whole = reader.read(0, 30 * 16_000)
    far_back = 20 * 16_000
    with AudioReader(path) as reader:
        for start in (-500, 0, 640, 100, far_back, far_back + 640, far_back - KEPT * 16_000 // 2, 3, 480_000 - 10):
            window = reader.read(start, 3200)
            first, last = max(start, 0), min(start + 3200, len(whole))
            assert np.array_equal(window[first - start : last - start], whole[first:last])
            assert not window[: first - start].any() and not window[last - start :].any()


def test_resampling_keeps_the_tone_and_stops_what_would_alias(tmp_path: Path) -> None:
    at = np.arange(48_000 * 2) / 48_000
    sound = 0.4 * np.sin(2 * np.pi * 440 * at) + 0.4 * np.sin(2 * np.pi * 11_000 * at)
    path = write_sound(tmp_path / "tones.wav", Sound(sound[None].astype(np.float32), 48_000, "pcm_f32le"))
    with AudioReader(str(path)) as reader:
        heard = reader.read(0, 32_000)[4000:-4000]
    expected = 0.4 * np.sin(2 * np.pi * 440 * np.arange(4000, 28_000) / 16_000)
    assert np.abs(heard - expected).max() < 1e-3


def test_channels_are_averaged(tmp_path: Path) -> None:
    sound = np.stack([np.full(1600, 0.5), np.full(1600, -0.1)]).astype(np.float32)
    path = write_sound(tmp_path / "two.wav", Sound(sound, 16_000, "pcm_f32le"))
    with AudioReader(str(path)) as reader:
        assert reader.read(0, 1600) == pytest.approx(0.2, abs=1e-6)
        assert reader.duration == Fraction(1, 10)


def test_wrong_files_are_named(tmp_path: Path) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("this is no sound\n" * 50)
    empty = tmp_path / "empty.wav"
    soundfile.write(empty, np.zeros((0, 1), np.float32), 16_000)
    for path, words in [
        (tmp_path / "none.wav", "no such"),
        (text, "no media file that can be read"),
        (empty, "zero length"),
        (tmp_path, "no such audio file"),
    ]:
        with pytest.raises(ValueError, match=words) as told:
            AudioReader(str(path))
        assert str(path) in str(told.value)
