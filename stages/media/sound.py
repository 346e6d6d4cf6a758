"""Sound cut and padded to the sample, and encoded: as far as the picture is, or ahead of the file it goes into."""

from __future__ import annotations

import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from stages.media.audio import Samples, gapless
from stages.media.probe import decoded, only, open_input

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
#: what a packet is kept with: pts, dts, duration, bytes
HEAD = struct.Struct("<qqqI")


class Packets(Protocol):
    """Packets of a sound in order; `declare` adds the stream to an output that they are for."""

    about: str

    def declare(self, output: Any) -> Any: ...

    def until(self, time: Fraction) -> Iterator[Any]: ...

    def rest(self, end: Fraction) -> Iterator[Any]: ...

    def close(self) -> None: ...


class SoundEncoder:
    """Encodes a sound in its own rate and channels where the codec has them.

    `zero`: the time in the source's container that is the output's 0. Matroska does not say that the last packet of AAC
    is not played to its end, so there the sound ends with the packet that ends nearest. `tally`: where packets that are
    `damaged` and become silence are counted.
    """

    def __init__(self, path: str, codec: str, zero: Fraction, in_matroska: bool, tally: Counter[str]) -> None:
        from av import CodecContext

        self._source = open_input(path)
        stream = self._source.streams.audio[0]
        only(self._source, stream)
        self._channels = stream.channels
        self._layout = LAYOUTS[self._channels]
        self._rate = nearest_rate(codec, stream.rate)
        self._encoder = ENCODERS[codec]
        self._metadata = dict(stream.metadata)
        most = 6 * self._rate * self._channels
        self._bit_rate = min(max(BIT_RATE, 64_000 * self._channels), most)
        context: Any = CodecContext.create(self._encoder, "w")
        context.format = context.codec.audio_formats[0]
        context.sample_rate, context.layout = self._rate, self._layout
        context.time_base, context.bit_rate = Fraction(1, self._rate), self._bit_rate
        self._context = context
        self._grain = CHUNK if in_matroska and codec == "aac" else 1
        self.about = f"{codec} {self._rate} Hz, {self._layout}, encoded"
        frames = decoded(self._source, stream, tally)
        self._blocks = self._at_rate(gapless(frames, stream.rate, zero), stream.rate)
        self._held = np.zeros((self._channels, 0), np.float32)
        self._place = 0

    def declare(self, output: Any) -> Any:
        """Add a stream that takes the packets; what its head says comes of an encoder set up alike."""
        stream = output.add_stream(self._encoder, rate=self._rate, layout=self._layout)
        stream.bit_rate = self._bit_rate
        stream.metadata.update(self._metadata)
        return stream

    def until(self, time: Fraction) -> Iterator[Any]:
        """Encode what lies before a time of the output."""
        while self._place + CHUNK <= time * self._rate:
            yield from self._encode(CHUNK)

    def rest(self, end: Fraction) -> Iterator[Any]:
        """Encode the rest before the end, padded with silence if need be."""
        yield from self.until(end)
        last = round(end * self._rate / self._grain) * self._grain
        if last > self._place:
            yield from self._encode(last - self._place)
        yield from self._context.encode(None)

    def close(self) -> None:
        """Release the source."""
        self._source.close()

    def _encode(self, count: int) -> list[Any]:
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
        return list(self._context.encode(frame))

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


class EncodedAhead:
    """A sound that is encoded before there is a file for it to go into: `go` as the picture does, then as any other.

    What is encoded waits in a file without a name in `folder`, 24 kB a second.
    """

    #: seconds that are encoded for a picture at most, so that a run that goes on late does not stand still for them
    AT_ONCE = Fraction(1, 4)

    def __init__(self, encoder: SoundEncoder, folder: Path) -> None:
        self._encoder = encoder
        self.about = encoder.about
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close
        self._base = Fraction(1)
        self._time = Fraction(0)
        self._waiting: Iterator[Any] = iter(())
        self._next: Any = None

    def go(self, time: Fraction) -> None:
        """Encode what lies before a time of the output, or some of it."""
        self._time = min(time, self._time + self.AT_ONCE)
        for packet in self._encoder.until(self._time):
            self._base = packet.time_base
            data = bytes(packet)
            self._file.write(HEAD.pack(packet.pts, packet.dts, packet.duration, len(data)))
            self._file.write(data)

    def declare(self, output: Any) -> Any:
        """See `Packets`; after this it no longer goes ahead."""
        self._file.seek(0)
        self._waiting = self._kept()
        self._next = next(self._waiting, None)
        return self._encoder.declare(output)

    def until(self, time: Fraction) -> Iterator[Any]:
        """See `Packets`."""
        while self._next is not None and self._next.pts * self._next.time_base < time:
            yield self._take()
        if self._next is None:
            yield from self._encoder.until(time)

    def rest(self, end: Fraction) -> Iterator[Any]:
        """See `Packets`."""
        while self._next is not None:
            yield self._take()
        yield from self._encoder.rest(end)

    def close(self) -> None:
        """Release the source and the file."""
        self._encoder.close()
        self._file.close()

    def _take(self) -> Any:
        taken, self._next = self._next, next(self._waiting, None)
        return taken

    def _kept(self) -> Iterator[Any]:
        """What was encoded ahead, in order."""
        from av import Packet

        while head := self._file.read(HEAD.size):
            pts, dts, duration, size = HEAD.unpack(head)
            packet = Packet(self._file.read(size))
            packet.time_base = self._base
            packet.pts, packet.dts, packet.duration, packet.is_keyframe = pts, dts, duration, True
            yield packet


def nearest_rate(codec: str, rate: int) -> int:
    """The sample rate that a codec has for a sound: the same, else the next higher, else its highest."""
    rates = RATES[codec]
    return min((known for known in rates if known >= rate), default=rates[0])
