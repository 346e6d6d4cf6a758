"""Pictures as a file has them: the planes of a pixel format one after the other, in one array of bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from graph.stage import Array, Field

Picture = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

#: planar YUV without transparency, 8 bits a sample or 9 to 16 in little-endian pairs of bytes
PLANAR = re.compile(r"yuv(4\d\d)p(?:(\d+)le)?")

#: rows and columns of luma for one sample of chroma, by the numbers in a pixel format's name
STEPS = {"444": (1, 1), "440": (2, 1), "422": (1, 2), "420": (2, 2), "411": (1, 4), "410": (4, 4)}

RGB = "rgb24"

#: the field of pictures as the file has them
PLANES = Array(np.uint8, "bytes", "as the stream's `layout` says")


@dataclass(frozen=True)
class Layout:
    """How a picture lies in memory: `pixels` is planar YUV by FFmpeg's name (`yuv420p10le`), or `rgb24`."""

    pixels: str
    width: int
    height: int

    @property
    def is_rgb(self) -> bool:
        """Whether pictures are RGB and not YUV."""
        return self.pixels == RGB

    @property
    def is_odd(self) -> bool:
        """Whether the width or the height is odd."""
        return bool(self.width % 2 or self.height % 2)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a picture as an array of uint8: (height, width, 3) for RGB, (bytes,) for planes."""
        return (self.height, self.width, 3) if self.is_rgb else (self.bytes,)

    @property
    def bytes(self) -> int:
        """Of a whole picture."""
        return self.width * self.height * 3 if self.is_rgb else sum(rows * width for rows, width in self.sizes)

    @property
    def bits(self) -> int:
        """Of a sample."""
        depth = PLANAR.fullmatch(self.pixels)
        return int(depth[2]) if depth and depth[2] else 8

    @property
    def steps(self) -> tuple[int, int]:
        """Rows and columns of luma for one sample of chroma."""
        depth = PLANAR.fullmatch(self.pixels)
        return STEPS[depth[1]] if depth else (1, 1)

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Rows of each plane of YUV, and the bytes of a row."""
        size, (down, across) = 1 + (self.bits > 8), self.steps
        chroma = (-(-self.height // down), -(-self.width // across) * size)
        return [(self.height, self.width * size), chroma, chroma]

    def plain(self) -> dict[str, Any]:
        """As a fact of the stream; `Layout(**plain)` is the way back."""
        return asdict(self)


def carried(pixels: str) -> str | None:
    """The name in a `Layout` of a decoder's pixel format; None where its pictures have to become RGB."""
    # JPEG's own names say full range, which the colour facts say as well
    name = pixels.replace("yuvj", "yuv")
    return name if PLANAR.fullmatch(name) else None


def reading(reads: Mapping[str, Field], pixels: Literal["rgb", "source"]) -> dict[str, Field]:
    """What a stage reads that looks at `frame`; with `source` at the `planes` of a `decode` with `pixels: source`."""
    rest = {name: kind for name, kind in reads.items() if name != "frame"}
    return dict(reads) if pixels == "rgb" else {"planes": PLANES, **rest}


def bits_of(pixels: str) -> int:
    """The bits of a sample of a pixel format."""
    from av import VideoFormat

    return max(int(component.bits) for component in VideoFormat(pixels, 2, 2).components)


def take_planes(frame: Any, layout: Layout, out: Picture) -> None:
    """Copy a decoded frame's planes into `out`, uint8 (bytes,); a frame of another kind is converted first."""
    if carried(frame.format.name) != layout.pixels or (frame.width, frame.height) != (layout.width, layout.height):
        frame = frame.reformat(layout.width, layout.height, layout.pixels)
    for inside, plane in zip(_inside(frame, layout), _planes(out, layout), strict=True):
        plane[...] = inside


def samples_of(image: Picture, layout: Layout) -> list[Samples]:
    """Views of a picture's planes, luma first: uint8 or uint16 (rows, columns)."""
    return [plane.view(np.uint8 if layout.bits == 8 else "<u2") for plane in _planes(image, layout)]


def frame_of(image: Picture, layout: Layout) -> Any:
    """A PyAV frame with a copy of a picture, uint8 (bytes,)."""
    from av import VideoFrame

    frame = VideoFrame(layout.width, layout.height, layout.pixels)
    for inside, plane in zip(_inside(frame, layout), _planes(image, layout), strict=True):
        inside[...] = plane
    return frame


def _inside(frame: Any, layout: Layout) -> Iterator[Picture]:
    """Views of a frame's planes, each uint8 (rows, bytes of a row)."""
    for plane, (rows, width) in zip(frame.planes, layout.sizes, strict=True):
        yield np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:rows, :width]


def _planes(image: Picture, layout: Layout) -> Iterator[Picture]:
    """Views of a picture's planes, each uint8 (rows, bytes of a row)."""
    begin = 0
    for rows, width in layout.sizes:
        yield image[begin : begin + rows * width].reshape(rows, width)
        begin += rows * width
