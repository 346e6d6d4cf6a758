"""resize: frames in another size."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np

from graph.stage import Array, Caps, Packet, Stage

METHODS = ("area", "lanczos", "linear", "nearest")


class Resize(Stage):
    """Scale each frame to `width` and `height` pixels, or by `scale`.

    With one of `width` and `height` the other follows, so that the shape stays. `method`: `area` averages, best for
    smaller pictures; `lanczos` is best for larger ones; `auto` takes what fits. Raises ValueError where nothing or too
    much is given.
    """

    reads = {"frame": Array(np.uint8, "h w 3", "RGB")}
    writes = {"resized": Array(np.uint8, "height width 3", "RGB")}

    def __init__(
        self,
        width: int | None = None,
        height: int | None = None,
        scale: float | None = None,
        method: Literal["auto", "area", "lanczos", "linear", "nearest"] = "auto",
    ) -> None:
        if (scale is None) == (width is None and height is None):
            raise ValueError("resize takes either scale, or width, height or both")
        for name, value in (("width", width), ("height", height), ("scale", scale)):
            if value is not None and value <= 0:
                raise ValueError(f"{name} has to be above 0, not {value}")
        self.width = width
        self.height = height
        self.scale = scale
        self.method = method

    def configure(self, caps: Caps) -> Caps:
        """The new size; the sample aspect ratio follows where the shape changes."""
        height, width, _ = caps.shapes["frame"]
        self._size = self._new_size(width, height)
        new_width, new_height = self._size
        sar = Fraction(caps.stream.get("sar") or 1) * Fraction(width * new_height, height * new_width)
        kept = self.width is None or self.height is None
        stream = {} if kept else {"sar": f"{sar.numerator}/{sar.denominator}"}
        return Caps({"resized": (new_height, new_width, 3)}, stream)

    def process(self, packet: Packet) -> None:
        """Scale one frame."""
        import cv2

        method = self.method
        if method == "auto":
            method = "area" if self._size[0] <= packet.frame.shape[1] else "lanczos"
        kinds = (cv2.INTER_AREA, cv2.INTER_LANCZOS4, cv2.INTER_LINEAR, cv2.INTER_NEAREST)
        cv2.resize(packet.frame, self._size, dst=packet.resized, interpolation=kinds[METHODS.index(method)])

    def _new_size(self, width: int, height: int) -> tuple[int, int]:
        if self.scale is not None:
            return max(round(width * self.scale), 1), max(round(height * self.scale), 1)
        new_width = self.width or max(round(width * (self.height or 1) / height), 1)
        return new_width, self.height or max(round(height * new_width / width), 1)
