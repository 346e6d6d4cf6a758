"""decode: pictures of a video, a still or an image sequence, each with its exact time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graph.stage import Array, Caps, Packet, Source, Value

if TYPE_CHECKING:
    from stages.media.reader import Reader
    from stages.media.times import Playlist


class Decode(Source):
    """Give the pictures of a video in order of presentation, turned and mirrored as they are to be shown.

    A packet's time lies on the file's clock, which begins with its first picture; so does the clock of `AudioReader`.
    Where `until` names another file, the first picture given is at 0, as is that file's sound.

    `path`: a video, a still, a folder of images or a pattern such as `frame_%04d.png`. `until`: a media file whose
    sound says how long the packets go on, as `length` has it: `audio` plays the video back and forth until then,
    `shortest` ends with the shorter of both, `video` with the video. `fps`: resample by time to this rate ("25",
    "30000/1001"); without it frames keep their times. `start`, `end`: seconds of the file that are used; a still is
    shown until `end` or `until`; where there is neither it is one packet. `reader`: `auto` is PyAV, which reads every
    file right; decord's pictures come one level too dark on average, and it is there for constant or variable rates in
    8-bit 4:2:0 without rotation. `threads`: of the decoder, as many as there are cores if nothing is said. `pixels`:
    `rgb` gives `frame`, 8 bits a sample, HDR tone-mapped to BT.709; `source` gives `planes` instead, the samples that
    the file has, for an `encode` with `pixels: source` (what is not planar YUV is RGB there, too).

    Facts of the stream: `rate` (exact; None where it varies), `variable`, `time_base`, `packets`, `duration` (seconds),
    `video` (the path), `colour` (matrix, range, primaries, transfer; None where the file says nothing), `sar`,
    `rotation` and `mirrored` (already applied: degrees clockwise, after mirroring left and right), `audio_offset`
    (seconds from the first picture to the file's own sound); with `pixels: source` also `layout` (the pixel format,
    width and height of the planes) and `light` (what HDR was made for, see `HDRLight`; None where nothing is said).
    """

    writes = {
        "frame": Array(np.uint8, "h w 3", "RGB, as displayed"),
        "source_index": Value("index of the picture in the file, by order of presentation"),
    }
    planes = Array(np.uint8, "bytes", "the planes of the file's pixel format one after the other, as displayed")

    def __init__(
        self,
        path: str,
        until: str | None = None,
        length: Literal["audio", "video", "shortest"] = "audio",
        fps: str | None = None,
        start: float | None = None,
        end: float | None = None,
        reader: Literal["auto", "decord", "pyav"] = "auto",
        threads: int | None = None,
        pixels: Literal["rgb", "source"] = "rgb",
    ) -> None:
        from stages.media.probe import check_there
        from stages.media.stills import check_pictures

        self.path = path
        self.until = until
        self.length = length
        self.fps = None if fps is None else exact_rate(fps)
        self.start = None if start is None else Fraction(str(start))
        self.end = None if end is None else Fraction(str(end))
        if self.start is not None and self.start < 0:
            raise ValueError(f"start is {start} s, but a video begins at 0")
        if self.end is not None and self.end <= (self.start or 0):
            raise ValueError(f"end ({end} s) does not lie after start ({start or 0} s)")
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}, but at least 1 is needed")
        check_pictures(path)
        check_there(until, "audio")
        self.reader = reader
        self.threads = threads
        self.pixels = pixels
        if pixels == "source":
            self.writes = {"planes": Decode.planes, "source_index": Decode.writes["source_index"]}
        self._reader: Reader | None = None

    def open(self) -> None:
        """Read the file's index and its first picture."""
        from stages.media.audio import AudioReader
        from stages.media.reader import open_reader

        duration = None
        if self.until is not None:
            with AudioReader(self.until) as sound:
                duration = sound.duration
        self._stamp = _stamp(self.path)
        self._reader = open_reader(self.path, self.reader, self.threads or self.cores, self.fps, self.pixels)
        self.notes.extend(self._reader.notes)
        self._playlist = self._plan(self._reader, duration)
        self._next = 0

    def _plan(self, reader: Reader, until: Fraction | None) -> Playlist:
        from stages.media.times import Playlist

        from_zero = self.until is not None and not same_file(self.until, self.path)
        if not reader.still:
            return Playlist(
                reader.times,
                start=self.start,
                end=self.end,
                fps=self.fps,
                until=until,
                length=self.length,
                from_zero=from_zero,
            )
        if until is None and self.end is None:
            return Playlist(reader.times)
        shown = self.end - (self.start or 0) if self.end is not None else None
        lengths = [length for length in (shown, until) if length is not None]
        chosen = {"audio": lengths[-1], "video": lengths[0], "shortest": min(lengths)}[self.length]
        return Playlist(reader.times, until=chosen)

    def configure(self) -> Caps:
        """The size of the pictures and what is known of the stream."""
        reader = self._opened()
        playlist = self._playlist
        layout, light = reader.layout, reader.light
        as_is = {"layout": layout.plain(), "light": light and light.plain()} if self.pixels == "source" else {}
        return Caps(
            {"planes": (layout.bytes,)} if as_is else {"frame": layout.shape},
            {
                **as_is,
                "rate": None if playlist.rate is None else str(playlist.rate),
                "variable": playlist.rate is None,
                "time_base": str(1 / playlist.rate if playlist.rate else reader.times.base),
                "packets": playlist.count,
                "duration": str(playlist.duration),
                "video": self.path,
                "colour": dict(reader.colour),
                "sar": f"{reader.sar.numerator}/{reader.sar.denominator}",
                "rotation": reader.orientation.turns * 90,
                "mirrored": reader.orientation.mirrored,
                "audio_offset": None if reader.audio_offset is None else str(reader.audio_offset),
            },
        )

    def produce(self, packet: Packet) -> bool:
        """Decode the next picture into the packet."""
        if self._next >= self._playlist.count:
            self._tell_missing()
            self._tell_changed()
            return False
        index, packet.time = self._playlist.entry(self._next)
        reader = self._opened()
        if self.pixels == "source":
            reader.read(index, packet.planes.reshape(reader.layout.shape))
        else:
            reader.read(index, packet.frame)
        packet.source_index = index
        self._next += 1
        return True

    def seek(self, index: int) -> None:
        """Go on at packet `index`."""
        self._next = index

    def cuts(self) -> list[int]:
        """The packets whose pictures the file begins anew with: where a part of a run best begins."""
        from stages.media.probe import probe_video

        if self._opened().still or not Path(self.path).is_file():
            return []
        keys = {int(index) for index in probe_video(self.path).keys[0]}
        return [at for at in range(self._playlist.count) if self._playlist.entry(at)[0] in keys]

    def about(self) -> dict[str, Any]:
        """Which reader runs."""
        return {"reader": self._opened().name, "video": self._opened().about}

    def close(self) -> None:
        """Release the file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _opened(self) -> Reader:
        if self._reader is None:
            raise RuntimeError("decode is asked for pictures before it was opened")
        return self._reader

    def _tell_missing(self) -> None:
        missing = self._opened().missing
        if missing and not self.counts["missing_frames"]:
            self.counts["missing_frames"] = missing
            self.notes.append(f"{missing} pictures of {self.path} could not be decoded: the ones before them stand in")

    def _tell_changed(self) -> None:
        if _stamp(self.path) != self._stamp:
            self.notes.append(
                f"{self.path} has changed while it was read: the output is of what it was at the beginning"
            )


def _stamp(path: str) -> tuple[int, int] | None:
    """A file's size and time of change; None where it is gone, a folder or a pattern."""
    place = Path(path)
    if not place.is_file():
        return None
    state = place.stat()
    return state.st_size, state.st_mtime_ns


def exact_rate(text: str) -> Fraction:
    """A rate as a fraction; 23.976, 29.97, 59.94 and the like are taken as what they mean, such as 30000/1001."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text!r} is no frame rate: write a number or a fraction such as 30000/1001") from None
    if not 0 < rate <= 1000:
        raise ValueError(f"a frame rate of {text} is not possible")
    whole = -(-rate // 1)
    broadcast = Fraction(whole * 1000, 1001)
    return broadcast if rate != whole and abs(broadcast - rate) < Fraction(1, 200) else rate


def same_file(one: str, other: str) -> bool:
    """Whether two paths lead to one file."""
    return Path(one).resolve() == Path(other).resolve()
