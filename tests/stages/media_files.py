"""Clips made at test time with PyAV: pictures that carry their number, sounds whose beeps are at known times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
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
    """A video to write. `times` of the frames in seconds; without them `count` frames at `rate`."""

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
    colours: dict[str, Any] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=lambda: {"crf": "4", "preset": "ultrafast"})
    container: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


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
