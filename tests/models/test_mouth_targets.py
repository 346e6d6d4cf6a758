"""Mouth paths made elsewhere: each kind of file is read, and what is wrong in one is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.mouth.path import APERTURE, JAW, PROTRUSION, WIDTH, MouthPath
from models.mouth.targets import read_target
from models.mouth.visemes import ALPHABETS, phones_of


def at(path: MouthPath, seconds: float) -> np.ndarray:
    return path.at([seconds]).values[0]


def test_a_path_of_our_own_is_taken_as_it_is_and_resampled(tmp_path: Path) -> None:
    times = np.arange(25) / 25
    values = np.stack([np.linspace(0, 1, 25)] * 4, axis=1).astype(np.float32)
    MouthPath(times, values, np.zeros(25, bool), times < 0.1).write(tmp_path / "mine.csv")
    path, kind = read_target(tmp_path / "mine.csv")
    assert kind == "a mouth path" and len(path) == 100 and path.closed[:9].all()
    assert at(path, 0.5) == pytest.approx(0.5 * 25 / 24, abs=0.01)
    assert read_target(tmp_path / "mine.csv", style=0.5)[0].values.max() < 0.7


@pytest.mark.parametrize("clock", ["seconds", "timecode"])
def test_blendshapes_of_arkit(tmp_path: Path, clock: str) -> None:
    rows = ["Timecode,BlendShapeCount,JawOpen,MouthClose,MouthPucker,MouthSmileLeft,MouthSmileRight"]
    if clock == "seconds":
        rows = ["time,jawOpen,mouthClose,mouthPucker,mouthSmileLeft,mouthSmileRight"]
    for frame in range(240):
        time = frame / 60
        jaw, close, pucker, smile = ((0, 0, 0, 0), (0.5, 0, 0, 0), (0.1, 0, 0.6, 0), (0.3, 0.3, 0, 0.6))[frame // 60]
        begin = f"{time:.4f}" if clock == "seconds" else f"10:00:{frame // 60:02d}:{frame % 60:02d}.000,61"
        rows.append(f"{begin},{jaw},{close},{pucker},{smile},{smile}")
    (tmp_path / "face.csv").write_text("\n".join(rows) + "\n")
    path, kind = read_target(tmp_path / "face.csv")
    assert kind == "blendshapes of ARKit" and len(path) == pytest.approx(400, abs=2)
    rest, wide, round_, shut = (at(path, second + 0.5) for second in range(4))
    assert rest[APERTURE] == 0 and path.silent[20:80].all()
    assert wide[APERTURE] > 0.9 and wide[JAW] > 0.9
    assert round_[PROTRUSION] > 0.9 and round_[WIDTH] < 0.1
    assert shut[APERTURE] == 0 and shut[JAW] > 0.4 and shut[WIDTH] > 0.6


def test_visemes_as_csv_close_open_and_round(tmp_path: Path) -> None:
    rows = ["start,end,viseme", "0,0.5,sil", "0.5,0.7,aa", "0.7,0.8,PP", "0.8,1.1,ou", "1.1,2.0,sil"]
    (tmp_path / "visemes.csv").write_text("\n".join(rows))
    path, kind = read_target(tmp_path / "visemes.csv")
    assert kind == "visemes or phones (Oculus)" and len(path) == 200
    assert path.closed[path.times.searchsorted(0.71)] and path.values[path.closed, APERTURE].max() == 0
    assert at(path, 0.5)[APERTURE] > 0.6 and at(path, 0.85)[PROTRUSION] > 0.7
    assert path.silent[10:25].all() and path.silent[140:].all()


def test_visemes_without_ends_last_until_the_next(tmp_path: Path) -> None:
    (tmp_path / "visemes.csv").write_text("time,viseme\n0.0,0\n0.4,2\n0.6,21\n0.7,6\n0.9,0\n")
    path, kind = read_target(tmp_path / "visemes.csv")
    assert "Azure" in kind and path.closed.any() and 0.55 < path.times[path.closed].mean() < 0.7


def test_phones_of_an_aligner_with_stress_digits(tmp_path: Path) -> None:
    (tmp_path / "phones.csv").write_text("Begin,End,Label\n0,0.2,HH\n0.2,0.4,AH0\n0.4,0.5,L\n0.5,0.8,OW1\n")
    path, kind = read_target(tmp_path / "phones.csv")
    assert "ARPAbet" in kind and at(path, 0.6)[PROTRUSION] > at(path, 0.2)[PROTRUSION] + 0.2


def test_speech_marks_of_a_tts(tmp_path: Path) -> None:
    marks = [
        {"time": 0, "type": "sentence", "start": 0, "end": 5, "value": "papa"},
        *({"time": time, "type": "viseme", "value": value} for time, value in [(100, "p"), (180, "a"), (300, "p")]),
        {"time": 380, "type": "viseme", "value": "a"},
        {"time": 520, "type": "viseme", "value": "sil"},
    ]
    (tmp_path / "marks.json").write_text("\n".join(json.dumps(mark) for mark in marks))
    path, kind = read_target(tmp_path / "marks.json")
    assert kind == "speech marks (Polly)"
    assert np.count_nonzero(np.diff(path.closed.astype(int)) == 1) == 2
    assert path.values[:, APERTURE].max() > 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", r"target:1: neither a mouth path nor blendshapes .* it has a, b"),
        ("", r"target: holds no rows"),
        ("time,viseme\n0,aa\n0.1,xyz\n", r"'xyz' is no viseme or phone of ARPAbet, Oculus"),
        ("time,viseme\n0.5,aa\n0.1,PP\n", r"target:3: times must rise"),
        ("start,end,viseme\n0.5,0.4,aa\n", r"target:2: times must rise, and an end"),
        ("time,viseme\n0.5,aa\nnext,PP\n", r"target:3: 'next' in column 'time' is not a number"),
        ("time,jawOpen\n0,0.1\n0.1,wide\n", r"target:3: 'wide' in column 'jawopen' is not a number"),
        ("frame,jawOpen\n0,0.1\n", r"target:2: blendshapes need a column 'time'"),
        ("Timecode,JawOpen\nnow,0.1\n", r"target:2: 'now' is no timecode"),
        ("time,jawOpen\n0,0.1\n0,0.1\n", r"target:3: the time does not come after"),
        ("time,jawOpen\n0,0.1\n1\n", r"target:3: has 1 columns, not the 2"),
        ('{"time": 1, "type": "viseme", "value": "p"}\n{"tim', r"target:2: is no speech mark"),
        ('{"time": 1, "type": "word", "value": "p"}', r"target: holds no visemes"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "target").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_target(tmp_path / "target")


def test_a_binary_file_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(bytes(range(200, 256)))
    with pytest.raises(ValueError, match="is a text file"):
        read_target(tmp_path / "target")


def test_alphabets_are_told_apart() -> None:
    assert phones_of(["X", "A", "B", "G"]) == (["SIL", "P", "S", "F"], "Rhubarb")
    assert phones_of(["sil", "PP", "E"])[1] == "Oculus"
    assert phones_of(["0", "21", "7"]) == (["SIL", "P", "UW"], "Azure")
    assert phones_of(["p", "@", "sil"])[1] == "Polly"
    assert all("P" in alphabet.values() for alphabet in ALPHABETS.values())
