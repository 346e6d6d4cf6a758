"""Folders for the time of a task: private, gone afterwards, and swept where their owner was killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from graph.scratch import scratch, sweep

HOLD = "from graph.scratch import scratch\nwith scratch() as folder:\n    print(folder, flush=True); input()"


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temp folder of this test's own, also for its children."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_it_is_private_and_gone_afterwards(temp: Path) -> None:
    with scratch() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "part").mkdir()
        (folder / "part" / "file").write_text("x")
    assert list(temp.iterdir()) == []


def test_that_of_a_killed_process_goes_with_the_next_and_that_of_a_living_one_stays(temp: Path) -> None:
    owners = [
        subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    dead, alive = (Path(one.stdout.readline().strip()) for one in owners if one.stdout)
    owners[0].kill()
    owners[0].wait()
    assert {dead, alive} == set(temp.iterdir())
    with scratch() as own:
        assert {alive, own} == set(temp.iterdir())
    owners[1].communicate("go\n")
    assert list(temp.iterdir()) == []


def test_what_looks_like_one_and_is_none_is_left_alone(temp: Path) -> None:
    elsewhere = temp / "elsewhere"
    elsewhere.mkdir()
    (temp / "graphrun.link").symlink_to(elsewhere)
    (temp / "graphrun.txt").write_text("x")
    sweep()
    assert {one.name for one in temp.iterdir()} == {"elsewhere", "graphrun.link", "graphrun.txt"}
