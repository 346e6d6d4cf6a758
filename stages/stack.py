"""stack: two frames side by side, to compare them."""

from __future__ import annotations

import numpy as np

from graph.stage import Array, Caps, Packet, Stage


class Stack(Stage):
    """Put two pictures of the same height side by side, `left` and `right`, with a line of `gap` pixels between."""

    reads = {"left": Array(np.uint8, "h w 3", "RGB"), "right": Array(np.uint8, "h v 3", "RGB")}
    writes = {"stacked": Array(np.uint8, "h both 3", "RGB")}

    def __init__(self, gap: int = 0) -> None:
        if gap < 0:
            raise ValueError(f"gap has to be 0 or more pixels, not {gap}")
        self.gap = gap

    def configure(self, caps: Caps) -> Caps:
        """Both widths and the gap."""
        height, left, _ = caps.shapes["left"]
        return Caps({"stacked": (height, left + self.gap + caps.shapes["right"][1], 3)})

    def process(self, packet: Packet) -> None:
        """Copy both pictures."""
        left, right = packet.left.shape[1], packet.right.shape[1]
        packet.stacked[:, :left] = packet.left
        packet.stacked[:, left : left + self.gap] = 0
        packet.stacked[:, left + self.gap : left + self.gap + right] = packet.right
