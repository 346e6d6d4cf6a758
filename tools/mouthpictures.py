"""The pictures of a lip-synced video against those of its source: flicker, seam, sharpness, and what lies outside.

Flicker is change that no movement explains. Each frame is compared with the one before after that has been moved onto
it (dense flow: Kroeger, Timofte, Dai, Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016). `flicker`
is judged on the skin of the lower face. `flicker_mouth` is the same on the lips and between them, where teeth that come
and go are no movement either: it compares only with a source whose mouth moves as much. Changes of less than half a
level, the rounding to eight bits, count as half a level.

The seam is looked for where it is: along the edge of what differs between a frame and its source by more than the
encoder's loss, which is measured far from the mouth.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from models.mouth.geometry import JAW, LOWER_OUTER, UPPER_OUTER, Floats, face_height

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

#: what cannot be told of a change, levels of 255
_ROUNDING = 0.5
#: a frame differs from its source where, over this share of the face height, it is off by so many times the encoder's
#: loss, and by this many levels
_PATCH, _TIMES, _LEVELS = 0.04, 4.0, 2.0


@dataclass
class Pictures:
    """What was measured of the output and of its source, a pair a frame; squared error and count of frames."""

    flicker: list[tuple[float, float]] = field(default_factory=list)
    flicker_mouth: list[tuple[float, float]] = field(default_factory=list)
    sharpness: list[tuple[float, float]] = field(default_factory=list)
    seam: list[tuple[float, float]] = field(default_factory=list)
    error: float = 0.0
    count: int = 0

    def scores(self) -> dict[str, float]:
        """Ratios output over source, and PSNR in dB; no seam where nothing was changed."""
        scores = {}
        for name, least in (("flicker", _ROUNDING), ("flicker_mouth", _ROUNDING), ("sharpness", 1e-6), ("seam", 1e-6)):
            if rows := getattr(self, name):
                output, source = np.maximum(np.mean(rows, 0), least)
                scores[name] = round(float(output / source), 3)
        mean = self.error / max(self.count, 1)
        return {**scores, "psnr_outside_db": round(float(10 * np.log10(255**2 / max(mean, 1e-9))), 2)}


def picture_scores(output: str, source: str, landmarks: Floats) -> dict[str, float]:
    """Compare the pictures of OUTPUT, with its landmarks [n, 468, 2], with those of its source, frame by frame (see
    `bounced`)."""
    import cv2

    sums = Pictures()
    flow = Flow()
    before: list[Any] | None = None
    for (_, out), real, points in zip(frames(output), bounced(source), landmarks, strict=False):
        if not np.isfinite(points).all():
            before = None
            continue
        grey = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (out, real)]
        face, lips, outside = regions(points, grey[0].shape)
        sums.sharpness.append(_pair(np.abs(cv2.Laplacian(one, cv2.CV_32F))[face] for one in grey))
        edge = edge_of(changed(out, real, outside, float(face_height(points))), float(face_height(points)))
        if edge.any():
            slopes = [cv2.magnitude(*(cv2.Sobel(one, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0))) for one in grey]
            sums.seam.append(_pair(one[edge] for one in slopes))
        soft = [cv2.GaussianBlur(one, (0, 0), 1.5) for one in grey]  # noise left out
        if before is not None:
            box = _around(face)
            changes = [flow.change(now[box], then[box]) for now, then in zip(soft, before, strict=True)]
            sums.flicker.append(_pair(one[(face & ~lips)[box]] for one in changes))
            sums.flicker_mouth.append(_pair(one[lips[box]] for one in changes))
        sums.error += float(np.square(out[outside].astype(np.float32) - real[outside]).mean())
        sums.count += 1
        before = soft
    return sums.scores()


def _pair(values: Iterator[Any]) -> tuple[float, float]:
    output, source = (float(one.mean()) for one in values)
    return output, source


class Flow:
    """What changes from one frame to the next beyond what moves."""

    def __init__(self) -> None:
        import cv2

        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def change(self, now: Picture, then: Picture) -> Floats:
        """|now - then moved onto now|, float32 [h, w], of grey pictures [h, w]."""
        import cv2

        now, then = np.ascontiguousarray(now), np.ascontiguousarray(then)
        moves = self._flow.calc(now, then, None)
        y, x = np.mgrid[: now.shape[0], : now.shape[1]].astype(np.float32)
        moved = cv2.remap(
            then.astype(np.float32), x + moves[..., 0], y + moves[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
        )
        return np.asarray(np.abs(now - moved), np.float32)


def regions(points: Floats, shape: tuple[int, ...]) -> tuple[Mask, Mask, Mask]:
    """Of landmarks [468, 2] in pictures of `shape`: the lower face with the lips, the lips, and what lies well outside
    of both."""
    import cv2

    height = float(face_height(points))

    def hull(*rows: int) -> Any:
        mask = np.zeros(shape, np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(points[list(rows)].round().astype(np.int32)), 255)
        return mask

    face = hull(2, 98, 205, 147, 192, *JAW[2:-2], 416, 376, 425, 327)
    lips = cv2.dilate(hull(*UPPER_OUTER, *LOWER_OUTER), _square(0.02 * height))
    return face > 0, (lips > 0) & (face > 0), cv2.dilate(face, _square(0.6 * height)) == 0


def changed(out: Picture, real: Picture, outside: Mask, height: float) -> Mask:
    """Where a frame [h, w, 3] differs from its source by more than it does far from the mouth (`outside`), without
    holes. `height`: of the face, pixels."""
    import cv2

    side = max(3, int(_PATCH * height) | 1)
    off = cv2.blur(np.abs(out.astype(np.float32) - real).max(2), (side, side))
    loss = float(np.percentile(off[outside], 90)) if outside.any() else 0.0
    differs = (off > max(_LEVELS, _TIMES * loss)).astype(np.uint8)
    differs = cv2.morphologyEx(differs, cv2.MORPH_CLOSE, _square(0.1 * height))
    outlines, _ = cv2.findContours(differs, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = np.zeros(out.shape[:2], np.uint8)
    large = [outline for outline in outlines if cv2.contourArea(outline) > (0.1 * height) ** 2]
    cv2.drawContours(whole, large, -1, 255, cv2.FILLED)
    return whole > 0


def edge_of(mask: Mask, height: float) -> Mask:
    """A band along the edge of a mask; not along the edge of the picture."""
    import cv2

    square = _square(_PATCH * height)
    inner = cv2.erode(mask.astype(np.uint8), square, borderValue=1)
    return (cv2.dilate(mask.astype(np.uint8), square) > 0) & (inner == 0)


def _square(side: float) -> Any:
    return np.ones((max(3, int(side) | 1),) * 2, np.uint8)


def _around(mask: Mask, margin: int = 16) -> tuple[slice, slice]:
    """The box around a mask, with a margin, inside the picture."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y, x = (slice(max(0, int(n[0]) - margin), int(n[-1]) + margin + 1) for n in (rows, columns))
    return y, x


def frames(path: str) -> Iterator[tuple[float, Picture]]:
    """Time in seconds from the first frame, and RGB, of every frame."""
    import av

    with av.open(path) as container:
        first: float | None = None
        for frame in container.decode(video=0):
            time = float(frame.time or 0.0)
            first = time if first is None else first
            yield time - first, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def bounced(path: str) -> Iterator[Picture]:
    """The frames of a video without end, forth and back, the ends once each; decoded anew at each turn."""
    count = sum(1 for _ in frames(path))
    for turn in itertools.count():
        if turn % 2 == 0:
            yield from (frame for index, (_, frame) in enumerate(frames(path)) if turn == 0 or index > 0)
        else:
            yield from _backwards(path, count)


def _backwards(path: str, count: int, block: int = 50) -> Iterator[Picture]:
    for last in range(count - 1, 0, -block):
        first = max(0, last - block)
        part = [frame for index, (_, frame) in enumerate(frames(path)) if first <= index < last]
        yield from reversed(part)
