"""Pictures to a video file: encoded once, with exact times, readable up to the last second however the run ends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.media.colour import MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour, code
from stages.media.convert import FromPlanes, FromRGB
from stages.media.formats import VideoCodec, container_of, pixels_for, written_colour
from stages.media.planes import Layout

Picture = npt.NDArray[np.uint8]

#: seconds of video that a killed process may lose
FRAGMENT = 1.0


@dataclass(frozen=True)
class Pictures:
    """What is to be encoded: how it lies in memory, the ticks that times are counted in, the rate (None: variable).

    `colour`: what the pictures are in; `sar`: sample aspect ratio.
    """

    layout: Layout
    time_base: Fraction
    rate: Fraction | None
    colour: Colour
    sar: Fraction = Fraction(1)


class VideoWriter:
    """One video stream, and room for tracks beside it.

    While it is written, the file is `NAME.partial.SUFFIX` beside the output: fragmented MP4 or Matroska, so that it
    can be played even after SIGKILL. `finish` makes of it a plain file, index first, under its own name; `close`
    without it ends the partial file properly and leaves it. Raises ValueError or OSError where that cannot work.
    """

    def __init__(
        self,
        path: str,
        pictures: Pictures,
        codec: VideoCodec,
        options: dict[str, str],
        threads: int = 2,
        metadata: dict[str, str] | None = None,
    ) -> None:
        import av

        self.path = path
        self.partial = partial_path(path)
        self.frames = 0
        self.end = Fraction(0)
        self._base, self._rate = pictures.time_base, pictures.rate
        layout, pixels = pictures.layout, pixels_for(codec, pictures.layout)
        written = written_colour(pictures.colour, codec, layout)
        self.container = av.open(self.partial, "w", options=_container_options(path))
        self.container.metadata.update(metadata or {})
        self._coded: FromRGB | FromPlanes
        if layout.is_rgb:
            self._coded = FromRGB(written, layout.width, layout.height, pixels)
        else:
            self._coded = FromPlanes(layout, pixels, pictures.colour, written)
        self._tags = tags(written)
        self._stream: Any = self.container.add_stream(codec.encoder, rate=pictures.rate or Fraction(30))
        if codec.encoder in ("libx265", "hevc_nvenc") and container_of(path) in (".mp4", ".mov"):
            self._stream.codec_context.codec_tag = "hvc1"
        try:
            open_encoder(self._stream.codec_context, pictures, codec, options, threads)
        except ValueError:
            self._drop()
            raise
        self._waiting: Any = None
        self._gap = 1
        self._shown: dict[int, int] = {}
        self._done = False

    def write(self, image: Picture, time: Fraction) -> None:
        """Encode a picture, uint8 in its layout's shape, shown from `time` seconds of the output on; times rise."""
        frame = self._coded(image)
        frame.colorspace, frame.color_range = self._tags[:2]
        frame.color_primaries, frame.color_trc = self._tags[2:]
        frame.pts, frame.time_base = round(time / self._base), self._base
        self._encode_waiting(frame.pts)
        self._waiting = frame

    def finish(self, last: Fraction | None = None, as_written: bool = False) -> None:
        """End the video, its last picture shown for `last` seconds, and give the file its name (tracks come before).

        `as_written`: it stays in fragments, as a segment may that is copied into the output later.
        """
        self._flush(last)
        self.container.close()
        self._done = True
        if container_of(self.path) in (".mp4", ".mov") and not as_written:
            remux(self.partial, self.path, self.end)
            Path(self.partial).unlink()
        else:
            Path(self.partial).replace(self.path)

    def end_of(self, last: Fraction | None) -> Fraction:
        """When the video will end if its last picture is shown for `last` seconds (default: as the one before it)."""
        if self._waiting is None:
            return self.end
        return Fraction(self._waiting.pts + self._last_ticks(last)) * self._base

    def close(self) -> None:
        """Without `finish` before it: end the partial file, so that it can be played, and leave it under its name."""
        if self._done:
            return
        self._done = True
        if self.frames or self._waiting is not None:
            self._flush(None)
            self.container.close()
        else:
            self._drop()

    def _drop(self) -> None:
        """Nothing was written: leave no file."""
        self.container.close()
        Path(self.partial).unlink(missing_ok=True)

    def _last_ticks(self, last: Fraction | None) -> int:
        if last is None:
            last = 1 / self._rate if self._rate else self._gap * self._base
        return max(round(last / self._base), 1)

    def _encode_waiting(self, until: int) -> None:
        """Give the encoder the frame that waits, now that it is known how long it is shown."""
        frame = self._waiting
        if frame is None:
            return
        self._gap = max(until - frame.pts, 1)
        self._shown[frame.pts] = self._gap
        self._mux(frame)
        self.frames += 1
        self.end = (frame.pts + self._gap) * self._base
        self._waiting = None

    def _flush(self, last: Fraction | None) -> None:
        if self._waiting is not None:
            self._encode_waiting(self._waiting.pts + self._last_ticks(last))
        self._mux(None)

    def _mux(self, frame: Any) -> None:
        """Encode a frame (None: what is held) and write the packets, which get the time that each is shown."""
        for packet in self._stream.encode(frame):
            packet.duration = self._shown.pop(packet.pts, packet.duration)
            self.container.mux(packet)


def open_encoder(context: Any, pictures: Pictures, codec: VideoCodec, options: dict[str, str], threads: int) -> None:
    """Open PyAV's context of an encoder; ValueError where it cannot be used."""
    import av

    layout = pictures.layout
    context.width, context.height, context.pix_fmt = layout.width, layout.height, pixels_for(codec, layout)
    context.time_base = pictures.time_base
    context.sample_aspect_ratio = pictures.sar
    context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags(
        written_colour(pictures.colour, codec, layout)
    )
    context.thread_count = threads
    if codec.encoder == "libx264":  # PyAV asks for slices, by which x264 is slower and its files larger
        context.thread_type = "AUTO"
    context.options = options
    try:
        context.open(strict=False)
    except av.FFmpegError as error:
        size = f"{layout.width}x{layout.height}"
        raise ValueError(f"the encoder {codec.encoder} cannot be used here for {size} ({error.strerror})") from None


def check_encoder(pictures: Pictures, codec: VideoCodec, options: dict[str, str], threads: int) -> None:
    """Raise ValueError where an encoder cannot be used; no file is touched."""
    import av

    context: Any = av.CodecContext.create(codec.encoder, "w")
    context.framerate = pictures.rate or Fraction(30)
    open_encoder(context, pictures, codec, options, threads)


def remux(source: str, target: str, end: Fraction) -> None:
    """Copy all tracks of a file into a plain MP4 or MOV with its index first; it has its name only when it is whole.

    The last picture is shown until `end`.
    """
    place = Path(target)
    temporary = place.with_name(f"{place.stem}.whole{place.suffix}")
    try:
        _copy_tracks(source, str(temporary), end)
        temporary.replace(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _copy_tracks(source: str, target: str, end: Fraction) -> None:
    import av

    with av.open(source) as whole:
        decoded = [packet.dts for packet in whole.demux(video=0) if packet.size]
    with av.open(source) as whole:
        video: Any = whole.streams.video[0]
        base = Fraction(video.time_base)
        options = {"movflags": "faststart", "movie_timescale": str(max(base.denominator, 1000))}
        with av.open(target, "w", options=options) as output:
            # a track of chapters, which is data here, is made anew by set_chapters
            kept = [stream for stream in whole.streams if stream.type != "data"]
            tracks = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in kept}
            for stream in kept:
                tracks[stream.index].metadata.update(stream.metadata)
            output.metadata.update(whole.metadata)
            output.set_chapters(whole.chapters())
            packets: Iterator[Any] = (packet for packet in whole.demux(kept) if packet.size)
            for packet in packets:
                if packet.stream.type == "video":
                    packet.duration = min(packet.duration, round(end / base) - packet.pts)
                    if packet.dts == decoded[-1]:
                        # MP4 knows distances of decoding times only; this one makes the track as long as it is.
                        packet.duration = max(round(end / base) - (packet.dts - decoded[0]), 1)
                packet.stream = tracks[packet.stream.index]
                output.mux(packet)


def tags(colour: Colour) -> tuple[int, int, int, int]:
    """H.273's code points of matrix, range, primaries and transfer; range has 0 for unspecified."""
    range_ = code(RANGES, colour["range"]) if colour["range"] else 0
    primaries, transfer = code(PRIMARIES, colour["primaries"]), code(TRANSFERS, colour["transfer"])
    return code(MATRICES, colour["matrix"]), range_, primaries, transfer


def partial_path(path: str) -> str:
    """Where an output lies until it is whole: `NAME.partial.mp4` beside it."""
    place = Path(path)
    return str(place.with_name(f"{place.stem}.partial{place.suffix}"))


def check_writable(path: str) -> None:
    """Raise OSError where the output's folder does not exist or takes no file."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise OSError(f"{path} cannot be written: there is no folder {folder}")
    check_folder(path)


def check_folder(path: str) -> None:
    """As `check_writable`, but the folder may be made later."""
    folder = Path(path).parent
    if "://" in path or not folder.is_dir():
        return
    if Path(path).is_dir():
        raise OSError(f"{path} cannot be written: it is a folder")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}") from None


def _container_options(path: str) -> dict[str, str]:
    if container_of(path) in (".mp4", ".mov"):
        return {"movflags": "delay_moov", "frag_duration": str(round(FRAGMENT * 1e6)), "flush_packets": "1"}
    return {"cluster_time_limit": str(round(FRAGMENT * 1e3)), "flush_packets": "1"}
