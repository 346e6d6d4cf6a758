"""A person made of one portrait: the sample's first frame, its mesh, and frames with mouths of known shapes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from graph.stage import run_stage
from models.mouth.bank import Gathering
from models.mouth.cut import cut_out, lower_face
from models.mouth.geometry import Axes, Floats, Range, measure
from models.mouth.lips import EDGES, LOWER_JAW, Lips
from models.mouth.path import MouthPath
from models.mouth.schedule import Schedule
from models.mouth.survey import Survey, SurveyWriter
from models.mouth.warp import Warp, speaking_range
from stages.detect import Detect
from stages.track import Track

Picture = npt.NDArray[np.uint8]
SAMPLE = Path(__file__).parents[3] / "pipelines" / "samples" / "portrait.mp4"


@lru_cache(1)
def portrait() -> Picture:
    """The sample's first frame, RGB."""
    with av.open(str(SAMPLE)) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


def meshes(frames: list[Picture]) -> Floats:
    """The mesh of each frame by the real networks, every frame by itself: [n, 468, 2]."""
    found = run_stage(Detect(), [{"frame": frame} for frame in frames])
    rows: list[Any] = []
    for packet in found:
        faces = np.array(packet.faces)
        row = {
            "frame": packet.frame,
            "faces": np.concatenate([faces, np.zeros((32 - len(faces), 15), np.float32)])[:32],
        }
        row["faces"] = faces
        rows.append(row)
    tracked = run_stage(Track(smooth=False), rows)
    return np.stack([np.array(packet.landmarks) for packet in tracked])


@lru_cache(1)
def mesh() -> Floats:
    """The mesh of the portrait."""
    return meshes([portrait()])[0]


def path_of(units: Floats, rate: float = 25.0, closed: npt.NDArray[np.bool_] | None = None) -> MouthPath:
    """A path with a sample a frame: `units` [n, 4]."""
    none = np.zeros(len(units), bool)
    return MouthPath(np.arange(len(units)) / rate, units.astype(np.float32), none, none if closed is None else closed)


@dataclass(frozen=True)
class Person:
    """Frames, their landmarks [n, 468, 2], and the folder of their survey."""

    frames: list[Picture]
    landmarks: Floats
    folder: Path


def survey_of(frames: list[Picture], landmarks: Floats, folder: Path, bank: int = 20_000_000) -> Path:
    """Write the survey of frames at 25 a second."""
    writer, gathering = SurveyWriter(folder), Gathering(bank)
    for index, (frame, points) in enumerate(zip(frames, landmarks, strict=True)):
        writer.add(index / 25, points, found=True, cut=index == 0, track=0, presence=1.0)
        gathering.offer(frame, points, index, index / 25, 1.0)
    gathering.save(folder)
    writer.finish({"rate": "25"})
    return folder


def speaking_person(folder: Path, count: int = 60) -> Person:
    """The portrait with its mouth bent through `count` shapes, and the mesh moved with it."""
    turn = np.linspace(0, 4 * np.pi, count)
    units = np.stack([0.5 - 0.5 * np.cos(turn), 0.5 + 0.5 * np.sin(0.7 * turn), 0 * turn, 0 * turn], 1)
    still = survey_of([portrait()] * 2, np.stack([mesh()] * 2), folder / "still")
    frames, landmarks = [], []
    with Survey(still) as survey:
        reach = speaking_range(measure(mesh()[None]))
        drawer = Warp(Schedule(survey, path_of(units), None), reach)
        for index in range(count):
            frames.append(drawn_frame(drawer, index, portrait(), mesh()))
            landmarks.append(moved(mesh(), reach, units[index].astype(np.float32)))
    points = np.stack(landmarks)
    return Person(frames, points, survey_of(frames, points, folder / "survey"))


def drawn_frame(drawer: Any, index: int, frame: Picture, landmarks: Floats, time: float | None = None) -> Picture:
    """A frame with the mouth that `drawer` draws."""
    placement = lower_face(landmarks, 320)
    crop = np.zeros((320, 320, 3), np.uint8)
    cut_out(frame, placement, crop)
    drawn = drawer.draw(index, index / 25 if time is None else time, crop, placement, landmarks)
    left, top = (-placement[:, 2]).astype(int)
    out = frame.copy()
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(frame.shape[0], top + 320), min(frame.shape[1], left + 320)
    out[y0:y1, x0:x1] = drawn.picture[y0 - top : y1 - top, x0 - left : x1 - left]
    return out


def moved(landmarks: Floats, reach: Range, units: Floats) -> Floats:
    """The mesh with its lips and chin where Warp puts them."""
    axes = Axes.of(landmarks)
    own = Lips.of(landmarks, axes)
    raw = reach.raw(units) * axes.height
    gap = max(0.0, float(raw[0] - reach.low[0] * axes.height))
    lips = own.shut().shaped(gap, float(np.clip(raw[1], own.breadth * 0.8, own.breadth * 1.2)), axes.height)
    points = landmarks.copy()
    points[EDGES] = axes.leave(lips.edges)
    points[LOWER_JAW] = axes.leave(lips.jaw)
    return points
