"""Mouth paths made elsewhere: our own CSV, blendshapes of ARKit, visemes or phones with times, marks of a TTS."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.mouth.articulation import LEAD, blend, general
from models.mouth.path import COLUMNS, REST, MouthPath, runs
from models.mouth.phones import FRAME_RATE, PAUSES, Phone
from models.mouth.speaking import MOST, performed, styled
from models.mouth.visemes import phones_of
from models.mouth.voice import PAUSE

Floats = npt.NDArray[np.float32]
Row = tuple[int, dict[str, str]]
Events = list[tuple[float, float]]

#: a label without an end lasts until the next one, at most so many seconds
LONGEST = 0.6
#: a mouth this little open, in units of its range, is at rest
_REST = 0.06
#: blendshapes below this never count as a whole opening or rounding: a file of small movements stays one
_FULL_OPEN, _FULL_ROUND = 0.25, 0.3


def read_target(
    path: str | Path, style: float = 1.0, smooth: float = 0.02, lead: float = LEAD
) -> tuple[MouthPath, str]:
    """The path in a file, at `RATE` a second from 0, and what the file was taken for.

    Taken are: the CSV of `MouthPath.write`; a CSV of ARKit blendshapes (columns named as Apple does, any case; the time
    as `time` in seconds, or as the `Timecode` of Live Link Face); a CSV of visemes or phones (`start` or `time`, with
    or without `end` or `duration`, and `viseme`, `phone` or `label`; seconds); JSON lines of speech marks (`time` in
    milliseconds, `type` "viseme", `value`). `style` scales all of them, `smooth` and `lead` only what has no movement
    of its own yet: visemes, phones, marks. Raises ValueError that names file and line where it cannot be understood.
    """
    text = Path(path).read_bytes()
    try:
        head = text.decode("utf-8-sig").lstrip()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: a mouth path is a text file, CSV or JSON lines") from None
    if head.startswith("{"):
        phones, alphabet = labelled(*_marks(head, path), str(path))
        return _spoken(phones, style, smooth, lead), f"speech marks ({alphabet})"
    rows, names = _table(head, path)
    if set(COLUMNS) <= set(names):
        made = MouthPath.read(path)
        moved = made.at(np.arange(round(made.duration * FRAME_RATE)) / FRAME_RATE)
        return MouthPath(moved.times, styled(moved.values, style), moved.silent, moved.closed), "a mouth path"
    if "jawopen" in names:
        return _blendshapes(rows, style, path), "blendshapes of ARKit"
    label = next((name for name in ("viseme", "phone", "phoneme", "label", "value") if name in names), None)
    start = next((name for name in ("start", "time", "begin", "offset") if name in names), None)
    if label is None or start is None:
        raise ValueError(
            f"{path}:1: neither a mouth path nor blendshapes (no column 'jawOpen') nor visemes (columns 'start' and "
            f"'viseme'): it has {', '.join(names)}"
        )
    phones, alphabet = labelled(*_events(rows, start, label, path), str(path))
    return _spoken(phones, style, smooth, lead), f"visemes or phones ({alphabet})"


def labelled(events: Events, labels: list[str], where: str) -> tuple[list[Phone], str]:
    """Phones from labels and their (start, end) in seconds, end NaN where it is not known; and their alphabet."""
    if not events:
        raise ValueError(f"{where}: holds no visemes")
    try:
        names, alphabet = phones_of(labels)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    phones = []
    nexts = [start for start, _ in events[1:]] + [math.inf]
    for (start, end), following, name in zip(events, nexts, names, strict=True):
        longest = start + (LONGEST if name not in PAUSES or math.isinf(following) else math.inf)
        stop = min(following, longest) if math.isnan(end) else min(end, following)
        first, last = round(start * FRAME_RATE), round(stop * FRAME_RATE)
        if last > first:
            phones.append(Phone(name, first, last))
    return phones, alphabet


def _spoken(phones: list[Phone], style: float, smooth: float, lead: float) -> MouthPath:
    count = phones[-1].end if phones else 0
    voiced = np.zeros(count, bool)
    for phone in phones:
        voiced[phone.start : phone.end] = phone.label not in PAUSES
    pauses = [(first, last + 1) for first, last in runs(~voiced) if (last + 1 - first) / FRAME_RATE > PAUSE]
    shapes = general().units(blend(phones, count, lead, general()))
    return performed(phones, pauses, shapes, style, smooth, lead)


def _blendshapes(rows: list[Row], style: float, path: str | Path) -> MouthPath:
    clock = _timecode if "timecode" in rows[0][1] else _seconds
    times = np.array([clock(row, f"{path}:{line}") for line, row in rows])
    times -= times[0] if clock is _timecode else 0
    late = np.flatnonzero(np.diff(times) <= 0)
    if len(late):
        raise ValueError(f"{path}:{rows[late[0] + 1][0]}: the time does not come after the one before it")

    def shape(*names: str) -> npt.NDArray[np.float64]:
        known = [name for name in names if name in rows[0][1]]
        values = [[_number(row, name, f"{path}:{line}") for name in known] or [0.0] for line, row in rows]
        return np.asarray(np.mean(values, axis=1), np.float64)

    jaw = shape("jawopen")
    lips = shape("mouthlowerdownleft", "mouthlowerdownright") + shape("mouthupperupleft", "mouthupperupright")
    opening = np.maximum(jaw - shape("mouthclose") + 0.3 * lips, 0)
    spread = shape("mouthsmileleft", "mouthsmileright") + shape("mouthstretchleft", "mouthstretchright")
    round_ = np.maximum(shape("mouthpucker"), shape("mouthfunnel"))
    full_open, full_jaw = (max(float(np.quantile(track, 0.98)), _FULL_OPEN) for track in (opening, jaw))
    full_round = max(float(np.quantile(round_, 0.98)), _FULL_ROUND)
    width = REST[1] + 0.7 * np.clip(spread, 0, 1) - 0.3 * round_ / full_round
    protrusion = REST[2] + (1 - REST[2]) * round_ / full_round
    columns = [opening / full_open, width, protrusion, jaw / full_jaw]
    values = styled(np.stack(columns, axis=1).clip(0, MOST).astype(np.float32), style)
    shut = values[:, 0] < _REST
    silent = np.zeros(len(times), bool)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / FRAME_RATE
    for first, last in runs(shut):
        silent[first : last + 1] = times[last] + step - times[first] > PAUSE
    made = MouthPath(times, values, silent, shut & ~silent)
    return made.at(np.arange(round(made.duration * FRAME_RATE)) / FRAME_RATE)


def _table(text: str, path: str | Path) -> tuple[list[Row], list[str]]:
    """Rows by lower-case column name, with their line numbers."""
    lines = csv.reader(text.splitlines())
    names = [name.strip().lower() for name in next(lines, [])]
    rows = []
    for row in lines:
        if row:
            if len(row) != len(names):
                place = f"{path}:{lines.line_num}"
                raise ValueError(f"{place}: has {len(row)} columns, not the {len(names)} of the first line")
            rows.append((lines.line_num, dict(zip(names, row, strict=True))))
    if not rows:
        raise ValueError(f"{path}: holds no rows")
    return rows, names


def _events(rows: list[Row], start: str, label: str, path: str | Path) -> tuple[Events, list[str]]:
    events: Events = []
    for line, row in rows:
        begin = _number(row, start, f"{path}:{line}")
        end = _number(row, "end", f"{path}:{line}") if row.get("end") else math.nan
        if row.get("duration"):
            end = begin + _number(row, "duration", f"{path}:{line}")
        if (events and begin < events[-1][0]) or end <= begin:
            raise ValueError(f"{path}:{line}: times must rise, and an end must come after its start")
        events.append((begin, end))
    return events, [row[label] for _, row in rows]


def _marks(text: str, path: str | Path) -> tuple[Events, list[str]]:
    events: Events = []
    labels: list[str] = []
    for line, words in enumerate(text.splitlines(), 1):
        if not words.strip():
            continue
        try:
            mark = json.loads(words)
            time, kind, value = float(mark["time"]) / 1000, mark.get("type"), mark.get("value")
        except (ValueError, KeyError, TypeError, AttributeError):
            like = '{"time": 125, "type": "viseme", "value": "p"}'
            raise ValueError(f"{path}:{line}: is no speech mark such as {like}") from None
        if kind == "viseme":
            if events and time < events[-1][0]:
                raise ValueError(f"{path}:{line}: times must rise")
            events.append((time, math.nan))
            labels.append(str(value))
    return events, labels


def _number(row: dict[str, str], name: str, place: str) -> float:
    try:
        number = float(row[name])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{place}: '{row[name]}' in column '{name}' is not a number")
    return number


def _seconds(row: dict[str, str], place: str) -> float:
    if "time" not in row:
        raise ValueError(f"{place}: blendshapes need a column 'time' (seconds) or 'Timecode'")
    return _number(row, "time", place)


def _timecode(row: dict[str, str], place: str) -> float:
    """`hours:minutes:seconds:frames`, 60 frames a second, as Live Link Face writes it, in seconds."""
    parts = row["timecode"].split(":")
    try:
        hours, minutes, seconds, frames = (float(part) for part in parts)
    except ValueError:
        raise ValueError(f"{place}: '{row['timecode']}' is no timecode such as 14:02:11:27.031") from None
    return hours * 3600 + minutes * 60 + seconds + frames / 60
