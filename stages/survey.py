"""survey: the face mesh of every frame and a bank of mouths, kept in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Sink, Value
from stages.media.planes import reading

if TYPE_CHECKING:
    from models.faces.lips import LipMesh
    from models.mouth.bank import Gathering
    from models.mouth.survey import SurveyWriter


class SurveySink(Sink):
    """Write what a video shows of one face: landmarks of every frame, and a bank of mouths as different as can be.

    `path`: the folder. `bank_mb`: the bank's bound in millions of bytes. `size`: the longest side of a mouth in the
    bank, pixels; larger ones are scaled down. `lips`: look at the lips again and closer, since the mesh alone places
    them as it expects them on such a face (about 1 ms of a CPU a frame). `pixels`: `rgb` reads `frame`; `source` reads
    the `planes` of a `decode` with `pixels: source`, of which the mouths alone become RGB. Counts `no_face` (frames
    without the face) and `mouths` (in the bank).
    """

    reads = {
        "frame": Array(np.uint8, "h w 3"),
        "landmarks": Array(np.float32, "468 2"),
        "face": Value(),
    }
    stateful = True

    def __init__(
        self,
        path: str,
        bank_mb: float = 80.0,
        size: int = 512,
        lips: bool = True,
        pixels: Literal["rgb", "source"] = "rgb",
    ) -> None:
        if not 1 <= bank_mb <= 4000:
            raise ValueError(f"bank_mb has to lie between 1 and 4000, not {bank_mb:g}")
        if not 64 <= size <= 2048:
            raise ValueError(f"size has to lie between 64 and 2048 pixels, not {size}")
        self.path = path
        self.bank_mb = bank_mb
        self.size = size
        self.lips = lips
        self.pixels = pixels
        self.reads = reading(SurveySink.reads, pixels)
        self._closer: LipMesh | None = None
        self._writer: SurveyWriter | None = None

    def open(self) -> None:
        """Make the folder."""
        from models.faces.lips import LipMesh
        from models.mouth.bank import Gathering
        from models.mouth.survey import SurveyWriter

        self._writer = SurveyWriter(self.path)
        self._gathering: Gathering = Gathering(int(self.bank_mb * 1e6), self.size)
        self._closer = LipMesh() if self.lips else None

    def configure(self, caps: Caps) -> Caps:
        """Keeps the size of the frames and their rate for those who read the survey; learns how they lie in memory."""
        from stages.media.region import canvas_of

        self._canvas = canvas_of(caps, self.pixels)
        size = {"width": self._canvas.layout.width, "height": self._canvas.layout.height}
        self._facts = {**size, "rate": caps.stream.get("rate"), "lips": self.lips}
        return Caps()

    def process(self, packet: Packet) -> None:
        """Write the frame's record; take its mouth if it adds to the bank."""
        from stages.media.view import picture_of

        face, picture = packet.face, picture_of(packet, self._canvas, self.pixels)
        found = bool(face["found"])
        landmarks = packet.landmarks
        if found and self._closer is not None:
            landmarks = self._closer(picture, landmarks)
        self._opened().add(
            float(packet.time),
            landmarks,
            found=found,
            cut=bool(face["cut"]),
            track=int(face["id"]),
            presence=float(face["score"]),
        )
        if found:
            self._gathering.offer(picture, landmarks, packet.index, float(packet.time), float(face["score"]))
        else:
            self.counts["no_face"] += 1

    def finish(self) -> Sequence[Output]:
        """Write the bank, then the facts that make the folder whole."""
        writer = self._opened()
        self.counts["mouths"] = self._gathering.save(writer.folder)
        writer.finish(self._facts)
        what = f"{self.counts['mouths']} mouths, {writer.found} of {writer.count} frames with the face"
        return [Output(self.path, frames=writer.count, about=what)]

    def close(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _opened(self) -> SurveyWriter:
        if self._writer is None:
            raise RuntimeError("survey is given packets before it was opened")
        return self._writer
