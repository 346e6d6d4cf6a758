"""`annotate`: draw what was found into the frames."""

from __future__ import annotations

from typing import Literal

import numpy as np

from graph.stage import Array, Caps, Field, Packet, Stage
from models.faces import COLUMNS, MOST_FACES
from stages.media.planes import reading

#: colours, RGB
BOX, POINT, MESH = (255, 210, 0), (255, 60, 60), (60, 230, 110)
FACES: dict[str, Field] = {
    "frame": Array(np.uint8, "h w 3"),
    "faces": Array(np.float32, f"<={MOST_FACES} {COLUMNS}"),
}
MESHES: dict[str, Field] = {
    "ids": Array(np.int32, f"<={MOST_FACES}"),
    "meshes": Array(np.float32, f"<={MOST_FACES} 468 2"),
}


class Annotate(Stage):
    """Draw boxes with scores and five points; with `meshes`, also the id and the landmarks of every face.

    The rows of `ids` and `meshes` belong to those of `faces`: behind `mesh`, map faces to followed. `pixels`: `rgb`
    reads `frame`; `source` reads the `planes` of a `decode` with `pixels: source`, and draws into their RGB.
    """

    reads = {**FACES, **MESHES}
    writes = {"annotated": Array(np.uint8, "h w 3")}

    def __init__(self, meshes: bool = True, pixels: Literal["rgb", "source"] = "rgb") -> None:
        self.meshes = meshes
        self.pixels = pixels
        self.reads = reading({**FACES, **MESHES} if meshes else FACES, pixels)

    def configure(self, caps: Caps) -> Caps:
        """The shape of the pictures, and their colour where HDR is tone-mapped; learns how they lie in memory."""
        from stages.media.colour import BT709
        from stages.media.region import canvas_of

        self._canvas = canvas_of(caps, self.pixels)
        shape = (self._canvas.layout.height, self._canvas.layout.width, 3)
        return Caps({"annotated": shape}, {"colour": BT709} if self._canvas.is_hdr else {})

    def process(self, packet: Packet) -> None:
        from models.faces.draw import box, dots
        from stages.media.view import picture_of

        packet.annotated = picture_of(packet, self._canvas, self.pixels)[:, :]
        for row, face in enumerate(packet.faces):
            if self.meshes:
                dots(packet.annotated, packet.meshes[row], MESH, 0.004 * float(face[2] - face[0]))
            text = f"{packet.ids[row]}: {face[4]:.2f}" if self.meshes else f"{face[4]:.2f}"
            box(packet.annotated, face, text, BOX)
            dots(packet.annotated, face[5:].reshape(5, 2), POINT, 0.015 * float(face[2] - face[0]))
