"""Frames through a chain of libavfilter's filters."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

from stages.media.orientation import Orientation

#: filters by name and arguments
Filters = list[tuple[str, str]]


class Chain:
    """A chain of filters for frames of one size and pixel format."""

    def __init__(self, width: int, height: int, pixels: str, base: Fraction, filters: Filters) -> None:
        from av import VideoFormat
        from av.filter import Graph

        self._graph = Graph()
        kind = VideoFormat(pixels, width, height)
        source = self._graph.add_buffer(width=width, height=height, format=kind, time_base=base)
        sink = self._graph.add("buffersink")
        nodes = [source, *(self._graph.add(name, arguments) for name, arguments in filters), sink]
        for one, other in pairwise(nodes):
            one.link_to(other)
        self._graph.configure()
        self._source, self._sink = source, sink

    def push(self, frame: Any) -> Iterator[Any]:
        """Give a frame, or None at the end; yields those that are done."""
        from av.error import BlockingIOError as NeedsMore
        from av.error import EOFError as Ended

        self._source.push(frame)
        while True:
            try:
                yield self._sink.pull()
            except (NeedsMore, Ended):
                return


def filtered(frames: Iterator[Any], base: Fraction, filters: Filters) -> Iterator[Any]:
    """Frames of a stream whose time base is `base`, filtered."""
    chain: Chain | None = None
    for frame in frames:
        chain = chain or Chain(frame.width, frame.height, frame.format.name, base, filters)
        yield from (_timed(done, base) for done in chain.push(frame))
    if chain is not None:
        yield from (_timed(done, base) for done in chain.push(None))


#: chroma at full size, and back: by libswscale without a shift in level or place
RESIZED = ("scale", "flags=bilinear+accurate_rnd+full_chroma_int:in_chroma_loc=left:out_chroma_loc=left")


def tone_mapped(bits: int) -> Filters:
    """The filters that make RGB in BT.709 of HDR with so many bits, by libswscale's perceptual intent.

    RGB comes first: told to do both in one, libswscale maps pictures that it has dithered to 8 bits.
    """
    whole = "gbrp" if bits == 8 else f"gbrp{bits}le"
    return [RESIZED, ("format", whole), ("scale", "out_primaries=bt709:out_transfer=bt709:intent=0")]


def turned(orientation: Orientation, pixels: str) -> Filters:
    """The filters that show planes of a pixel format as they are to be shown; luma stays as it is, bit for bit.

    Chroma that has fewer samples lies between those of luma, and not in the same way across as along: it is turned at
    full size.
    """
    filters: Filters = [("hflip", "")] if orientation.mirrored else []
    quarters = (), ("clock",), ("clock", "clock"), ("cclock",)
    filters += [("transpose", quarter) for quarter in quarters[orientation.turns]]
    whole = pixels.replace("yuv4" + pixels[4:6], "yuv444")
    if not filters or pixels == whole:
        return filters
    return [RESIZED, ("format", whole), *filters, RESIZED, ("format", pixels)]


def _timed(frame: Any, base: Fraction) -> Any:
    """The frame with its time in ticks of `base`: some filters count in finer ones."""
    frame.pts = round(frame.pts * frame.time_base / base)
    frame.time_base = base
    return frame
