"""composite: the drawn mouth goes back into the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from graph.stage import Array, Caps, Packet, Stage, Value
from stages.media.planes import PLANES, reading

if TYPE_CHECKING:
    from models.mouth.paste import Placed


class Composite(Stage):
    """Lay the drawn crop over the frame where its mask allows; every other pixel stays as it was decoded, bit for bit.

    `mask`: how much of the face is changed, at most: `mouth`, `lower_face` or `box` (all that the generator's mask
    allows). The masks of rewrite and warp follow the face already, so that `lower_face` takes them as they are.
    `blend`: `feather` mixes by the mask; `poisson` also brings the drawing to the light around it, which the networks
    may need (rewrite does so itself). `mode`: `paper` overwrites the whole box with the drawing, as Diff2Lip's code
    does: no mask, no blending.

    `pixels`: `rgb` reads `frame`; `source` reads the `planes` of a `decode` with `pixels: source` and writes `composed`
    in their layout. Then a sample of chroma changes where the mask allows it on any of its pixels.
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
        pixels: Literal["rgb", "source"] = "rgb",
    ) -> None:
        if mode == "paper" and (mask, blend) != ("lower_face", "feather"):
            raise ValueError("mode paper overwrites the whole box: mask and blend have no effect in it")
        self.mode = mode
        self.part = mask
        self.blend = blend
        self.pixels = pixels
        self.reads = reading(Composite.reads, pixels)
        if pixels == "source":
            self.writes = {"composed": PLANES}

    def configure(self, caps: Caps) -> Caps:
        """Learns whether the generator's mask follows the face, and how the pictures lie in memory."""
        from stages.media.region import canvas_of

        self._as_is = self.part == "box" or (self.part == "lower_face" and bool(caps.stream.get("shaped")))
        self._canvas = canvas_of(caps, self.pixels)
        return Caps()

    def process(self, packet: Packet) -> None:
        """Compose one frame."""
        self.pass_through(packet)
        if not packet.face["found"] or not np.isfinite(packet.placement).all():
            return
        placed = self._placed_as_paper(packet) if self.mode == "paper" else self._placed(packet)
        if placed is not None:
            self._canvas.draw(packet.composed, placed)

    def _placed(self, packet: Packet) -> Placed | None:
        """The drawing as it lies in the frame."""
        from models.mouth.masks import face_mask
        from models.mouth.paste import place, relit

        mask = packet.mask
        if not self._as_is:
            mask = np.minimum(mask, face_mask(self.part, packet.landmarks, packet.placement, mask.shape[0]))
        _, _, width, height = self._canvas.whole
        around = 8 if self.blend == "poisson" else 0  # it needs to see what lies around the mask
        placed = place(packet.drawn, mask, packet.placement, height, width, around)
        if placed is None or self.blend == "feather":
            return placed
        under = self._canvas.see(packet.composed, placed.box)
        return placed._replace(picture=relit(under, placed.picture, placed.mask))

    def _placed_as_paper(self, packet: Packet) -> Placed | None:
        from models.mouth.paper import box_at, place_whole

        if not packet.mask.any():  # the drawing was passed through
            return None
        return place_whole(packet.drawn, box_at(packet.placement, packet.drawn.shape[0]))

    def pass_through(self, packet: Packet) -> None:
        """The frame as it is."""
        packet.composed = packet.frame if self.pixels == "rgb" else packet.planes
