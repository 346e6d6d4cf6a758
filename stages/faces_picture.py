"""`faces_picture`: one picture with every face of a video and its id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Sink
from models.faces import COLUMNS, MOST_FACES
from stages.media.planes import reading


class FacesPicture(Sink):
    """Write one picture that shows every face with a box and its id, to choose one by (`face=ID`).

    It is composed of as few frames as show all faces, each where they are seen best, with the seconds at which they are
    there. `path`: a .png or .jpg. `pixels`: `rgb` reads `frame`; `source` reads the `planes` of a `decode` with
    `pixels: source`. Counts `faces` (ids); with no face at all nothing is written, which is noted, as is
    what had no room: more than 12 frames are not shown.
    """

    reads = {
        "frame": Array(np.uint8, "h w 3"),
        "faces": Array(np.float32, f"<={MOST_FACES} {COLUMNS}"),
        "ids": Array(np.int32, f"<={MOST_FACES}"),
    }

    def __init__(self, path: str, pixels: Literal["rgb", "source"] = "rgb") -> None:
        if Path(path).suffix.lower() not in (".png", ".jpg", ".jpeg"):
            raise ValueError(f"the picture has to go to a .png or .jpg file, not to {path}")
        self.path = Path(path)
        self.pixels = pixels
        self.reads = reading(FacesPicture.reads, pixels)

    def open(self) -> None:
        from models.faces.album import Album

        self._album = Album()

    def configure(self, caps: Caps) -> Caps:
        """Learns how the pictures lie in memory."""
        from stages.media.region import canvas_of

        self._canvas = canvas_of(caps, self.pixels)
        return Caps()

    def process(self, packet: Packet) -> None:
        from stages.media.view import picture_of

        picture = picture_of(packet, self._canvas, self.pixels)
        self._album.look(picture, packet.faces, packet.ids.tolist(), float(packet.time))

    def finish(self) -> Sequence[Output]:
        """Compose the picture and write it."""
        import cv2

        shots = self._album.shots()
        self.counts["faces"] = len(self._album.spans)
        if not shots:
            self.notes.append(f"there is no face to show: {self.path} was not written")
            return []
        hidden = sorted(set(self._album.spans) - {one for shot in shots for one in shot.ids})
        if hidden:
            self.notes.append(f"no room was left in {self.path} for the faces {', '.join(map(str, hidden))}")
        done, packed = cv2.imencode(self.path.suffix, self._album.picture()[..., ::-1])
        assert done
        part = self.path.with_name(f"{self.path.name}.part")
        part.write_bytes(packed.tobytes())
        part.replace(self.path)
        return [Output(str(self.path), about=f"{len(self._album.spans)} faces in {len(shots)} frames")]
