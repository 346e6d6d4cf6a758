"""Where weights come from: embedded ones are checked, others are taken from the registry."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx_made import made_network

from models import registry
from models.faces import weights
from models.faces.detectors import open_detector
from models.onnx import open_network


def test_embedded_weights_are_what_was_published():
    for name in weights.EMBEDDED:
        path, digest = weights.embedded(name)
        assert registry.sha256_of(path) == digest
    assert (weights.FOLDER / "LICENSE").is_file()
    assert (weights.FOLDER / "NOTICE").is_file()


def test_changed_weights_are_refused(monkeypatch, tmp_path):
    path, digest = weights.embedded("face_detection_short_range")
    changed = bytearray(path.read_bytes())
    changed[100_000] ^= 1
    (tmp_path / "changed.onnx").write_bytes(changed)
    with pytest.raises(ValueError, match="is not the file that was published"):
        open_network(tmp_path / "changed.onnx", "cpu", sha256=digest)


def test_detectors_of_the_registry(monkeypatch, tmp_path):
    output = np.zeros((1, 20, 10))
    output[0, :5, 3] = 32, 32, 20, 20, 0.9
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    path = made_network(tmp_path / "models" / "yolo_face.onnx", {"output": output}, [1, 3, 64, 64])
    entry = registry.Model("yolo_face", "a detector", "GPL-3.0", "", "anywhere", path.stat().st_size)
    monkeypatch.setattr(registry, "MODELS", {**registry.MODELS, "yolo_face": entry})
    with pytest.raises(ValueError, match="no weights of yolo_face on this machine"):
        open_detector("yolo_face", device="cpu")
    record = {"name": "yolo_face", "file": path.name, "size": path.stat().st_size,
              "sha256": registry.sha256_of(path), "known": False, "origin": "a test"}
    path.with_suffix(".json").write_text(json.dumps(record))
    (face,) = open_detector("yolo_face", device="cpu")(np.zeros((64, 64, 3), np.uint8))
    np.testing.assert_allclose(face[:4], [21.5, 21.5, 41.5, 41.5], atol=1e-3)


def test_cuda_is_not_replaced_in_silence():
    path, _ = weights.embedded("face_detection_short_range")
    if open_network(path, "auto").provider != "CPUExecutionProvider":
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeError, match="device cuda:0 cannot be used"):
        open_network(path, "cuda:0")


def test_a_missing_file(tmp_path):
    with pytest.raises(OSError, match=r"nothing\.onnx"):
        open_network(tmp_path / "nothing.onnx", "cpu")
