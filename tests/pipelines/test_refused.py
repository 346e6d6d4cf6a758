"""What cannot go well is refused before the first pass over the video, in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LIPSYNC = Path(__file__).parents[2] / "pipelines" / "lipsync.yaml"
GRAPHRUN = Path(sys.executable).with_name("graphrun")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["audio=words.txt"], "words.txt is no media file that can be read"),
        ([f"audio={LIPSYNC.parent / 'samples/portrait.mp4'}"], "has no audio stream"),
        (["model=wav2lip"], "stage 'diffuse': there are no weights of wav2lip on this machine"),
        (["codec=h264_nvenc"], "stage 'encode': the encoder h264_nvenc cannot be used here"),
    ],
)
def test_nothing_runs_first_for_what_cannot_go_well(tmp_path: Path, words: list[str], message: str) -> None:
    if "nvenc" in words[0] and Path("/dev/nvidia0").exists():
        pytest.skip("there is an encoder of NVIDIA's here")
    (tmp_path / "words.txt").write_text("no sound")
    ended = subprocess.run(
        [GRAPHRUN, LIPSYNC, "output=out.mp4", "--report", "run.json", *words],
        cwd=tmp_path,
        env={**os.environ, "GRAPHRUN_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1 and message in ended.stderr
    report = json.loads((tmp_path / "run.json").read_text())
    assert (report["first"], report["packets"]) == ({}, 0)
    assert not (tmp_path / "out.mp4").exists()
