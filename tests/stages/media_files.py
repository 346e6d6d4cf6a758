"""Clips made at test time with PyAV: pictures that carry their number, sounds whose beeps are at known times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float32]

BITS = 16


def picture(number: int, width: int = 64, height: int = 48) -> Picture:
    """A colour gradient with `number` as two rows of eight black or white blocks in its upper half."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    gradient = np.stack([40 + 170 * x / width, 40 + 170 * y / height, np.full_like(x, 60 + number % 5 * 30)], axis=2)
    image = gradient.astype(np.uint8)
    for bit in range(BITS):
        image[block(bit, width, height)] = 235 if number >> bit & 1 else 16
    return image


def number_of(image: Picture) -> int:
    """The number that a picture carries."""
    height, width = image.shape[:2]
    bits = [image[block(bit, width, height)].mean() > 126 for bit in range(BITS)]
    return sum(1 << bit for bit, is_set in enumerate(bits) if is_set)


def block(bit: int, width: int, height: int) -> tuple[slice, slice]:
    """Where the block of one bit lies."""
    w, h = width // 8, height // 4
    row, column = divmod(bit, 8)
    return slice(row * h, row * h + h), slice(column * w, column * w + w)


def beeps(times: Sequence[float], seconds: float, rate: int, channels: int = 1) -> Samples:
    """float32 (channels, n): 1 kHz bursts of 20 ms that begin at `times`, else silence."""
    sound = np.zeros(round(seconds * rate), np.float32)
    burst = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(round(0.02 * rate)) / rate, dtype=np.float64)
    for time in times:
        begin = round(time * rate)
        part = burst[: max(len(sound) - begin, 0)]
        sound[begin : begin + len(part)] = part
    return np.repeat(sound[None], channels, axis=0)


def beep_times(sound: Samples, rate: int) -> list[float]:
    """When the bursts of a mono sound begin, in seconds."""
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    begins = loud[np.flatnonzero(np.diff(loud, prepend=-rate) > rate // 20)]
    return [float(begin) / rate for begin in begins]


@dataclass
class Sound:
    """An audio track to write: samples float32 (channels, n), and when it begins."""

    samples: Samples
    rate: int = 48_000
    codec: str = "aac"
    start: Fraction = Fraction(0)


@dataclass
class Clip:
    """A video to write. `times` of the frames in seconds; without them `count` frames at `rate`.

    `rotation`: degrees counter-clockwise, then `mirrored` left and right, as a player is told to show it. `colours`:
    attributes of the encoder, H.273 code points. `draw`: the pictures by number, width and height.
    """

    count: int = 10
    rate: Fraction = Fraction(25)
    width: int = 64
    height: int = 48
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    times: Sequence[Fraction] | None = None
    start: Fraction = Fraction(0)
    sound: Sound | None = None
    rotation: int = 0
    mirrored: bool = False
    interlaced: bool = False
    sar: Fraction = Fraction(1)
    colours: dict[str, int] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=lambda: {"crf": "4", "preset": "ultrafast"})
    container: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    draw: Callable[[int, int, int], Picture] = picture


LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def write_sound(path: Path, sound: Sound) -> Path:
    """A file with nothing but sound."""
    with av.open(str(path), "w") as container:
        mux_sound(container, add_sound(container, sound), sound)
    return path


def add_sound(container: Any, sound: Sound) -> Any:
    """The stream of a sound in an output container."""
    return container.add_stream(sound.codec, rate=sound.rate, layout=LAYOUTS[len(sound.samples)])


def mux_sound(container: Any, stream: Any, sound: Sound) -> None:
    """Encode and write a whole sound."""
    size = 1024
    for begin in range(0, sound.samples.shape[1], size):
        part = np.ascontiguousarray(sound.samples[:, begin : begin + size])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=LAYOUTS[len(part)])
        frame.sample_rate = sound.rate
        frame.time_base = Fraction(1, sound.rate)
        frame.pts = begin + round(sound.start * sound.rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_clip(path: Path, clip: Clip) -> Path:
    """A video file; its pictures are those that `draw` gives, `picture(0)`, `picture(1)` … if nothing else is said"""
    with av.open(str(path), "w", options=clip.container) as container:
        container.metadata.update(clip.metadata)
        stream: Any = container.add_stream(clip.codec, rate=clip.rate)
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, clip.pix_fmt
        context = stream.codec_context
        context.options = clip.options
        context.sample_aspect_ratio = clip.sar
        base = 1 / clip.rate if clip.times is None and clip.start == 0 else Fraction(1, 90_000)
        context.time_base = base
        for name, value in clip.colours.items():
            setattr(context, name, value)
        if clip.rotation or clip.mirrored:
            stream.set_display_rotation(clip.rotation, hflip=clip.mirrored)
        sound_stream = add_sound(container, clip.sound) if clip.sound else None
        times = clip.times or [index / clip.rate for index in range(clip.count)]
        for index, time in enumerate(times):
            frame = coded(clip.draw(index, clip.width, clip.height), clip)
            frame.pts, frame.time_base = round((time + clip.start) / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if clip.sound:
            mux_sound(container, sound_stream, clip.sound)
    return path


#: red's and blue's weight in luma, by H.273's code points; 2 is unspecified: what is usual for small pictures
WEIGHTS = {1: (0.2126, 0.0722), 2: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def coded(image: Picture, clip: Clip) -> Any:
    """A picture as the encoder takes it: the formulas of H.273 in numbers, chroma and depth then by libswscale."""
    if clip.pix_fmt.startswith("rgb"):
        return av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=clip.pix_fmt)
    red, blue = WEIGHTS[clip.colours.get("colorspace", 2)]
    rgb = image.astype(np.float64) / 255
    luma = rgb @ np.array([red, 1 - red - blue, blue])
    chroma = [(rgb[:, :, 2] - luma) / (2 - 2 * blue), (rgb[:, :, 0] - luma) / (2 - 2 * red)]
    full = clip.colours.get("color_range", 1) == 2
    planes = [luma * 255 if full else 16 + 219 * luma, *((255 if full else 224) * part + 128 for part in chroma)]
    frame = av.VideoFrame(clip.width, clip.height, "yuv444p")
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((clip.height, plane.line_size), np.uint8)
        rows[:, : clip.width] = np.rint(values).clip(0, 255)
        plane.update(rows.tobytes())
    return subsampled(frame, clip.pix_fmt, "full" if full else "limited")


def subsampled(frame: Any, pix_fmt: str, range_: str) -> Any:
    """A frame of 4:4:4 in another pixel format, its chroma on the left, as H.264 has it."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    options = f"flags=bilinear+accurate_rnd:out_chroma_loc=left:in_range={range_}:out_range={range_}"
    nodes = [source, graph.add("scale", options), graph.add("format", pix_fmt), graph.add("buffersink")]
    for one, other in pairwise(nodes):
        one.link_to(other)
    graph.configure()
    frame.pts = 0
    source.push(frame)
    return nodes[-1].pull()


def shown(image: Picture, clip: Clip) -> Picture:
    """A picture as a player shows it."""
    turned = np.rot90(image, clip.rotation // 90)
    return np.ascontiguousarray(turned[:, ::-1] if clip.mirrored else turned)


def psnr(one: Picture, other: Picture) -> float:
    """Peak signal to noise ratio in dB; 99 where both are equal."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def packet_times(path: Path) -> list[Fraction]:
    """Presentation times of all pictures as the container's packets tell them, relative to the first."""
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
        times = sorted(packet.pts * stream.time_base for packet in packets)
    return [time - times[0] for time in times]


#: H.273's code points of HDR10, and from linear BT.709 to linear BT.2020 (ITU-R BT.2087)
PQ = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 16}
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def write_pq(path: Path, images: Sequence[Picture]) -> Path:
    """A video in PQ, as bright as in a studio: diffuse white at 203 cd/m² (ITU-R BT.2408)."""
    height, width, _ = images[0].shape
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        for name, value in PQ.items():
            setattr(stream.codec_context, name, value)
        stream.codec_context.options = {"crf": "2"}
        for number, image in enumerate(images):
            coded = _pq_frame(image).reformat(format="yuv420p10le")
            coded.pts, coded.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(coded))
        container.mux(stream.encode(None))
    return path


def _pq_frame(image: Picture) -> Any:
    light = (image / 255) ** 2.4 @ TO_2020.T * 203 / 10_000
    part = light**0.1593017578125
    codes = ((0.8359375 + 18.8515625 * part) / (1 + 18.6875 * part)) ** 78.84375
    luma = codes @ np.array([0.2627, 0.6780, 0.0593])
    chroma = (codes[..., 2] - luma) / 1.8814, (codes[..., 0] - luma) / 1.4746
    frame: Any = av.VideoFrame(image.shape[1], image.shape[0], "yuv444p10le")
    for plane, values in zip(frame.planes, (64 + 876 * luma, *(512 + 896 * one for one in chroma)), strict=True):
        np.frombuffer(plane, "<u2").reshape(image.shape[0], -1)[:, : image.shape[1]] = np.rint(values)
    return frame
