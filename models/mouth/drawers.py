"""The embedded generators by name, and which of them suits a video."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from models.mouth.bank import Bank
from models.mouth.geometry import Floats
from models.mouth.path import MouthPath
from models.mouth.rewrite import Drawn, Picture, Rewrite
from models.mouth.schedule import Schedule, styled
from models.mouth.survey import Survey
from models.mouth.warp import Warp, speaking_range

Embedded = Literal["auto", "rewrite", "warp"]

#: a person who speaks opens the mouth at least this far, over the face height (2nd to 98th percentile)
_SPAN = 0.025
#: and shows it in this many of five steps of that range, in this many mouths
_STEPS, _MOUTHS = 4, 12


class Drawer(Protocol):
    """An embedded generator. `name`: `rewrite` or `warp`."""

    @property
    def name(self) -> str:
        """Of the generator."""
        ...

    def draw(self, index: int, time: float, crop: Picture, placement: Floats, landmarks: Floats) -> Drawn:
        """The crop uint8 [s, s, 3] of packet `index` at `time` (seconds) with its new mouth."""
        ...


@dataclass(frozen=True)
class Suited:
    """Which embedded generator suits a video, and why, as a clause: "the bank has …"."""

    name: Literal["rewrite", "warp"]
    why: str


def suited(survey: Survey) -> Suited:
    """Rewrite where the bank has mouths of most sizes of a speaking person, else warp."""
    bank = Bank(survey.folder)
    measures = survey.table()["measures"]
    if not len(bank) or not np.isfinite(measures).any():
        return Suited("warp", "the survey found no mouth that could be taken")
    reach = survey.range()
    span = float(reach.high[0] - reach.low[0])
    if span < _SPAN:
        return Suited("warp", f"the mouth hardly opens in the video (by {span:.1%} of the face's height)")
    steps = len(set(np.clip(reach.units(bank.measures())[:, 0] * 5, 0, 4).astype(int)))
    if steps < _STEPS or len(bank) < _MOUTHS:
        return Suited("warp", f"the bank's {len(bank)} mouths, in {steps} of 5 sizes, are too few to choose from")
    return Suited("rewrite", f"the bank's {len(bank)} mouths open by up to {span:.1%} of the face's height")


def open_drawer(
    model: Literal["rewrite", "warp"],
    survey: Survey,
    path: MouthPath,
    rate: Fraction | None,
    *,
    style: float = 1.0,
    smooth: float = 0.0,
    lead: float = 0.0,
) -> Drawer:
    """The generator, ready to draw packets at `rate` a second (None: at the times of the source) after `path`.

    `style`, `smooth`: see `styled`; `lead`: seconds by which the mouth comes before the path. Raises ValueError where
    the survey cannot serve it.
    """
    schedule = Schedule(survey, styled(path, style, smooth), rate, lead)
    own = survey.range()
    if model == "rewrite":
        return Rewrite(Bank(survey.folder), schedule, own)
    speaks = float(own.high[0] - own.low[0]) >= _SPAN
    return Warp(schedule, own if speaks else speaking_range(survey.table()["measures"]))


def read_target(path: str) -> MouthPath:
    """The mouth path in a CSV file. Raises ValueError where there is none."""
    if not Path(path).is_file():
        raise ValueError(f"no such mouth path: {path} (pipelines/mouth.yaml writes one)")
    return MouthPath.read(path)
