"""hearing: what was heard, as a file, so that it is heard only once however often a mouth is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Sink, Value

if TYPE_CHECKING:
    from models.mouth.hearing import Heard


class Hearing(Sink):
    """Write the phones and the voice of a recording to a file that the stage `heard` reads.

    `path`: the file, .npz; 28 bytes a frame of 1/100 s, 10 MB an hour, held until the end.
    """

    reads = {
        "phones": Value(),
        "voice": Array(np.float32, "<=2200 14"),
        "span": Value(),
    }
    stateful = True

    def __init__(self, path: str) -> None:
        self.path = path
        self._pieces: list[Heard] = []
        self._stream: dict[str, Any] = {}

    def open(self) -> None:
        """Whether there is a folder to write to."""
        folder = Path(self.path).absolute().parent
        if not folder.is_dir():
            raise ValueError(f"cannot write {self.path}: there is no folder {folder}")

    def configure(self, caps: Caps) -> Caps:
        """Keeps the facts of the stream: whose sound is whose."""
        self._stream = dict(caps.stream)
        return Caps()

    def process(self, packet: Packet) -> None:
        """Keep the piece."""
        from models.mouth.hearing import Heard

        self._pieces.append(Heard(packet.span, packet.phones, packet.voice.astype(np.float16)))

    def finish(self) -> Sequence[Output]:
        """Write the file."""
        from models.mouth.hearing import write_hearing

        write_hearing(self.path, self._pieces, self._stream)
        return [Output(self.path, frames=len(self._pieces))]
