"""The sample that ships: small, decodable, really moving, and with its origin stated."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile

SAMPLES = Path(__file__).resolve().parents[2] / "pipelines" / "samples"


def test_the_sample_stays_small_and_says_where_it_is_from() -> None:
    files = {file.name: file.stat().st_size for file in SAMPLES.iterdir()}
    assert set(files) == {"portrait.mp4", "speech.wav", "README.md"}
    assert sum(files.values()) < 1_000_000
    text = (SAMPLES / "README.md").read_text()
    assert "NASA" in text and "CMU ARCTIC" in text and "Permission to use, copy, modify" in text


def test_the_portrait_is_a_video_whose_face_moves_by_fractions_of_a_pixel() -> None:
    with av.open(str(SAMPLES / "portrait.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 512, 512)
        assert stream.average_rate == 25
        pictures = [frame.to_ndarray(format="gray") for frame in file.decode(video=0)]
    frames = [picture[100:300, 150:350].astype(np.float32) for picture in pictures]
    assert len(frames) == 125
    steps = [np.hypot(*cv2.phaseCorrelate(before, after)[0]) for before, after in itertools.pairwise(frames)]
    assert max(steps) < 2.0 and np.median(steps) > 0.02
    assert np.abs(frames[-1] - frames[0]).mean() > 2


def test_the_speech_is_four_seconds_of_sound() -> None:
    samples, rate = soundfile.read(SAMPLES / "speech.wav")
    assert rate == 16_000 and abs(len(samples) / rate - 4) < 0.01
    assert samples.ndim == 1 and 0.01 < np.sqrt(np.mean(samples**2)) < 0.3
