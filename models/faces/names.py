"""The names of the detectors, for declarations that must not import the networks."""

from typing import Literal

DetectorName = Literal[
    "blazeface", "blazeface_short", "centerface", "yunet", "scrfd", "yolo_face", "retinaface", "s3fd"
]
