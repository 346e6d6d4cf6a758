"""Where the weights of the face models lie: three are embedded, the others come by path or from the registry."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "weights"

#: SHA-256 of the embedded files; tools/convert_tflite.py makes them
EMBEDDED = {
    "face_detection_full_range": "c196c50411ecf604f13d19feaf864b12f1bbc28b06d9442148efbe5f512b23c9",
    "face_detection_short_range": "f0617ed1311c93fa7682ec7b5ce763b7791f4f28d0c09611df7b0fbba4039065",
    "face_landmark": "c8fbc999acb823934f89a8827be979dae5317318e0d071e1ea16d6371ece7d07",
}


def embedded(name: str) -> tuple[Path, str]:
    """The file of an embedded network and its SHA-256."""
    return FOLDER / f"{name}.onnx", EMBEDDED[name]


def locate(detector: str) -> tuple[Path, str | None]:
    """The weights of a detector, and their SHA-256 if it has yet to be checked.

    Raises ValueError where they are neither embedded nor in the registry, or not at hand.
    """
    from models import registry

    files = {"blazeface": "face_detection_full_range", "blazeface_short": "face_detection_short_range"}
    if detector in files:
        return embedded(files[detector])
    if detector in registry.MODELS:
        return registry.weights(detector), None
    raise ValueError(f"no weights of {detector} come with graphrun: give its ONNX file as the parameter weights")
