"""tune finds what makes a graph fast, says it in the graph's own file, and touches nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_run import FORKED, PARTS, write

from graph.runner import Graph
from graph.spec import load_spec
from graph.tune import SampleFailed, Trial, Tuned, changed, tune, tuned_text, write_tuned

#: A batch takes the same time, whatever its size.
BATCHING = """\
from parts import Copy
import time
class Once(Copy):
    def process_batch(self, packets):
        time.sleep(0.03)
        for packet in packets:
            self.process(packet)
"""


@pytest.mark.timed
def test_a_stage_that_waits_gets_workers(tmp_path: Path) -> None:
    path = write(tmp_path, FORKED.replace("packets: 100", "packets: 300"))
    (tmp_path / "out.txt").write_text("of an earlier run")
    said: list[str] = []
    tuned = tune(load_spec(path), {}, seconds=1.2, tell=said.append)
    assert tuned.chosen.choices["copy"]["workers"] >= 3
    assert tuned.chosen.best > 2 * tuned.before.best
    assert tuned.chosen.best / tuned.chosen.expected == pytest.approx(1, abs=0.4)
    assert (tmp_path / "out.txt").read_text() == "of an earlier run"
    assert said[0].endswith("as it is written")
    write_tuned(tuned, tmp_path / "tuned.yaml")
    text = (tmp_path / "tuned.yaml").read_text()
    assert "# the slow one" in text
    report = Graph.load(tmp_path / "tuned.yaml").run()
    assert (report.status, report.packets) == ("done", 300)
    assert report.throughput > 1.7 * tuned.before.best


@pytest.mark.timed
def test_a_stage_that_gains_by_batches_gets_them(tmp_path: Path) -> None:
    (tmp_path / "batching.py").write_text(
        BATCHING.replace("from parts", f"import sys; sys.path.insert(0, '{PARTS.parent}')\nfrom parts")
    )
    path = tmp_path / "graph.yaml"
    path.write_text(
        f"""\
stages:
  source: {{use: "{PARTS}:Count", with: {{packets: 2000}}}}
  copy: {{use: "./batching.py:Once", from: source, batch: {{size: 2, max_wait: 0.5}}}}   # batches cost nothing
  sink: {{use: "{PARTS}:Write", from: copy, with: {{path: {tmp_path / "out.txt"}, fields: [copied]}}}}
"""
    )
    tuned = tune(load_spec(path), {}, seconds=0.8)
    assert tuned.chosen.choices["copy"]["batch"] >= 8
    assert tuned.chosen.best > 2 * tuned.before.best
    text = tuned_text(tuned)
    assert f"batch: {{size: {tuned.chosen.choices['copy']['batch']}, max_wait: 0.5}}" in text
    with pytest.raises(ValueError, match="has to be in the folder"):
        write_tuned(tuned, tmp_path / "elsewhere" / "tuned.yaml")


def test_a_plan_that_is_not_faster_is_left_as_it_is(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path))
    same = Trial({}, 30.0, [30.0])
    text = tuned_text(Tuned(spec, same, same, [same]))
    assert text.startswith("# Tuned for ")
    assert "# as it is written\n" in text
    assert text.partition("graph: forked")[2].replace(" ", "") == spec.file.read_text().partition("graph: forked")[
        2
    ].replace(" ", "")


def test_choices_are_those_of_the_graph_file(tmp_path: Path) -> None:
    spec = changed(load_spec(write(tmp_path)), {"more": {"workers": 2, "process": "near"}, "copy": {"threads": 3}})
    assert (spec.stages["more"].workers, spec.stages["more"].process) == (2, "near")
    assert spec.stages["copy"].params["threads"].value == 3


def test_a_graph_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(SampleFailed, match="the number is odd"):
        tune(load_spec(write(tmp_path, FORKED.replace("delay: DELAY", "fail_at: 3"))), {}, seconds=0.5)
