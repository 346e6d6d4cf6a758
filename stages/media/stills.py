"""Still images and image sequences as video."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.media.colour import Colour
from stages.media.light import HDRLight
from stages.media.orientation import Orientation
from stages.media.planes import RGB, Layout
from stages.media.probe import check_there
from stages.media.times import Times

Picture = npt.NDArray[np.uint8]

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2"}


def find_images(path: str) -> list[str] | None:
    """The files of a still image, a folder or a pattern, in order of their numbers; None where it is a video's path.

    Raises ValueError where a folder or a pattern holds no image, or a still does not exist.
    """
    place = Path(path)
    if place.is_dir():
        found = [str(file) for file in place.iterdir() if file.suffix.lower() in SUFFIXES]
        if not found:
            raise ValueError(f"the folder {path} holds no image")
        return sorted(found, key=_in_order)
    number = re.search(r"%0?\d*d", place.name)
    if number and not place.exists():
        before, after = re.escape(place.name[: number.start()]), re.escape(place.name[number.end() :])
        names = re.compile(before + r"\d+" + after)
        found = [str(file) for file in place.parent.glob("*") if names.fullmatch(file.name)]
        if not found:
            raise ValueError(f"no file fits the pattern {path}")
        return sorted(found, key=_in_order)
    if place.suffix.lower() not in SUFFIXES:
        return None
    if not place.is_file():
        raise ValueError(f"no such image: {path}")
    return [path]


def check_pictures(path: str) -> None:
    """Raise ValueError where there is no such video, still, folder of images or pattern; as `check_there` else."""
    if path and "://" not in path and find_images(path) is None:
        check_there(path, "video")


def _in_order(path: str) -> list[tuple[int, str]]:
    """Sorts `9.png` before `10.png`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", Path(path).name)]


class StillsReader:
    """See `Reader`: each picture is a file of its own."""

    name = "opencv"
    missing = 0
    colour: Colour = {"matrix": "gbr", "range": "full", "primaries": "bt709", "transfer": "iec61966-2-1"}
    light: HDRLight | None = None
    sar = Fraction(1)
    orientation = Orientation()
    audio_offset: Fraction | None = None

    def __init__(self, path: str, images: list[str], rate: Fraction) -> None:
        self._path = path
        self._images = images
        self.still = len(images) == 1
        self.times = Times(np.arange(len(images), dtype=np.int64), 1 / rate, rate, 1 / rate)
        self.notes: list[str] = []
        self._last = (0, load_image(images[0]))
        height, width, _ = self._last[1].shape
        self.layout = Layout(RGB, width, height)
        self.about = f"{len(images)} image{'s' * (not self.still)} of {width}x{height}"

    def read(self, index: int, out: Picture) -> None:
        """See `Reader`; ValueError where the images differ in size."""
        if index != self._last[0]:
            image = load_image(self._images[index])
            if image.shape != self._last[1].shape:
                raise ValueError(
                    f"{self._images[index]} is {image.shape[1]}x{image.shape[0]}, "
                    f"but {self._images[0]} is {self.layout.width}x{self.layout.height}: "
                    "the images of a sequence have one size"
                )
            self._last = (index, image)
        np.copyto(out, self._last[1])

    def close(self) -> None:
        """See `Reader`."""


def load_image(path: str) -> Picture:
    """An image as uint8 (h, w, 3) RGB, turned as its EXIF says; what is transparent is black."""
    import cv2

    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if image is None:
        raise ValueError(f"{path} is no image that can be read")
    if image.ndim < 3 or image.shape[2] != 4:
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
    whole = {1: 255.0, 2: 65535.0}.get(image.dtype.itemsize, 1.0)
    rgb = np.asarray(image, np.float32)[:, :, 2::-1] * (np.asarray(image, np.float32)[:, :, 3:] / whole**2) * 255
    return np.asarray(np.rint(rgb.clip(0, 255)), np.uint8)
