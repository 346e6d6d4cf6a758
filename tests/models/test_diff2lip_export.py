"""Diff2Lip through ONNX Runtime."""

import math

import numpy as np
import pytest
import torch

from models.diff2lip.conditions import Conditions
from models.diff2lip.export import STEP, OnnxDenoiser, export
from models.diff2lip.generator import Diff2Lip
from models.diff2lip.schedule import alpha_bars
from models.onnx import open_session


@pytest.fixture(scope="module")
def folder(diff2lip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    export(diff2lip, folder)
    yield folder
    for file in folder.iterdir():
        file.unlink()


def test_network_and_step_equal_the_reference(folder, diff2lip_inputs, golden):
    expected, (x, conditions, _) = golden("diff2lip_model"), diff2lip_inputs
    one: Conditions = conditions.part(0, 1)
    denoiser = OnnxDenoiser(folder, "cpu", threads=1)
    encoded, style = denoiser.encode(conditions.speech)
    np.testing.assert_allclose(encoded, expected["audio_enc"], atol=1e-3)
    np.testing.assert_allclose(style, expected["style"], atol=1e-3)
    given = {"x": x[:1], "t": torch.tensor([960]), "image": one.image, "reference": one.reference, "style": style[:1]}
    now, after = (np.array([alpha_bars()[t]], np.float32) for t in (960, 920))
    inputs = {name: tensor.contiguous().numpy() for name, tensor in given.items()}
    session = open_session(folder / STEP, "cpu", 1)
    out, clean, stepped = session.run(None, {**inputs, "level": now, "level_after": after})
    np.testing.assert_allclose(out, expected["out"][:1], atol=1e-3)
    lower, noise = x[:1, :, 64:].numpy(), expected["out"][:1, :3, 64:]
    estimate = np.clip((lower - math.sqrt(1 - now[0]) * noise) / math.sqrt(now[0]), -1, 1)
    left = (lower - math.sqrt(now[0]) * estimate) / math.sqrt(1 - now[0])
    np.testing.assert_allclose(clean, estimate, atol=1e-3)
    np.testing.assert_allclose(stepped, math.sqrt(after[0]) * estimate + math.sqrt(1 - after[0]) * left, atol=1e-3)


def test_draws_what_torch_draws(folder, diff2lip):
    random = np.random.default_rng(5)
    crops, references = random.integers(0, 256, (2, 1, 128, 128, 3), np.uint8)
    speech = random.uniform(-4, 4, (1, 80, 16)).astype(np.float32)
    cpu = torch.device("cpu")
    drawn = [
        Diff2Lip(denoiser, device=cpu, steps=1).draw(crops, references, speech).astype(int)
        for denoiser in (diff2lip, OnnxDenoiser(folder, "cpu", threads=1))
    ]
    assert np.abs(drawn[0] - drawn[1]).max() <= 1


def test_what_is_not_there_is_named(tmp_path, folder):
    with pytest.raises(ValueError, match="no such ONNX file"):
        OnnxDenoiser(tmp_path, "cpu")
    with pytest.raises(ValueError, match="provider: 'npu' is none of auto, cpu"):
        OnnxDenoiser(folder, "npu")
    with pytest.raises(ValueError, match="provider: openvino is not in the ONNX Runtime"):
        OnnxDenoiser(folder, "openvino")
