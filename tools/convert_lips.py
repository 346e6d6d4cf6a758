"""Make the embedded network for lips out of MediaPipe's attention mesh (Grishchenko et al. 2020, "Attention Mesh:
High-fidelity Face Mesh Prediction in Real-time"): TensorFlow Lite to ONNX (opset 17), the same bytes every time.

    pip download --no-deps --python-version 3.11 --only-binary :all: --platform manylinux_2_17_x86_64 mediapipe==0.10.14
    python tools/convert_lips.py mediapipe-0.10.14-*.whl models/weights

Of that network only what leads to the lips is taken: the first layers, which make a map of features of the picture, and
the branch that reads a window of 16 x 16 of it. Where the window lies is given as `grid` (ONNX's GridSample), since a
face mesh is at hand: the original finds it by a mesh of its own. The picture may be any part of that one. PReLU is
written as models/prelu.py does it. Needs flatbuffers.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import zipfile
from pathlib import Path

import onnx
from flatbuffers import number_types
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parent))
from convert_tflite import OPERATORS, Converter, Network, Operator, Reader

from models.prelu import without_prelu

NAME = "face_lips"
INSIDE = "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite"
#: the map of features, the window out of it, and the points of the lips in the window, as the file calls them
FEATURES, WINDOW, POINTS = "p_re_lu_3", "transform_tensor_bilinear_v2", "conv_lips"
#: cells of the window's side
SIDE = 16


class Part(Network):
    """What leads to `POINTS`: its operators in their order; those that are not known here stay out."""

    def __init__(self, data: bytes) -> None:
        model = Reader.root(data)
        kinds = [max(code.byte(0), code.number(3)) for code in model.subs(1)]
        (graph,) = model.subs(2)
        self.tensors = [self._tensor(one, [b.array(0, "u1") for b in model.subs(4)]) for one in graph.subs(0)]
        self.places = {tensor.name: place for place, tensor in enumerate(self.tensors)}
        known = [one for one in graph.subs(3) if kinds[one.number(0, number_types.Uint32Flags)] in OPERATORS]
        made = {one.output: one for one in (self._operator(op, kinds) for op in known)}
        before = self._leading_to(self.places[FEATURES], made)
        after = self._leading_to(self.places[POINTS], made)
        self.inputs, self.outputs = graph.array(1).tolist(), [self.places[POINTS]]
        self.features = [one for place, one in made.items() if place in before]
        self.operators = [one for place, one in made.items() if place in after]

    @staticmethod
    def _leading_to(place: int, made: dict[int, Operator]) -> set[int]:
        found, waiting = set(), [place]
        while waiting:
            place = waiting.pop()
            if place in made and place not in found:
                found.add(place)
                waiting += made[place].inputs
        return found


class LipsConverter(Converter):
    """Features, window, lips."""

    def convert(self, name: str) -> onnx.ModelProto:
        part = self.network
        assert isinstance(part, Part)
        self.write(part.features)
        names = [self.names[part.places[one]] for one in (FEATURES, WINDOW)]
        self.nodes.append(helper.make_node("GridSample", [names[0], "grid"], names[1:], align_corners=1))
        self.write(part.operators)
        model = self.model(name, helper.make_tensor_value_info("grid", TensorProto.FLOAT, [1, SIDE, SIDE, 2]))
        for size, free in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], ("height", "width"), strict=True):
            size.dim_param = free
        return model


def convert(data: bytes) -> bytes:
    """The TFLite file as the ONNX file."""
    return without_prelu(LipsConverter(Part(data)).convert(NAME).SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="mediapipe-0.10.14-cp311-….whl")
    parser.add_argument("folder", type=Path, help="where the ONNX file goes")
    given = parser.parse_args()
    with zipfile.ZipFile(given.wheel) as wheel:
        converted = convert(wheel.read(INSIDE))
    (given.folder / f"{NAME}.onnx").write_bytes(converted)
    print(f"{NAME}.onnx {len(converted)} {hashlib.sha256(converted).hexdigest()}")


if __name__ == "__main__":
    main()
