"""heard: what the stage `hearing` wrote, piece by piece, as the stage `phones` gave it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from graph.stage import Array, Caps, Packet, Source, Value

#: frames of the longest piece, and what is told of each (models.mouth.voice)
FRAMES, FEATURES = 2_200, 14


class HeardAgain(Source):
    """Give the phones and the voice of a file that the stage `hearing` wrote.

    `path`: the file.
    """

    writes = {
        "phones": Value("[[label, first frame, one past the last], ...] of the recording, 1/100 s", limit=131_072),
        "voice": Array(np.float32, f"<={FRAMES} {FEATURES}", "13 mel bands in dB and the voicing; see voice.features"),
        "span": Value("{of: speech or own, total, first, end, start}: frames (1/100 s) of the recording, see Listen"),
    }

    def __init__(self, path: str) -> None:
        self.path = path
        self._next = 0

    def open(self) -> None:
        """Read the file; ValueError where it is none."""
        from models.mouth.hearing import read_hearing

        self._pieces, self._stream = read_hearing(self.path)

    def configure(self) -> Caps:
        """The facts that `listen` told."""
        return Caps({"voice": (FRAMES, FEATURES)}, {**self._stream, "packets": len(self._pieces)})

    def produce(self, packet: Packet) -> bool:
        """The next piece; its time is that of its first frame."""
        if self._next >= len(self._pieces):
            return False
        span, phones, voice = self._pieces[self._next]
        self._next += 1
        packet.span, packet.phones, packet.voice = span, phones, voice.astype(np.float32)
        packet.time = Fraction(span["first"], 100)
        return True

    def seek(self, index: int) -> None:
        """Go on at packet `index`."""
        self._next = index
