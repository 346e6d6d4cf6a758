"""Boxes, dots and words drawn into pictures, in place."""

from __future__ import annotations

import numpy as np

from models.faces import Floats, Frame

Colour = tuple[int, int, int]
#: colours by the id of a face, RGB: bright ones that are far from skin and from one another
BY_ID: tuple[Colour, ...] = (
    (255, 210, 0), (0, 200, 255), (120, 255, 60), (255, 90, 220), (255, 130, 30), (150, 130, 255), (0, 235, 170)
)  # fmt: skip


def dots(picture: Frame, points: Floats, colour: Colour, radius: float) -> None:
    """Dots at the points [n, 2] that are known, to a sixteenth of a pixel."""
    import cv2

    for x, y in points[np.isfinite(points).all(1)]:
        centre = (round(float(x) * 16), round(float(y) * 16))
        cv2.circle(picture, centre, round(max(radius, 0.7) * 16), colour, cv2.FILLED, cv2.LINE_AA, shift=4)


def box(picture: Frame, face: Floats, text: str, colour: Colour, *, large: float = 1.0) -> None:
    """A face's box (x0 y0 x1 y1 …), with a text above it, or below its upper edge where there is no room."""
    import cv2

    x0, y0, x1, y1 = (round(float(value)) for value in face[:4])
    thickness = max(round(max(picture.shape[:2]) / 640), 1)
    scale, weight = 0.5 * thickness * large, max(round(thickness * large), 1)
    cv2.rectangle(picture, (x0, y0), (x1, y1), colour, thickness, cv2.LINE_AA)
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    base = y0 - 2 * thickness if y0 - high > 4 * thickness else max(y0, 0) + high + 4 * thickness
    left = min(max(x0, 0), max(picture.shape[1] - wide, 0))
    cv2.rectangle(picture, (left, base + thickness), (left + wide, base - high - thickness), colour, cv2.FILLED)
    cv2.putText(picture, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), weight, cv2.LINE_AA)


def caption(text: str, width: int) -> Frame:
    """A strip [h, width, 3], white on dark, with as much of the text as has room."""
    import cv2

    scale, weight = max(width / 1400, 0.4), max(round(width / 900), 1)
    while len(text) > 1 and cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)[0][0] > width - 12:
        text = text.removesuffix(" ...")[:-1].rstrip() + " ..."
    high = round(44 * scale)
    strip = np.full((high, width, 3), 32, np.uint8)
    cv2.putText(strip, text, (6, round(high * 0.7)), cv2.FONT_HERSHEY_SIMPLEX, scale, (240,) * 3, weight, cv2.LINE_AA)
    return strip
