"""mix: several sounds as one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from graph.stage import Array, Caps, Packet, Source

if TYPE_CHECKING:
    from stages.media.audio import Samples
    from stages.media.mix import Mix


class MixSource(Source):
    """Give the sum of the sounds of some files, in packets of some 16,000 samples.

    `sounds`: a map whose values are audio files (or media files with sound); its keys say nothing here. Each sound
    begins at time zero and is silence after its end. The sum has the highest rate and the most channels among them, and
    is theirs to the sample; only where it would go beyond full scale is all of it lowered, which is noted.
    """

    writes = {"samples": Array(np.float32, "<=16384 c", "of all channels, -1..1")}

    def __init__(self, sounds: dict[str, str]) -> None:
        from stages.media.probe import check_there

        for path in sounds.values():
            check_there(path, "audio")
        self.sounds = sounds
        self._blocks: Iterator[Samples] = iter(())

    def open(self) -> None:
        """Open the files; listens through them once, to know the highest peak."""
        from stages.media.mix import Mix

        self._mix: Mix = Mix(list(self.sounds.values()))
        self._blocks = self._mix.blocks()
        if self._mix.gain != 1:
            over, by = (abs(20 * math.log10(one)) for one in (self._mix.peak, self._mix.gain))
            self.notes.append(f"the sounds together go {over:.1f} dB beyond full scale: all is lowered by {by:.1f} dB")

    def configure(self) -> Caps:
        """The number of channels, and what the sound is: `sound_rate` (Hz), `samples` (in all)."""
        mix = self._mix
        duration = str(Fraction(mix.count, mix.rate))
        facts = {"sound_rate": mix.rate, "samples": mix.count, "packets": mix.blocks_in_all, "duration": duration}
        return Caps({"samples": (16384, mix.channels)}, facts)

    def produce(self, packet: Packet) -> bool:
        """The next block."""
        block = next(self._blocks, None)
        if block is None:
            self.counts["damaged_packets"] += self._mix.tally["damaged"]
            return False
        packet.samples = block
        packet.time = Fraction(packet.index * 16384, self._mix.rate)
        return True

    def about(self) -> dict[str, Any]:
        """Rate, channels and gain."""
        mix = self._mix
        return {"rate": mix.rate, "channels": mix.channels, "sounds": len(mix.sounds), "gain": round(mix.gain, 4)}
