"""A contact sheet: pictures of one or several videos at the same times, a row a video.

    python tools/sheet.py SOURCE.mp4 OUTPUT.mp4 -o sheet.png [--columns 6] [--from 0] [--to 4] [--box x,y,w,h]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np


def pictures(path: str, times: list[float]) -> list[np.ndarray[Any, Any]]:
    """The picture that is shown at each time (seconds), RGB; the last one after the end."""
    found: list[np.ndarray[Any, Any]] = []
    shown = None
    with av.open(path) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            while len(found) < len(times) and frame.time is not None and frame.time > times[len(found)]:
                found.append(picture if shown is None else shown)
            shown = picture
    if shown is None:
        raise SystemExit(f"{path} has no pictures")
    return found + [shown] * (len(times) - len(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", nargs="+")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--from", dest="start", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--to", dest="end", type=float, default=4.0, metavar="SECONDS")
    parser.add_argument("--box", help="part of each picture: x,y,width,height")
    parser.add_argument("--width", type=int, default=200, help="of each picture on the sheet")
    options = parser.parse_args()
    times = [float(one) for one in np.linspace(options.start, options.end, options.columns)]
    rows = [np.hstack([_tile(one, options) for one in pictures(video, times)]) for video in options.videos]
    cv2.imwrite(str(Path(options.output)), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def _tile(picture: np.ndarray[Any, Any], options: argparse.Namespace) -> np.ndarray[Any, Any]:
    if options.box:
        x, y, width, height = (int(one) for one in options.box.split(","))
        picture = picture[y : y + height, x : x + width]
    size = (options.width, round(options.width * picture.shape[0] / picture.shape[1]))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    main()
