"""`track`: follow one face through the video, and give its mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graph.stage import Array, Caps, Packet, Stage, Value
from models.faces import COLUMNS, MOST_FACES, Floats, Frame
from models.faces.choice import Choice
from models.onnx import check_device
from stages.media.planes import reading

if TYPE_CHECKING:
    from models.faces.follow import Follower
    from models.faces.mesh import Mesh
    from models.faces.view import View

POINTS = 468


class Track(Stage):
    """Follow one face through the video: 468 landmarks a frame, NaN where it is not to be seen.

    `face` says which: `largest`, `left` or `right` in the picture, `index=N` (the N-th largest, from 0), `at=x,y` (the
    one at that pixel), `track=ID[,ID…]` (as `mesh` counts them). It is chosen when there is none, and then kept, also
    when it is hidden for up to `bridge` seconds, until it is gone or the scene is cut. Between detections the mesh
    alone follows it. `smooth` takes out the jitter of a head at rest. `pixels`: `rgb` reads `frame`; `source` reads the
    `planes` of a `decode` with `pixels: source`.

    Counts `no_face` (frames without the face), `scene_cuts`, and `lost` (times that it was gone for longer than that).
    """

    reads = {
        "frame": Array(np.uint8, "h w 3"),
        "faces": Array(np.float32, f"<={MOST_FACES} {COLUMNS}"),
    }
    writes = {
        "landmarks": Array(np.float32, f"{POINTS} 2", "MediaPipe's face mesh, pixels"),
        "face": Value("found, score, cut, id"),
    }
    stateful = True

    def __init__(
        self,
        face: str = "largest",
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
        self.choice = Choice.parse(face)
        self.bridge = bridge
        self.smooth = smooth
        self.device = check_device(device)
        self.threads = threads
        self.pixels = pixels
        self.reads = reading(Track.reads, pixels)
        self.mesh: Mesh | None = None

    def open(self) -> None:
        from models.faces.cuts import CutDetector
        from models.faces.mesh import Mesh
        from models.faces.tracker import FaceTracker

        self.mesh = Mesh(self.device, self.threads or self.share)
        self.cuts = CutDetector()
        self.tracker = FaceTracker(self.bridge)
        self.chosen: int | None = None
        #: other faces that were there together with the chosen one
        self.beside: set[int] = set()
        self.follower: Follower | None = None

    def configure(self, caps: Caps) -> Caps:
        """Learns how the pictures lie in memory."""
        from stages.media.region import canvas_of

        self._canvas = canvas_of(caps, self.pixels)
        return Caps()

    def about(self) -> dict[str, Any]:
        return {"model": "face_landmark", "provider": self.mesh.network.provider} if self.mesh else {}

    def process(self, packet: Packet) -> None:
        from stages.media.view import picture_of

        time, picture = float(packet.time), picture_of(packet, self._canvas, self.pixels)
        cut = self.cuts.cut(picture)
        if cut:
            self.counts["scene_cuts"] += 1
            self.tracker.reset()
            self.follower = None
        ids = self.tracker.update(picture, packet.faces, time)
        if self.follower and self._gone(time):
            self.counts["lost"] += 1
            self.follower = None
        find = self._follow if self.follower else self._choose
        landmarks = find(picture, packet.faces, ids, time)
        if landmarks is None:
            self.counts["no_face"] += 1
        packet.landmarks = np.full((POINTS, 2), np.nan, np.float32) if landmarks is None else landmarks
        score = self.follower.presence if self.follower else 0.0
        which = self.chosen if self.follower and self.chosen is not None else -1
        packet.face = {"found": landmarks is not None, "score": score, "cut": cut, "id": which}

    def _gone(self, time: float) -> bool:
        """Whether the chosen face has been neither detected nor followed for too long."""
        assert self.follower is not None and self.follower.seen is not None
        return self.chosen not in self.tracker.tracks and time - self.follower.seen > self.bridge

    def _follow(self, picture: Frame | View, faces: Floats, ids: list[int], time: float) -> Floats | None:
        assert self.follower is not None and self.chosen is not None
        if self.chosen in ids:
            self.beside.update(one for one in ids if one != self.chosen)
        detection = faces[ids.index(self.chosen)] if self.chosen in ids else None
        landmarks = self.follower.step(picture, time, detection)
        if landmarks is None or not self.beside:
            return landmarks
        tracks = self.tracker.tracks
        own = tracks[self.chosen].expected(time) if self.chosen in tracks else None
        others = [tracks[one].expected(time) for one in self.beside if one in tracks]
        return None if self.follower.taken(own, np.array(others, np.float32).reshape(-1, 4)) else landmarks

    def _choose(self, picture: Frame | View, faces: Floats, ids: list[int], time: float) -> Floats | None:
        """Begin to follow the first face of the choice's order in which the mesh sees one as well."""
        from models.faces.follow import Follower

        assert self.mesh is not None
        for row in self.choice.order(faces, ids):
            follower = Follower(self.mesh, bridge=self.bridge, smooth=self.smooth)
            landmarks = follower.step(picture, time, faces[row])
            if landmarks is not None:
                self.chosen, self.follower = ids[row], follower
                self.beside = {one for one in ids if one != self.chosen}
                return landmarks
        return None
