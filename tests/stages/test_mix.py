"""Several sounds as one: to the sample, each in its own time, in the highest rate and channels, within full scale."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from media_files import Clip, Sound, beep_times, beeps, write_clip

import stages.write_sound
from graph.runner import Graph
from graph.stage import run_stage
from stages.mix import MixSource
from stages.write_sound import WriteSound

MIX = Path(__file__).parents[2] / "pipelines" / "mix.yaml"


def noise(folder: Path, name: str, count: int, rate: int = 16_000, channels: int = 1, loud: float = 0.2) -> str:
    """A 16-bit WAV of noise."""
    samples = np.random.default_rng(len(name) + count).uniform(-loud, loud, (count, channels))
    soundfile.write(folder / name, (samples * 32768).astype(np.int16), rate)
    return str(folder / name)


def mixed(*paths: str) -> tuple[MixSource, np.ndarray]:
    stage = MixSource(dict(enumerate(paths)))  # type: ignore[arg-type]
    packets = run_stage(stage)
    assert [packet.time for packet in packets[:2]][-1] in (0, Fraction(16384, stage._mix.rate))
    return stage, np.concatenate([packet.samples for packet in packets])


def whole(path: str) -> np.ndarray:
    return np.asarray(soundfile.read(path, dtype="float32", always_2d=True)[0])


def test_the_sum_is_exact_to_the_sample(tmp_path: Path) -> None:
    """Written by the graph, through real processes, and read back as whole numbers of 24 bits."""
    one, two = noise(tmp_path, "a.wav", 50_000), noise(tmp_path, "bb.wav", 20_001)
    output = str(tmp_path / "mix.wav")
    report = Graph.load(MIX).run(sounds={0: one, 1: two}, output=output)
    assert report.status == "done", report.error
    expected = soundfile.read(one, dtype="int32")[0].astype(np.int64)
    expected[:20_001] += soundfile.read(two, dtype="int32")[0]
    np.testing.assert_array_equal(soundfile.read(output, dtype="int32")[0], expected)
    assert soundfile.info(output).subtype == "PCM_24"
    assert not list(tmp_path.glob("*.part"))


def test_the_highest_rate_and_the_most_channels(tmp_path: Path) -> None:
    """Mono at 16 kHz beside stereo at 48 kHz: both ears hear it, as loud and as high as it was."""
    time = np.arange(16_000) / 16_000
    soundfile.write(tmp_path / "tone.wav", 0.25 * np.sin(2 * np.pi * 1000 * time), 16_000)
    stereo = noise(tmp_path, "s.wav", 72_000, 48_000, 2)
    stage, found = mixed(str(tmp_path / "tone.wav"), stereo)
    assert stage.about() == {"rate": 48_000, "channels": 2, "sounds": 2, "gain": 1.0}
    assert found.shape == (72_000, 2)
    tone = found - whole(stereo)
    np.testing.assert_allclose(tone[:, 0], tone[:, 1], atol=1e-6)
    late = np.arange(72_000) / 48_000
    np.testing.assert_allclose(tone[1000:47_000, 0], 0.25 * np.sin(2 * np.pi * 1000 * late)[1000:47_000], atol=2e-3)
    assert np.abs(tone[49_000:]).max() < 1e-4


def test_too_loud_together_is_lowered_as_a_whole_and_said(tmp_path: Path) -> None:
    one, two = noise(tmp_path, "a.wav", 30_000, loud=0.9), noise(tmp_path, "bb.wav", 40_000, loud=0.9)
    stage, found = mixed(one, two)
    total = np.zeros((40_000, 1))
    total[:30_000] += whole(one)
    total += whole(two)
    assert np.abs(total).max() > 1.7
    np.testing.assert_allclose(found, total * stage.about()["gain"], atol=1e-4)
    assert np.abs(found).max() == pytest.approx(10 ** (-1 / 20), abs=1e-6)
    assert any("dB beyond full scale: all is lowered by" in note for note in stage.notes)


def test_each_in_its_own_time(tmp_path: Path) -> None:
    """The sound of a video that begins after its picture stays so."""
    late = Sound(beeps([0.2, 0.7], 1.0, 48_000), start=Fraction(1, 2))
    video = write_clip(tmp_path / "late.mkv", Clip(count=40, sound=late))
    soundfile.write(tmp_path / "now.wav", beeps([0.1, 2.0], 2.5, 48_000)[0], 48_000)
    _, found = mixed(str(video), str(tmp_path / "now.wav"))
    np.testing.assert_allclose(beep_times(found[:, 0], 48_000), [0.1, 0.7, 1.2, 2.0], atol=0.003)


def test_a_process_that_begins_anew_goes_on_where_it_was(tmp_path: Path) -> None:
    stage = MixSource({"a": noise(tmp_path, "a.wav", 70_000), "b": noise(tmp_path, "bb.wav", 66_000)})
    packets = run_stage(stage)
    again: Any = MixSource(stage.sounds)
    again.open()
    again.seek(2)
    packet = type(packets[2])(2, Fraction(0), {"samples": np.zeros((16384, 1), np.float32)}, again.writes)
    assert again.produce(packet)
    np.testing.assert_array_equal(packet.samples, packets[2].samples)


def test_what_cannot_be_mixed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such audio file: gone"):
        MixSource({"a": "gone.wav"})
    four, six = noise(tmp_path, "four.wav", 100, channels=4), noise(tmp_path, "six.wav", 100, channels=6)
    with pytest.raises(ValueError, match=r"four\.wav has 4 channels, .*six\.wav has 6: beside it only mono, stereo"):
        MixSource({"a": four, "b": six}).open()
    with pytest.raises(ValueError, match=r"has to go to a \.wav file, not to mix\.mp3"):
        WriteSound("mix.mp3")


def test_large_sounds_have_lengths_of_64_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages.write_sound, "LARGE", 1000)
    samples = np.random.default_rng(1).uniform(-1, 1, (500, 2)).astype(np.float32)
    sink = WriteSound(str(tmp_path / "large.wav"))
    run_stage(sink, [{"samples": samples}], stream={"sound_rate": 48_000, "samples": 500})
    assert soundfile.info(tmp_path / "large.wav").format == "RF64"
    _, found = mixed(str(tmp_path / "large.wav"))
    np.testing.assert_allclose(found, samples, atol=2**-23)
