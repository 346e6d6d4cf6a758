"""write_sound: samples to a WAV file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Sink

if TYPE_CHECKING:
    import soundfile

#: bytes from which on a WAV needs 64 bits for its lengths
LARGE = 4_000_000_000


class WriteSound(Sink):
    """Write samples as a WAV file of 24 bits, or RF64 where it is larger than 4 GB. It appears at `path` when whole."""

    reads = {"samples": Array(np.float32, "<=16384 c")}

    def __init__(self, path: str) -> None:
        if Path(path).suffix.lower() != ".wav":
            raise ValueError(f"the sound has to go to a .wav file, not to {path}")
        self.path = Path(path)
        self._part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        self._file: soundfile.SoundFile | None = None

    def configure(self, caps: Caps) -> Caps:
        """Begin the file."""
        import soundfile

        self._rate, channels = int(caps.stream["sound_rate"]), caps.shapes["samples"][1]
        kind = "RF64" if int(caps.stream["samples"]) * channels * 3 > LARGE else "WAV"
        self._file = soundfile.SoundFile(self._part, "w", self._rate, channels, subtype="PCM_24", format=kind)
        return Caps()

    def process(self, packet: Packet) -> None:
        """Write a block; rounded to 24 bits here, as full scale is 2^23 for those who read it."""
        assert self._file is not None
        whole = np.rint(packet.samples.astype(np.float64) * 2**23).clip(-(2**23), 2**23 - 1)
        self._file.write((whole * 256).astype(np.int32))

    def finish(self) -> Sequence[Output]:
        """Give the file its name."""
        assert self._file is not None
        frames = self._file.frames
        self._file.close()
        self._part.replace(self.path)
        return [Output(str(self.path), duration=frames / self._rate, about="sound")]

    def close(self) -> None:
        """Close the file; what is not whole is removed."""
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)
