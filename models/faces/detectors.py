"""The detectors by name, and how one is opened."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np

from models.faces.blazeface import BlazeFace, BlazeFaceShort
from models.faces.centerface import CenterFace
from models.faces.detector import Detector
from models.faces.names import DetectorName
from models.faces.priors import RetinaFace, S3fd
from models.faces.scrfd import Scrfd
from models.faces.weights import locate
from models.faces.yolo_face import YoloFace
from models.faces.yunet import YuNet
from models.onnx import open_network

DETECTORS: dict[str, type[Detector]] = {
    "blazeface": BlazeFace,
    "blazeface_short": BlazeFaceShort,
    "centerface": CenterFace,
    "yunet": YuNet,
    "scrfd": Scrfd,
    "yolo_face": YoloFace,
    "retinaface": RetinaFace,
    "s3fd": S3fd,
}


def open_detector(
    name: DetectorName,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    threads: int = 1,
    size: int | None = None,
    score: float = 0.5,
    nms: float = 0.3,
) -> Detector:
    """A detector by name, with its embedded or registered weights, or an ONNX file of the same outputs.

    Raises ValueError where the weights are missing or do not fit, or `size` does not.
    """
    path, sha256 = (Path(weights), None) if weights is not None else locate(name)
    kind = DETECTORS[name]
    network = open_network(path, device, threads=threads, sha256=sha256, change=kind.change)
    if name == "retinaface" and len(network.session.get_outputs()) == 9:
        kind = Scrfd
    detector = kind(network, size=size, score=score, nms=nms)
    try:
        detector(np.zeros((64, 64, 3), np.uint8))
    except (StopIteration, KeyError, IndexError, ValueError):
        outputs = ", ".join(f"{output.name} {output.shape}" for output in network.session.get_outputs())
        raise ValueError(f"{path} does not have the outputs of {name}, but {outputs}") from None
    return detector


def licence_of(name: DetectorName) -> str | None:
    """What has to be told before the first use of a detector's weights on this machine; None at every later call."""
    from models import registry

    return registry.licence_notice(name) if name in registry.MODELS else None


def check_weights(name: str, file: Path) -> None:
    """Raise ValueError unless the file is an ONNX graph with the inputs and outputs of a detector."""
    for known in get_args(DetectorName):
        if known == name:
            open_detector(known, weights=file, device="cpu")
            return
    raise ValueError(f"{name} is no detector")
