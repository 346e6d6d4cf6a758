"""people: who is to be seen in a video, as a map of tracks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Sink
from models.faces import COLUMNS, MOST_FACES
from stages.media.planes import reading

if TYPE_CHECKING:
    from models.faces.cast import Appearance


class People(Sink):
    """Write who is to be seen as JSON, `{"0": "0,3", "1": "1"}`: a person's first track, and all of the person's.

    A track ends at a cut, or where a face is hidden for too long; tracks that look alike and are never there at once
    are taken for one person. At most `most` people are written, those seen longest first; what lasts less than `least`
    seconds (of a video shorter than twice that, half of it) is no one. Counts `tracks`, and those `left_out`, which are
    noted. It is an error if nobody is to be seen. `pixels`: `rgb` reads `frame`; `source` reads the `planes` of a
    `decode` with `pixels: source`.
    """

    reads = {
        "frame": Array(np.uint8, "h w 3"),
        "faces": Array(np.float32, f"<={MOST_FACES} {COLUMNS}"),
        "ids": Array(np.int32, f"<={MOST_FACES}"),
    }

    def __init__(
        self, path: str, most: int = 4, least: float = 0.5, pixels: Literal["rgb", "source"] = "rgb"
    ) -> None:
        if not 1 <= most <= 16:
            raise ValueError(f"most has to lie between 1 and 16, not {most}")
        if least < 0:
            raise ValueError(f"least has to be a number of seconds, not {least}")
        self.path = Path(path)
        self.most = most
        self.least = least
        self.pixels = pixels
        self.reads = reading(People.reads, pixels)

    def open(self) -> None:
        """Nobody was seen yet."""
        from models.faces.cast import Cast

        self._cast = Cast()
        self._frames = 0
        self._begin = self._last = 0.0

    def configure(self, caps: Caps) -> Caps:
        """Learns how the pictures lie in memory."""
        from stages.media.region import canvas_of

        self._canvas = canvas_of(caps, self.pixels)
        return Caps()

    def process(self, packet: Packet) -> None:
        """Look who is there."""
        from stages.media.view import picture_of

        self._last = float(packet.time)
        if not self._frames:
            self._begin = self._last
        picture = picture_of(packet, self._canvas, self.pixels)
        self._cast.see(picture, packet.faces, packet.ids.tolist(), self._last)
        self._frames += 1

    def finish(self) -> Sequence[Output]:
        """Write the map."""
        least = min(self.least, (self._last - self._begin) / 2)
        people, left = self._cast.people(self.most, least)
        if not people:
            seen = f"no face is to be seen for {least:g} s or more"
            raise ValueError(seen if self._cast.found else "there is no face to be seen")
        self.counts["tracks"] = len(self._cast.found)
        self.counts["left_out"] = len(left)
        if long := [one for one in left if one.last - one.first >= least]:
            self.notes.append(f"there are more than {self.most} people; left out: {', '.join(map(_told, long))}")
        found = {str(person[0].id): ",".join(str(one.id) for one in person) for person in people}
        part = self.path.with_name(f"{self.path.name}.part")
        part.write_text(json.dumps(found, indent=1) + "\n")
        part.replace(self.path)
        return [Output(str(self.path), frames=self._frames, about=f"{len(found)} people")]


def _told(one: Appearance) -> str:
    return f"track {one.id} ({one.first:.1f} to {one.last:.1f} s)"
