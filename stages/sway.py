"""sway: the head of a still picture moves a little while it speaks, and blinks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graph.stage import Array, Caps, Packet, Stage, Value
from stages.media.planes import PLANES, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.head.field import Field
    from models.head.path import Floats
    from models.mouth.cut import Picture


class Sway(Stage):
    """Move the head of a still picture: it turns, nods and tilts a little, livelier with the voice than in its pauses.

    The finished picture is bent around the face that `landmarks` tell of: neck, shoulders and what is beside the head
    follow less and less, and the picture's border stays where it is. The first picture is as it came. A head moves by
    time, sound and `seed` alone, so that each frame is what it is by itself.

    `video`: the still; a video is refused, as its head moves by itself. `audio`: what is spoken. `motion`: how much, 0
    (not at all) to 1 (turns of up to 4°, nods of up to 5°, a tilt of up to 1.6°). `blinks`: whether it blinks as well,
    which eyes do not that look shut or have glasses before them. `pixels`: `rgb` reads `frame`; `source` reads the
    `planes` of a `decode` with `pixels: source` and writes `swayed` in their layout.
    Counts `no_face`, and `no_blink`: frames of blinks that were left out.
    """

    reads = {
        "frame": Array(np.uint8, "h w 3"),
        "landmarks": Array(np.float32, "468 2"),
        "face": Value(),
    }
    writes = {"swayed": Array(np.uint8, "h w 3", "the frame with its head moved, RGB")}

    def __init__(
        self,
        video: str,
        audio: str,
        motion: float = 0.5,
        seed: int = 0,
        blinks: bool = True,
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
        self.blinks = blinks
        self.pixels = pixels
        self.reads = reading(Sway.reads, pixels)
        if pixels == "source":
            self.writes = {"swayed": PLANES}
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
        from stages.media.region import canvas_of

        self._canvas = canvas_of(caps, self.pixels)
        return Caps()

    def about(self) -> dict[str, Any]:
        """How much the head moves, and the seed."""
        return {"motion": self.motion, "seed": self.seed, "blinks": self.blinks}

    def process(self, packet: Packet) -> None:
        """Move one head."""
        from models.head.blink import closed
        from stages.media.moved import move

        if not packet.face["found"]:
            self.counts["no_face"] += 1
        pose = self._path.at(float(packet.time))
        if not packet.face["found"] or not any(pose) or self._look_at(packet.landmarks).box.empty:
            self.pass_through(packet)
            return
        image = packet.frame if self.pixels == "rgb" else packet.planes
        if self.blinks and (share := closed(float(packet.time), self.seed)):
            image = self._blinking(image, share)
        move(image, self._canvas.layout, self._field.box, self._field.moved(pose), packet.swayed)

    def _look_at(self, landmarks: Floats) -> Field:
        """Learn what moves and what blinks; in a still it is always the same."""
        from models.head.blink import Blink
        from models.head.field import Field

        if self._landmarks is None or not np.array_equal(landmarks, self._landmarks):
            _, _, width, height = self._canvas.whole
            self._field = Field(landmarks, width, height)
            self._blink = Blink(landmarks, self._canvas.whole)
            self._landmarks = landmarks.copy()
        return self._field

    def _blinking(self, image: Picture, share: float) -> Picture:
        """The picture with its eyes closed by a share."""
        lids = self._blink.lids(lambda box: self._canvas.see(image, box), share)
        if not lids:
            self.counts["no_blink"] += 1
            return image
        blinking = image.copy()
        for lid in lids:
            self._canvas.draw(blinking, lid)
        return blinking

    def pass_through(self, packet: Packet) -> None:
        """The picture as it is."""
        packet.swayed = packet.frame if self.pixels == "rgb" else packet.planes
