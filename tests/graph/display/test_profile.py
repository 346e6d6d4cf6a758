"""The profile of a real run: what it says is so, and a browser draws it without fetching anything."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from recorded_run import FORKED, record

from graph.display.profile import profile, render, write_profile
from graph.display.timeline import Recorder
from graph.report import Report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recorder, Report]:
    """Two workers of 'copy', one of which dies once."""
    folder = tmp_path_factory.mktemp("run")
    dies = FORKED.replace("delay: DELAY}", f"delay: DELAY, kill_at: 40, once: {folder / 'once'}}}")
    return record(folder, dies, workers=2)


def test_it_says_what_held_the_run_up(run: tuple[Recorder, Report]) -> None:
    data = profile(*run)
    assert data["sentence"].startswith("'copy' held the others up: its 2 workers were at work for ")
    assert "with 4 workers" in data["sentence"]
    best = data["changes"][0]
    assert "'copy'" in best["text"] and best["throughput"] > 1.3 * data["throughput"]
    assert [one["name"] for one in data["nodes"] if one["bottleneck"]] == ["copy"]
    assert [one["name"] for one in data["links"] if one["critical"]] == ["source -> copy", "copy -> sink"]


def test_it_shows_what_each_worker_did(run: tuple[Recorder, Report]) -> None:
    data = profile(*run)
    rows = {one["name"]: one for one in data["workers"]}
    assert set(rows) == {"source.0", "copy.0", "copy.1", "more.0", "sink.0"}

    def share(name: str, kind: int) -> float:
        return float(sum(one[kind] for one in rows[name]["bins"]) / len(rows[name]["bins"]))

    assert max(share("copy.0", 0), share("copy.1", 0)) > 0.85
    assert share("source.0", 2) > 0.6, "the source waits for room behind it"
    assert share("sink.0", 1) > 0.6, "the sink waits for input"
    for row in rows.values():
        assert all(abs(sum(one) - 1) < 0.01 for one in row["bins"])
    assert sum(life["died"] for name in ("copy.0", "copy.1") for life in rows[name]["lives"]) == 1
    busy = {name: share(name, 0) * data["seconds"] for name in rows}
    assert busy["more.0"] == pytest.approx(run[1].stages["more"]["busy_s"], rel=0.05)


def test_queues_and_processes_are_seen_over_time(run: tuple[Recorder, Report]) -> None:
    data = profile(*run)
    full = next(one for one in data["links"] if one["name"] == "more -> sink")
    assert max(full["queued"]) == full["capacity"]
    assert {one["name"] for one in data["processes"]} >= {"runner", "source.0", "more.0"}
    assert all(max(one["memory"]) > 10e6 for one in data["processes"] if one["memory"])
    times = {one["name"]: one for one in data["histograms"]}
    assert 28 < times["copy"]["p50"] < 60
    assert sum(times["a packet, source to sink"]["counts"]) == 100


def test_names_are_not_taken_for_markup(run: tuple[Recorder, Report]) -> None:
    page = render({**profile(*run), "graph": "</script><script>alert(1)</script>"})
    assert "<script>alert" not in page
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert json.loads(data)["graph"].startswith("</script>")


def test_it_fetches_nothing(run: tuple[Recorder, Report]) -> None:
    page = render(profile(*run))
    assert not re.search(r"""(src|href)\s*=|@import|url\(|fetch\(|XMLHttp""", page)
    assert set(re.findall(r"https?://[^\s\"']+", page)) == {"http://www.w3.org/2000/svg"}


def test_a_run_in_which_nothing_flowed_has_a_profile_too(tmp_path: Path) -> None:
    write_profile(Recorder(), Report("empty", "empty.yaml", error="stage 'a': no such file"), tmp_path / "empty.html")
    assert "Too little flowed" in (tmp_path / "empty.html").read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to open the file with")
def test_a_browser_draws_it(run: tuple[Recorder, Report], tmp_path: Path) -> None:
    write_profile(*run, tmp_path / "profile.html")
    page = (tmp_path / "profile.html").as_uri()
    browser = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'browser'}"]
    dom = subprocess.run([*browser, "--dump-dom", page], capture_output=True, text=True, timeout=60, check=True).stdout
    assert 'data-drawn="yes"' in dom, "the script did not run to its end"
    assert dom.count('class="critical"') == 2
    shot = tmp_path / "shot.png"
    subprocess.run(
        [*browser, "--window-size=1240,2400", f"--screenshot={shot}", page], capture_output=True, timeout=60, check=True
    )
    assert len(colours(shot)) > 60


def colours(path: Path) -> set[bytes]:
    """The colours of every fourth pixel of an RGB or RGBA picture as Chromium writes it."""
    import cv2

    picture = cv2.imread(str(path))
    assert picture is not None and picture.shape[0] == 2400
    return {bytes(pixel) for pixel in picture[::4, ::4].reshape(-1, 3)}
