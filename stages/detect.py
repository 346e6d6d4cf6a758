"""`detect`: find the faces of each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graph.stage import Array, Caps, Packet, Stage
from models.faces import COLUMNS, MOST_FACES
from models.faces.names import DetectorName
from models.onnx import check_device
from stages.media.planes import reading

if TYPE_CHECKING:
    from models.faces.detector import Detector


class Detect(Stage):
    """Find the faces of each frame, largest first, with five points each.

    `model` is embedded for blazeface and blazeface_short; the weights of the others are added once (`graphrun models`
    tells from where), or their ONNX file is named as `weights`. `size` is the longer side of the picture that the
    network sees. With `every: n` only each n-th frame is searched and the others get no rows: `track` and `mesh` follow
    faces between. With `batch:` the frames of a task are searched in one run of a network that takes several. Holds no
    state, so `workers` may be many. `pixels`: `rgb` reads `frame`; `source` reads the `planes` of a `decode` with
    `pixels: source`.
    """

    reads = {"frame": Array(np.uint8, "h w 3")}
    writes = {"faces": Array(np.float32, f"<={MOST_FACES} {COLUMNS}", "x0 y0 x1 y1 score, five points x y")}

    def __init__(
        self,
        model: DetectorName = "blazeface",
        score: float = 0.5,
        nms: float = 0.3,
        every: int = 1,
        size: int | None = None,
        device: str = "auto",
        weights: str | None = None,
        threads: int | None = None,
        pixels: Literal["rgb", "source"] = "rgb",
    ) -> None:
        if not 0 < score < 1:
            raise ValueError(f"score has to be between 0 and 1, not {score}")
        if not 0 <= nms < 1:
            raise ValueError(f"nms has to be at least 0 and below 1, not {nms}")
        for name, value in (("every", every), ("threads", threads), ("size", size)):
            if value is not None and value < 1:
                raise ValueError(f"{name} has to be at least 1, not {value}")
        self.model = model
        self.score = score
        self.nms = nms
        self.every = every
        self.size = size
        self.device = check_device(device)
        self.weights = weights
        self.threads = threads
        self.pixels = pixels
        self.reads = reading(Detect.reads, pixels)
        self.detector: Detector | None = None

    def open(self) -> None:
        from models.faces.detectors import licence_of, open_detector

        self.detector = open_detector(
            self.model,
            weights=self.weights,
            device=self.device,
            threads=self.threads or self.share,
            size=self.size,
            score=self.score,
            nms=self.nms,
        )
        if self.weights is None and (notice := licence_of(self.model)):
            self.notes.append(notice)

    def configure(self, caps: Caps) -> Caps:
        """Learns how the pictures lie in memory."""
        from stages.media.region import canvas_of

        self._canvas = canvas_of(caps, self.pixels)
        return Caps()

    def about(self) -> dict[str, Any]:
        if self.detector is None:
            return {}
        network = self.detector.network
        return {"model": self.model, "size": self.detector.size, "provider": network.provider}

    def process(self, packet: Packet) -> None:
        self.process_batch([packet])

    def process_batch(self, packets: Sequence[Packet]) -> None:
        """Find the faces of several frames, together where the network takes several pictures at once."""
        from stages.media.view import picture_of

        assert self.detector is not None
        looked = []
        for packet in packets:
            if packet.index % self.every:
                self.pass_through(packet)
            else:
                looked.append(packet)
        pictures = [picture_of(packet, self._canvas, self.pixels) for packet in looked]
        for packet, faces in zip(looked, self.detector.each(pictures), strict=True):
            packet.faces = faces
            self.counts["detected"] += 1
            self.counts["faces"] += len(faces)

    def pass_through(self, packet: Packet) -> None:
        packet.faces = np.zeros((0, COLUMNS), np.float32)
