"""YuNet (Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector"), as in OpenCV's model zoo."""

from __future__ import annotations

import numpy as np

from models.faces.detector import Candidates, Detector, Outputs, cells

STRIDES = (8, 16, 32)


class YuNet(Detector):
    """Twelve outputs: `cls_`, `obj_`, `bbox_` and `kps_` of three strides, one anchor a cell.

    The score is the geometric mean of class and objectness; a box is its centre's offset from the cell and the
    logarithm of its sides, both in strides.
    """

    bgr = True

    def decode(self, outputs: Outputs, height: int, width: int) -> Candidates:
        parts = []
        for stride in STRIDES:
            of = {kind: outputs[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox", "kps")}
            scores = np.sqrt(np.clip(of["cls"][:, 0], 0, 1) * np.clip(of["obj"][:, 0], 0, 1))
            good = np.flatnonzero(scores >= self.score)
            cell = cells(height, width, stride)[good]
            centre = (cell + of["bbox"][good, :2]) * stride
            half = np.exp(of["bbox"][good, 2:]) * stride / 2
            points = (cell[:, None] + of["kps"][good].reshape(-1, 5, 2)) * stride
            parts.append((np.concatenate([centre - half, centre + half], 1), scores[good], points))
        return Candidates(*(np.concatenate(part) for part in zip(*parts, strict=True)))
