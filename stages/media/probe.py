"""What a media file is: its streams, times, colours and rotation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from stages.media.colour import Colour, colour_of
from stages.media.light import HDRLight, light_of
from stages.media.orientation import Orientation, orientation_of
from stages.media.times import Times, constant_rate

#: demuxers that make pictures of what is none
NOT_MEDIA = {"tty", "bin", "xbin", "adf", "idf"}


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before it is played.

    `width`, `height`: as displayed. `pts`: presentation times in the stream's own ticks, rising; empty if the file has
    none (then pictures are counted). `keys`: index of the pictures that decoding can begin at, and their decoding
    times. `open_gop`: a key picture is followed by some that are shown before it. `sar`: sample aspect ratio as
    displayed. `audio_offset`: seconds from the first picture to the beginning of the file's sound, None where it has
    none. `light`: what HDR was made for, where the file says it. `missing`: pictures that the file announces but does
    not hold; `cut`: bytes of which the same is true.
    """

    path: str
    width: int
    height: int
    times: Times
    pts: npt.NDArray[np.int64]
    keys: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    colour: Colour
    orientation: Orientation
    sar: Fraction
    pixels: str
    codec: str
    interlaced: bool
    open_gop: bool
    has_alpha: bool
    audio_offset: Fraction | None
    light: HDRLight | None = None
    missing: int = 0
    cut: int = 0

    @property
    def about(self) -> str:
        """Codec, size and rate in a few words."""
        rate = f"{self.times.rate} fps" if self.times.rate else "variable rate"
        return f"{self.codec} {self.width}x{self.height} {self.pixels}, {rate}"

    @property
    def notes(self) -> list[str]:
        """What one who plays this video should know."""
        if self.cut and not self.missing:
            return [f"{self.path} is not whole: its last {self.cut} bytes are missing"]
        if not self.missing:
            return []
        return [f"{self.path} is not whole: {self.missing} of {self.missing + self.times.count} pictures are missing"]


def check_there(path: str | None, what: str) -> None:
    """Raise ValueError where there is no such file; `what` it is, in a word. What is elsewhere or not given passes."""
    if path and "://" not in path and not Path(path).is_file():
        raise ValueError(f"no such {what} file: {path}")


def open_input(path: str) -> Any:
    """The file as a PyAV container, to be used in `with`; ValueError with one clear sentence where it is none."""
    import av

    if not Path(path).is_file():
        raise ValueError(f"no such file: {path}")
    try:
        container = av.open(path, metadata_errors="replace")
    except av.FFmpegError as error:
        raise ValueError(f"{path} is no media file that can be read ({error.strerror})") from None
    if container.format.name in NOT_MEDIA:
        container.close()
        raise ValueError(f"{path} is no media file")
    return container


def video_stream(container: Any) -> Any:
    """The first stream of moving pictures, cover art left aside; None if there is none."""
    from av.stream import Disposition

    pictures = (stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic)
    return next(pictures, None)


def only(container: Any, stream: Any) -> None:
    """Leave all other streams of an input aside, unread where the container allows."""
    from av.stream import Discard

    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all


def picture_start(path: str) -> Fraction | None:
    """Presentation time of the first picture in seconds; None where the file has no pictures."""
    with open_input(path) as container:
        stream = video_stream(container)
        first = None if stream is None else next(decoded(container, stream), None)
    return None if first is None else Fraction((first.pts or 0) * first.time_base)


def decoded(container: Any, stream: Any, tally: Counter[str] | None = None) -> Iterator[Any]:
    """The frames of a stream; packets that are broken are passed over and counted as `damaged`."""
    from av.error import FFmpegError

    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except FFmpegError:
            if tally is not None:
                tally["damaged"] += 1


def probe_video(path: str) -> VideoInfo:
    """Read a video's index and first picture; ValueError where it has none."""
    with open_input(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise ValueError(f"{path} has no video stream")
        rows = _index(container, stream)
        announced, audio = stream.frames, next(iter(container.streams.audio), None)
        declared = [rate for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate]
        base = Fraction(stream.time_base)
        audio_start = Fraction(audio.start_time * audio.time_base) if audio and audio.start_time is not None else None
    heads, codec, shape, interlaced = _first_frames(path)
    first = heads[0]
    try:
        orientation = orientation_of(first)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    pts, times, keys = _times(rows, base, declared, first.pts)
    aspect = Fraction(shape or 1)
    return VideoInfo(
        path=path,
        width=first.height if orientation.swaps else first.width,
        height=first.width if orientation.swaps else first.height,
        times=times,
        pts=pts,
        keys=keys,
        colour=colour_of(first),
        orientation=orientation,
        sar=1 / aspect if orientation.swaps else aspect,
        pixels=first.format.name,
        codec=codec,
        interlaced=interlaced,
        open_gop=_has_open_gop(rows),
        has_alpha=any(component.is_alpha for component in first.format.components),
        audio_offset=None if audio_start is None else audio_start - (first.pts or 0) * base,
        light=light_of(first),
        missing=max(announced - len(rows), 0) if "mp4" in container.format.name else 0,
        cut=_bytes_missing(path),
    )


def _bytes_missing(path: str) -> int:
    """How many bytes a Matroska file lacks of what its segment says it has (RFC 9559, 5.1); 0 for all else."""
    with Path(path).open("rb") as file:
        if file.read(4) != b"\x1a\x45\xdf\xa3":
            return 0
        file.seek(_element_size(file) or 0, 1)
        size = _element_size(file) if file.read(4) == b"\x18\x53\x80\x67" else None
        return 0 if size is None else max(file.tell() + size - Path(path).stat().st_size, 0)


def _element_size(file: BinaryIO) -> int | None:
    """An element's size as a variable-length integer (RFC 8794, 4 and 6.2); None where it is unknown."""
    first = int.from_bytes(file.read(1))
    if not first:
        return None
    width = 9 - first.bit_length()
    rest = file.read(width - 1)
    value = int.from_bytes(bytes([first & ((1 << (8 - width)) - 1)]) + rest)
    return None if value == (1 << (7 * width)) - 1 else value


def _first_frames(path: str) -> tuple[list[Any], str, Fraction | None, bool]:
    """Some frames of the beginning, the decoder's name, the sample aspect ratio, and whether there are two fields."""
    with open_input(path) as container:
        stream = video_stream(container)
        heads = [frame for frame, _ in zip(decoded(container, stream), range(4), strict=False)]
        if not heads:
            raise ValueError(f"{path} has a video stream from which no picture can be decoded")
        context = stream.codec_context
        interlaced = any(frame.interlaced_frame for frame in heads) or int(context.field_order) > 1
        return heads, context.name, stream.sample_aspect_ratio, interlaced


Row = tuple[int | None, int | None, int, bool]


def _index(container: Any, stream: Any) -> list[Row]:
    """Presentation and decoding time, duration and key flag of every packet that shows a picture."""
    from av.error import FFmpegError

    only(container, stream)
    rows: list[Row] = []
    try:
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard and not packet.is_corrupt:
                rows.append((packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe))
    except FFmpegError:
        if not rows:
            raise ValueError(f"{container.name} holds no picture that can be read") from None
    return rows


def _has_open_gop(rows: list[Row]) -> bool:
    key: int | None = None
    for pts, _, _, is_key in rows:
        if is_key:
            key = pts
        elif pts is not None and key is not None and pts < key:
            return True
    return False


def _times(
    rows: list[Row], base: Fraction, declared: list[Fraction], first: int | None
) -> tuple[npt.NDArray[np.int64], Times, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Presentation times in order, what they mean, and where decoding can begin."""
    none = np.zeros(0, np.int64)
    if first is None or any(pts is None for pts, *_ in rows):
        guess = declared[0] if declared else Fraction(25)
        return none, Times(np.arange(len(rows), dtype=np.int64), 1 / guess, guess, 1 / guess), (none, none)
    shown = sorted({row[0]: row for row in rows if row[0] is not None and row[0] >= first}.items())
    pts = np.array([tick for tick, _ in shown], np.int64)
    ticks = pts - pts[0]
    rate = constant_rate(ticks, base, declared)
    gap = int(ticks[-1] - ticks[-2]) if len(ticks) > 1 else 0
    last = 1 / rate if rate else Fraction(shown[-1][1][2] or gap) * base
    starts = [(index, tick if row[1] is None else row[1]) for index, (tick, row) in enumerate(shown) if row[3]]
    keys = (np.array([index for index, _ in starts], np.int64), np.array([dts for _, dts in starts], np.int64))
    return pts, Times(ticks, base, rate, last), keys
