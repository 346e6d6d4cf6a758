"""What hangs on a constant: every one of models/mouth that was set by looking, times 0.7 and times 1.4.

    python tools/sensitivity.py VIDEO SPEECH [--model rewrite] [--frames 150] [--only choose:JUMP ...] [--json]

Draws the video anew for each, in this process and without loss, and prints the figures of lipscore.py, a line each: the
first with the constants as they are. A figure that leaves what docs/generators.md asks of it is marked with `!`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from halves import run
from lipscore import mouths, target_scores, touching
from mouthpictures import Picture, bounced, picture_scores

from graph.spec import GraphMistakes
from models.mouth.cut import cut_out, lower_face, lower_face_size
from models.mouth.drawers import Drawer, open_drawer
from models.mouth.geometry import Floats
from models.mouth.paste import mix, place
from models.mouth.path import MouthPath
from models.mouth.schedule import Schedule
from models.mouth.survey import Survey

FACTORS = (0.7, 1.4)
#: MODULE:NAME in models/mouth of the constants that were set by looking, by model, and of those of both
_SHAPES = """geometry:TOUCHING lips:_JAW_SHARE lips:_CHIN_SHARE lips:_CHIN_REACH bend:_REACH bend:_LEAST_REACH
    meeting:_NEAR meeting:_UNSURE meeting:_CREASE meeting:_SHADE meeting:PRESS"""
_CHOICE = """choose:SHAPE_WEIGHTS choose:UNSEEN choose:POSE_TOLERANCE choose:JUMP choose:JUMP_PER_FRAME
    choose:OPEN_WHEN_CLOSED choose:BLUR_TOLERANCE"""
_PICTURE = """rewrite:_GAP_REACH rewrite:_GAP_SHARE rewrite:_BREADTH_SHARE rewrite:_FEATHER rewrite:_INSET
    rewrite:_COARSE rewrite:_LIGHT_REACH window:_NEAR window:_FAR blend:_LIGHT align:_STIFFNESS cover:_DEVIATIONS
    cover:_LEVELS cover:_DIMMER cover:_LEAST"""
_INSIDE = "warp:_TEETH warp:_TEETH_SHARE warp:_LIT"
CONSTANTS = {"rewrite": f"{_CHOICE} {_PICTURE} {_SHAPES}".split(), "warp": f"{_INSIDE} {_SHAPES}".split()}
#: the figures, and what is asked of them: their least and their most
FIGURES = ("aperture", "width", "closures", "silence", "flicker", "seam", "sharpness", "covered")
LEAST = {"aperture": 0.9, "width": 0.75, "closures": 0.9, "sharpness": 0.9}
MOST = {"silence": 1.0, "flicker": 1.3, "seam": 1.1, "covered": 0.0}


@contextmanager
def varied(constant: str, factor: float) -> Iterator[Any]:
    """Within it MODULE:NAME of models/mouth is `factor` times what it was, wherever it was imported; gives its value.

    Raises ValueError where there is none.
    """
    module, _, name = constant.partition(":")
    try:
        was = getattr(import_module(f"models.mouth.{module}"), name)
    except (ImportError, AttributeError):
        raise ValueError(f"models/mouth has no constant {constant}") from None
    value = was * factor
    parts = [one for key, one in sys.modules.items() if key.startswith("models.mouth.")]
    holders = [one for one in parts if vars(one).get(name) is was]
    for one in holders:
        setattr(one, name, value)
    try:
        yield value
    finally:
        for one in holders:
            setattr(one, name, was)


class Clip:
    """A video and what is known of it before it is drawn: survey, mouth path, rate; at most `frames` are drawn."""

    def __init__(self, video: str, speech: str, model: Literal["rewrite", "warp"], frames: int, folder: Path) -> None:
        run("survey", video=video, output=str(folder / "survey"))
        run("mouth", audio=speech, survey=str(folder / "survey"), video=video, output=str(folder / "path.csv"))
        self.video, self.model, self.folder = video, model, folder
        self.path = MouthPath.read(folder / "path.csv")
        with av.open(video) as container:
            self.rate = Fraction(container.streams.video[0].average_rate or 25)
        self.count = min(frames, int(self.path.duration * self.rate))
        self.touching = touching(mouths(video))

    def score(self) -> dict[str, float]:
        """The figures of lipscore.py with the constants as they are now; `silence` over what it should stay below,
        `covered` in frames."""
        output = str(self.folder / "drawn.mkv")
        covered = self._draw(output)
        got = mouths(output)
        told = target_scores(got, self.path, self.touching)
        pictures = picture_scores(output, self.video, got.landmarks)
        figures = {name: told[name] for name in ("aperture", "width")}
        figures["closures"] = told["closures_hit"]
        figures["silence"] = told.get("open_in_silence", float("nan")) / self.touching
        return {**figures, **{name: pictures[name] for name in ("flicker", "seam", "sharpness")}, "covered": covered}

    def _draw(self, output: str) -> int:
        """Draw into a file without loss; returns in how many frames something was left as it was, as covered."""
        covered = 0
        with Survey(self.folder / "survey") as survey, av.open(output, "w") as container:
            drawer = open_drawer(self.model, survey, self.path, self.rate)
            shown = Schedule(survey, self.path, self.rate).frames(np.arange(self.count))
            size = lower_face_size(survey)
            stream: Any = container.add_stream("ffv1", rate=self.rate)
            stream.pix_fmt = "bgr0"
            for index, frame in zip(range(self.count), bounced(self.video), strict=False):
                landmarks, face = survey.landmarks(int(shown[index]))
                if face["found"]:
                    covered += drawn_into(frame, drawer, index, index / float(self.rate), landmarks, size)
                if index == 0:
                    stream.height, stream.width = frame.shape[:2]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
        return covered


def drawn_into(frame: Picture, drawer: Drawer, index: int, time: float, landmarks: Floats, size: int) -> bool:
    """Draw a frame's new mouth into it; whether something before the mouth was left as it is."""
    placement = lower_face(landmarks, size)
    crop = np.zeros((size, size, 3), np.uint8)
    cut_out(frame, placement, crop)
    drawn = drawer.draw(index, time, crop, placement, landmarks)
    placed = place(drawn.picture, drawn.mask, placement, *frame.shape[:2])
    if placed is not None:
        box = placed.box
        mix(frame[box.top : box.bottom, box.left : box.right], placed.picture, placed.mask)
    return drawn.covered


def variants(clip: Clip, constants: list[str]) -> Iterator[dict[str, Any]]:
    """The figures with the constants as they are, and with each of them varied."""
    yield {"constant": "as it is", "factor": 1.0, **clip.score()}
    for constant in constants:
        for factor in FACTORS:
            with varied(constant, factor):
                yield {"constant": constant, "factor": factor, **clip.score()}


def line(row: dict[str, Any]) -> str:
    """A row for people: figures that leave their bounds are marked."""
    words = [f"{row['constant']:28} {row['factor']:3}"]
    for name in FIGURES:
        value, low, high = row[name], LEAST.get(name, -np.inf), MOST.get(name, np.inf)
        words.append(f"{value:9.2f}{' ' if low <= value <= high or np.isnan(value) else '!'}")
    return " ".join(words)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("speech")
    parser.add_argument("--model", default="rewrite", choices=list(CONSTANTS))
    parser.add_argument("--frames", type=int, default=150, help="how many are drawn, at most")
    parser.add_argument("--only", nargs="+", metavar="MODULE:NAME", help="constants of models/mouth instead of all")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    if not options.json:
        print(f"{'':28} {'':3} " + " ".join(f"{name:>9} " for name in FIGURES))
    with tempfile.TemporaryDirectory() as scratch:
        try:
            clip = Clip(options.video, options.speech, options.model, options.frames, Path(scratch))
            for row in variants(clip, options.only or CONSTANTS[options.model]):
                print(json.dumps(row) if options.json else line(row), flush=True)
        except (GraphMistakes, OSError, ValueError, RuntimeError) as error:
            print(f"sensitivity: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
