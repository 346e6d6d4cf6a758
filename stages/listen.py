"""listen: the sound of a recording in overlapping pieces, for stages that recognise what is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graph.stage import Array, Caps, Packet, Source, Value

if TYPE_CHECKING:
    from stages.media.audio import AudioReader

RATE = 16_000
#: samples between the frames in which phones are counted, 100 a second
HOP = 160
#: seconds that a packet answers for, and that it carries more on both sides
PIECE, MARGIN = 20, 1
#: seconds of `own` that are listened to at most
OWN = 300


class Listen(Source):
    """Give the sound of a file as packets of 20 s with another second on either side.

    `path`: the speech, any file with an audio track. `own`: a video whose own sound is given after it (its first 5
    minutes), so that a map can be learned from it; not given again where it is the same file, and left out with a
    note where it has no sound.
    """

    writes = {
        "samples": Array(np.float32, f"<={(PIECE + 2 * MARGIN) * RATE}", "mono, 16 kHz, -1..1"),
        "span": Value("{of: speech or own, total, first, end, start}: frames (1/100 s) of the recording, see Listen"),
    }

    def __init__(self, path: str, own: str | None = None) -> None:
        from stages.media.probe import check_there

        check_there(path, "audio")
        check_there(own, "video")
        self.path = path
        self.own = own
        self._readers: list[tuple[str, AudioReader, int]] = []

    def preflight(self) -> None:
        """Whether the sound can be read, unless a graph that runs first will make it."""
        if self.path:
            self.open()
            self.close()

    def open(self) -> None:
        """Open both files; ValueError where `path` has no sound or one of them does not exist."""
        from stages.media.audio import AudioReader

        speech = AudioReader(self.path, RATE)
        self._readers = [("speech", speech, whole_frames(speech.duration))]
        if self.own is not None and not same_file(self.own, self.path):
            if not Path(self.own).exists():
                raise ValueError(f"no such file: {self.own}")
            try:
                own = AudioReader(self.own, RATE)
            except ValueError as error:
                self.notes.append(f"nothing to learn from the video's own sound: {error}")
            else:
                self._readers.append(("own", own, min(whole_frames(own.duration), OWN * RATE // HOP)))
        pieces = [(*reader, first) for reader in self._readers for first in range(0, reader[2], PIECE * RATE // HOP)]
        self._pieces = pieces
        self._next = 0

    def configure(self) -> Caps:
        """`packets`, and how many frames (1/100 s) `speech_frames` there are; `own`, which one is the video's sound."""
        own = "none" if self.own is None else "speech" if same_file(self.own, self.path) else "own"
        facts: dict[str, Any] = {"packets": len(self._pieces), "speech_frames": self._readers[0][2], "own": own}
        return Caps({"samples": (int(str(self.writes["samples"]).removeprefix("<=")),)}, facts)

    def produce(self, packet: Packet) -> bool:
        """The next piece; its time is that of its first frame."""
        if self._next >= len(self._pieces):
            return False
        of, reader, total, first = self._pieces[self._next]
        self._next += 1
        end = min(first + PIECE * RATE // HOP, total)
        start = max(0, first - MARGIN * RATE // HOP)
        stop = min(end + MARGIN * RATE // HOP, total)
        packet.samples = reader.read(start * HOP, (stop - start) * HOP)
        packet.span = {"of": of, "total": total, "first": first, "end": end, "start": start}
        packet.time = Fraction(first * HOP, RATE)
        return True

    def seek(self, index: int) -> None:
        """Go on at packet `index`."""
        self._next = index

    def about(self) -> dict[str, Any]:
        """Seconds of each recording, and audio packets that could not be decoded."""
        facts: dict[str, Any] = {of: total * HOP / RATE for of, _, total in self._readers}
        damaged = sum(reader.damaged for _, reader, _ in self._readers)
        return {"seconds": facts, "damaged": damaged}

    def close(self) -> None:
        """Close the files."""
        for _, reader, _ in self._readers:
            reader.close()


def whole_frames(duration: Fraction) -> int:
    """How many frames of 1/100 s it takes to cover a duration in seconds, at least 1."""
    return max(1, -(-duration * RATE // HOP))


def same_file(one: str, other: str) -> bool:
    """Whether two paths name one file."""
    a, b = Path(one), Path(other)
    return a.exists() and b.exists() and a.samefile(b)
