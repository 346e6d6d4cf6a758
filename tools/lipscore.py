"""Judge a lip-synced video by what can be seen in it: the mouth against its target, the picture against its source.

    python tools/lipscore.py OUTPUT [--target path.csv] [--truth real.mp4] [--source src.mp4]
                             [--sheet mouths.png] [--plot curves.png] [--json]

A fresh face mesh of every frame of OUTPUT is measured (aperture |13-14|, width |61-291|, over the face height), its
lips found closer (models/faces/lips.py): the mesh alone expects wide mouths to be open and narrow ones shut. With
--target: correlation with the path, at lag 0 and at the best lag within 0.12 s, closures in which the lips touch
within a frame, how open the mouth is in silence. With --truth: the same correlations with a real mouth. With --source
(whose frames OUTPUT shows, played back and forth if it is shorter): flicker, seam, sharpness, and PSNR far from the
mouth; mouthpictures.py tells how. --sheet: a page of mouths at full size; --plot: aperture and width over time, with
what was asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from mouthpictures import Picture, frames, picture_scores
from mouthplot import plot

from models.mouth.geometry import TOUCHING, Floats, face_height, measure
from models.mouth.path import MouthPath, runs

#: seconds within which the best lag is looked for
_LAG = 0.12
#: lips touch where the aperture is below this percentile of the source's (of the output's own without --source), or
#: below what can be told
_PERCENTILE = 15


@dataclass
class Mouths:
    """`times` [n] in seconds from the first frame, `measures` [n, 4], `landmarks` [n, 468, 2]; NaN without a face."""

    times: npt.NDArray[np.float64]
    measures: Floats
    landmarks: Floats


class FaceMeshes:
    """The mesh of the largest face of single frames, with lips found closer."""

    def __init__(self) -> None:
        from models.faces.detectors import open_detector
        from models.faces.lips import LipMesh
        from models.faces.mesh import Mesh

        self._detect = open_detector("blazeface")
        self._mesh = Mesh()
        self._lips = LipMesh()

    def __call__(self, frame: Picture) -> Floats:
        """Landmarks [468, 2] of a frame, found without knowledge of other frames; NaN where there is no face."""
        from models.faces.mesh import region_of_face

        faces = self._detect(frame)
        if not len(faces):
            return np.full((468, 2), np.nan, np.float32)
        landmarks = self._mesh(frame, region_of_face(faces[0]))[0]
        return self._lips(frame, landmarks)


def mouths(path: str) -> Mouths:
    """Measure a whole video."""
    meshes = FaceMeshes()
    times, points = [], []
    for time, frame in frames(path):
        times.append(time)
        points.append(meshes(frame))
    landmarks = np.stack(points)
    return Mouths(np.array(times), measure(landmarks), landmarks)


def correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Pearson's, over where both are known; 0 where one does not move."""
    known = np.isfinite(a) & np.isfinite(b)
    first, second = a[known].astype(np.float64), b[known].astype(np.float64)
    if len(first) < 3 or min(np.ptp(first), np.ptp(second)) < 1e-6:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def against(got: Mouths, times: npt.NDArray[np.float64], wanted: npt.NDArray[Any]) -> dict[str, float]:
    """Correlations of aperture and width with `wanted` [m, 4] at `times`: at lag 0, and best (a lag > 0 is late)."""
    scores: dict[str, float] = {}
    for column, name in enumerate(("aperture", "width")):
        best = (-2.0, 0.0)
        for lag in np.arange(-_LAG, _LAG + 1e-9, 0.02):
            moment = got.times - lag
            inside = (moment >= times[0]) & (moment <= times[-1])
            r = correlation(
                np.where(inside, got.measures[:, column], np.nan), np.interp(moment, times, wanted[:, column])
            )
            best = max(best, (r, float(lag)))
            if abs(lag) < 1e-9:
                scores[name] = round(r, 3)
        scores[f"{name}_best"], scores[f"{name}_lag_s"] = round(best[0], 3), round(best[1], 2)
    return scores


def target_scores(got: Mouths, path: MouthPath, shut_below: float) -> dict[str, float]:
    """How the mouth follows a path: correlations, closures hit, openness in silence."""
    scores = against(got, path.times, path.values)
    step = float(np.median(np.diff(got.times)))
    hits = []
    for first, last in runs(path.closed):
        near = (got.times >= path.times[first] - step) & (got.times <= path.times[last] + step)
        if near.any():
            hits.append(bool(np.nanmin(got.measures[near, 0]) <= shut_below))
    silent = path.at(got.times).silent
    scores["shut_below"] = round(shut_below, 4)
    scores["closures"], scores["closures_hit"] = len(hits), round(float(np.mean(hits)), 3) if hits else float("nan")
    if silent.any():
        scores["open_in_silence"] = round(float(np.nanmean(got.measures[silent, 0])), 4)
    return scores


def touching(reference: Mouths) -> float:
    """The aperture, over the face height, below which lips touch in a video whose source (or itself) is `reference`."""
    return max(TOUCHING, float(np.nanpercentile(reference.measures[:, 0], _PERCENTILE)))


def sheet(output: str, landmarks: Floats, path: Path, columns: int = 8, lines: int = 6) -> None:
    """A page of mouths at full size, evenly over the video, as PNG."""
    import cv2

    known = [index for index in range(len(landmarks)) if np.isfinite(landmarks[index]).all()]
    if not known:
        return
    picks = {known[int(i)] for i in np.linspace(0, len(known) - 1, min(columns * lines, len(known)))}
    half = int(np.median(face_height(landmarks[known])) * 0.36)
    tiles = []
    for index, (_, frame) in enumerate(frames(output)):
        if index in picks:
            x, y = (landmarks[index][[13, 152]].mean(0)).round().astype(int)
            padded = cv2.copyMakeBorder(frame, half, half, half, half, cv2.BORDER_REPLICATE)
            tile = np.ascontiguousarray(padded[max(0, y) :, max(0, x) :][: 2 * half, : 2 * half, ::-1])
            tile = cv2.copyMakeBorder(
                tile, 0, 2 * half - tile.shape[0], 0, 2 * half - tile.shape[1], cv2.BORDER_CONSTANT
            )
            cv2.putText(tile, str(index), (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 255, 0))
            tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise OSError(f"cannot write {path}")


def score(output: str, target: str | None, truth: str | None, source: str | None) -> tuple[dict[str, Any], Mouths]:
    """All that is asked for, by name."""
    got = mouths(output)
    found = np.isfinite(got.measures[:, 0])
    scores: dict[str, Any] = {"output": output, "frames": len(got.times), "with_face": round(float(found.mean()), 3)}
    reference = mouths(source) if source else got
    if target:
        scores["target"] = target_scores(got, MouthPath.read(target), touching(reference))
    if truth:
        real = mouths(truth)
        known = np.isfinite(real.measures[:, 0])
        scores["truth"] = against(got, real.times[known], real.measures[known])
    if source:
        scores["source"] = picture_scores(output, source, got.landmarks)
    return scores, got


def plot_scores(got: Mouths, target: str | None, truth: str | None, place: Path) -> None:
    """The curves of `got`, with those of the path or else of the real mouth."""
    path = MouthPath.read(target) if target else None
    asked = (path.times, path.values) if path else None
    if asked is None and truth:
        real = mouths(truth)
        asked = (real.times, real.measures)
    plot((got.times, got.measures), asked, path, place)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    for name in ("target", "truth", "source", "sheet", "plot"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    arguments = parser.parse_args()
    try:
        scores, got = score(arguments.output, arguments.target, arguments.truth, arguments.source)
        if arguments.sheet:
            sheet(arguments.output, got.landmarks, Path(arguments.sheet))
        if arguments.plot:
            plot_scores(got, arguments.target, arguments.truth, Path(arguments.plot))
    except (OSError, ValueError) as error:
        print(f"lipscore: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(scores))
        return 0
    for name, value in scores.items():
        print(f"{name}: {value}" if not isinstance(value, dict) else f"{name}:")
        for inner, number in value.items() if isinstance(value, dict) else ():
            print(f"  {inner:18} {number}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
