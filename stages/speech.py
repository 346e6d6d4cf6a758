"""Speech, as the network generators hear it: the log-mel window of each packet's time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from graph.stage import Array, Caps, Packet, Stage
from models import mel

if TYPE_CHECKING:
    from stages.media.audio import AudioReader

#: frames a second that the networks were trained with; their window begins one such frame before the packet
TRAINED_RATE = 25
_BLOCK = 10 * mel.RATE


class Speech(Stage):
    """The log-mel window that belongs to a packet's time; the sound is read as the packets come.

    path: an audio file, or a media file with sound. mode: `best` takes the window from the packet's exact time, at any
    frame rate, and silence beyond the ends of the sound; `paper` takes it as Diff2Lip's code does: 25 fps, rounded down
    to whole mel columns, packets at the end that have no whole window skipped.
    """

    reads = {}
    writes = {"speech": Array(np.float32, "80 16", "log-mel of 200 ms of sound, -4 (silence) to 4")}

    def __init__(self, path: str, mode: Literal["best", "paper"] = "best") -> None:
        if mode not in ("best", "paper"):
            raise ValueError(f"mode: {mode!r} is neither best nor paper")
        from stages.media.probe import check_there

        check_there(path, "audio")
        self.path = path
        self.mode = mode
        self._reader: AudioReader | None = None
        self._samples = 0

    def preflight(self) -> None:
        """Whether the sound can be read, unless a graph that runs first will make it."""
        if self.path:
            self.open()
            self.close()

    def open(self) -> None:
        """Open the sound. Raises ValueError where there is none, or in `paper` mode less than one window of it."""
        from stages.media.audio import AudioReader

        if not Path(self.path).is_file():
            raise ValueError(f"no such audio file: {self.path}")
        self._reader = AudioReader(self.path, rate=mel.RATE)
        self._samples = round(self._reader.duration * mel.RATE)
        if self._samples < mel.HOP * (mel.STEPS - 1):
            seconds = self._samples / mel.RATE
            short = f"{self.path} has {seconds:.3f} s of sound, less than one window of speech (0.188 s)"
            if self.mode == "paper":
                raise ValueError(short)
            self.notes.append(f"{short}: the rest is taken as silence")
        if (rate := self._reader.source_rate) < mel.RATE:
            self.notes.append(f"{self.path} has {rate} Hz: nothing above {rate // 2} Hz is heard")

    def configure(self, caps: Caps) -> Caps:
        """Raises ValueError in `paper` mode unless the stream has 25 fps."""
        rate = caps.stream.get("rate")
        if self.mode == "paper" and (rate is None or Fraction(rate) != TRAINED_RATE):
            found = rate or "a variable rate"
            raise ValueError(f"mode: paper needs 25 frames a second, the stream has {found}: give decode fps 25")
        return Caps()

    def process(self, packet: Packet) -> None:
        """Read the packet's window."""
        if self.mode == "best":
            start = round((packet.time - Fraction(1, TRAINED_RATE)) * mel.RATE)
            if start >= self._samples:
                self.counts["after_the_sound"] += 1
        else:
            frame = round(packet.time * TRAINED_RATE)
            if frame >= mel.paper_frames(1 + self._samples // mel.HOP):
                self.counts["no_whole_window"] += 1
                packet.skip()
                return
            start = mel.paper_start(frame) * mel.HOP
        assert self._reader is not None
        samples = self._reader.read(*mel.window_span(start))
        packet.speech = mel.window(samples, start, self._samples)

    def about(self) -> dict[str, Any]:
        """The sound's own rate and length, and the mode."""
        assert self._reader is not None
        seconds = float(self._reader.duration)
        return {"path": self.path, "mode": self.mode, "rate": self._reader.source_rate, "seconds": seconds}

    def close(self) -> None:
        """Release the sound."""
        if self._reader is not None:
            self._reader.close()


def mel_from_wav(path: str) -> npt.NDArray[np.float32]:
    """Log-mel of a whole file's sound, float32 [80, 1 + n // 200] at 80 columns a second; read in blocks.

    Raises ValueError where there is no sound that can be read.
    """
    from stages.media.audio import AudioReader

    stream = mel.MelStream()
    with AudioReader(path, rate=mel.RATE) as reader:
        count = round(reader.duration * mel.RATE)
        blocks = (reader.read(start, min(_BLOCK, count - start)) for start in range(0, count, _BLOCK))
        return np.concatenate([*(stream.push(block) for block in blocks), stream.finish()], axis=1)
