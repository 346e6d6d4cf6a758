"""SCRFD with its real weights, where they are; their licence forbids to ship them."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from models.faces.detectors import open_detector
from models.faces.mesh import Mesh, five_points, region_of_face

ROOT = Path(__file__).parents[2]
WEIGHTS = Path(os.environ.get("GRAPHRUN_MODELS", ROOT.parent / "shared" / "models")) / "scrfd_2.5g_kps.onnx"

pytestmark = pytest.mark.skipif(not WEIGHTS.is_file(), reason="no scrfd_2.5g_kps.onnx in GRAPHRUN_MODELS")


def test_agrees_with_the_mesh_on_the_sample():
    with av.open(str(ROOT / "pipelines" / "samples" / "portrait.mp4")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    # the face twice, the second time half as large and turned into the right half of a wide picture
    wide = np.full((512, 1024, 3), 120, np.uint8)
    wide[:, :512] = frame
    wide[128:384, 640:896] = frame[::2, ::2]
    faces = open_detector("scrfd", weights=WEIGHTS, device="cpu")(wide)
    mesh = Mesh("cpu")
    assert len(faces) == 2
    for face in faces:
        assert face[4] > 0.6
        landmarks, presence = mesh(wide, region_of_face(face))
        assert presence > 0.9
        eyes = np.linalg.norm(face[7:9] - face[5:7])
        far = np.linalg.norm(face[5:].reshape(5, 2) - five_points(landmarks), axis=1)
        assert (far < 0.15 * eyes).all()
    np.testing.assert_allclose(faces[1, 5:].reshape(5, 2), faces[0, 5:].reshape(5, 2) / 2 + [640, 128], atol=3)
