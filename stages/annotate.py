"""`annotate`: draw what was found into the frames."""

from __future__ import annotations

import numpy as np

from graph.stage import Array, Field, Packet, Stage
from models.faces import COLUMNS, MOST_FACES, Floats, Frame

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

    The rows of `ids` and `meshes` belong to those of `faces`: behind `mesh`, map faces to followed.
    """

    reads = {**FACES, **MESHES}
    writes = {"annotated": Array(np.uint8, "h w 3")}

    def __init__(self, meshes: bool = True) -> None:
        self.meshes = meshes
        self.reads = {**FACES, **MESHES} if meshes else FACES

    def process(self, packet: Packet) -> None:
        packet.annotated = packet.frame
        for row, face in enumerate(packet.faces):
            if self.meshes:
                _dots(packet.annotated, packet.meshes[row], MESH, 0.004 * float(face[2] - face[0]))
            _box(packet.annotated, face, f"{packet.ids[row]}: {face[4]:.2f}" if self.meshes else f"{face[4]:.2f}")
            _dots(packet.annotated, face[5:].reshape(5, 2), POINT, 0.015 * float(face[2] - face[0]))


def _dots(picture: Frame, points: Floats, colour: tuple[int, int, int], radius: float) -> None:
    """Dots at the points that are known, to a sixteenth of a pixel."""
    import cv2

    for x, y in points[np.isfinite(points).all(1)]:
        centre = (round(float(x) * 16), round(float(y) * 16))
        cv2.circle(picture, centre, round(max(radius, 0.7) * 16), colour, cv2.FILLED, cv2.LINE_AA, shift=4)


def _box(picture: Frame, face: Floats, text: str) -> None:
    """A face's box, with a text above it, or below its upper edge where there is no room."""
    import cv2

    x0, y0, x1, y1 = (round(float(value)) for value in face[:4])
    thickness = max(round(max(picture.shape[:2]) / 640), 1)
    scale = 0.5 * thickness
    cv2.rectangle(picture, (x0, y0), (x1, y1), BOX, thickness, cv2.LINE_AA)
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    base = y0 - 2 * thickness if y0 - high > 4 * thickness else max(y0, 0) + high + 4 * thickness
    left = min(max(x0, 0), max(picture.shape[1] - wide, 0))
    cv2.rectangle(picture, (left, base + thickness), (left + wide, base - high - thickness), BOX, cv2.FILLED)
    cv2.putText(picture, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), thickness, cv2.LINE_AA)
