"""Check the general map from speech to the mouth against recordings, and fit its table to them.

    python tools/fit_mouth_map.py [--output TABLE.json] [--targets PULL] RECORDING...

The range: which values of the blended shapes are 0 and 1, the 2nd and 98th percentile over all that is spoken in the
recordings, since that is what the units of a mouth path mean. The table that ships has it from `pipelines/samples/
speech.wav` (CMU ARCTIC) and `obama_speech.wav` of the package pliers 0.4.2 (a statement of the White House):

    python tools/fit_mouth_map.py --output models/mouth/articulation.json pipelines/samples/speech.wav obama_speech.wav

The range of phones and voice together was measured so on 267 s of 28 talking clips (docs/generators.md).

The targets of that table are set by hand from the phonetics that it names, since no talking clips with their own sound
were at hand that are both large enough and free. With `--targets` they are fitted to videos whose sound is their own:
blended shapes are linear in the targets, so this is a ridge regression that pulls towards the table with the strength
PULL (frames of evidence that a target of it counts for; 100 is a fair start). For each video the correlations of the
map with the mouth are printed, before and after; do not judge on a video that was fitted to.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.mouth.articulation import LEAD, Articulation, articulate, blend, opening, sounding
from models.mouth.geometry import Range, measure
from models.mouth.path import COLUMNS
from models.mouth.phones import FRAME_RATE, PhoneRecognizer
from models.mouth.speech import Piece, Speech
from models.mouth.voice import HOP, features

Floats = npt.NDArray[np.float32]
Seen = tuple[Speech, npt.NDArray[np.intp], npt.NDArray[np.float64]]

TABLE = Path(__file__).resolve().parent.parent / "models" / "mouth" / "articulation.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", metavar="RECORDING")
    parser.add_argument("--table", type=Path, default=TABLE, help="the table to start from")
    parser.add_argument("--targets", type=float, metavar="PULL", help="fit the targets to videos with own sound")
    parser.add_argument("--output", type=Path, help="where the table with what was fitted goes")
    options = parser.parse_args()
    table = Articulation.read(options.table)
    speeches = {path: heard(path) for path in options.recordings}
    seen = {path: (speech, *mouth(path)) for path, speech in speeches.items() if has_picture(path)}
    for path, clip in seen.items():
        print(path, "before:", told(clip, table))
    if options.targets is not None:
        if not seen:
            raise SystemExit("fitting targets takes videos whose sound is their own")
        table = fitted(list(seen.values()), table, options.targets)
    table = ranged(list(speeches.values()), table)
    for path, clip in seen.items():
        print(path, "after:", told(clip, table))
    for name, low, high in zip(COLUMNS, table.low, table.high, strict=True):
        print(f"range of {name}: {low:.2f} .. {high:.2f}")
    if options.output is not None:
        write(table, options.table, options.output)


def heard(path: str) -> Speech:
    """Phones and voice of a recording, in pieces of 20 s."""
    from stages.media.audio import AudioReader

    recognizer, pieces, step, margin = PhoneRecognizer(), [], 2_000, 100
    with AudioReader(path) as sound:
        total = int(sound.duration * FRAME_RATE)
        for first in range(0, total, step):
            end, start = min(first + step, total), max(0, first - margin)
            samples = sound.read(start * HOP, (end + margin - start) * HOP)
            phones = [phone._replace(start=phone.start + start, end=phone.end + start) for phone in recognizer(samples)]
            pieces.append(Piece(first, end, phones, features(samples)[first - start : end - start]))
    return Speech.of(pieces, total)


def has_picture(path: str) -> bool:
    import av

    with av.open(path) as file:
        return bool(file.streams.video)


def mouth(path: str) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """The mouth of the largest face, in units of its range [n, 4], and the frames (1/100 s) of the pictures."""
    times, measures = (np.array(column) for column in zip(*faces(path), strict=True))
    known = np.isfinite(measures).all(axis=1)
    units = Range.of(measures).units(measures)[known].astype(np.float64)
    return np.round((times[known] - times[0]) * FRAME_RATE).astype(np.intp), units


def faces(path: str) -> Iterator[tuple[float, Floats]]:
    """Time and measures [4] of every picture; NaN where no face is found."""
    import av

    from models.faces.detectors import open_detector
    from models.faces.mesh import Mesh, region_of_face

    detector, mesh = open_detector("blazeface"), Mesh()
    with av.open(path) as file:
        for frame in file.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            found = detector(picture)
            if len(found):
                yield frame.time, measure(mesh(picture, region_of_face(found[0]))[0])
            else:
                yield frame.time, np.full(len(COLUMNS), np.nan, np.float32)


def told(clip: Seen, table: Articulation) -> str:
    """The correlation of each measure at its best lag within 0.12 s, and that lag."""
    speech, frames, units = clip
    shapes, words = articulate(speech, LEAD, table), []
    for column, name in enumerate(COLUMNS):
        lags = range(-12, 13, 2)
        track = [shapes[np.clip(frames + lag, 0, len(shapes) - 1), column] for lag in lags]
        likeness = [float(np.corrcoef(one, units[:, column])[0, 1]) for one in track]
        best = int(np.argmax(likeness))
        words.append(f"{name} {likeness[best]:.2f} at {lags[best] / FRAME_RATE:+.2f} s")
    return ", ".join(words)


def ranged(speeches: list[Speech], table: Articulation) -> Articulation:
    """The table with its ranges, of phones alone and with the voice, measured over all that is spoken."""
    blended = [blend(speech.phones, len(speech), LEAD, table) * opening(speech, LEAD) for speech in speeches]
    low, high = spread(blended, speeches)
    table = replace(table, low=low, high=high)
    both = [
        table.both(table.units(said), sounding(speech, LEAD, table))
        for said, speech in zip(blended, speeches, strict=True)
    ]
    mixed_low, mixed_high = spread(both, speeches)
    return replace(table, mixed_low=mixed_low, mixed_high=mixed_high)


def spread(tracks: list[Floats], speeches: list[Speech]) -> tuple[Floats, Floats]:
    """The 2nd and the 98th percentile of tracks [T, 4] while their recordings speak, each [4]."""
    spoken = [track[~speech.silent] for track, speech in zip(tracks, speeches, strict=True)]
    low, high = np.percentile(np.concatenate(spoken), [2, 98], axis=0).astype(np.float32)
    return low, high


def fitted(clips: list[Seen], table: Articulation, pull: float) -> Articulation:
    """The table with targets fitted to clips: ridge regression of the mouth on the share each phone has in it."""
    names = list(table.targets)
    targets = np.stack([table.targets[name] for name in names])
    for column in range(len(COLUMNS)):
        square, product = pull * np.eye(len(names)), pull * targets[:, column].astype(np.float64)
        for speech, frames, units in clips:
            shares = share_of(names, speech, table, column)[np.clip(frames, 0, len(speech) - 1)]
            raw = table.low[column] + units[:, column] * (table.high[column] - table.low[column])
            square, product = square + shares.T @ shares, product + shares.T @ raw
        targets[:, column] = np.clip(np.linalg.solve(square, product), 0, 1)
    return replace(table, targets=dict(zip(names, targets, strict=True)))


def share_of(names: list[str], speech: Speech, table: Articulation, column: int) -> npt.NDArray[np.float64]:
    """What every phone's target counts for in one measure, [T, phones]: a blend in which only its own target is 1."""
    follows, columns = opening(speech, LEAD)[:, column], []
    none = {name: np.zeros(len(COLUMNS), np.float32) for name in names}
    empty = blend(speech.phones, len(speech), LEAD, replace(table, targets=none))[:, column]
    for name in names:
        lone = replace(table, targets=none | {name: np.ones(len(COLUMNS), np.float32)})
        columns.append((blend(speech.phones, len(speech), LEAD, lone)[:, column] - empty) * follows)
    return np.stack(columns, axis=1).astype(np.float64)


def bounds(low: Floats, high: Floats) -> dict[str, list[float]]:
    """Both by the names of the measures, as the table writes them."""
    pairs = zip(COLUMNS, low, high, strict=True)
    return {name: [round(float(first), 3), round(float(last), 3)] for name, first, last in pairs}


def write(table: Articulation, source: Path, output: Path) -> None:
    """The table as JSON, with all else that the source says."""
    said: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    said["range"] = bounds(table.low, table.high)
    said["voice"]["range"] = bounds(table.mixed_low, table.mixed_high)
    rows = said.pop("phones")
    lines = []
    for phone in rows:
        both = np.stack([table.targets[phone], table.dominances[phone]], axis=1).ravel()
        lines.append(f"  {json.dumps(phone)}: [{', '.join(f'{value:.2f}' for value in both)}]")
    head = json.dumps(said, indent=1, ensure_ascii=False)
    output.write_text(head[:-2] + ',\n "phones": {\n' + ",\n".join(lines) + "\n }\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
