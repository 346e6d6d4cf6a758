"""Pictures of a video by PyAV: exact seeks, going backwards in bounded memory, filters where the video needs them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from stages.media.colour import BT709, is_hdr
from stages.media.convert import ToRGB
from stages.media.filters import Filters, filtered, tone_mapped, turned
from stages.media.planes import RGB, Layout, bits_of, carried, take_planes
from stages.media.probe import VideoInfo, decoded, open_input, video_stream

Picture = npt.NDArray[np.uint8]

#: bytes of decoded frames that going backwards may hold, and the most frames
HELD_BYTES = 128 << 20
HELD_FRAMES = 32

#: codecs that do not say where chroma lies: libswscale would take the middle, but it is on the left, as in H.264
SILENT = ("vp8", "vp9", "libdav1d", "av1", "prores", "ffv1", "dnxhd")


class PyAVReader:
    """See `Reader`. Interlaced video is deinterlaced (yadif).

    As RGB, PQ and HLG are tone-mapped to BT.709 by libswscale's perceptual intent: a spline over intensity in IPT with
    PQ, whose knee is placed after SMPTE ST 2094-10, from the peak that the file states to 203 cd/m². With `pixels:
    source` the planes are given as they are, turned as displayed; what is not planar YUV becomes RGB there as well.
    """

    name = "pyav"
    still = False

    def __init__(self, info: VideoInfo, threads: int = 2, pixels: Literal["rgb", "source"] = "rgb") -> None:
        self.info = info
        kept = carried(info.pixels) if pixels == "source" else None
        self.layout = Layout(kept or RGB, info.width, info.height)
        self.times, self.sar = info.times, info.sar
        self.orientation, self.audio_offset = info.orientation, info.audio_offset
        self.notes = list(info.notes)
        self.about = info.about
        self.missing = 0
        self.colour = BT709 if self.layout.is_rgb and is_hdr(info.colour) else info.colour
        self.light = None if self.layout.is_rgb else info.light
        self._threads = threads
        self._filters = _filters(info, self.layout, self.notes)
        self._to_rgb = ToRGB(info.colour, info.width, info.height, threads)
        self._held: OrderedDict[int, Any] = OrderedDict()
        self._most_held = max(min(HELD_FRAMES, HELD_BYTES // (info.width * info.height * 2)), 4)
        self._container: Any = None
        self._open(0)

    def read(self, index: int, out: Picture) -> None:
        """See `Reader`."""
        frame = self._find(index)
        if self.layout.is_rgb:
            self.info.orientation.apply(self._rgb(frame), out)
        else:
            take_planes(frame, self.layout, out)

    def close(self) -> None:
        """See `Reader`."""
        self._held.clear()
        if self._container is not None:
            self._container.close()
            self._container = None

    def _find(self, index: int) -> Any:
        """The decoded frame of a picture, from those held or by decoding on."""
        if index in self._held:
            return self._held[index]
        newest = next(reversed(self._held), -1)
        if index < newest:
            return self._backwards(index)
        if index > newest + HELD_FRAMES and self._key_before(index) > newest:
            self._open(self._key_before(index))
        return self._forwards(index, hold=2)

    def _backwards(self, index: int) -> Any:
        """Decode the pictures up to `index` again, from a key picture on, and hold as many as are allowed."""
        self._held.clear()
        self._open(self._key_before(max(index - self._most_held + 1, 0)))
        return self._forwards(index, hold=self._most_held)

    def _forwards(self, index: int, hold: int) -> Any:
        """Decode until picture `index` is there; hold the last `hold` pictures."""
        for place, frame in self._frames:
            self._held[place] = frame
            while len(self._held) > hold and next(iter(self._held)) != index:
                self._held.popitem(last=False)
            if place >= index:
                break
        return self._held.get(index) or self._instead(index)

    def _instead(self, index: int) -> Any:
        """The nearest picture to one that cannot be decoded, the one before it first."""
        if not self._held:
            raise ValueError(f"{self.info.path}: no picture can be decoded at {float(self.times.at(index)):.3f} s")
        self.missing += 1
        before = [place for place in self._held if place < index]
        frame = self._held[before[-1] if before else next(iter(self._held))]
        self._held[index] = frame
        self._held = OrderedDict(sorted(self._held.items()))
        return frame

    def _key_before(self, index: int) -> int:
        """The last picture not after `index` that decoding can begin at."""
        starts = self.info.keys[0]
        place = int(np.searchsorted(starts, index, side="right")) - 1
        return int(starts[place]) if place > 0 else 0

    def _open(self, key: int) -> None:
        """Begin to decode at a key picture (0: at the file's start)."""
        if self._container is not None:
            self._container.close()
        self._container = open_input(self.info.path)
        stream = video_stream(self._container)
        stream.codec_context.thread_count = self._threads
        stream.codec_context.thread_type = "AUTO"
        if key:
            dts = int(self.info.keys[1][int(np.searchsorted(self.info.keys[0], key))])
            self._container.seek(dts, stream=stream, backward=True)
        self._frames = self._numbered(stream, key)

    def _numbered(self, stream: Any, key: int) -> Iterator[tuple[int, Any]]:
        """Frames with their index; those before the first picture of the file are left out."""
        frames = decoded(self._container, stream)
        if self._filters:
            frames = filtered(frames, stream.time_base, self._filters)
        if not len(self.info.pts):
            yield from enumerate(frames)
            return
        for frame in frames:
            place = int(np.searchsorted(self.info.pts, frame.pts))
            if place < self.times.count and self.info.pts[place] == frame.pts:
                yield place, frame

    def _rgb(self, frame: Any) -> Picture:
        """The frame's pixels as RGB, (h, w, 3), before it is turned; what is transparent is black."""
        if not self.info.has_alpha:
            return pixels_of(self._to_rgb(frame), 3)
        rgba = pixels_of(self._to_rgb(frame, "rgba"), 4)
        alpha = rgba[:, :, 3:].astype(np.uint16)
        return ((rgba[:, :, :3] * alpha + 127) // 255).astype(np.uint8)


def pixels_of(frame: Any, channels: int) -> Picture:
    """A view of a packed frame's pixels, uint8 (h, w, channels)."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)
    return rows[:, : frame.width * channels].reshape(frame.height, frame.width, channels)


def _filters(info: VideoInfo, layout: Layout, notes: list[str]) -> Filters:
    """The filters that a video needs, each told in the notes where one might not expect it."""
    filters: Filters = []
    if info.interlaced:
        filters.append(("yadif", "mode=send_frame:deint=interlaced"))
        notes.append("interlaced video is deinterlaced (yadif)")
    if not layout.is_rgb:
        return [*filters, *turned(info.orientation, layout.pixels)]
    if info.codec in SILENT:
        filters.append(("setparams", "chroma_location=left"))
    if is_hdr(info.colour):
        filters += [*tone_mapped(bits_of(info.pixels)), ("format", "gbrp")]
        how = "libswscale's perceptual curve, a spline in PQ with its knee after SMPTE ST 2094-10"
        notes.append(f"HDR ({info.colour['transfer']}) is tone-mapped to BT.709 with 8 bits ({how})")
    elif (bits := bits_of(info.pixels)) > 8:
        notes.append(f"the video has {bits} bits a sample, of which 8 are kept here")
    return filters
