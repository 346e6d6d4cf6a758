"""Wav2Lip: keys of the official checkpoints, numbers of the reference, in torch and in ONNX Runtime."""

import numpy as np
import pytest
import torch

from models.wav2lip import Network
from models.wav2lip.export import export, open_graph
from models.wav2lip.generator import OnnxRunner, TorchRunner, Wav2Lip

CPU, FP32 = torch.device("cpu"), torch.float32


@pytest.fixture(scope="module")
def graph(wav2lip, tmp_path_factory):
    return export(wav2lip, tmp_path_factory.mktemp("graph") / "wav2lip_96.onnx")


def test_keys_and_shapes_are_the_official_ones(key_table):
    with torch.device("meta"):
        state = Network().state_dict()
    assert {key: "x".join(map(str, value.shape)) or "scalar" for key, value in state.items()} == key_table("wav2lip")


def test_equals_the_reference(wav2lip, wav2lip_inputs, golden):
    mel, face = map(torch.from_numpy, wav2lip_inputs)
    expected = golden("wav2lip")
    with torch.inference_mode():
        np.testing.assert_allclose(wav2lip(mel, face), expected["out"], atol=1e-4)
        np.testing.assert_allclose(wav2lip.audio_encoder(mel), expected["audio_enc"], atol=1e-4)


def test_the_onnx_graph_has_the_names_others_use_and_the_same_numbers(graph, wav2lip_inputs, golden):
    mel, face = wav2lip_inputs
    drawn = open_graph(graph, "cpu").run(None, {"source": mel, "target": face})[0]
    np.testing.assert_allclose(drawn, golden("wav2lip")["out"], atol=1e-3)


def pictures(seed, count=2):
    return np.random.default_rng(seed).integers(0, 256, (count, 96, 96, 3), np.uint8)


def test_draws_pictures_from_pictures(wav2lip, wav2lip_inputs):
    """The whole way by hand: BGR in 0…1, lower half of the crop hidden, RGB out."""
    crops, references, mel = pictures(1), pictures(2), wav2lip_inputs[0]
    drawn = Wav2Lip(TorchRunner(wav2lip, CPU, FP32)).draw(crops, references, mel[:, 0])
    bgr = torch.from_numpy(np.concatenate([crops[..., ::-1], references[..., ::-1]], 3).transpose(0, 3, 1, 2) / 255.0)
    bgr[:, :3, 48:] = 0
    with torch.inference_mode():
        expected = wav2lip(torch.from_numpy(mel), bgr.float()).numpy() * 255
    np.testing.assert_allclose(drawn[..., ::-1].transpose(0, 3, 1, 2), expected, atol=0.51)


def test_what_is_hidden_does_not_count(wav2lip, wav2lip_inputs):
    generator, mel = Wav2Lip(TorchRunner(wav2lip, CPU, FP32)), wav2lip_inputs[0][:, 0]
    crops, references = pictures(1), pictures(2)
    changed = crops.copy()
    changed[:, 48:] = 0
    drawn = generator.draw(crops, references, mel)
    np.testing.assert_array_equal(generator.draw(changed, references, mel), drawn)
    assert (generator.draw(crops[::-1], references, mel) != drawn).any()


def test_torch_and_onnx_draw_the_same(wav2lip, graph, wav2lip_inputs):
    arguments = pictures(1), pictures(2), wav2lip_inputs[0][:, 0]
    by_torch = Wav2Lip(TorchRunner(wav2lip, CPU, FP32)).draw(*arguments)
    by_onnx = Wav2Lip(OnnxRunner(open_graph(graph, "cpu"))).draw(*arguments)
    assert np.abs(by_torch.astype(int) - by_onnx).max() <= 1


def test_a_graph_for_one_frame_at_a_time_serves_several(graph, wav2lip_inputs, tmp_path):
    import onnx

    model = onnx.load(graph)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "single.onnx")
    arguments = pictures(1), pictures(2), wav2lip_inputs[0][:, 0]
    single = Wav2Lip(OnnxRunner(open_graph(tmp_path / "single.onnx", "cpu"))).draw(*arguments)
    np.testing.assert_array_equal(single, Wav2Lip(OnnxRunner(open_graph(graph, "cpu"))).draw(*arguments))


def test_refuses_wrong_shapes(wav2lip):
    generator = Wav2Lip(TorchRunner(wav2lip, CPU, FP32))
    with pytest.raises(ValueError, match=r"references as uint8 \[2, 96, 96, 3\]"):
        generator.draw(pictures(1), pictures(2, 1), np.zeros((2, 80, 16), np.float32))
    with pytest.raises(ValueError, match=r"speech as \[2, 80, 16\], got \[2, 16, 80\]"):
        generator.draw(pictures(1), pictures(2), np.zeros((2, 16, 80), np.float32))


def test_refuses_another_network(tmp_path):
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3])
    out = helper.make_tensor_value_info("same", TensorProto.FLOAT, [1, 3])
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["same"])], "other", [value], [out])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"not Wav2Lip's network: its inputs are image \[3\]"):
        open_graph(tmp_path / "other.onnx", "cpu")
