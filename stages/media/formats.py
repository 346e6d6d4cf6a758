"""Which codecs there are, which containers hold them, and how each is asked for quality."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.media.colour import Colour, is_hdr, range_for
from stages.media.planes import PLANAR, Layout, bits_of


@dataclass(frozen=True)
class VideoCodec:
    """A codec by its name here: FFmpeg's encoder, its defaults, and what it takes.

    `crf`: default quality; None where the codec has none. `even`, `odd`: what RGB of even and odd sizes is written as.
    """

    encoder: str
    crf: float | None
    crf_most: int
    preset: str | None
    even: str
    odd: str
    containers: tuple[str, ...]


CODECS = {
    "h264": VideoCodec("libx264", 16, 51, "veryfast", "yuv420p", "yuv444p", (".mp4", ".mov", ".mkv")),
    "hevc": VideoCodec("libx265", 18, 51, "veryfast", "yuv420p", "yuv444p", (".mp4", ".mov", ".mkv")),
    "av1": VideoCodec("libsvtav1", 25, 63, "8", "yuv420p", "yuv420p", (".mp4", ".mkv", ".webm")),
    "vp9": VideoCodec("libvpx-vp9", 24, 63, "5", "yuv420p", "yuv420p", (".mp4", ".mkv", ".webm")),
    "prores": VideoCodec("prores_ks", None, 0, "auto", "yuv422p10le", "yuv444p10le", (".mov", ".mkv")),
    "ffv1": VideoCodec("ffv1", None, 0, None, "bgr0", "bgr0", (".mkv",)),
    "h264_nvenc": VideoCodec("h264_nvenc", 20, 51, "p5", "yuv420p", "yuv444p", (".mp4", ".mov", ".mkv")),
    "hevc_nvenc": VideoCodec("hevc_nvenc", 22, 51, "p5", "yuv420p", "yuv444p", (".mp4", ".mov", ".mkv")),
}
CONTAINERS = (".mp4", ".mov", ".mkv", ".webm")

#: sound that a container takes as it is; None: any
COPIED_SOUND: dict[str, tuple[str, ...] | None] = {
    ".mp4": ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"),
    ".mov": ("aac", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be", "pcm_f32le"),
    ".mkv": None,
    ".webm": ("opus", "vorbis"),
}
COPIED_SUBTITLES: dict[str, tuple[str, ...] | None] = {
    ".mp4": ("mov_text",),
    ".mov": ("mov_text",),
    ".mkv": ("subrip", "ass", "ssa", "webvtt", "dvd_subtitle", "hdmv_pgs_subtitle"),
    ".webm": ("webvtt",),
}

#: what subtitles of text become in a container that does not take them as they are, by FFmpeg's encoders
TEXT_SUBTITLES = ("subrip", "ass", "ssa", "webvtt", "mov_text", "text")
CONVERTED_SUBTITLES = {".mp4": "mov_text", ".mov": "mov_text", ".mkv": "subrip", ".webm": "webvtt"}


def container_of(path: str) -> str:
    """The suffix that says which container; ValueError where it is none of those that can be written."""
    suffix = Path(path).suffix.lower()
    if suffix not in CONTAINERS:
        raise ValueError(f"the output {path} has to end in one of {', '.join(CONTAINERS)}")
    return suffix


def codec_for(name: str, path: str) -> VideoCodec:
    """The codec of a name; ValueError where it is unknown or the container of `path` cannot hold it."""
    codec = CODECS.get(name)
    if codec is None:
        raise ValueError(f"there is no codec {name!r}; there are {', '.join(CODECS)}")
    suffix = container_of(path)
    if suffix not in codec.containers:
        holding = ", ".join(codec.containers)
        raise ValueError(f"{suffix} cannot hold {name} here ({path}); {name} goes into {holding}")
    return codec


#: up to this crf H.264 is asked for what is true to the source and not for what looks best in few bits
FAITHFUL_CRF = 14.0
#: no adaptive quantisation, which takes from texture what it gives to flat parts, and finer chroma
FAITHFUL = {"aq-mode": "0", "chromaoffset": "-4"}


def encoder_options(name: str, crf: float | None, preset: str | None, threads: int) -> dict[str, str]:
    """FFmpeg's options for quality, speed and threads; ValueError where the codec does not take them."""
    codec = CODECS[name]
    if crf is not None and codec.crf is None:
        raise ValueError(f"{name} takes no crf: {'it is lossless' if name == 'ffv1' else 'preset sets its quality'}")
    if crf is not None and not 0 <= crf <= codec.crf_most:
        raise ValueError(f"crf of {name} goes from 0 to {codec.crf_most}, not {crf:g}")
    if preset is not None and codec.preset is None:
        raise ValueError(f"{name} has no preset")
    chosen = codec.crf if crf is None else crf
    quality = "" if chosen is None else f"{chosen:g}"
    faithful = FAITHFUL if chosen is not None and chosen <= FAITHFUL_CRF else {}
    speed = preset or codec.preset or ""
    options = {
        "h264": {"crf": quality, "preset": speed, **faithful},
        "hevc": {"crf": quality, "preset": speed, "x265-params": f"pools={threads}:log-level=error"},
        "av1": {"crf": quality, "preset": speed, "svtav1-params": f"lp={min(threads, 6)}"},
        "vp9": {"crf": quality, "b": "0", "cpu-used": speed, "deadline": "good", "row-mt": "1"},
        "prores": {"profile": speed},
        "ffv1": {"level": "3", "slicecrc": "1"},
        "h264_nvenc": {"rc": "vbr", "cq": quality, "b": "0", "preset": speed},
        "hevc_nvenc": {"rc": "vbr", "cq": quality, "b": "0", "preset": speed},
    }
    return options[name]


def pixels_for(codec: VideoCodec, layout: Layout) -> str:
    """The pixel format to write pictures in: for planes their own where the encoder takes it, else what loses least.

    Encoders whose `odd` format differs have no odd sizes with fewer samples of chroma than of luma.
    """
    from av import Codec
    from av.codec.codec import find_best_pix_fmt_of_list

    if layout.is_rgb:
        return codec.odd if layout.is_odd else codec.even
    whole = layout.is_odd and codec.odd != codec.even
    formats = [one.name for one in Codec(codec.encoder, "w").video_formats or ()]
    taken = [name for name in formats if name == "p010le" or PLANAR.fullmatch(name)]
    best, _ = find_best_pix_fmt_of_list([name for name in taken if not whole or "444" in name], layout.pixels)
    return str(best.name) if best is not None else codec.even


def written_colour(colour: Colour, codec: VideoCodec, layout: Layout) -> Colour:
    """The colour tags of the output: those of the input; for pictures that were RGB, those usual for the size.

    RGB in lossless FFV1 stays RGB; ProRes has no tag for full range.
    """
    if layout.is_rgb and codec.even == "bgr0":
        return {**colour, "matrix": "gbr", "range": "full"}
    if codec.encoder == "prores_ks":
        colour = {**colour, "range": "limited"}
    if colour.get("matrix") != "gbr":
        return colour
    usual = "bt709" if min(layout.width, layout.height) >= 720 else "smpte170m"
    return {"matrix": usual, "range": "limited", "primaries": "bt709", "transfer": "bt709"}


def changes(name: str, codec: VideoCodec, layout: Layout, colour: Colour) -> list[str]:
    """What becomes of pictures that the codec of this name does not take as they are, in sentences."""
    pixels = pixels_for(codec, layout)
    if layout.is_odd and codec.odd != codec.even and (layout.is_rgb or pixels != layout.pixels):
        return [f"{layout.width}x{layout.height} is odd, which {name} has in {pixels} only"]
    if layout.is_rgb:
        return []
    told = []
    if pixels != layout.pixels:
        before, after = bits_of(layout.pixels), bits_of(pixels)
        fewer = f": {before} bits a sample become {after}" if after < before else ""
        hdr = ", which can show bands in HDR" if after < 10 and is_hdr(colour) else ""
        told.append(f"pictures in {layout.pixels} become {pixels}, which {name} takes here{fewer}{hdr}")
    if range_for(written_colour(colour, codec, layout)) != range_for(colour):
        told.append(f"full range becomes limited, since {name} has no tag for it")
    if "264" in codec.encoder and pixels != "yuv420p":
        instead = "; with codec hevc more do" if pixels == "yuv420p10le" else ""
        told.append(f"few browsers and phones play H.264 in {pixels}{instead}")
    return told


def takes(allowed: dict[str, tuple[str, ...] | None], suffix: str, codec: str) -> bool:
    """Whether a container takes a track of a codec as it is."""
    names = allowed[suffix]
    return names is None or codec in names
