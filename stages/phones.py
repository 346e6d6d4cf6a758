"""phones: what is said in a piece of sound, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graph.stage import Array, Packet, Stage, Value

if TYPE_CHECKING:
    from models.mouth.phones import PhoneRecognizer

#: frames of the longest packet of `listen`, and what is told of each (models.mouth.voice)
FRAMES, FEATURES = 2_200, 14


class Phones(Stage):
    """Recognise the phones of a piece of sound, and measure its voice a hundred times a second.

    Any number of workers. The phones are English ones, which is a fair cover for what the mouth does in any language.
    """

    reads = {"samples": Array(np.float32, "<=352000"), "span": Value()}
    writes = {
        "phones": Value("[[label, first frame, one past the last], ...] of the recording, 1/100 s", limit=131_072),
        "voice": Array(np.float32, f"<={FRAMES} {FEATURES}", "13 mel bands in dB and the voicing; see voice.features"),
    }

    def __init__(self) -> None:
        self._recognizer: PhoneRecognizer | None = None

    def open(self) -> None:
        """Load the recogniser."""
        from models.mouth.phones import PhoneRecognizer

        self._recognizer = PhoneRecognizer()

    def process(self, packet: Packet) -> None:
        """Phones of the whole piece, voice of the frames that it answers for."""
        from models.mouth.voice import HOP, features

        assert self._recognizer is not None
        samples, span = packet.samples, packet.span
        start = span["start"]
        heard = self._recognizer(samples)
        packet.phones = [[phone.label, phone.start + start, phone.end + start] for phone in heard]
        self.counts["phones"] += len(heard)
        voice = features(samples)[span["first"] - start : span["end"] - start]
        missing = span["end"] - span["first"] - len(voice)
        if missing:
            raise ValueError(f"got {len(samples)} samples, {missing * HOP} less than the span says")
        packet.voice = voice

    def about(self) -> dict[str, Any]:
        """Which recogniser."""
        return {"model": "pocketsphinx en-us, phone language model"}
