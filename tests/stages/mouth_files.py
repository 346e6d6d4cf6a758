"""What the tests of the mouth's path need: recordings, surveys, and real clips measured with the embedded models."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from models.faces.detectors import open_detector
from models.faces.mesh import Mesh, region_of_face
from models.mouth.survey import SurveyWriter

ROOT = Path(__file__).resolve().parents[2]
SPEECH = ROOT / "pipelines" / "samples" / "speech.wav"
MEDIA = Path(os.environ.get("GRAPHRUN_MEDIA", ROOT.parent / "shared" / "media"))


def real_clip(name: str) -> Path:
    """A clip of the media folder; the test is skipped where it is not there."""
    if not (MEDIA / name).is_file():
        pytest.skip(f"needs the real clip {name} (GRAPHRUN_MEDIA names their folder)")
    return MEDIA / name


def repeated(path: Path, times: int) -> Path:
    """The sample's sentence so often in a WAV file."""
    samples, rate = soundfile.read(SPEECH, dtype="float32")
    soundfile.write(path, np.tile(samples, times), rate)
    return path


def face(aperture: float, width: float) -> np.ndarray:
    """Landmarks [468, 2] of which only what the mouth is measured by lies where it would."""
    points = np.zeros((468, 2), np.float32)
    points[[10, 1, 152]] = (100, 0), (100, 100), (100, 190)
    points[[61, 291]] = (100 - 100 * width, 150), (100 + 100 * width, 150)
    points[[13, 14]] = (100, 150 - 100 * aperture), (100, 150 + 100 * aperture)
    points[[0, 17]] = points[13] - (0, 8), points[14] + (0, 10)
    points[152, 1] += 60 * aperture
    points[[234, 454, 33, 133, 362, 263, 2]] = (30, 80), (170, 80), (60, 60), (85, 60), (115, 60), (140, 60), (100, 110)
    return points


def write_survey(folder: Path, mouths: np.ndarray, rate: float = 25) -> Path:
    """A survey whose frames show so open and wide mouths [n, 2] (0..1)."""
    writer = SurveyWriter(folder)
    for index, (aperture, width) in enumerate(mouths):
        landmarks = face(0.005 + 0.05 * aperture, 0.2 + 0.05 * width)
        writer.add(index / rate, landmarks, found=True, cut=index == 0, track=1, presence=1.0)
    writer.finish({"rate": str(rate)})
    return folder


def survey_of(clip: Path, folder: Path) -> Path:
    """The survey of a real clip's largest face."""
    detector, mesh, writer = open_detector("blazeface"), Mesh(), SurveyWriter(folder)
    start = None
    with av.open(str(clip)) as file:
        for frame in file.decode(video=0):
            start = frame.time if start is None else start
            picture = frame.to_ndarray(format="rgb24")
            faces = detector(picture)
            points = mesh(picture, region_of_face(faces[0]))[0] if len(faces) else np.full((468, 2), np.nan)
            writer.add(frame.time - start, points, found=len(faces) > 0, cut=False, track=1, presence=1.0)
    writer.finish({})
    return folder
