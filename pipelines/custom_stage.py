"""A stage of one's own: the picture as a pencil sees it."""

import cv2
import numpy as np

from graph import Array, Packet, Stage


class Sketch(Stage):
    """Lines where the picture has edges. `strength` says how dark they are."""

    reads = {"frame": Array(np.uint8, "h w 3")}
    writes = {"sketch": Array(np.uint8, "h w 3")}

    def __init__(self, strength: float = 1.0) -> None:
        self.strength = strength

    def process(self, packet: Packet) -> None:
        lines = cv2.Laplacian(cv2.cvtColor(packet.frame, cv2.COLOR_RGB2GRAY), cv2.CV_32F, ksize=3)
        packet.sketch[:] = np.clip(255 - self.strength * np.abs(lines), 0, 255)[..., None].astype(np.uint8)
