"""Pictures of a video by decord, for videos that it reads right."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stages.media.colour import is_hdr
from stages.media.light import HDRLight
from stages.media.planes import RGB, Layout
from stages.media.probe import VideoInfo

Picture = npt.NDArray[np.uint8]


def why_not_decord(info: VideoInfo) -> str | None:
    """Why decord would read this video wrongly; None if it would not."""
    try:
        import decord  # noqa: F401
    except ImportError:
        return "decord is not installed"
    reasons = {
        "its pictures are turned by a display matrix": info.orientation.turns or info.orientation.mirrored,
        "it is HDR": is_hdr(info.colour),
        "it is interlaced": info.interlaced,
        "it has transparency": info.has_alpha,
        "it has no presentation times": not len(info.pts),
        f"its pixel format is {info.pixels}": info.pixels not in ("yuv420p", "yuvj420p"),
        "it is not whole": info.missing,
        "its groups of pictures are open, where it seeks wrongly": info.open_gop,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


class DecordReader:
    """See `Reader`. decord converts with libswscale's default path, which is one level too dark on average."""

    name = "decord"
    still = False
    missing = 0
    light: HDRLight | None = None

    def __init__(self, info: VideoInfo, threads: int = 2) -> None:
        import decord

        self.layout = Layout(RGB, info.width, info.height)
        self.times, self.sar, self.colour = info.times, info.sar, info.colour
        self.orientation, self.audio_offset = info.orientation, info.audio_offset
        self.notes = list(info.notes)
        self.about = info.about
        self._video: Any = decord.VideoReader(info.path, num_threads=threads)
        if len(self._video) != info.times.count:
            raise ValueError(
                f"decord counts {len(self._video)} pictures in {info.path}, its packets show {info.times.count}; "
                "take reader: auto or pyav"
            )
        self._next = 0
        self._last: Picture | None = None

    def read(self, index: int, out: Picture) -> None:
        """See `Reader`."""
        if index != self._next - 1 or self._last is None:
            if index != self._next:
                self._video.seek_accurate(index)
            self._last = self._video.next().asnumpy()
            self._next = index + 1
        np.copyto(out, self._last)

    def close(self) -> None:
        """See `Reader`."""
        self._video = self._last = None
