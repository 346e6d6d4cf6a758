"""Parts of one video put together without encoding again, beside tracks that are written once for the whole."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from stages.media.formats import container_of
from stages.media.mux import metadata_of
from stages.media.probe import open_input, video_stream
from stages.media.tracks import Track

#: A part: its file, and when its first picture is shown, in seconds of the output.
Part = tuple[str, Fraction]


class Joined:
    """A file that parts are copied into, packet by packet; further tracks are added to `container` before `write`.

    `base`: the ticks that times are counted in, of which every picture's time is a multiple; `end`: when the last
    picture is no longer shown, None for as long as the one before it; `rate`: of the pictures, where it is constant.
    The file has its name only when it is whole. Raises ValueError where the parts were not encoded alike.
    """

    def __init__(
        self, path: str, parts: Sequence[Part], base: Fraction, end: Fraction | None, rate: Fraction | None = None
    ) -> None:
        import av

        self.path = path
        self._parts, self._base = parts, base
        self._ticks = list(self._read_ticks())
        self._shown = sorted(self._ticks)
        if len(set(self._shown)) < len(self._shown):
            raise ValueError(f"the parts of {path} overlap: two pictures are shown at the same time")
        gap = self._shown[-1] - self._shown[-2] if len(self._shown) > 1 else 1
        self._end = self._shown[-1] + gap if end is None else max(round(end / base), self._shown[-1] + 1)
        self._is_mp4 = container_of(path) in (".mp4", ".mov")
        place = Path(path)
        self._spare = place.with_name(f"{place.stem}.joining{place.suffix}")
        self.container = av.open(str(self._spare), "w", options=self._options())
        with open_input(parts[0][0]) as first:
            self.container.metadata.update(metadata_of(parts[0][0]))
            self._stream: Any = self.container.add_stream_from_template(video_stream(first), opaque=True)
        self._stream.time_base = base
        if rate is not None:
            # Matroska says with it how long a picture is shown, that of the last included.
            self._stream.codec_context.framerate = rate

    def _options(self) -> dict[str, str]:
        if not self._is_mp4:
            return {}
        return {"movflags": "faststart", "movie_timescale": str(max(self._base.denominator, 1000))}

    @property
    def frames(self) -> int:
        """How many pictures there are."""
        return len(self._ticks)

    @property
    def end(self) -> Fraction:
        """When the last picture is no longer shown, in seconds."""
        return self._end * self._base

    def _read_ticks(self) -> Iterator[int]:
        """The time of every packet, in the order of decoding."""
        alike: bytes | None = None
        for path, begin in self._parts:
            with open_input(path) as part:
                stream = video_stream(part)
                header = bytes(stream.codec_context.extradata or b"")
                if alike is not None and header != alike:
                    raise ValueError(f"{path} was not encoded as the parts before it: they cannot be joined")
                alike = header
                offset = round(begin / self._base)
                for packet in _packets(part, stream):
                    yield offset + round(packet.pts * packet.time_base / self._base)

    def write(self, tracks: Sequence[Track]) -> None:
        """Copy all packets, with decoding times that rise over all parts, and the tracks along with them."""
        delay = max(at - bisect_left(self._shown, tick) for at, tick in enumerate(self._ticks))
        at = 0
        for path, _ in self._parts:
            with open_input(path) as part:
                for packet in _packets(part, video_stream(part)):
                    self._mux(packet, at, delay)
                    for track in tracks:
                        track.advance(max(self._decoded(at, delay), 0) * self._base)
                    at += 1
        for track in tracks:
            track.finish(self.end)
        self.container.close()
        self._spare.replace(self.path)

    def _decoded(self, at: int, delay: int) -> int:
        """When packet `at` is decoded: as late as pictures that are shown before others that they refer to allow."""
        if at >= delay:
            return self._shown[at - delay]
        gap = self._shown[1] - self._shown[0]
        return self._shown[0] - (delay - at) * gap

    def _mux(self, packet: Any, at: int, delay: int) -> None:
        tick = self._ticks[at]
        after = bisect_left(self._shown, tick) + 1
        packet.time_base = self._base
        packet.pts, packet.dts = tick, self._decoded(at, delay)
        packet.duration = (self._shown[after] if after < len(self._shown) else self._end) - tick
        if at == len(self._ticks) - 1 and self._is_mp4:
            # MP4 knows distances of decoding times only; that of the last packet makes the track as long as it is.
            packet.duration = max(self._end - packet.dts + self._decoded(0, delay), 1)
        packet.stream = self._stream
        self.container.mux(packet)

    def close(self) -> None:
        """Without a whole file, leave none."""
        self.container.close()
        self._spare.unlink(missing_ok=True)


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    return (packet for packet in container.demux(stream) if packet.size)
