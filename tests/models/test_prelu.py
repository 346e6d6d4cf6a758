"""A PReLU written otherwise gives what it gave."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.faces.weights import EMBEDDED, embedded
from models.onnx import open_network
from models.prelu import without_prelu


def network(slope: np.ndarray) -> bytes:
    """A convolution, a PReLU, and what is left when both are added to the picture."""
    random = np.random.default_rng(3)
    kernel = numpy_helper.from_array(random.normal(0, 0.3, (8, 8, 3, 3)).astype(np.float32), "kernel")
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["felt"], pads=[1, 1, 1, 1]),
        helper.make_node("PRelu", ["felt", "slope"], ["bent"]),
        helper.make_node("Add", ["bent", "image"], ["sum"]),
    ]
    shown = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 12, 20]) for name in ("image", "sum")]
    constants = [kernel, numpy_helper.from_array(slope.astype(np.float32), "slope")]
    graph = helper.make_graph(nodes, "bent", shown[:1], shown[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def outputs(model: bytes, tensor: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: tensor}))


def kinds(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


@pytest.mark.parametrize("slopes", [(-1.1, 1.5), (0.0, 0.0), (1.0, 1.0)])
def test_it_is_the_same_function(slopes: tuple[float, float]) -> None:
    """Also with slopes above one and below nought, where it is no maximum."""
    before = network(np.linspace(*slopes, 8).reshape(8, 1, 1))
    after = without_prelu(before)
    assert "PRelu" not in kinds(after)
    onnx.checker.check_model(onnx.load_from_string(after), full_check=True)
    picture = np.random.default_rng(4).normal(0, 3, (1, 8, 12, 20)).astype(np.float32)
    np.testing.assert_allclose(outputs(after, picture)[0], outputs(before, picture)[0], atol=1e-5)


@pytest.mark.parametrize("slope", [np.full((1, 1, 1), 0.2), np.full((8, 12, 20), 0.2)], ids=["one", "each"])
def test_other_forms_stay_as_they_are(slope: np.ndarray) -> None:
    assert kinds(without_prelu(network(slope))) == ["Conv", "PRelu", "Add"]


def test_a_network_is_opened_so_on_processors(tmp_path: Path) -> None:
    before = network(np.linspace(-0.5, 0.9, 8).reshape(8, 1, 1))
    (tmp_path / "bent.onnx").write_bytes(before)
    picture = np.random.default_rng(5).normal(0, 3, (1, 8, 12, 20)).astype(np.float32)
    found = open_network(tmp_path / "bent.onnx", "cpu").run(picture)
    np.testing.assert_allclose(found["sum"], outputs(before, picture)[0], atol=1e-5)


def test_embedded_networks_have_none_and_are_opened_without_onnx() -> None:
    """Which takes a tenth of a second and 25 MB at every start."""
    assert not any("PRelu" in kinds(embedded(name)[0].read_bytes()) for name in EMBEDDED)
    opening = "from models.faces.mesh import Mesh; from models.faces.lips import LipMesh; Mesh('cpu'); LipMesh('cpu')"
    code = f"import sys; {opening}; sys.exit('onnx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
