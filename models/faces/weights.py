"""Where the weights of the face models lie: four are embedded, the others come by path or from the registry."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "weights"

#: SHA-256 of the embedded files; tools/convert_tflite.py and tools/convert_lips.py make them
EMBEDDED = {
    "face_detection_full_range": "cddbe46acdea0a48ea5f1efce0122ef1c171282bd5fae5bf813710ba39e10593",
    "face_detection_short_range": "0a1c98b3b122e5a439a04ce60ebaf1de35e36f59c3b716361fe59c5d655dd2e5",
    "face_landmark": "e229fc6fd04ed3fb6e964a2c523b46cdecb206679fce6f1bbc6c7cf211663c10",
    "face_lips": "5bc60acff0fc9ee6a4c63640455c5e32b6d7516d6f9fd7b1746af25205be575c",
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
