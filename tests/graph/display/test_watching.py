"""The commands and options that look on: profile, tune, --trace, --metrics."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_run import FORKED, write


def graphrun(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from graph.cli import main; raise SystemExit(main())", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_profile_and_trace_of_one_run(tmp_path: Path) -> None:
    page, trace = tmp_path / "p.html", tmp_path / "t.json"
    ended = graphrun("profile", write(tmp_path, delay=0.005), "-o", page, "--trace", trace, "--metrics", ":0")
    assert ended.returncode == 0, ended.stderr
    assert str(page) in ended.stdout and str(trace) in ended.stdout
    assert "held the others up" in page.read_text()
    assert len(json.loads(trace.read_text())["traceEvents"]) > 400


def test_a_run_that_fails_has_a_profile_and_its_exit_code(tmp_path: Path) -> None:
    path = write(tmp_path, FORKED.replace("delay: DELAY", "fail_at: 30"))
    ended = graphrun("profile", path, "-o", tmp_path / "p.html")
    assert ended.returncode == 1
    assert "the number is odd" in (tmp_path / "p.html").read_text()


def test_what_cannot_be_served_is_said_before_anything_runs(tmp_path: Path) -> None:
    path = write(tmp_path)
    for arguments, said in (
        ([path, "--metrics", "x"], "such as :9090"),
        ([path, "--trace", tmp_path / "none" / "t.json"], "cannot be written to"),
        (["profile", path, "-o", tmp_path / "none" / "p.html"], "cannot be written to"),
    ):
        ended = graphrun(*arguments)
        assert ended.returncode == 2 and said in ended.stderr
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.slow
def test_tune_says_what_it_expects_and_what_it_measured(tmp_path: Path) -> None:
    path = write(tmp_path, FORKED.replace("packets: 100", "packets: 200"))
    ended = graphrun("tune", path, "--seconds", "0.6", "-o", tmp_path / "tuned.yaml")
    assert ended.returncode == 0, ended.stderr
    assert "expected" in ended.stdout and "measured" in ended.stdout
    assert graphrun("check", tmp_path / "tuned.yaml").returncode == 0
