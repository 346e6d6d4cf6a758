"""What goes into an output beside the picture: which sound, how, and what is kept of the source."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal, NamedTuple

from stages.media.audio import ContainerSound
from stages.media.formats import CONVERTED_SUBTITLES, COPIED_SOUND, COPIED_SUBTITLES, TEXT_SUBTITLES, takes
from stages.media.probe import open_input, picture_start
from stages.media.sound import SoundEncoder
from stages.media.subtitles import ConvertedSubtitles
from stages.media.tracks import CopiedTrack, EncodedSound, Track

#: sound that begins this much before the picture is cut by its container, not by encoding it again, in seconds
EARLY = Fraction(1, 1000)

MATROSKA = (".mkv", ".webm")

AudioCodec = Literal["auto", "copy", "aac", "opus"]


def has_sound(path: str) -> bool:
    """Whether a media file has an audio track."""
    with open_input(path) as container:
        return bool(container.streams.audio)


def sound_codec(sound: ContainerSound, suffix: str, asked: AudioCodec) -> AudioCodec:
    """How a sound goes into a container; ValueError where it cannot go in as it is asked to."""
    fits = takes(COPIED_SOUND, suffix, sound.codec)
    if asked == "copy" and not fits:
        raise ValueError(f"{suffix} does not take {sound.codec} as it is; take audio_codec: auto")
    if asked == "aac" and suffix == ".webm":
        raise ValueError(".webm takes no AAC; take audio_codec: opus or auto")
    if asked == "opus" and suffix == ".mov":
        raise ValueError(".mov takes no Opus; take audio_codec: aac or auto")
    if asked == "auto":
        return "copy" if fits else ("opus" if suffix == ".webm" else "aac")
    return asked


class SoundPlan(NamedTuple):
    """How a sound goes into an output: `codec` that it is encoded with, None: copied; a `note` if that needs one."""

    sound: ContainerSound
    codec: str | None
    zero: Fraction
    in_matroska: bool
    note: str | None = None

    def encoder(self) -> SoundEncoder:
        """What encodes it."""
        assert self.codec is not None
        return SoundEncoder(self.sound.path, self.codec, self.zero, self.in_matroska, self.sound.tally)

    def track(self, output: Any) -> Track:
        """Its track in an output."""
        if self.codec is not None:
            return EncodedSound(self.encoder(), output)
        with open_input(self.sound.path) as container:
            index = container.streams.audio[0].index
        return CopiedTrack(self.sound.path, index, output, self.zero, self.in_matroska)


def plan_sound(
    sound: ContainerSound, suffix: str, asked: AudioCodec, begin: Fraction, end: Fraction | None, frame: Fraction
) -> SoundPlan:
    """How the driving sound goes into an output, with a note where it is encoded although it could have been copied.

    `begin`, `end`: when the video begins and (where it is known) ends on the sound's clock; `frame`: seconds a picture
    is shown. Both tracks end within one frame, so sound that has to be cut or padded is encoded.
    """
    how = sound_codec(sound, suffix, asked)
    zero, in_matroska = sound.zero + begin, suffix in MATROSKA
    if how != "copy":
        return SoundPlan(sound, how, zero, in_matroska)
    reason = _why_not_copied(sound, suffix, begin, end, frame)
    if reason is None:
        return SoundPlan(sound, None, zero, in_matroska)
    if asked == "copy":
        return SoundPlan(sound, None, zero, in_matroska, f"the sound is copied as asked, but {reason}")
    codec = "opus" if suffix == ".webm" else "aac"
    return SoundPlan(sound, codec, zero, in_matroska, f"the sound is encoded again: {reason}")


def _why_not_copied(
    sound: ContainerSound, suffix: str, begin: Fraction, end: Fraction | None, frame: Fraction
) -> str | None:
    if sound.first < begin - EARLY:
        return "it begins before the picture"
    if end is None:
        return "how long the video will be is not known yet"
    if sound.duration < end - frame / 2:
        return f"it ends {float(end - sound.duration):.3f} s before the video and is padded with silence"
    if sound.duration > end + frame / 2 and sound.frame > 2 * frame and suffix not in (".mp4", ".mov"):
        return "it is longer than the video, and its packets are too long to be cut there"
    return None


def kept_tracks(
    video: str, audio: str | None, kinds: list[str], output: Any, suffix: str, begin: Fraction
) -> tuple[list[Track], list[str]]:
    """Tracks of the source (`audio`: not the one that is the sound already), and notes on what is not as it was."""
    tracks: list[Track] = []
    notes: list[str] = []
    zero = (picture_start(video) or Fraction(0)) + begin
    with open_input(video) as container:
        sounds = container.streams.audio[1:] if audio == video else container.streams.audio
        wanted = [(stream, COPIED_SOUND) for stream in sounds if "audio" in kinds]
        wanted += [(stream, COPIED_SUBTITLES) for stream in container.streams.subtitles if "subtitles" in kinds]
        rows = [
            (stream.index, stream.codec_context.codec.canonical_name, stream.type, allowed)
            for stream, allowed in wanted
        ]
    for index, codec, kind, allowed in rows:
        if takes(allowed, suffix, codec):
            tracks.append(CopiedTrack(video, index, output, zero, suffix in MATROSKA))
        elif codec in TEXT_SUBTITLES:
            tracks.append(ConvertedSubtitles(video, index, output, CONVERTED_SUBTITLES[suffix], zero))
            notes.append(f"track {index} of {video}: subtitles in {codec} become {CONVERTED_SUBTITLES[suffix]}")
        else:
            notes.append(f"track {index} of {video} ({kind}, {codec}) is not kept: {suffix} does not take it")
    return tracks, notes


def kept_chapters(video: str, begin: Fraction, end: Fraction | None) -> list[Any]:
    """The chapters of the source on the output's clock, without those outside it."""
    kept: list[Any] = []
    zero = (picture_start(video) or Fraction(0)) + begin
    with open_input(video) as container:
        for chapter in container.chapters():
            base = chapter["time_base"] or Fraction(1, 1000)
            first, last = max(chapter["start"] * base - zero, Fraction(0)), chapter["end"] * base - zero
            last = last if end is None else min(last, end - begin)
            if last > first:
                kept.append({**chapter, "start": round(first / base), "end": round(last / base)})
    return kept


def metadata_of(video: str) -> dict[str, str]:
    """The metadata of a file, without what describes its own container."""
    own = {"major_brand", "minor_version", "compatible_brands", "encoder"}
    with open_input(video) as container:
        return {name: value for name, value in container.metadata.items() if name.lower() not in own}
