"""The halves test cuts a clip in two that belong together, and knows how loud its sound is."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from graph.runner import Graph

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "pipelines" / "samples"


@pytest.fixture(scope="module")
def tool() -> Any:
    sys.path.append(str(ROOT / "tools"))
    return importlib.import_module("halves")


def test_both_halves_have_their_pictures_and_their_sound(tool: Any, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    graph = Graph.load(ROOT / "pipelines" / "transcode.yaml")
    graph.run(video=str(SAMPLES / "portrait.mp4"), audio=str(SAMPLES / "speech.wav"), output=str(clip))
    lengths = []
    for part in tool.halves(str(clip), tmp_path):
        with av.open(str(part)) as container:
            assert container.streams.audio
            lengths.append(sum(1 for _ in container.decode(video=0)))
    with av.open(str(clip)) as container:
        whole = sum(1 for _ in container.decode(video=0))
    assert sum(lengths) == whole and abs(lengths[0] - lengths[1]) <= 1


def test_a_clip_without_sound_is_refused(tool: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no sound"):
        tool.halves(str(SAMPLES / "portrait.mp4"), tmp_path)


def test_loudness_is_high_where_the_sound_is(tool: Any, tmp_path: Path) -> None:
    samples = np.zeros(32_000, np.float32)
    samples[16_000:] = 0.3 * np.sin(np.arange(16_000) / 5)
    soundfile.write(tmp_path / "half.wav", samples, 16_000)
    loud = tool.loudness(str(tmp_path / "half.wav"), np.array([0.2, 0.8, 1.2, 1.8]))
    assert loud[2:].min() > loud[:2].max() + 3
