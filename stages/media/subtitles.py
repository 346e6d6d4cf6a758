"""Subtitles of text from one container's kind to another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from stages.media.probe import only, open_input

#: subtitles are timed in milliseconds
BASE = Fraction(1, 1000)


def is_gap(packet: Any) -> bool:
    """Whether a packet shows nothing: MP4 has samples without text for that, which its muxer puts in by itself."""
    return packet.stream.type == "subtitle" and packet.size == 2 and bytes(packet) == bytes(2)


@dataclass(frozen=True)
class Line:
    """What is shown from `begin` until `end`, in ticks of the output: the text field of an ASS dialogue."""

    text: bytes
    begin: int
    end: int


class ConvertedSubtitles:
    """A `Track`: text of one stream, written by another encoder; bold and italic stay where it has them.

    `encoder`: FFmpeg's name, such as `mov_text`; `zero`: the time in the source's container that is the output's 0.
    """

    def __init__(self, path: str, index: int, output: Any, encoder: str, zero: Fraction) -> None:
        self._source = open_input(path)
        stream = self._source.streams[index]
        only(self._source, stream)
        stream.codec_context.open(strict=False)
        self._stream = output.add_stream(encoder)
        self._stream.metadata.update(stream.metadata)
        self._context = self._stream.codec_context
        self._context.subtitle_header = stream.codec_context.subtitle_header
        self._context.time_base = BASE
        self._context.open(strict=False)
        self._output = output
        self.about = f"{stream.codec_context.codec.canonical_name} as {encoder}"
        self._lines = self._read(stream, round(zero / BASE))
        self._waiting = next(self._lines, None)

    def advance(self, time: Fraction) -> None:
        """See `Track`."""
        while self._waiting is not None and self._waiting.end * BASE < time:
            self._write(self._waiting, self._waiting.end)

    def finish(self, end: Fraction) -> None:
        """See `Track`; what is still shown at the end is cut there."""
        last = round(end / BASE)
        while self._waiting is not None and self._waiting.begin < last:
            self._write(self._waiting, min(self._waiting.end, last))

    def close(self) -> None:
        """Release the source."""
        self._source.close()

    def _read(self, stream: Any, shift: int) -> Iterator[Line]:
        """All lines that are shown after the output begins, on its clock."""
        for packet in self._source.demux(stream):
            if packet.pts is None or packet.size == 0:
                continue
            begin = round(packet.pts * packet.time_base / BASE) - shift
            end = begin + round(packet.duration * packet.time_base / BASE)
            for shown in packet.decode():
                if end > max(begin, 0):
                    yield Line(bytes(shown.ass), max(begin, 0), end)

    def _write(self, line: Line, end: int) -> None:
        from av.subtitles.subtitle import SubtitleSet

        self._waiting = next(self._lines, None)
        packet = self._context.encode_subtitle(SubtitleSet.create(line.text, 0, end - line.begin, line.begin))
        packet.time_base, packet.pts, packet.dts, packet.duration = BASE, line.begin, line.begin, end - line.begin
        packet.stream = self._stream
        self._output.mux(packet)
