"""One interface to read pictures of videos, stills and image sequences, whatever decodes them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from stages.media.colour import Colour
from stages.media.light import HDRLight
from stages.media.orientation import Orientation
from stages.media.planes import Layout
from stages.media.probe import probe_video
from stages.media.times import Times

Picture = npt.NDArray[np.uint8]

ReaderName = Literal["auto", "decord", "pyav"]
Pixels = Literal["rgb", "source"]


class Reader(Protocol):
    """Pictures of a file by index, in order of presentation.

    `name`: what decodes. `layout`: of the pictures given, which are as displayed; `sar`: of such a picture. `still`:
    one picture without a length of its own. `light`: what HDR pictures were made for, where they are given as they are.
    `orientation`: how pictures are turned before they are given. `audio_offset`: seconds from the first picture to the
    file's own sound, None without one. `notes`: what is done to the pictures that one might not expect. `missing`: how
    often the picture asked for could not be decoded, so that the one before it took its place. `about`: codec, size and
    rate in a few words.
    """

    name: str
    layout: Layout
    times: Times
    still: bool
    colour: Colour
    light: HDRLight | None
    sar: Fraction
    orientation: Orientation
    audio_offset: Fraction | None
    notes: list[str]
    missing: int
    about: str

    def read(self, index: int, out: Picture) -> None:
        """Write picture `index` into `out`, uint8 in the layout's shape. Cheapest in rising order."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


def open_reader(
    path: str, reader: ReaderName = "auto", threads: int = 2, fps: Fraction | None = None, pixels: Pixels = "rgb"
) -> Reader:
    """The reader for a video, a still image, a folder of images or a pattern such as `frame_%04d.png`.

    `fps`: the rate of an image sequence (25 where it is None). `pixels`: RGB with 8 bits, or `source`: the planes that
    the file has, where it has planes of YUV. Raises ValueError where there is nothing to read, or where decord is asked
    for and would be wrong.
    """
    from stages.media.decord_reader import DecordReader, why_not_decord
    from stages.media.pyav_reader import PyAVReader
    from stages.media.stills import StillsReader, find_images

    images = find_images(path)
    if images is not None:
        return StillsReader(path, images, fps or Fraction(25))
    if not Path(path).is_file():
        raise ValueError(f"no such video file: {path}")
    info = probe_video(path)
    if reader != "decord":
        return PyAVReader(info, threads, pixels)
    reason = why_not_decord(info) or ("it gives RGB only" if pixels == "source" else None)
    if reason:
        raise ValueError(f"decord cannot read {path} right: {reason}; take reader: auto or pyav")
    return DecordReader(info, threads)


def read_picture(path: str, index: int) -> Picture:
    """Picture `index` of a file, uint8 (h, w, 3) RGB as displayed; ValueError where it has none of that number."""
    reader = open_reader(path)
    try:
        if not 0 <= index < reader.times.count:
            raise ValueError(f"{path} has {reader.times.count} pictures, but number {index} is asked for")
        picture = np.empty(reader.layout.shape, np.uint8)
        reader.read(index, picture)
        return picture
    finally:
        reader.close()
