"""Pictures between YUV and RGB, without a shift in colour or place.

libswscale's default path from YUV to RGB truncates: measured at 1080×1920, pictures come out one level too dark on
average. With accurate rounding and full chroma the luma of a picture that goes to RGB and back is equal to 80 dB. To
full-range YUV libswscale is a quarter of a level off in chroma each time, so that way is by H.273's formulas here.
Chroma is placed as H.264 and its kin have it where nothing is said: on the left samples.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.media.colour import RANGES, Colour, matrix_for, range_for, yuv_rows
from stages.media.filters import RESIZED, Chain
from stages.media.planes import Layout, frame_of

Picture = npt.NDArray[np.uint8]

FLAGS = "bilinear+accurate_rnd+full_chroma_int"


class ToRGB:
    """Decoded frames to RGB with 8 bits. `colour`: of the video; `width`, `height`: of its frames."""

    def __init__(self, colour: Colour, width: int, height: int, threads: int = 1) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._matrix = matrix_for(colour, width, height)
        self._range = range_for(colour)
        self._threads = threads
        self._flags = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any, pixels: str = "rgb24") -> Any:
        """The frame in `rgb24` (or `rgba`)."""
        if frame.format.name == pixels:
            return frame
        return self._reformatter.reformat(
            frame,
            format=pixels,
            src_colorspace=self._matrix,
            src_color_range=2 if frame.format.is_rgb else self._range,
            dst_color_range=2,
            interpolation=self._flags,
            threads=self._threads,
        )


class FromRGB:
    """RGB pictures to frames for an encoder, in the pixel format `pixels`. `colour`: of the video to be written."""

    def __init__(self, colour: Colour, width: int, height: int, pixels: str) -> None:
        self._pixels = pixels
        matrix = matrix_for(colour, width, height)
        self._rows = None if pixels == "bgr0" or range_for(colour) == 1 else yuv_rows(matrix, 8, full=True)
        into = f"out_range={'limited' if range_for(colour) == 1 else 'full'}:out_chroma_loc=left"
        if self._rows is not None:
            into = f"in_range=full:{into}"
        elif pixels == "bgr0":
            into = "out_range=full"
        else:
            into = f"out_color_matrix={SWS_NAMES[matrix]}:{into}"
        filters = [("scale", f"flags={FLAGS}:{into}"), ("format", pixels)]
        source = "rgb24" if self._rows is None else "yuv444p"
        self._chain = Chain(width, height, source, Fraction(1, 1), filters)

    def __call__(self, image: Picture) -> Any:
        """The frame of a picture, uint8 (h, w, 3)."""
        frame = _rgb_frame(image) if self._rows is None else _full_range_frame(image, self._rows)
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        return next(self._chain.push(frame))


class FromPlanes:
    """Planes to frames for an encoder: copied where it takes their pixel format and range, else by libswscale.

    `colour`: of the pictures; `written`: of the video to be written; `pixels`: its pixel format.
    """

    def __init__(self, layout: Layout, pixels: str, colour: Colour, written: Colour) -> None:
        self._layout = layout
        self._chain: Chain | None = None
        before, after = range_for(colour), range_for(written)
        if pixels != layout.pixels or before != after:
            scale, options = RESIZED
            ranges = f"in_range={RANGES[before]}:out_range={RANGES[after]}"
            filters = [(scale, f"{options}:{ranges}"), ("format", pixels)]
            self._chain = Chain(layout.width, layout.height, layout.pixels, Fraction(1, 1), filters)

    def __call__(self, image: Picture) -> Any:
        """The frame of a picture, uint8 (bytes,)."""
        frame = frame_of(image, self._layout)
        if self._chain is None:
            return frame
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        return next(self._chain.push(frame))


#: names of the matrices in libswscale's filter, by H.273's code points
SWS_NAMES = {1: "bt709", 4: "fcc", 5: "smpte170m", 7: "smpte240m", 9: "bt2020"}


def _rgb_frame(image: Picture) -> Any:
    from av import VideoFrame

    frame: Any = VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="rgb24")
    frame.colorspace, frame.color_range = 0, 2
    return frame


def _full_range_frame(image: Picture, rows: npt.NDArray[np.float64]) -> Any:
    import cv2
    from av import VideoFrame

    height, width, _ = image.shape
    frame: Any = VideoFrame(width, height, "yuv444p")
    for plane, values in zip(frame.planes, cv2.split(cv2.transform(image, rows)), strict=True):
        np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)[:, :width] = values
    frame.color_range = 2
    return frame
