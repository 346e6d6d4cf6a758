"""landmarks: the face mesh of each frame, from a survey made before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graph.stage import Array, Packet, Stage, Value

if TYPE_CHECKING:
    from models.mouth.survey import Survey


class Landmarks(Stage):
    """Give the landmarks of each frame from the folder `survey`, smoothed over the frames before and after it.

    Frames are found by `source_index`, so a video may play back and forth. Counts `no_face`.
    """

    reads = {"source_index": Value()}
    writes = {
        "landmarks": Array(np.float32, "468 2", "MediaPipe's face mesh, pixels; NaN without a face"),
        "face": Value("found, score, cut, id"),
    }

    def __init__(self, survey: str) -> None:
        self.folder = survey
        self._survey: Survey | None = None

    def open(self) -> None:
        """Open the survey."""
        from models.mouth.survey import Survey

        self._survey = Survey(self.folder)

    def about(self) -> dict[str, Any]:
        """How many frames were surveyed."""
        return {"frames": self._survey.count} if self._survey else {}

    def process(self, packet: Packet) -> None:
        """Read a few records around the frame."""
        if self._survey is None:
            raise RuntimeError("landmarks is given packets before it was opened")
        landmarks, face = self._survey.landmarks(packet.source_index)
        packet.landmarks, packet.face = landmarks, face
        if not face["found"]:
            self.counts["no_face"] += 1

    def close(self) -> None:
        """Close the survey."""
        if self._survey is not None:
            self._survey.close()
