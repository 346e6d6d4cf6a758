"""composite: the drawn mouth goes back into the frame."""

from __future__ import annotations

from typing import Literal

import numpy as np

from graph.stage import Array, Caps, Packet, Stage, Value


class Composite(Stage):
    """Lay the drawn crop over the frame where its mask allows; every other pixel stays as it was decoded, bit for bit.

    `mask`: how much of the face is changed, at most: `mouth`, `lower_face` or `box` (all that the generator's mask
    allows). The masks of rewrite and warp follow the face already, so that `lower_face` takes them as they are.
    `blend`: `feather` mixes by the mask; `poisson` also brings the drawing to the light around it, which the networks
    may need (rewrite does so itself). `mode`: `paper` overwrites the whole box with the drawing, as Diff2Lip's code
    does: no mask, no blending.
    """

    reads = {
        "frame": Array(np.uint8, "h w 3"),
        "drawn": Array(np.uint8, "s s 3"),
        "mask": Array(np.uint8, "s s"),
        "placement": Array(np.float32, "2 3"),
        "landmarks": Array(np.float32, "468 2"),
        "face": Value(),
    }
    writes = {"composed": Array(np.uint8, "h w 3", "the finished frame, RGB")}

    def __init__(
        self,
        mask: Literal["mouth", "lower_face", "box"] = "lower_face",
        blend: Literal["feather", "poisson"] = "feather",
        mode: Literal["best", "paper"] = "best",
    ) -> None:
        if mode == "paper" and (mask, blend) != ("lower_face", "feather"):
            raise ValueError("mode paper overwrites the whole box: mask and blend have no effect in it")
        self.mode = mode
        self.part = mask
        self.blend = blend

    def configure(self, caps: Caps) -> Caps:
        """Learns whether the generator's mask follows the face."""
        self._as_is = self.part == "box" or (self.part == "lower_face" and bool(caps.stream.get("shaped")))
        return Caps()

    def process(self, packet: Packet) -> None:
        """Compose one frame."""
        from models.mouth.masks import face_mask
        from models.mouth.paste import paste

        packet.composed[...] = packet.frame
        if not packet.face["found"] or not np.isfinite(packet.placement).all():
            return
        if self.mode == "paper":
            self._paste_as_paper(packet)
            return
        mask = packet.mask
        if not self._as_is:
            mask = np.minimum(mask, face_mask(self.part, packet.landmarks, packet.placement, mask.shape[0]))
        paste(packet.composed, packet.drawn, mask, packet.placement, self.blend)

    def _paste_as_paper(self, packet: Packet) -> None:
        from models.mouth.paper import box_at, paste_whole

        if packet.mask.any():  # else the drawing was passed through
            paste_whole(packet.composed, packet.drawn, box_at(packet.placement, packet.drawn.shape[0]))

    def pass_through(self, packet: Packet) -> None:
        """The frame as it is."""
        packet.composed[...] = packet.frame
