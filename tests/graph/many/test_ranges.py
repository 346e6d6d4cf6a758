"""One run in parts gives what one run gives: every packet once, its windows whole, what runs first run once."""

from __future__ import annotations

import json
from pathlib import Path

import many
import pytest

from graph import Graph
from graph.many.job import Job
from graph.many.local import LocalPlace
from graph.many.merge import merged
from graph.many.needs import Needs
from graph.many.ranges import run_parts
from graph.many.split import bounds_of, parts_for
from graph.report import Report
from graph.spec import GraphMistakes


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path / "home"))


def in_parts(graph: Path, output: Path, parts: int | None, resume: bool = False, **inputs: object) -> Report:
    def place(*_: object) -> LocalPlace:
        return LocalPlace(Needs(1), at_once=2)

    return run_parts(Graph.load(graph), {"output": str(output), **inputs}, place, parts=parts, resume=resume)


@pytest.mark.parametrize("parts", [2, 5])
def test_parts_make_what_one_run_makes(tmp_path: Path, parts: int) -> None:
    report = in_parts(many.write_graph(tmp_path), tmp_path / "out.txt", parts)
    assert report.status == "done", report.error
    assert (tmp_path / "out.txt").read_text().splitlines() == many.expected(60)
    assert (tmp_path / "first").read_text().splitlines() == ["first"]
    assert not (tmp_path / "out.txt.parts").exists()
    assert report.packets == 60 and len(report.parts) == parts
    assert report.outputs[0]["frames"] == 60
    assert report.stages["keep"]["packets_in"] == 60
    # Windows are seen whole: what lies around a part is computed twice, and no more than that.
    assert 60 <= report.stages["slow"]["packets_in"] <= 60 + (parts - 1) * 5
    assert json.loads(json.dumps(report.as_dict(), default=str))["parts"][0]["packets"][0] == 0


def test_a_part_that_fails_is_named_and_the_rest_is_kept_for_resume(tmp_path: Path) -> None:
    graph = many.write_graph(tmp_path)
    output = tmp_path / "out.txt"
    good = graph.read_text()
    graph.write_text(good.replace('"many:Slow"', '"./faulty.py:Faulty"'))
    (tmp_path / "faulty.py").write_text(
        "from pathlib import Path\nimport many\n\n\nclass Faulty(many.Slow):\n"
        "    def process(self, packet):\n"
        "        if packet.index == 25 and not Path(self.log + '.mended').exists():\n"
        "            raise ValueError('no such number')\n"
        "        super().process(packet)\n"
    )
    report = in_parts(graph, output, 3)
    assert report.status == "failed" and report.exit_code == 1
    assert report.error is not None and "lines 2/3" in report.error and "no such number" in report.error
    assert not output.exists()

    (tmp_path / "log.mended").touch()
    again = in_parts(graph, output, None, resume=True)
    assert again.status == "done"
    assert [one["kept"] for one in again.parts] == [True, False, True]
    assert output.read_text().splitlines() == many.expected(60)


def test_one_part_is_a_plain_run_elsewhere(tmp_path: Path) -> None:
    report = in_parts(many.write_graph(tmp_path), tmp_path / "out.txt", 1)
    assert report.status == "done" and report.packets == 60
    assert (tmp_path / "out.txt").read_text().splitlines() == many.expected(60)
    assert report.links


def test_a_graph_whose_sink_cannot_join_is_refused_with_its_place(tmp_path: Path) -> None:
    graph = many.write_graph(tmp_path)
    (tmp_path / "offset.yaml").read_text()
    with pytest.raises(GraphMistakes, match=r"offset\.yaml:7:3: stage 'keep' \(Offset\) cannot join"):
        in_parts(graph.parent / "offset.yaml", tmp_path / "out.txt", 2)


def test_parts_of_files_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    place = tmp_path / "store"
    report = run_parts(
        Graph.load(many.write_graph(tmp_path)),
        {"output": f"local://{place}/out.txt"},
        lambda *_: LocalPlace(Needs(1), at_once=2),
        parts=2,
    )
    assert report.status == "done", report.error
    assert report.outputs[0]["path"] == f"local://{place}/out.txt"
    assert (place / "out.txt").read_text().splitlines() == many.expected(60)
    assert [one.name for one in place.iterdir() if one.is_file()] == ["out.txt"]


def test_parts_begin_at_cuts_where_there_are_some_near() -> None:
    assert bounds_of(100, 4) == (0, 25, 50, 75, 100)
    assert bounds_of(100, 4, cuts=[0, 21, 60, 76]) == (0, 21, 50, 76, 100)
    assert bounds_of(3, 10) == (0, 1, 2, 3)
    assert bounds_of(100, 1) == (0, 100)


def test_as_many_parts_as_are_worth_it() -> None:
    assert parts_for(100_000, 1) == 1
    assert parts_for(100_000, 8) == 16
    assert parts_for(2_000, 8) == 2
    assert parts_for(10, 8) == 1


def test_figures_of_parts_are_summed() -> None:
    one = {
        "workers": 1,
        **dict.fromkeys(("packets_in", "packets_out", "restarts", "pss_peak"), 10),
        **dict.fromkeys(("busy_s", "wait_input_s", "wait_credit_s", "cpu_s"), 1.5),
        "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0},
        "counts": {"missing": 1},
        "errors": [],
    }
    other = {**one, "packets_in": 30, "latency_ms": {"p50": 5.0, "p95": 6.0, "p99": 7.0, "max": 8.0}, "counts": {}}
    found = merged([{"a": one}, {"a": other}])["a"]
    assert (found["packets_in"], found["busy_s"], found["pss_peak"]) == (40, 3.0, 10)
    assert found["latency_ms"] == {"p50": 4.0, "p95": 5.0, "p99": 6.0, "max": 8.0}
    assert found["counts"] == {"missing": 1}


def test_a_job_is_another_with_other_packets(tmp_path: Path) -> None:
    graph = str(many.write_graph(tmp_path))
    keys = {Job("a", graph, {}, {}, packets).key for packets in (None, (0, 3), (3, 6))}
    assert len(keys) == 3
