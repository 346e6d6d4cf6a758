"""The mel window of each packet, from real files, equal to the reference's where that is defined."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from graph.stage import run_stage
from models import mel
from stages.speech import Speech, mel_from_wav

GOLDEN = Path(__file__).parents[1] / "models" / "golden" / "diff2lip_audio.npz"


@pytest.fixture(scope="module")
def numbers():
    return dict(np.load(GOLDEN, allow_pickle=False))


@pytest.fixture(scope="module")
def wav(numbers, tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "two_seconds.wav"
    soundfile.write(path, numbers["wav"], 16_000, subtype="FLOAT")
    return str(path)


def windows(stage, count, rate=25):
    return run_stage(stage, [{}] * count, rate=rate)


def test_paper_windows_are_the_reference_s(wav, numbers):
    stage = Speech(wav, mode="paper")
    packets = windows(stage, 50)
    assert [packet.index for packet in packets] == list(range(47)), "the tail has no whole window"
    assert stage.counts["no_whole_window"] == 3
    for packet in packets:
        start = 80 * max(packet.index - 1, 0) // 25
        np.testing.assert_allclose(packet.speech, numbers["mel"][:, start : start + 16], atol=1e-5)


def test_best_windows_start_at_the_exact_time(wav, numbers):
    """Where the exact time falls on a mel column (every fifth frame at 25 fps) both modes agree."""
    stage = Speech(wav)
    packets = windows(stage, 60)
    assert len(packets) == 60
    for packet in packets[1:47:5]:
        start = 80 * (packet.index - 1) // 25
        np.testing.assert_allclose(packet.speech, numbers["mel"][:, start : start + 16], atol=1e-5)
    assert (packets[0].speech[:, :4] == mel.SILENCE).all(), "before the sound begins"
    assert (packets[59].speech == mel.SILENCE).all() and stage.counts["after_the_sound"] > 0


def test_any_frame_rate_hears_the_same_sound_at_the_same_time(wav):
    slow, fast = windows(Speech(wav), 10, 10), windows(Speech(wav), 60, 60)
    odd = windows(Speech(wav), 30, Fraction(30_000, 1001))
    for packet in slow:
        np.testing.assert_allclose(fast[packet.index * 6].speech, packet.speech, atol=1e-6)
    assert all(packet.speech.shape == (80, 16) and np.isfinite(packet.speech).all() for packet in odd)


def test_a_file_of_another_rate_is_heard_alike(numbers, tmp_path):
    """The same tones at 44.1 kHz in stereo; 8 kHz is taken, and said."""
    for rate, channels in ((16_000, 1), (44_100, 2), (8_000, 1)):
        time = np.arange(rate * 2) / rate
        tone = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.2 * np.sin(2 * np.pi * 1500 * time)
        soundfile.write(tmp_path / f"{rate}.wav", np.stack([tone] * channels, 1), rate, subtype="FLOAT")
    expected = windows(Speech(str(tmp_path / "16000.wav")), 40)[20].speech
    low = expected > -2
    for rate in (44_100, 8_000):
        stage = Speech(str(tmp_path / f"{rate}.wav"))
        found = windows(stage, 40)[20].speech
        np.testing.assert_allclose(found[low], expected[low], atol=0.05)
    assert stage.notes == [f"{tmp_path / '8000.wav'} has 8000 Hz: nothing above 4000 Hz is heard"]


def test_whole_file(wav, numbers):
    np.testing.assert_allclose(mel_from_wav(wav), numbers["mel"], atol=1e-5)


def test_short_sound(tmp_path):
    path = str(tmp_path / "short.wav")
    soundfile.write(path, np.full(1600, 0.1, np.float32), 16_000)
    stage = Speech(path)
    assert len(windows(stage, 3)) == 3 and "0.100 s of sound, less than one window" in stage.notes[0]
    with pytest.raises(ValueError, match=r"0\.100 s of sound, less than one window"):
        windows(Speech(path, mode="paper"), 3)


def test_what_cannot_be_heard_is_named(wav, tmp_path):
    (tmp_path / "text.wav").write_text("this is no sound")
    with pytest.raises(ValueError, match="no such audio file"):
        windows(Speech(str(tmp_path / "none.wav")), 1)
    with pytest.raises(ValueError, match=r"text\.wav"):
        windows(Speech(str(tmp_path / "text.wav")), 1)
    with pytest.raises(ValueError, match="mode: 'exact' is neither best nor paper"):
        Speech(wav, mode="exact")
    with pytest.raises(ValueError, match="mode: paper needs 25 frames a second, the stream has 30"):
        windows(Speech(wav, mode="paper"), 1, 30)
