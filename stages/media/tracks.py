"""Tracks beside the picture: sound and subtitles of other files, put into an output as the picture goes on.

Each is written up to the time of the picture, so that what waits in the muxer stays small however long the video is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from stages.media.audio import Samples, gapless
from stages.media.probe import decoded, only, open_input
from stages.media.subtitles import is_gap

#: bits a second of sound that is encoded
BIT_RATE = 192_000
RATES = {
    "aac": (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
    "opus": (48000, 24000, 16000, 12000, 8000),
}
ENCODERS = {"aac": "aac", "opus": "libopus"}
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
#: samples given to the encoder at once: one packet of AAC
CHUNK = 1024


class Track(Protocol):
    """`advance` writes what lies before a time of the output, `finish` the rest before the end, padded if need be."""

    about: str

    def advance(self, time: Fraction) -> None: ...

    def finish(self, end: Fraction) -> None: ...

    def close(self) -> None: ...


class CopiedTrack:
    """Packets of one stream as they are. `zero`: the time in the source's container that is the output's 0.

    MP4 says in an edit list how many samples of AAC prime the decoder, Matroska in the codec's own head, which a copied
    track has not: there the priming packet is left out, else all tracks would begin later by it.
    """

    def __init__(self, path: str, index: int, output: Any, zero: Fraction, in_matroska: bool) -> None:
        self._source = open_input(path)
        stream = self._source.streams[index]
        self._primed = not (in_matroska and "mp4" in self._source.format.name and stream.codec_context.name == "aac")
        self._stream = output.add_stream_from_template(stream, opaque=True)
        self._stream.metadata.update(stream.metadata)
        self._output = output
        self._in_matroska = in_matroska
        self._longest = 0
        self._base = Fraction(stream.time_base)
        self._is_sound = stream.type == "audio"
        self.about = f"{stream.codec_context.codec.canonical_name}, copied"
        self._packets = self._shifted(stream, round(zero / self._base))
        self._waiting = next(self._packets, None)

    def advance(self, time: Fraction) -> None:
        """See `Track`."""
        while self._waiting is not None and (self._waiting.pts + self._waiting.duration) * self._base < time:
            self._write(self._waiting)

    def finish(self, end: Fraction) -> None:
        """See `Track`; sound of which more than half of a packet lies after the end loses that packet."""
        last = round(end / self._base)
        while (packet := self._waiting) is not None:
            left = last - packet.pts
            played = max(packet.duration, self._longest) if self._in_matroska else packet.duration
            if left <= 0 or (self._is_sound and left * 2 <= played):
                return
            packet.duration = min(packet.duration, left)
            self._write(packet)

    def close(self) -> None:
        """Release the source."""
        self._source.close()

    def _write(self, packet: Any) -> None:
        self._waiting = next(self._packets, None)
        self._longest = max(self._longest, packet.duration)
        packet.stream = self._stream
        self._output.mux(packet)

    def _shifted(self, stream: Any, shift: int) -> Iterator[Any]:
        """The packets on the output's clock, without those that end before it begins (a codec's priming stays).

        Subtitles that are on when it begins are shown from there.
        """
        only(self._source, stream)
        for packet in self._source.demux(stream):
            if packet.pts is None or packet.size == 0 or is_gap(packet):
                continue
            primes = packet.pts < 0 and self._primed and self._is_sound
            packet.dts = (packet.pts if packet.dts is None else packet.dts) - shift
            packet.pts -= shift
            if packet.pts < 0 and not self._is_sound:
                packet.duration, packet.pts, packet.dts = max(packet.duration + packet.pts, 0), 0, 0
            if primes or packet.pts + packet.duration > 0:
                yield packet


class EncodedSound:
    """Sound decoded, cut and padded to the sample, and encoded in its own rate and channels where the codec has them.

    `zero`: the time in the source's container that is the output's 0. Matroska does not say that the last packet of AAC
    is not played to its end, so there the sound ends with the packet that ends nearest. `tally`: where packets that are
    `damaged` and become silence are counted.
    """

    def __init__(
        self, path: str, output: Any, codec: str, zero: Fraction, in_matroska: bool, tally: Counter[str]
    ) -> None:
        self._source = open_input(path)
        stream = self._source.streams.audio[0]
        only(self._source, stream)
        self._channels = stream.channels
        self._layout = LAYOUTS[self._channels]
        self._rate = nearest_rate(codec, stream.rate)
        self._stream = output.add_stream(ENCODERS[codec], rate=self._rate, layout=self._layout)
        most = 6 * self._rate * self._channels
        self._stream.bit_rate = min(max(BIT_RATE, 64_000 * self._channels), most)
        self._stream.metadata.update(stream.metadata)
        self._output = output
        self._grain = CHUNK if in_matroska and codec == "aac" else 1
        self.about = f"{codec} {self._rate} Hz, {self._layout}, encoded"
        frames = decoded(self._source, stream, tally)
        self._blocks = self._at_rate(gapless(frames, stream.rate, zero), stream.rate)
        self._held = np.zeros((self._channels, 0), np.float32)
        self._place = 0

    def advance(self, time: Fraction) -> None:
        """See `Track`."""
        while self._place + CHUNK <= time * self._rate:
            self._write(CHUNK)

    def finish(self, end: Fraction) -> None:
        """See `Track`; the sound ends with the sample (or packet) nearest to `end`."""
        self.advance(end)
        last = round(end * self._rate / self._grain) * self._grain
        rest = last - self._place
        if rest > 0:
            self._write(rest)
        self._output.mux(self._stream.encode(None))

    def close(self) -> None:
        """Release the source."""
        self._source.close()

    def _write(self, count: int) -> None:
        """Encode the next `count` samples; silence where the source has ended."""
        from av import AudioFrame

        while self._held.shape[1] < count:
            block = next(self._blocks, None)
            if block is None:
                block = np.zeros((self._channels, count), np.float32)
            self._held = np.concatenate([self._held, block], axis=1)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(self._held[:, :count]), format="fltp", layout=self._layout)
        self._held = self._held[:, count:]
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._place
        self._place += count
        self._output.mux(self._stream.encode(frame))

    def _at_rate(self, blocks: Iterator[Samples], rate: int) -> Iterator[Samples]:
        """The blocks at the encoder's rate."""
        if rate == self._rate:
            yield from blocks
            return
        import soxr

        stream = soxr.ResampleStream(rate, self._rate, self._channels, dtype="float32", quality="HQ")
        for block in blocks:
            yield stream.resample_chunk(np.ascontiguousarray(block.T)).reshape(-1, self._channels).T
        rest = stream.resample_chunk(np.zeros((0, self._channels), np.float32), last=True)
        yield rest.reshape(-1, self._channels).T


def nearest_rate(codec: str, rate: int) -> int:
    """The sample rate that a codec has for a sound: the same, else the next higher, else its highest."""
    rates = RATES[codec]
    return min((known for known in rates if known >= rate), default=rates[0])
