"""Sound of any file as a stream: mono, one sample rate, found by sample number from the file's time zero.

Time zero of a file is the presentation time of its first picture, or its first sample where it has no pictures. So
the sound of a video lies on the same clock as its frames (`decode`), whichever of the two starts first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

#: seconds that are kept behind the reading position, so that overlapping windows need no second pass
KEPT = 10
#: a jump in the presentation times longer than this is a gap; below it times are taken as rounded
GAP = Fraction(1, 20)
#: samples read from a file at once
BLOCK = 65_536
#: how files begin that libsndfile reads well: WAV, RF64, W64, FLAC, Ogg, AIFF, AU, CAF
SOUNDFILE_HEADS = (b"RIFF", b"RF64", b"riff", b"fLaC", b"OggS", b"FORM", b".snd", b"caff")


class Sound(Protocol):
    """An audio track: `rate` in Hz, `duration` in seconds from time zero; `tally` counts `damaged` packets."""

    rate: int
    channels: int
    duration: Fraction
    tally: Counter[str]

    def blocks(self) -> Iterator[Samples]:
        """The channel mean, float32[n] in -1..1, from time zero on without gaps."""
        ...


class AudioReader:
    """Samples of a media file's (first) audio track, mono float32 in -1..1, resampled to `rate` as they are read.

    `duration`: seconds of sound from time zero (see the module) as an exact fraction, counted, without the codec's
    priming and padding. `source_rate` and `channels` are the file's own; `damaged` counts packets that could not be
    decoded (silence takes their place). Raises ValueError where there is no such file, no audio stream, no sample, or
    nothing that could be read.
    """

    def __init__(self, path: str, rate: int = 16_000) -> None:
        self.path = path
        self.rate = rate
        self._sound = open_sound(path)
        self.duration = self._sound.duration
        self.source_rate = self._sound.rate
        self.channels = self._sound.channels
        self._stream = resampled(self._sound, rate)
        self._kept = np.zeros(0, np.float32)
        self._kept_from = 0

    @property
    def damaged(self) -> int:
        """Packets that could not be decoded so far."""
        return self._sound.tally["damaged"]

    def read(self, start_sample: int, count: int) -> Samples:
        """float32[count] from sample `start_sample` of the track at `rate`; zeros before its start and after its end.

        Meant to go forward; `KEPT` seconds back are remembered, further back the file is read again from its start.
        """
        if count < 0:
            raise ValueError(f"cannot read {count} samples of {self.path}")
        out = np.zeros(count, np.float32)
        begin, end = max(start_sample, 0), start_sample + count
        if begin >= end:
            return out
        if begin < self._kept_from:
            self._rewind()
        self._fill(begin, end)
        stop = min(end, self._kept_from + len(self._kept))
        if stop > begin:
            held = self._kept[begin - self._kept_from : stop - self._kept_from]
            out[begin - start_sample : stop - start_sample] = held
        return out

    def close(self) -> None:
        """Release the file."""
        self._stream.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _rewind(self) -> None:
        self._stream.close()
        self._stream = resampled(self._sound, self.rate)
        self._kept = np.zeros(0, np.float32)
        self._kept_from = 0

    def _fill(self, begin: int, end: int) -> None:
        """Read on until sample `end` is held (or the track has ended), forgetting what lies far behind `begin`."""
        fresh = [self._kept]
        held = self._kept_from + len(self._kept)
        while held < end:
            block = next(self._stream, None)
            if block is None:
                break
            fresh.append(block)
            held += len(block)
            if held < begin - KEPT * self.rate:
                fresh, self._kept_from = [], held
        if len(fresh) == 1 and fresh[0] is self._kept:
            return
        self._kept = np.concatenate([*fresh, np.zeros(0, np.float32)])
        spare = begin - KEPT * self.rate - self._kept_from
        if spare > 0:
            self._kept = self._kept[spare:].copy()
            self._kept_from += spare


def resampled(sound: Sound, rate: int) -> Generator[Samples, None, None]:
    """The blocks of a track at another sample rate (soxr, HQ), in phase with the original."""
    if sound.rate == rate:
        yield from sound.blocks()
        return
    import soxr

    stream = soxr.ResampleStream(sound.rate, rate, 1, dtype="float32", quality="HQ")
    for block in sound.blocks():
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def open_sound(path: str) -> Sound:
    """The audio track of a file, by soundfile where it knows the format, else by PyAV; ValueError as AudioReader."""
    if not Path(path).is_file():
        raise ValueError(f"no such audio file: {path}")
    with Path(path).open("rb") as file:
        head = file.read(4)
    sound: Sound = (head in SOUNDFILE_HEADS and SoundFileSound.opened(path)) or ContainerSound(path)
    if sound.duration <= 0:
        raise ValueError(f"{path} has an audio track of zero length")
    return sound


class SoundFileSound:
    """A WAV, FLAC, Ogg … read by libsndfile."""

    def __init__(self, path: str) -> None:
        import soundfile

        self._path = path
        self.tally: Counter[str] = Counter()
        with soundfile.SoundFile(path) as file:
            self.rate: int = file.samplerate
            self.channels: int = file.channels
            self.duration = Fraction(file.frames, file.samplerate)

    @classmethod
    def opened(cls, path: str) -> SoundFileSound | None:
        """The file, or None where libsndfile does not know it (a RIFF may be an AVI, an Ogg a film)."""
        import soundfile

        try:
            return cls(path)
        except soundfile.LibsndfileError:
            return None

    def blocks(self) -> Iterator[Samples]:
        import soundfile

        with soundfile.SoundFile(self._path) as file:
            while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
                yield np.ascontiguousarray(block.mean(axis=1))


class ContainerSound:
    """The first audio track of a media file, decoded by PyAV.

    `path`: of the file. `zero`: the clock's zero in the container's own time. `first`: the first sample on the clock
    (negative if before the picture). `codec`: FFmpeg's name. `frame`: seconds of sound in a packet.
    """

    def __init__(self, path: str) -> None:
        from stages.media.probe import open_input, picture_start

        self.path = path
        self.tally: Counter[str] = Counter()
        with open_input(path) as container:
            if not container.streams.audio:
                raise ValueError(f"{path} has no audio stream")
            stream = container.streams.audio[0]
            self.rate: int = stream.rate
            self.channels: int = stream.channels
            first = next(self._frames(container), None)
            self.codec: str = stream.codec_context.codec.canonical_name
        if first is None:
            raise ValueError(f"{path} has an audio stream from which nothing can be decoded")
        start = picture_start(path)
        self.zero = presentation(first) if start is None else start
        self.first = presentation(first) - self.zero
        self.frame = Fraction(first.samples, self.rate)
        self.duration = self._end() - self.zero
        self.tally.clear()

    def blocks(self) -> Iterator[Samples]:
        from stages.media.probe import open_input

        with open_input(self.path) as container:
            for block in gapless(self._frames(container), self.rate, self.zero, self.duration):
                yield np.ascontiguousarray(block.mean(axis=0), np.float32)

    def _frames(self, container: Any) -> Iterator[Any]:
        from stages.media.probe import decoded, only

        stream = container.streams.audio[0]
        only(container, stream)
        return decoded(container, stream, self.tally)

    def _end(self) -> Fraction:
        """Where the last sample ends: packets are counted without decoding, only the last ones are decoded."""
        from stages.media.probe import only, open_input

        with open_input(self.path) as container:
            stream = container.streams.audio[0]
            only(container, stream)
            times = (packet.pts for packet in container.demux(stream) if packet.pts is not None)
            last = max(times, default=0)
            container.seek(max(last - round(1 / stream.time_base), 0), stream=stream)
            end = last_end(self._frames(container))
        if end is None or end < last * stream.time_base:
            with open_input(self.path) as container:
                end = last_end(self._frames(container)) or Fraction(0)
        if "mp4" in container.format.name and stream.duration:
            # the edit list cuts the padding of the last frame, which the decoder still gives
            end = min(end, ((stream.start_time or 0) + stream.duration) * stream.time_base)
        return Fraction(end)


def gapless(frames: Iterator[Any], rate: int, start: Fraction, duration: Fraction | None = None) -> Iterator[Samples]:
    """Decoded audio frames as float32 (channels, n), one after the other from `start` seconds on.

    What lies before `start` or after `duration` is cut; a gap in the presentation times longer than `GAP` is silence.
    """
    from av import AudioResampler

    planar: Any = None
    place, end = 0, None if duration is None else round(duration * rate)
    for frame in frames:
        if planar is None:
            planar = AudioResampler(format="fltp", layout=frame.layout, rate=rate)
        begin = round((presentation(frame) - start) * rate)
        if place and abs(begin - place) <= GAP * rate:
            begin = place
        block = np.concatenate([part.to_ndarray() for part in planar.resample(frame)], axis=1)
        while place < begin:
            count = min(begin - place, BLOCK)
            yield np.zeros((len(block), count), np.float32)
            place += count
        block = block[:, place - begin : None if end is None else max(end - begin, 0)]
        place += block.shape[1]
        yield block


def presentation(frame: Any) -> Fraction:
    """When an audio frame begins, in seconds; frames without a time begin at 0."""
    return Fraction(0) if frame.pts is None else Fraction(frame.pts * frame.time_base)


def last_end(frames: Iterator[Any]) -> Fraction | None:
    """When the latest of the audio frames ends, in seconds; None if there is none."""
    return max((presentation(frame) + Fraction(frame.samples, frame.sample_rate) for frame in frames), default=None)
