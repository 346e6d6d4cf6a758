"""`blur_faces`: make every face unrecognisable."""

from __future__ import annotations

import numpy as np

from graph.stage import Array, Packet, Stage, Window
from models.faces import COLUMNS, MOST_FACES, Floats


class BlurFaces(Stage):
    """Blur every face under an ellipse with a soft edge; the rest of the frame stays as it is.

    `strength` is the size of the coarsest detail that is left, over the width of the face. `margin` is how much larger
    than the detected box the ellipse is on each side, in box sides. A face that the detector misses now and then is
    covered where it was found up to `hold` frames before or after; so `detect` may look at every `hold`-th frame only.

    Counts `faces` (ellipses drawn) and `held` (those of them that were found in a neighbour only).
    """

    reads = {
        "frame": Array(np.uint8, "h w 3"),
        "faces": Array(np.float32, f"<={MOST_FACES} {COLUMNS}"),
    }
    writes = {"blurred": Array(np.uint8, "h w 3")}

    def __init__(self, strength: float = 0.2, margin: float = 0.2, hold: int = 3) -> None:
        if not 0.05 <= strength <= 1:
            raise ValueError(f"strength has to be between 0.05 and 1, not {strength}")
        if not 0 <= margin <= 2:
            raise ValueError(f"margin has to be between 0 and 2, not {margin}")
        if not 0 <= hold <= 25:
            raise ValueError(f"hold has to be between 0 and 25 frames, not {hold}")
        self.strength = strength
        self.margin = margin
        self.hold = hold
        self.window = Window(hold, hold)

    def process(self, packet: Packet) -> None:
        from models.faces.cover import cover

        missed = self._missed(packet)
        packet.blurred = packet.frame
        cover(packet.blurred, np.concatenate([packet.faces, missed]), self.strength, self.margin)
        self.counts["held"] += len(missed)
        self.counts["faces"] += len(packet.faces) + len(missed)

    def _missed(self, packet: Packet) -> Floats:
        """Faces [n, 15] of the neighbours, the nearest first, that overlap none of this frame nor each other."""
        from models.faces.boxes import overlap

        held: Floats = np.zeros((0, COLUMNS), np.float32)
        for offset in sorted(range(-self.hold, self.hold + 1), key=abs):
            other = packet.at(offset)
            if not offset or other is None:
                continue
            known = np.concatenate([packet.faces, held])
            new = ~(overlap(other.faces, known) > 0.3).any(1)
            held = np.concatenate([held, other.faces[new]])
        return held
