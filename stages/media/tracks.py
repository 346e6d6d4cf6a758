"""Tracks beside the picture: sound and subtitles of other files, put into an output as the picture goes on.

Each is written up to the time of the picture, so that what waits in the muxer stays small however long the video is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Protocol

from stages.media.probe import only, open_input
from stages.media.sound import Packets
from stages.media.subtitles import is_gap


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
    """What encodes a sound as packets of a stream that it declares; see `stages.media.sound`."""

    def __init__(self, encoder: Packets, output: Any) -> None:
        self._encoder = encoder
        self._stream = encoder.declare(output)
        self._output = output
        self.about = encoder.about

    def advance(self, time: Fraction) -> None:
        """See `Track`."""
        self._write(self._encoder.until(time))

    def finish(self, end: Fraction) -> None:
        """See `Track`; the sound ends with the sample (or packet) nearest to `end`."""
        self._write(self._encoder.rest(end))

    def close(self) -> None:
        """Release the source."""
        self._encoder.close()

    def _write(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            packet.stream = self._stream
            self._output.mux(packet)
