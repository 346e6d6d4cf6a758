"""CenterFace (Xu et al. 2019, "CenterFace: Joint Face Detection and Alignment Using Face as Point")."""

from __future__ import annotations

import numpy as np

from models.faces.detector import Candidates, Detector, Outputs

STRIDE = 4


class CenterFace(Detector):
    """A heat map of face centres [1, 1, h, w]; logarithms of height and width, and the centre's offset (y, x), each
    [1, 2, h, w]; points [1, 10, h, w] as (y, x) within the box. The two of equal shape come in this order.
    """

    @staticmethod
    def change(model: bytes) -> bytes:
        """The published file says that it takes ten pictures of 32×32: it takes any, and says so now."""
        import onnx

        proto = onnx.load_from_string(model)
        weights = {value.name for value in proto.graph.initializer}
        shown = [value for value in [*proto.graph.input, *proto.graph.output] if value.name not in weights]
        for value in shown:
            batch, _, *sides = value.type.tensor_type.shape.dim
            batch.dim_value = 1
            for place, side in enumerate(sides):
                side.dim_param = f"{value.name}_{place}"
        return bytes(proto.SerializeToString())

    def decode(self, outputs: Outputs, height: int, width: int) -> Candidates:
        maps = [value[0] for value in outputs.values()]
        heat = next(value[0] for value in maps if len(value) == 1)
        sizes, offsets = (value for value in maps if len(value) == 2)
        marks = next(value for value in maps if len(value) == 10)
        rows, columns = np.nonzero(heat >= self.score)
        sides = np.exp(sizes[::-1, rows, columns].T) * STRIDE
        centre = (np.stack([columns, rows], 1) + offsets[::-1, rows, columns].T + np.float32(0.5)) * STRIDE
        low = centre - sides / 2
        within = marks[:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]
        points = low[:, None] + within * sides[:, None]
        boxes = np.concatenate([low, low + sides], 1)
        return Candidates(boxes.astype(np.float32), heat[rows, columns], points.astype(np.float32))
