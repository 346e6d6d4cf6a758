"""One face followed by its mesh from frame to frame, with a detection where there is one."""

from __future__ import annotations

from models.faces import Floats, Frame
from models.faces.boxes import area, around, overlap
from models.faces.mesh import Mesh, Region, region_of_face, region_of_landmarks
from models.faces.smooth import LandmarkFilter
from models.faces.view import View

#: presence from which on a mesh counts as a face, and below which a followed one is lost
PRESENCE = 0.5
#: a mesh whose box overlaps the detection's by less than this has slipped off
SLIPPED = 0.2
#: two meshes whose boxes overlap by more than this are one face found twice
SAME = 0.6
#: a mesh that overlaps another face by this, and by so much more than where its own should be, has gone over to it
TAKEN, MORE = 0.5, 0.1


class Follower:
    """Finds the mesh near where it was; starts from a detection, and goes back to one when it has slipped or is lost.

    After a loss it keeps looking at the same place for `bridge` seconds.
    """

    def __init__(self, mesh: Mesh, *, bridge: float = 1.0, smooth: bool = True) -> None:
        self.mesh = mesh
        self.bridge = bridge
        self.presence = 0.0
        self.seen: float | None = None
        self._filter = LandmarkFilter() if smooth else None
        self._region: Region | None = None
        self._box: Floats | None = None

    def taken(self, own: Floats | None, others: Floats) -> bool:
        """Whether the mesh has gone over to another face, as it does where that one passes in front; then it lets go.

        `own`: the box [4] where its own face should be, None if that is not known; `others` [n, 4]: of other faces. The
        next detection of its own face begins anew.
        """
        if self._box is None or self._region is None or not len(others):
            return False
        away = float(overlap(self._box[None], others)[0].max())
        here = 0.0 if own is None else float(overlap(self._box[None], own[None])[0, 0])
        if away < TAKEN or away < here + MORE:
            return False
        self._region, self.presence = None, 0.0
        return True

    def step(self, picture: Frame | View, time: float, detection: Floats | None) -> Floats | None:
        """The landmarks [468, 2] at `time` (seconds), or None; `detection` is this face's row [15] in this frame."""
        if self.seen is not None and time - self.seen > self.bridge:
            self._region = None
        if detection is not None and self._slipped(detection):
            self._region = None
        found = self.mesh(picture, self._region) if self._region else None
        if (found is None or found[1] < PRESENCE) and detection is not None:
            found = self._start(picture, detection)
        self.presence = found[1] if found else 0.0
        if found is None or found[1] < PRESENCE:
            return None
        landmarks = found[0]
        if self._filter and self.seen is not None and self._region is None:
            self._filter.reset()
        self.seen = time
        self._region = region_of_landmarks(landmarks)
        self._box = around(landmarks)
        return self._filter(landmarks, time, float(area(self._box)) ** 0.5) if self._filter else landmarks

    def _start(self, picture: Frame | View, detection: Floats) -> tuple[Floats, float]:
        """The mesh of a detection, in two steps: the second looks where the first found it, as all later frames do."""
        self._region = None
        landmarks, presence = self.mesh(picture, region_of_face(detection))
        if presence < PRESENCE:
            return landmarks, presence
        return self.mesh(picture, region_of_landmarks(landmarks))

    def _slipped(self, detection: Floats) -> bool:
        return self._box is not None and float(overlap(self._box[None], detection[None])[0, 0]) < SLIPPED
