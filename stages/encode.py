"""encode: pictures and sound to a video file, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Sink

if TYPE_CHECKING:
    from stages.media.tracks import Track
    from stages.media.writer import VideoWriter

Kept = Literal["subtitles", "chapters", "metadata", "audio"]


#: stands for the file that the frames come from
SOURCE = "source"


class Encode(Sink):
    """Write the frames, with their exact times, and the sound of a file to `.mp4`, `.mov`, `.mkv` or `.webm`.

    The output begins with the first packet; the sound is taken from that packet's time on and ends with the video,
    cut or padded with silence. It is copied where the container takes its codec and nothing has to be cut or padded,
    else encoded in its own rate and channels as AAC (Opus in WebM). What has been written before a failure stays
    beside the output as `NAME.partial.mp4` and can be played.

    `codec`: h264, hevc, av1, vp9, prores, ffv1 (lossless, RGB), h264_nvenc, hevc_nvenc. `crf`: quality, smaller is
    better (h264: 16). `preset`: of the encoder (h264: veryfast). `audio`: a file whose first audio track is the sound,
    or `source` for that of the video that the frames come from, if it has one.
    `provenance`: say in the metadata that the video was altered, and by which generator. `keep`: what to take over
    from the source of the pictures: subtitles, chapters, metadata, audio (all its audio tracks but the one that is the
    sound already). `threads`: of the encoder.
    """

    reads = {"frame": Array(np.uint8, "h w 3", "RGB")}

    def __init__(
        self,
        path: str,
        codec: str = "h264",
        crf: float | None = None,
        preset: str | None = None,
        audio: str | None = None,
        audio_codec: Literal["auto", "copy", "aac", "opus"] = "auto",
        provenance: bool = True,
        keep: list[Kept] | None = None,
        threads: int = 2,
    ) -> None:
        from stages.media.formats import codec_for, encoder_options

        self.path = path
        self.codec = codec
        self.audio = audio
        self.audio_codec = audio_codec
        self.provenance = provenance
        self.keep = keep or []
        self.threads = threads
        if threads < 1:
            raise ValueError(f"threads is {threads}, but at least 1 is needed")
        self._codec = codec_for(codec, path)
        self._options = encoder_options(codec, crf, preset, threads)
        self._writer: VideoWriter | None = None
        self._tracks: list[Track] = []

    def open(self) -> None:
        """Check that the folder can be written and that the sound goes into the container."""
        from stages.media.audio import ContainerSound
        from stages.media.formats import container_of
        from stages.media.mux import sound_codec
        from stages.media.writer import check_writable

        check_writable(self.path)
        self._suffix = container_of(self.path)
        self._sound = None
        if self.audio not in (None, SOURCE):
            self._sound = ContainerSound(str(self.audio))
            sound_codec(self._sound, self._suffix, self.audio_codec)

    def configure(self, caps: Caps) -> Caps:
        """Open the encoder for the size and rate of the stream."""
        from stages.media.formats import written_colour
        from stages.media.writer import Pictures, VideoWriter

        self._stream = stream = caps.stream
        if self.audio == SOURCE:
            self._take_sound_of_source()
        self._check_not_input()
        height, width, _ = caps.shapes["frame"]
        self._rate = Fraction(stream["rate"]) if stream.get("rate") else None
        colour = stream.get("colour") or {"matrix": "gbr", "range": "full", "primaries": None, "transfer": None}
        pictures = Pictures(
            width,
            height,
            time_base=1 / self._rate if self._rate else Fraction(stream.get("time_base") or Fraction(1, 90_000)),
            rate=self._rate,
            colour=written_colour(colour, self._codec, width, height),
            sar=Fraction(stream.get("sar") or 1),
        )
        self._writer = VideoWriter(self.path, pictures, self._codec, self._options, self.threads, self._metadata())
        if self._writer.pixels != self._codec.even:
            self.notes.append(f"{width}x{height} is odd, which {self.codec} has in {self._writer.pixels} only")
        self._first: Fraction | None = None
        return Caps()

    def process(self, packet: Packet) -> None:
        """Encode the frame, and the sound up to it."""
        writer = self._opened()
        if self._first is None:
            self._first = packet.time
            self._add_tracks(packet.time, writer.container)
        self._last = packet.time
        time = packet.time - self._first
        writer.write(packet.frame, time)
        for track in self._tracks:
            track.advance(time)

    def finish(self) -> Sequence[Output]:
        """End the tracks together and give the file its name."""
        writer = self._opened()
        if self._first is None:
            raise ValueError(f"there was no frame to write to {self.path}")
        whole = self._end()
        last = whole - self._last if self._rate is None and whole is not None and whole > self._last else None
        end = writer.end_of(last)
        for track in self._tracks:
            track.finish(end)
        writer.finish(last)
        if self._sound is not None and self._sound.tally["damaged"]:
            self.counts["damaged_sound_packets"] = self._sound.tally["damaged"]
            self.notes.append(f"{self._sound.tally['damaged']} damaged packets of {self._sound.path} became silence")
        return [Output(self.path, writer.frames, float(end))]

    def part(self, path: str) -> dict[str, Any]:
        """Parameters that differ for a part of the output, which `join` puts together: no sound, no further tracks."""
        return {"path": path, "audio": None, "keep": ["metadata"] if "metadata" in self.keep else None}

    def join(self, parts: Sequence[tuple[str, Fraction]], stream: dict[str, Any]) -> Sequence[Output]:
        """Put parts together without encoding again; the sound and all else is added once, for the whole.

        `parts`: files in order, each with the time of its first packet; `stream`: the facts of the whole stream.
        """
        from stages.media.join import Joined

        self._stream = stream
        rate = Fraction(stream["rate"]) if stream.get("rate") else None
        base = 1 / rate if rate else Fraction(stream.get("time_base") or Fraction(1, 90_000))
        self._rate, self._first = rate, parts[0][1]
        whole = None if rate or stream.get("duration") is None else Fraction(stream["duration"])
        self.open()
        if self.audio == SOURCE:
            self._take_sound_of_source()
        joined = Joined(self.path, [(path, begin - self._first) for path, begin in parts], base, whole)
        try:
            self._add_tracks(self._first, joined.container)
            joined.write(self._tracks)
        finally:
            joined.close()
            self.close()
        return [Output(self.path, joined.frames, float(joined.end))]

    def close(self) -> None:
        """Release everything; without `finish` before, end the partial file so that it can be played."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for track in self._tracks:
            track.close()
        self._tracks = []

    def about(self) -> dict[str, Any]:
        """The encoder and the pixel format."""
        return {"encoder": self._codec.encoder, "pixels": self._opened().pixels, **self._options}

    def _end(self) -> Fraction | None:
        """When the video is expected to end, on the packets' clock."""
        if self._first is None or self._stream.get("duration") is None:
            return None
        return self._first + Fraction(self._stream["duration"])

    def _add_tracks(self, begin: Fraction, output: Any) -> None:
        """Add sound, further tracks and chapters, now that it is known when the video begins."""
        from stages.media.mux import kept_chapters, kept_tracks, sound_track

        end = self._end()
        if self._sound is not None:
            frame = 1 / self._rate if self._rate else Fraction(1, 60)
            track, note = sound_track(self._sound, output, self._suffix, self.audio_codec, begin, end, frame)
            self._tracks.append(track)
            self.notes.extend([note] if note else [])
        video = self._source()
        if video is None or not self.keep:
            return
        driving = None if self._sound is None else self._sound.path
        tracks, notes = kept_tracks(video, driving, [*self.keep], output, self._suffix, begin)
        self._tracks.extend(tracks)
        self.notes.extend(notes)
        if "chapters" in self.keep:
            output.set_chapters(kept_chapters(video, begin, end))

    def _metadata(self) -> dict[str, str]:
        """What the file says of itself."""
        from stages.media.mux import metadata_of

        video = self._source()
        metadata = metadata_of(video) if video is not None and "metadata" in self.keep else {}
        if self.provenance:
            generator = self._stream.get("generator")
            said = f"Altered video, made with graphrun, generator: {generator or 'none'}"
            metadata["comment"] = "; ".join(filter(None, [metadata.get("comment"), said]))
        return metadata

    def _source(self) -> str | None:
        """The file that the frames come from, if it is one file."""
        video = self._stream.get("video")
        return str(video) if video is not None and Path(video).is_file() else None

    def _take_sound_of_source(self) -> None:
        from stages.media.audio import ContainerSound
        from stages.media.mux import has_sound, sound_codec

        video = self._source()
        if video is None or not has_sound(video):
            self.notes.append("the source has no sound, so the output has none")
            return
        self._sound = ContainerSound(video)
        sound_codec(self._sound, self._suffix, self.audio_codec)

    def _check_not_input(self) -> None:
        for name, source in (("video", self._source()), ("audio", self.audio)):
            if source is not None and Path(source).resolve() == Path(self.path).resolve():
                raise ValueError(f"the output {self.path} is also the input ({name}): give it another name")

    def _opened(self) -> VideoWriter:
        if self._writer is None:
            raise RuntimeError("encode is used before it was configured")
        return self._writer
