"""Small ONNX networks that give set numbers, whatever they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def made_network(path: Path, outputs: Mapping[str, np.ndarray], shape: Sequence[int | str]) -> Path:
    """Write a network that takes pictures of `shape` and always gives `outputs`."""
    constants, nodes, infos = [], [], []
    for name, value in outputs.items():
        constants.append(numpy_helper.from_array(np.asarray(value, np.float32), f"{name}_value"))
        nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "made", [image], infos, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def seeing_network(path: Path, outputs: Mapping[str, np.ndarray], shape: Sequence[int | str]) -> Path:
    """As made_network, for any number of pictures: a picture's `outputs` are times the largest number in it."""
    constants = [
        numpy_helper.from_array(np.asarray(value, np.float32), f"{name}_value") for name, value in outputs.items()
    ]
    nodes, infos = [], []
    for name, value in outputs.items():
        sides = numpy_helper.from_array(np.array([-1, *[1] * (value.ndim - 1)]), f"{name}_sides")
        constants.append(sides)
        nodes += [
            helper.make_node("ReduceMax", ["image"], [f"{name}_most"], axes=[1, 2, 3]),
            helper.make_node("Reshape", [f"{name}_most", f"{name}_sides"], [f"{name}_factor"]),
            helper.make_node("Mul", [f"{name}_value", f"{name}_factor"], [name]),
        ]
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *value.shape[1:]]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *shape[1:]])
    graph = helper.make_graph(nodes, "seeing", [image], infos, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
