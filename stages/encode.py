"""encode: pictures and sound to a video file, so that a run can go on where an earlier one was ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from graph.stage import Array, Caps, Output, Packet, Sink
from stages.media.planes import reading

if TYPE_CHECKING:
    from stages.media.audio import ContainerSound
    from stages.media.mux import SoundPlan
    from stages.media.planes import Picture
    from stages.media.segments import Segments
    from stages.media.sound import EncodedAhead
    from stages.media.tracks import Track
    from stages.media.writer import Pictures, VideoWriter

Kept = Literal["subtitles", "chapters", "metadata", "audio"]


#: stands for the file that the frames come from
SOURCE = "source"


class Encode(Sink):
    """Write the frames, with their exact times, and the sound of a file to `.mp4`, `.mov`, `.mkv` or `.webm`.

    The output begins with the first packet; the sound is taken from that packet's time on and ends with the video,
    cut or padded with silence. It is copied where the container takes its codec and nothing has to be cut or padded,
    else encoded in its own rate and channels as AAC (Opus in WebM). What has been written before a failure stays
    beside the output as `NAME.partial.mp4` and can be played.

    Until the output is whole, its pictures lie beside it in `NAME.mp4.segments`: closed segments that each begin with a
    key frame and can be played. A run with the same inputs and parameters goes on after the last whole one (`--resume`,
    or by itself where this stage's process was killed); in the end they are joined without encoding again. After a
    Ctrl-C they stay beside the output, which is whole as far as it goes.

    `pixels`: `rgb` reads `frame`; `source` reads the `planes` of a `decode` with `pixels: source`, which are encoded as
    they are where the codec takes their pixel format, so that 10 bits and HDR stay; else it says what becomes of them.

    `codec`: h264, hevc, av1, vp9, prores, ffv1 (lossless), h264_nvenc, hevc_nvenc. `crf`: quality, smaller is better
    (h264: 16; at 14 and less it is coded to be true to the source, see docs/media.md). `preset`: of the encoder (h264:
    veryfast). `audio`: a file whose first audio track is the sound, or `source` for that of the video that the frames
    come from, if it has one.
    `provenance`: say in the metadata that the video was altered, and by which generator. `keep`: what to take over
    from the source of the pictures: subtitles, chapters, metadata, audio (all its audio tracks but the one that is the
    sound already); subtitles of text become what the container takes. `threads`: of the encoder,
    half as many again as there are cores if nothing is said. `segment`: seconds of a segment; with 0 there are none,
    and nothing to go on with.
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
        threads: int | None = None,
        segment: float = 20.0,
        pixels: Literal["rgb", "source"] = "rgb",
    ) -> None:
        from stages.media.formats import codec_for, encoder_options
        from stages.media.probe import check_there
        from stages.media.writer import check_folder

        self.path = path
        self.codec = codec
        self.audio = audio
        self.audio_codec = audio_codec
        self.provenance = provenance
        self.keep = keep or []
        self.threads = threads
        self.pixels = pixels
        self.reads = reading(Encode.reads, pixels)
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}, but at least 1 is needed")
        if segment < 0:
            raise ValueError(f"segment is {segment} s, but it cannot be less than 0")
        self.segment = Fraction(str(segment))
        self._codec = codec_for(codec, path)
        if not segment and "subtitles" in self.keep and Path(path).suffix.lower() in (".mp4", ".mov"):
            # a gap between subtitles makes FFmpeg end a fragment before the picture that it is about to write
            raise ValueError(f"subtitles in {path} need segments: leave segment as it is, or take .mkv")
        self._crf = crf
        self._preset = preset
        encoder_options(codec, crf, preset, threads or 1)
        check_folder(path)
        if audio not in (None, SOURCE):
            check_there(audio, "audio")
            self._check_not(str(audio), "audio")
        self._writer: VideoWriter | None = None
        self._segments: Segments | None = None
        self._tracks: list[Track] = []
        self._plan: SoundPlan | None = None
        self._ahead: EncodedAhead | None = None

    def preflight(self) -> None:
        """Whether the encoder is there, the folder can be written, and the container takes a sound that is there."""
        from stages.media.colour import NOTHING_SAID
        from stages.media.planes import Layout
        from stages.media.writer import Pictures, check_encoder

        if self.audio == "":
            return  # a graph that runs first will make it
        self.open()
        any_ = Pictures(Layout("yuv420p", 256, 256), Fraction(1, 25), Fraction(25), NOTHING_SAID, Fraction(1))
        check_encoder(any_, self._codec, self._options, 1)
        self.close()

    def open(self) -> None:
        """Check that the output can be written, by this run alone, and that the sound goes into the container."""
        from stages.media.audio import ContainerSound
        from stages.media.formats import container_of, encoder_options
        from stages.media.mux import sound_codec
        from stages.media.segments import check_free
        from stages.media.writer import check_writable

        check_writable(self.path)
        if self.segment:
            check_free(self.path)
        # x264's own rule: a thread waits for the rows that another one codes
        self._threads = self.threads or self.cores + self.cores // 2
        self._options = encoder_options(self.codec, self._crf, self._preset, self._threads)
        self._suffix = container_of(self.path)
        self._sound = None
        if self.audio not in (None, SOURCE):
            self._sound = ContainerSound(str(self.audio))
            sound_codec(self._sound, self._suffix, self.audio_codec)

    def configure(self, caps: Caps) -> Caps:
        """Open the encoder for the size and rate of the stream."""
        from stages.media.writer import VideoWriter, check_encoder

        self._stream = stream = caps.stream
        if self.audio == SOURCE:
            self._take_sound_of_source()
        self._check_not_input()
        self._rate = Fraction(stream["rate"]) if stream.get("rate") else None
        pictures = self._pictures(caps)
        self._tell_changes(pictures)

        def open_writer(path: str) -> VideoWriter:
            return VideoWriter(path, pictures, self._codec, self._options, self._threads, self._metadata())

        if self.segment:
            check_encoder(pictures, self._codec, self._options, self._threads)
            self._segments = self._make_segments(pictures.time_base, open_writer)
        else:
            self._writer = open_writer(self.path)
        self._first: Fraction | None = None
        return Caps()

    def _pictures(self, caps: Caps) -> Pictures:
        """What there is to encode."""
        from stages.media.planes import RGB, Layout
        from stages.media.writer import Pictures

        stream = caps.stream
        if self.pixels == "source":
            layout = Layout(**stream["layout"])
        else:
            height, width, _ = caps.shapes["frame"]
            layout = Layout(RGB, width, height)
        return Pictures(
            layout,
            time_base=1 / self._rate if self._rate else Fraction(stream.get("time_base") or Fraction(1, 90_000)),
            rate=self._rate,
            colour=stream.get("colour") or {"matrix": "gbr", "range": "full", "primaries": None, "transfer": None},
            sar=Fraction(stream.get("sar") or 1),
        )

    def _tell_changes(self, pictures: Pictures) -> None:
        """Say what the codec cannot keep of the pictures, and tell the encoder what HDR was made for."""
        from stages.media.formats import changes, pixels_for
        from stages.media.light import HDRLight, light_options

        self._layout = layout = pictures.layout
        self._pixels = pixels_for(self._codec, layout)
        self.notes.extend(changes(self.codec, self._codec, layout, pictures.colour))
        if self.pixels == "source" and (light := self._stream.get("light")):
            told = light_options(self._options, self._codec.encoder, HDRLight.from_plain(light))
            self._options = self._options if told is None else told
            if told is None:
                self.notes.append(f"{self.codec} cannot be told here what its HDR was made for (display, light level)")

    def _make_segments(self, base: Fraction, open_writer: Callable[[str], VideoWriter]) -> Segments:
        import av

        from stages.media.same_run import run_print
        from stages.media.segments import Segments

        run = run_print(self.run_facts, {"PyAV": av.__version__, "FFmpeg": str(av.ffmpeg_version_info)})
        return Segments(self.path, self.segment, base, run, open_writer)

    @property
    def resumes(self) -> bool:
        """Whether there are segments to go on with."""
        return bool(self.segment)

    def resume(self) -> int:
        """How many packets an earlier run has in whole segments.

        Raises ValueError where it was not the same run, saying what differs: inputs, parameters, or the content of a
        file that is read.
        """
        if self._segments is None:
            self.notes.append("begun anew: with segment: 0 there is nothing to go on with")
            return 0
        count = self._segments.resume()
        if self._segments.whole:
            self.counts["kept_packets"] = self._segments.packets
            self._first, self._last = self._segments.whole[0].begin, self._segments.whole[-1].last
        else:
            self.notes.append(f"begun anew: there is no whole segment of {self.path} to go on with")
        return count

    def process(self, packet: Packet) -> None:
        """Encode the frame; without segments also the sound up to it."""
        if self._first is None:
            self._first = packet.time
            if self._segments is None:
                self._add_tracks(packet.time, self._opened().container)
        self._last = packet.time
        image = self._image(packet)
        if self._segments is not None:
            self._segments.write(image, packet.index, packet.time)
            self._encode_sound(packet.time - self._first)
            return
        time = packet.time - self._first
        self._opened().write(image, time)
        for track in self._tracks:
            track.advance(time)

    def _encode_sound(self, time: Fraction) -> None:
        """Encode the sound along with the picture, so that little of it is left to do in the end."""
        from stages.media.sound import EncodedAhead

        assert self._segments is not None
        if self._sound is None:
            return
        with self._segments.told():
            if self._plan is None:
                self._plan = self._plan_sound(self._sound)
                if self._plan.codec is not None:
                    self._ahead = EncodedAhead(self._plan.encoder(), self._segments.folder)
            if self._ahead is not None:
                self._ahead.go(time)

    def _plan_sound(self, sound: ContainerSound) -> SoundPlan:
        from stages.media.mux import plan_sound

        assert self._first is not None
        frame = 1 / self._rate if self._rate else Fraction(1, 60)
        return plan_sound(sound, self._suffix, self.audio_codec, self._first, self._end(), frame)

    def _image(self, packet: Packet) -> Picture:
        if self.pixels == "rgb":
            return cast("Picture", packet.frame)
        return cast("Picture", packet.planes.reshape(self._layout.shape))

    def finish(self) -> Sequence[Output]:
        """End all tracks together and give the file its name."""
        from stages.media.writer import partial_path

        if self._first is None:
            raise ValueError(f"there was no frame to write to {self.path}")
        if self._segments is not None:
            self._segments.end()
            output = self._join_segments(self._segments, self.path)
            Path(partial_path(self.path)).unlink(missing_ok=True)
            if self.interrupted:
                self._segments.done = True
                self.notes.append(f"{self._segments.folder} stays, for --resume to go on with")
            else:
                self._segments.remove()
            return [output]
        writer = self._opened()
        whole = self._end()
        last = whole - self._last if self._rate is None and whole is not None and whole > self._last else None
        end = writer.end_of(last)
        for track in self._tracks:
            track.finish(end)
        writer.finish(last)
        self._tell_damage()
        return [Output(self.path, writer.frames, float(end))]

    def _join_segments(self, segments: Segments, target: str) -> Output:
        """Put what is whole into one file, beside the sound and all else."""
        assert self._first is not None
        begin, last = self._first, segments.whole[-1].last
        whole = self._end()
        end = whole - begin if whole is not None and whole > last else None
        if self._rate is not None:
            end = last - begin + 1 / self._rate
        joined = segments.folder / f"joined{self._suffix}"
        parts = [(str(segments.folder / one.file), one.begin - begin) for one in segments.whole]
        frames, until = self._join(str(joined), parts, segments.base, end)
        segments.put(joined, target)
        return Output(self.path, frames, float(until))

    def _join(
        self, path: str, parts: Sequence[tuple[str, Fraction]], base: Fraction, end: Fraction | None
    ) -> tuple[int, Fraction]:
        """Join parts, each with the time it begins in the output; how many frames there are, and their end."""
        from stages.media.join import Joined

        assert self._first is not None
        joined = Joined(path, parts, base, end, self._rate)
        try:
            self._add_tracks(self._first, joined.container)
            joined.write(self._tracks)
            self._tell_damage()
            return joined.frames, joined.end
        finally:
            joined.close()
            self._close_tracks()

    def _tell_damage(self) -> None:
        if self._sound is not None and self._sound.tally["damaged"]:
            self.counts["damaged_sound_packets"] = self._sound.tally["damaged"]
            self.notes.append(f"{self._sound.tally['damaged']} damaged packets of {self._sound.path} became silence")

    def part(self, path: str) -> dict[str, Any]:
        """Parameters that differ for a part of the output, which `join` puts together: no sound, no further tracks."""
        keep = ["metadata"] if "metadata" in self.keep else None
        return {"path": path, "audio": None, "keep": keep, "segment": 0.0}

    def join(self, parts: Sequence[tuple[str, Fraction]], stream: dict[str, Any]) -> Sequence[Output]:
        """Put parts together without encoding again; the sound and all else is added once, for the whole.

        `parts`: files in order, each with the time of its first packet; `stream`: the facts of the whole stream.
        """
        self._stream = stream
        rate = Fraction(stream["rate"]) if stream.get("rate") else None
        base = 1 / rate if rate else Fraction(stream.get("time_base") or Fraction(1, 90_000))
        self._rate, self._first = rate, parts[0][1]
        whole = None if rate or stream.get("duration") is None else Fraction(stream["duration"])
        self.open()
        if self.audio == SOURCE:
            self._take_sound_of_source()
        frames, end = self._join(self.path, [(path, begin - self._first) for path, begin in parts], base, whole)
        return [Output(self.path, frames, float(end))]

    def close(self) -> None:
        """Release everything; without `finish` before, leave a partial file that can be played."""
        segments, self._segments = self._segments, None
        try:
            if segments is not None and segments.begun and not segments.done:
                self._leave_partial(segments)
        finally:
            if segments is not None:
                segments.close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._ahead is not None:
                self._ahead.close()
            self._close_tracks()

    def _leave_partial(self, segments: Segments) -> None:
        """Join what there is, unless the disk is at fault, which has been told."""
        from stages.media.writer import partial_path

        if not segments.broken:
            segments.end()
        if segments.whole and not segments.broken:
            self._join_segments(segments, partial_path(self.path))

    def _close_tracks(self) -> None:
        for track in self._tracks:
            track.close()
        self._tracks = []

    def about(self) -> dict[str, Any]:
        """The encoder and the pixel format."""
        return {"encoder": self._codec.encoder, "pixels": self._pixels, **self._options}

    def _end(self) -> Fraction | None:
        """When the video is expected to end, on the packets' clock."""
        if self._first is None or self._stream.get("duration") is None:
            return None
        return self._first + Fraction(self._stream["duration"])

    def _add_tracks(self, begin: Fraction, output: Any) -> None:
        """Add sound, further tracks and chapters, now that it is known when the video begins."""
        from stages.media.mux import kept_chapters, kept_tracks
        from stages.media.tracks import EncodedSound

        end = self._end()
        if self._sound is not None:
            plan = self._plan or self._plan_sound(self._sound)
            ahead, self._ahead = self._ahead, None  # it can be written once
            self._tracks.append(plan.track(output) if ahead is None else EncodedSound(ahead, output))
            self.notes.extend([plan.note] if plan.note else [])
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
            if source is not None:
                self._check_not(source, name)

    def _check_not(self, source: str, name: str) -> None:
        if source and Path(source).resolve() == Path(self.path).resolve():
            raise ValueError(f"the output {self.path} is also the input ({name}): give it another name")

    def _opened(self) -> VideoWriter:
        if self._writer is None:
            raise RuntimeError("encode is used before it was configured")
        return self._writer
