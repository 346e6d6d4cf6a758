"""The path of a mouth as a file and between its samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.mouth.path import APERTURE, REST, MouthPath, runs

HEAD = "time,aperture,width,protrusion,jaw,silent,closed\n"


def make_path(count: int = 100) -> MouthPath:
    times = np.arange(count) / 100
    values = np.tile(np.array([0.6, 0.5, 0.4, 0.6], np.float32), (count, 1))
    values[:, APERTURE] = np.linspace(0, 1, count)
    closed = np.zeros(count, bool)
    closed[51:54] = True
    values[closed, APERTURE] = 0
    silent = np.zeros(count, bool)
    silent[:20] = True
    return MouthPath(times, values, silent, closed)


def test_a_path_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = make_path()
    path.write(tmp_path / "mouth.csv")
    again = MouthPath.read(tmp_path / "mouth.csv")
    assert np.allclose(again.times, path.times)
    assert np.allclose(again.values, path.values, atol=1e-4)
    assert (again.silent == path.silent).all() and (again.closed == path.closed).all()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mouth.csv"]


def test_a_failed_write_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "mouth.csv"
    make_path(10).write(place)
    before = place.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(MouthPath, "_write_rows", full)
    with pytest.raises(OSError, match="no space left"):
        make_path(20).write(place)
    assert place.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["mouth.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"mouth.csv:1: a mouth path begins with the line time,aperture"),
        ("a,b\n1,2\n", r"mouth.csv:1: a mouth path begins"),
        (HEAD, r"holds no rows"),
        (HEAD + "0,0,0,0,0,0\n", r"mouth.csv:2: has 6 columns"),
        (HEAD + "0,0,0,0,0,0,0\n0.1,0,x,0,0,0,0\n", r":3: 'x' in column 'width'"),
        (HEAD + "0,nan,0,0,0,0,0\n", r":2: 'nan' in column 'aperture'"),
        (HEAD + "0,0,0,0,0,2,0\n", r":2: '2' in column 'silent' is neither"),
        (HEAD + "1,0,0,0,0,0,0\n0.5,0,0,0,0,0,0\n", r":3: the time 0.5 does not"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mouth.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        MouthPath.read(tmp_path / "mouth.csv")


def test_a_binary_file_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "mouth.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match="is no CSV text"):
        MouthPath.read(tmp_path / "mouth.csv")


def test_values_are_interpolated_and_flags_taken_from_the_nearest() -> None:
    at = make_path().at([0.105, 0.304])
    assert at.values[:, APERTURE] == pytest.approx([10.5 / 99, 30.4 / 99], abs=1e-5)
    assert at.silent.tolist() == [True, False]


@pytest.mark.parametrize("rate", [10, 12, 23.976, 25, 30, 60])
@pytest.mark.parametrize("start", [0.0, 0.013])
def test_no_closure_is_lost_at_any_frame_rate(rate: float, start: float) -> None:
    at = make_path().at(start + np.arange(int(0.9 * rate)) / rate)
    assert at.closed.any()
    shut = at.values[at.closed, APERTURE]
    assert shut.max() < 0.35 and shut.min() == pytest.approx(0, abs=0.02)
    assert np.abs(at.times[at.closed] - 0.52).max() <= 0.5 / rate + 0.02


def test_past_its_ends_the_mouth_rests() -> None:
    at = make_path().at([-1, 0.95, 1.05, 2.0])
    assert at.silent.tolist() == [True, False, True, True]
    assert np.allclose(at.values[[0, 3]], REST)
    assert 0 < at.values[2, APERTURE] < 0.99
    assert make_path(0).at([0.0, 1.0]).silent.all()


def test_runs() -> None:
    assert runs(np.array([True, True, False, True])) == [(0, 1), (3, 3)]
    assert runs(np.zeros(3, bool)) == []


def test_arrays_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="must rise"):
        MouthPath(np.array([0.0, 0.0]), np.zeros((2, 4), np.float32), np.zeros(2, bool), np.zeros(2, bool))
    with pytest.raises(ValueError, match=r"takes values \[2, 4\]"):
        MouthPath(np.array([0.0, 1.0]), np.zeros((2, 3), np.float32), np.zeros(2, bool), np.zeros(2, bool))
    with pytest.raises(ValueError, match="finite"):
        MouthPath(np.array([0.0, 1.0]), np.full((2, 4), np.nan, np.float32), np.zeros(2, bool), np.zeros(2, bool))
