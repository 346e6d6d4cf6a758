"""`mesh`: follow every face through the video, and give its mesh and an id that it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graph.stage import Array, Caps, Packet, Stage
from models.faces import COLUMNS, MOST_FACES, Floats, Frame
from models.onnx import check_device
from stages.media.planes import reading

if TYPE_CHECKING:
    from models.faces.follow import Follower
    from models.faces.view import View

POINTS = 468


class FaceMesh(Stage):
    """Follow every face through the video: its row, its id and its 468 landmarks, those detected first.

    `followed` is like `faces`, a row a face in which the mesh sees one too; where only the mesh saw it (between
    detections), its box is the one around the mesh. `ids` are what `track` takes as `face: track=ID`: they count from 0
    in the order of appearance, also over scene cuts, and a hidden face keeps its own for `bridge` seconds.

    `pixels`: `rgb` reads `frame`; `source` reads the `planes` of a `decode` with `pixels: source`. Counts `faces` and
    `scene_cuts`.
    """

    reads = {
        "frame": Array(np.uint8, "h w 3"),
        "faces": Array(np.float32, f"<={MOST_FACES} {COLUMNS}"),
    }
    writes = {
        "followed": Array(np.float32, f"<={MOST_FACES} {COLUMNS}", "x0 y0 x1 y1 score, five points x y"),
        "ids": Array(np.int32, f"<={MOST_FACES}", "of each row"),
        "meshes": Array(np.float32, f"<={MOST_FACES} {POINTS} 2", "MediaPipe's face mesh of each row, pixels"),
    }
    stateful = True

    def __init__(
        self,
        bridge: float = 1.0,
        smooth: bool = True,
        device: str = "auto",
        threads: int | None = None,
        pixels: Literal["rgb", "source"] = "rgb",
    ) -> None:
        if bridge < 0:
            raise ValueError(f"bridge has to be a number of seconds, not {bridge}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads has to be at least 1, not {threads}")
        self.bridge = bridge
        self.smooth = smooth
        self.device = check_device(device)
        self.threads = threads
        self.pixels = pixels
        self.reads = reading(FaceMesh.reads, pixels)

    def open(self) -> None:
        from models.faces.cuts import CutDetector
        from models.faces.mesh import Mesh
        from models.faces.tracker import FaceTracker

        self.mesh = Mesh(self.device, self.threads or self.share)
        self.cuts = CutDetector()
        self.tracker = FaceTracker(self.bridge)
        self.followers: dict[int, Follower] = {}

    def configure(self, caps: Caps) -> Caps:
        """Learns how the pictures lie in memory."""
        from stages.media.region import canvas_of

        self._canvas = canvas_of(caps, self.pixels)
        return Caps()

    def about(self) -> dict[str, Any]:
        return {"model": "face_landmark", "provider": self.mesh.network.provider}

    def process(self, packet: Packet) -> None:
        from models.faces.mesh import face_of_landmarks
        from stages.media.view import picture_of

        time, picture = float(packet.time), picture_of(packet, self._canvas, self.pixels)
        if self.cuts.cut(picture):
            self.counts["scene_cuts"] += 1
            self.tracker.reset()
        ids = self.tracker.update(picture, packet.faces, time)
        meshes = self._meshes(picture, packet.faces, ids, time)
        rows = []
        for one, landmarks in meshes.items():
            detected = packet.faces[ids.index(one)] if one in ids else None
            rows.append(face_of_landmarks(landmarks, self.followers[one].presence) if detected is None else detected)
        self.counts["faces"] += len(meshes)
        packet.followed = np.array(rows, np.float32).reshape(-1, COLUMNS)
        packet.ids = np.array(list(meshes), np.int32)
        packet.meshes = np.array(list(meshes.values()), np.float32).reshape(-1, POINTS, 2)

    def _meshes(self, picture: Frame | View, faces: Floats, ids: list[int], time: float) -> dict[int, Floats]:
        """The landmarks of every face that is known and seen, by id, those detected in this frame first."""
        from models.faces.boxes import around, overlap
        from models.faces.follow import SAME, Follower

        self.followers = {one: follower for one, follower in self.followers.items() if one in self.tracker.tracks}
        meshes: dict[int, Floats] = {}
        for one in [*ids, *(one for one in self.followers if one not in ids)][:MOST_FACES]:
            if one not in self.followers:
                self.followers[one] = Follower(self.mesh, bridge=self.bridge, smooth=self.smooth)
            detection = faces[ids.index(one)] if one in ids else None
            landmarks = self.followers[one].step(picture, time, detection)
            if landmarks is None:
                continue
            boxes = [around(other) for other in meshes.values()]
            if boxes and overlap(around(landmarks)[None], np.stack(boxes)).max() > SAME:
                del self.followers[one]
                continue
            meshes[one] = landmarks
        return meshes
