"""The embedded network for lips is what the converter makes of the published package."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from models.faces.weights import FOLDER

pytest.importorskip("flatbuffers")
pytest.importorskip("onnx")

TOOL = Path(__file__).parents[2] / "tools" / "convert_lips.py"
SPEC = importlib.util.spec_from_file_location("convert_lips", TOOL)
convert_lips = importlib.util.module_from_spec(SPEC)
sys.modules["convert_lips"] = convert_lips
SPEC.loader.exec_module(convert_lips)


@pytest.mark.slow
def test_the_embedded_file_is_made_of_the_package(tmp_path):
    platform = ["--python-version", "3.11", "--only-binary", ":all:", "--platform", "manylinux_2_17_x86_64"]
    package = ["mediapipe==0.10.14", "--no-deps", "--dest", str(tmp_path), *platform]
    try:
        command = [sys.executable, "-m", "pip", "download", "--quiet", *package]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("mediapipe 0.10.14 cannot be downloaded here")
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        made = convert_lips.convert(wheel.read(convert_lips.INSIDE))
    assert made == (FOLDER / "face_lips.onnx").read_bytes()
