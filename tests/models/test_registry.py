"""The registry of weights: what it says, what it takes in, what it refuses to use."""

import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file

from models import registry
from models.generator import load_generator


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def added(wav2lip_file):
    return registry.add("wav2lip", wav2lip_file)


def test_says_what_there_is_and_under_which_licence():
    listed = registry.list_models()
    detectors = ["centerface", "yunet", "scrfd", "retinaface", "yolo_face", "s3fd"]
    assert [model.name for model, _ in listed] == ["diff2lip", "wav2lip", "wav2lip_gan", *detectors]
    assert all(at_hand is None and model.licence and model.where and model.size for model, at_hand in listed)
    free = [model.name for model, _ in listed if not model.uses]
    assert free == ["centerface", "yunet", "s3fd"]
    assert [model.name for model, _ in listed if model.detects] == detectors
    assert registry.find_model("diff2lip").licence == "CC BY-NC 4.0"
    with pytest.raises(ValueError, match=r"no model 'wav2lap' \(there are: diff2lip, wav2lip, wav2lip_gan, "):
        registry.find_model("wav2lap")


@pytest.mark.parametrize("name", ["diff2lip", "wav2lip", "wav2lip_gan"])
def test_missing_weights_come_with_the_way_to_get_them(name):
    how = rf"no weights of {name} .*get them from .*graphrun models add {name} FILE.*licence"
    with pytest.raises(ValueError, match=how):
        load_generator(name)


def test_added_weights_are_used(added, home):
    assert added.path.parent == home and added.path.suffix == ".pth" and not added.known
    assert {model.name: at_hand for model, at_hand in registry.list_models()}["wav2lip"] == added
    assert registry.weights("wav2lip") == added.path
    generator = load_generator("wav2lip", device="cpu")
    assert generator.size == 96 and generator.about()["model"] == "wav2lip"
    faces = np.zeros((1, 96, 96, 3), np.uint8)
    assert generator.draw(faces, faces, np.zeros((1, 80, 16), np.float32)).shape == faces.shape


def test_weights_are_only_added_if_they_fit(wav2lip_file, tmp_path, home):
    with pytest.raises(ValueError, match=r"not the weights of diff2lip: .*looks like a Wav2Lip checkpoint"):
        registry.add("diff2lip", wav2lip_file)
    with pytest.raises(ValueError, match="no such file"):
        registry.add("wav2lip", tmp_path / "none.pth")
    (tmp_path / "page.pth").write_text("<html>")
    with pytest.raises(ValueError, match="a web page"):
        registry.add("wav2lip", tmp_path / "page.pth")
    assert not home.exists() or not list(home.iterdir())


def test_changed_weights_are_not_used(added):
    assert [found.problem for found in registry.verify()] == [None]
    with added.path.open("r+b") as file:
        file.seek(added.size // 2)
        file.write(b"\xff\xfe")
    problem = registry.verify("wav2lip")[0].problem
    assert problem is not None and "has changed: its SHA-256 is" in problem
    with pytest.raises(ValueError, match=r"weights of wav2lip cannot be used: .*has changed"):
        load_generator("wav2lip")
    with added.path.open("r+b") as file:
        file.truncate(1000)
    assert "has 1,000 bytes" in str(registry.verify()[0].problem)
    added.path.unlink()
    assert "is gone" in str(registry.verify()[0].problem)


def test_a_broken_record_is_named(added, home):
    (home / "wav2lip.json").write_text(json.dumps({"name": "wav2lip"}))
    with pytest.raises(ValueError, match=r"wav2lip\.json is broken: remove it"):
        registry.weights("wav2lip")


def test_licence_is_shown_once():
    first = registry.licence_notice("diff2lip")
    assert first is not None and "CC BY-NC 4.0" in first and "Non-commercial" in first
    assert registry.licence_notice("diff2lip") is None
    assert registry.licence_notice("wav2lip") is not None


def test_converts_to_safetensors_and_onnx(added, wav2lip, home):
    (tensors,) = registry.convert("wav2lip", "safetensors")
    assert load_file(tensors).keys() == wav2lip.state_dict().keys()
    with pytest.raises(ValueError, match="not there as onnx: run 'graphrun models convert wav2lip --to onnx'"):
        load_generator("wav2lip", device="cpu", provider="cpu")
    registry.convert("wav2lip", "onnx")
    generators = [load_generator("wav2lip", device="cpu", provider=provider) for provider in ("auto", "cpu")]
    assert [generator.about()["provider"] for generator in generators] == ["torch", "CPUExecutionProvider"]
    random = np.random.default_rng(1)
    crops, references = random.integers(0, 256, (2, 2, 96, 96, 3), np.uint8)
    speech = random.uniform(-4, 4, (2, 80, 16)).astype(np.float32)
    drawn = [generator.draw(crops, references, speech).astype(int) for generator in generators]
    assert np.abs(drawn[0] - drawn[1]).max() <= 1
    with pytest.raises(ValueError, match="cannot convert to 'tflite'"):
        registry.convert("wav2lip", "tflite")


def test_a_conversion_of_other_weights_or_a_changed_one_is_not_used(added, wav2lip_file, tmp_path, home):
    (graph,) = registry.convert("wav2lip", "onnx")
    whole = graph.read_bytes()
    graph.write_bytes(whole + b" ")
    with pytest.raises(ValueError, match="is gone or has changed"):
        registry.converted("wav2lip", "onnx")
    graph.write_bytes(whole)
    record = home / "wav2lip.json"
    record.write_text(record.read_text().replace(added.sha256, "0" * 64))
    with pytest.raises(ValueError, match="made of other weights"):
        registry.converted("wav2lip", "onnx")


def test_an_onnx_file_is_weights_of_wav2lip_only(added, tmp_path):
    (graph,) = registry.convert("wav2lip", "onnx")
    shutil.copy(graph, tmp_path / "wav2lip_gan_96.onnx")
    assert registry.add("wav2lip_gan", tmp_path / "wav2lip_gan_96.onnx").path.suffix == ".onnx"
    assert load_generator("wav2lip_gan", device="cpu").about()["provider"] == "CPUExecutionProvider"
    with pytest.raises(ValueError, match="dtype and compile are torch's"):
        load_generator("wav2lip_gan", device="cpu", dtype="bf16")
    with pytest.raises(ValueError, match="for diff2lip add the checkpoint"):
        registry.add("diff2lip", tmp_path / "wav2lip_gan_96.onnx")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"device": "gpu"}, "device: 'gpu' is not auto, cpu, cuda or cuda:N"),
        ({"device": "cuda:99"}, "device: cuda:99 is not there"),
        ({"device": "cpu", "dtype": "fp16"}, "fp16 is hundreds of times slower"),
        ({"dtype": "fp8"}, "dtype: 'fp8' is none of auto, fp32, bf16, fp16"),
        ({"path": "nowhere.pt"}, "no such file of weights: nowhere.pt"),
    ],
)
def test_words_a_generator_does_not_know(added, wrong, message):
    with pytest.raises(ValueError, match=message):
        load_generator("wav2lip", **wrong)


def test_weights_by_their_path_need_no_registry(wav2lip_file, diff2lip_file):
    assert load_generator("wav2lip_gan", path=str(wav2lip_file), device="cpu").name == "wav2lip_gan"
    generator = load_generator("diff2lip", path=str(diff2lip_file), device="cpu", steps=8, solver="dpm++", seed=3)
    about = generator.about()
    expected = {"steps": 8, "solver": "dpm++", "seed": 3, "batch": 1, "dtype": "fp32"}
    assert {key: about[key] for key in expected} == expected
    with pytest.raises(ValueError, match="steps: 0"):
        load_generator("diff2lip", path=str(diff2lip_file), device="cpu", steps=0)


@pytest.mark.parametrize("name", ["wav2lip", "diff2lip"])
def test_bf16_draws_nearly_the_same(request, name):
    path = str(request.getfixturevalue(f"{name}_file"))
    speech = np.random.default_rng(2).uniform(-4, 4, (1, 80, 16)).astype(np.float32)
    drawn = []
    for dtype in ("fp32", "bf16"):
        generator = load_generator(name, path=path, device="cpu", dtype=dtype, steps=1)
        shape = (2, 1, generator.size, generator.size, 3)
        crops, references = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        drawn.append(generator.draw(crops, references, speech).astype(int))
        assert generator.about()["dtype"] == dtype
    assert 0 < np.abs(drawn[0] - drawn[1]).mean() < 3
