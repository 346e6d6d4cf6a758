"""What a media file is: its streams, times, colours and rotation."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any


def open_input(path: str) -> Any:
    """The file as a PyAV container, to be used in `with`; ValueError with one clear sentence where it is none."""
    import av

    if not Path(path).is_file():
        raise ValueError(f"no such file: {path}")
    try:
        return av.open(path, metadata_errors="replace")
    except av.FFmpegError as error:
        raise ValueError(f"{path} is no media file that can be read ({error.strerror})") from None


def video_stream(container: Any) -> Any:
    """The first stream of moving pictures, cover art left aside; None if there is none."""
    from av.stream import Disposition

    pictures = (stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic)
    return next(pictures, None)


def picture_start(path: str) -> Fraction | None:
    """Presentation time of the first picture in seconds; None where the file has no pictures."""
    with open_input(path) as container:
        stream = video_stream(container)
        if stream is None:
            return None
        for frame in container.decode(stream):
            return Fraction(0) if frame.pts is None else Fraction(frame.pts * frame.time_base)
    return None
