"""sway: the head of a still picture moves a little while it speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graph.stage import Array, Caps, Packet, Stage, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.head.field import Field
    from models.head.path import Floats


class Sway(Stage):
    """Move the head of a still picture: it turns, nods and tilts a little, livelier with the voice than in its pauses.

    The finished picture is bent around the face that `landmarks` tell of: neck, shoulders and what is beside the head
    follow less and less, and the picture's border stays where it is. The first picture is as it came. A head moves by
    time, sound and `seed` alone, so that each frame is what it is by itself.

    `video`: the still; a video is refused, as its head moves by itself. `audio`: what is spoken. `motion`: how much, 0
    (not at all) to 1 (turns of up to 4°, nods of up to 5°, a tilt of up to 1.6°). `pixels`: `rgb` reads `frame`;
    `source` reads the `planes` of a `decode` with `pixels: source` and writes `swayed` in their layout.
    Counts `no_face`.
    """

    reads = {
        "frame": Array(np.uint8, "h w 3"),
        "landmarks": Array(np.float32, "468 2"),
        "face": Value(),
    }
    writes = {"swayed": Array(np.uint8, "h w 3", "the frame with its head moved, RGB")}
    planes = Array(np.uint8, "bytes", "as the stream's `layout` says")

    def __init__(
        self,
        video: str,
        audio: str,
        motion: float = 0.5,
        seed: int = 0,
        pixels: Literal["rgb", "source"] = "rgb",
    ) -> None:
        if not 0 <= motion <= 1:
            raise ValueError(f"motion has to lie between 0 and 1, not {motion}")
        if seed < 0:
            raise ValueError(f"seed has to be 0 or more, not {seed}")
        self.video = video
        self.audio = audio
        self.motion = motion
        self.seed = seed
        self.pixels = pixels
        if pixels == "source":
            others = {name: kind for name, kind in Sway.reads.items() if name != "frame"}
            self.reads, self.writes = {"planes": self.planes, **others}, {"swayed": self.planes}
        self._field: Field | None = None
        self._landmarks: Floats | None = None

    def preflight(self) -> None:
        """Raises ValueError where there is more than one picture."""
        from stages.media.reader import open_reader

        reader = open_reader(self.video)
        count = reader.times.count
        reader.close()
        if count > 1:
            raise ValueError(
                f"motion moves the head of a single picture, but {self.video} has {count}: "
                "leave motion at 0 for a head that moves by itself"
            )

    def open(self) -> None:
        """Hear the sound, as far as how loud it is."""
        from models.head.path import HeadPath, levels

        self.preflight()
        self._path = HeadPath(levels(self._sound()), self.motion, self.seed)

    def _sound(self) -> Iterator[Floats]:
        from models.head.path import SAMPLE_RATE
        from stages.media.audio import AudioReader

        with AudioReader(self.audio, SAMPLE_RATE) as sound:
            count = round(sound.duration * SAMPLE_RATE)
            for start in range(0, count, 10 * SAMPLE_RATE):
                yield sound.read(start, min(10 * SAMPLE_RATE, count - start))

    def configure(self, caps: Caps) -> Caps:
        """Learns how the pictures lie in memory."""
        from stages.media.planes import RGB, Layout

        if self.pixels == "source":
            self._layout = Layout(**caps.stream["layout"])
        else:
            height, width, _ = caps.shapes["frame"]
            self._layout = Layout(RGB, width, height)
        return Caps()

    def about(self) -> dict[str, Any]:
        """How much the head moves, and the seed."""
        return {"motion": self.motion, "seed": self.seed}

    def process(self, packet: Packet) -> None:
        """Move one head."""
        from stages.media.moved import move

        if not packet.face["found"]:
            self.counts["no_face"] += 1
        pose = self._path.at(float(packet.time))
        if not packet.face["found"] or not any(pose):
            self.pass_through(packet)
            return
        field = self._around(packet.landmarks)
        image = packet.frame if self.pixels == "rgb" else packet.planes
        move(image, self._layout, field.box, field.moved(pose), packet.swayed)

    def _around(self, landmarks: Floats) -> Field:
        """The field of a face; of a still it is always the same."""
        from models.head.field import Field

        if self._field is None or self._landmarks is None or not np.array_equal(landmarks, self._landmarks):
            self._field = Field(landmarks, self._layout.width, self._layout.height)
            self._landmarks = landmarks.copy()
        return self._field

    def pass_through(self, packet: Packet) -> None:
        """The picture as it is."""
        packet.swayed = packet.frame if self.pixels == "rgb" else packet.planes
