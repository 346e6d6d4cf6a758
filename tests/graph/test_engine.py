"""Whole graphs in real processes: what goes in comes out, in order, once, within bounds, whatever happens."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from left_behind import surroundings, take_own_temp_folder

from graph.control import Control
from graph.report import Report
from graph.runner import Graph, Progress

PARTS = Path(__file__).with_name("parts.py")


class Bench:
    """Writes graph files whose stages come from parts.py, runs them, reads what the sink wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out.txt"

    def write(self, stages: str, head: str = "") -> Path:
        path = self.folder / "graph.yaml"
        text = stages.replace("parts:", f"{PARTS}:").replace("OUT", str(self.out))
        path.write_text(f"graph: test\n{head}\nstages:\n" + text)
        return path

    def run(self, stages: str, head: str = "", **options: Any) -> Report:
        return Graph.load(self.write(stages, head)).run(**options)

    @property
    def lines(self) -> list[tuple[int, list[Any]]]:
        rows = [line.split(" ", 2) for line in self.out.read_text().splitlines()]
        return [(int(index), ast.literal_eval(values)) for index, _, values in rows]

    @property
    def indices(self) -> list[int]:
        return [index for index, _ in self.lines]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


SOURCE = '  source: {use: "parts:Count", with: {packets: 40}}\n'
SINK = '  sink: {use: "parts:Write", from: copy, with: {path: OUT, fields: [copied]}}\n'


def test_every_packet_arrives_in_order(bench: Bench) -> None:
    report = bench.run(SOURCE + '  copy: {use: "parts:Copy", from: source}\n' + SINK)
    assert report.status == "done", report.error
    assert bench.lines == [(index, [index]) for index in range(40)]
    assert report.packets == 40
    assert report.outputs[0]["frames"] == 40
    assert report.stages["copy"]["counts"] == {"copied": 40}


def test_times_are_exact_fractions(bench: Bench) -> None:
    bench.run(SOURCE + '  sink: {use: "parts:Write", from: source, with: {path: OUT, fields: []}}\n')
    assert bench.out.read_text().splitlines()[39].split(" ")[1] == "13013/10000"


def test_replicas_work_at_once_and_order_is_restored(bench: Bench) -> None:
    stages = (
        SOURCE + '  copy: {use: "parts:Copy", from: source, workers: 3, with: {delay: 0.01, uneven: true}}\n' + SINK
    )
    assert bench.run(stages).status == "done"
    assert bench.lines == [(index, [index]) for index in range(40)]


def test_branches_part_and_meet(bench: Bench) -> None:
    stages = (
        SOURCE
        + '  copy: {use: "parts:Copy", from: source, with: {delay: 0.002}}\n'
        + '  around: {use: "parts:Around", from: source}\n'
        + '  again: {use: "parts:Copy", from: source, fields: {copied: second}, workers: 2}\n'
        + '  sink: {use: "parts:Write", from: [copy, around, again], '
        + "with: {path: OUT, fields: [copied, mean, second]}}\n"
    )
    assert bench.run(stages).status == "done"
    near = [[other for other in range(index - 1, index + 3) if 0 <= other < 40] for index in range(40)]
    assert bench.lines == [(index, [index, near[index], index]) for index in range(40)]


def test_batches_are_full_but_for_the_last(bench: Bench) -> None:
    stages = (
        SOURCE.replace("40", "42")
        + '  copy: {use: "parts:Batched", from: source, batch: 8}\n'
        + '  sink: {use: "parts:Write", from: copy, with: {path: OUT, fields: [copied, batch]}}\n'
    )
    assert bench.run(stages).status == "done"
    assert bench.lines == [(index, [index, 8 if index < 40 else 2]) for index in range(42)]


DEVICE = '  copy: {use: "parts:Device", from: source, batch: 2, with: {OPTIONS}}\n'
WITH_OTHERS = '  sink: {use: "parts:Write", from: copy, with: {path: OUT, fields: [copied, others]}}\n'


@pytest.mark.parametrize("after", [False, True])
def test_a_device_is_given_the_next_task_before_the_last_is_taken(bench: Bench, after: bool) -> None:
    options = f"device: 0.01, after: {after}, skip_every: 7"
    report = bench.run(SOURCE + DEVICE.replace("OPTIONS", options) + WITH_OTHERS)
    assert report.status == "done", report.error
    left = [index for index in range(40) if index % 7]
    assert [(index, copied) for index, (copied, _) in bench.lines] == [(index, index) for index in left]
    assert max(others for _, (_, others) in bench.lines) == 1


@pytest.mark.parametrize("after", [False, True])
def test_what_fails_or_dies_at_a_device_is_told_or_done_again(bench: Bench, after: bool) -> None:
    failing = DEVICE.replace("OPTIONS", f"after: {after}, fail_at: 21").replace("batch: 2", "batch: 1, on_error: skip")
    report = bench.run(SOURCE + failing + WITH_OTHERS)
    assert report.status == "done", report.error
    assert bench.indices == [index for index in range(40) if index != 21]
    assert [one["index"] for one in report.stages["copy"]["errors"]] == [21]
    dying = DEVICE.replace("OPTIONS", f"after: {after}, kill_at: 11, once: {bench.folder / 'once'}")
    report = bench.run(SOURCE + dying + WITH_OTHERS)
    assert report.status == "done", report.error
    assert bench.indices == list(range(40))
    assert report.stages["copy"]["restarts"] == 1


def test_a_batch_that_is_not_full_goes_on_after_max_wait(bench: Bench) -> None:
    stages = (
        '  source: {use: "parts:Count", with: {packets: 6, pace: 0.2}}\n'
        + '  copy: {use: "parts:Batched", from: source, batch: {size: 6, max_wait: 0.05}}\n'
        + '  sink: {use: "parts:Write", from: copy, with: {path: OUT, fields: [batch]}}\n'
    )
    assert bench.run(stages).status == "done"
    assert {values[0] for _, values in bench.lines} <= {1, 2}
    assert bench.indices == list(range(6))


def test_stages_that_share_a_process_pass_by_reference(bench: Bench) -> None:
    stages = (
        '  source: {use: "parts:Count", process: one, with: {packets: 40}}\n'
        + '  copy: {use: "parts:Copy", from: source, process: one}\n'
        + '  sink: {use: "parts:Write", from: copy, process: one, with: {path: OUT, fields: [copied, number]}}\n'
    )
    report = bench.run(stages)
    assert report.status == "done", report.error
    assert bench.lines == [(index, [index, index]) for index in range(40)]
    assert report.memory["bound"] == 0, "no frame leaves the process"
    assert len({tuple(stage["process"]) for stage in report.stages.values()}) == 1


def test_arrays_may_have_fewer_rows_from_packet_to_packet(bench: Bench) -> None:
    stages = (
        SOURCE
        + '  rows: {use: "parts:Rows", from: source}\n'
        + '  sink: {use: "parts:Write", from: rows, with: {path: OUT, fields: [rows]}}\n'
    )
    assert bench.run(stages).status == "done"
    assert bench.lines == [(index, [[[index, index]] * (index % 5)]) for index in range(40)]


def test_a_skipped_packet_goes_no_further(bench: Bench) -> None:
    stages = SOURCE + '  copy: {use: "parts:Copy", from: source, with: {skip_every: 4}}\n' + SINK
    assert bench.run(stages).status == "done"
    assert bench.indices == [index for index in range(40) if index % 4]


def test_an_exception_names_stage_packet_and_time(bench: Bench) -> None:
    report = bench.run(SOURCE + '  copy: {use: "parts:Copy", from: source, with: {fail_at: 15}}\n' + SINK)
    assert (report.status, report.exit_code) == ("failed", 1)
    assert report.error == "stage 'copy', packet 15 at 0.500 s: the number is odd"
    assert "in process" in report.traceback


@pytest.mark.parametrize(("policy", "expected"), [("skip", 39), ("pass", 40)])
def test_on_error_says_what_becomes_of_a_packet(bench: Bench, policy: str, expected: int) -> None:
    stages = SOURCE + f'  copy: {{use: "parts:Copy", from: source, on_error: {policy}, with: {{fail_at: 15}}}}\n' + SINK
    report = bench.run(stages)
    assert report.status == "done", report.error
    assert len(bench.indices) == expected
    error = {"index": 15, "time": 0.5005, "message": "the number is odd"}
    assert report.stages["copy"]["errors"] == [error]


def test_a_stage_that_cannot_open_stops_the_run_before_anything_flows(bench: Bench) -> None:
    report = bench.run(SOURCE + '  copy: {use: "parts:Closed", from: source}\n' + SINK)
    assert report.error == "stage 'copy': no such model: face.onnx (graphrun models add face.onnx)"
    assert report.packets == 0
    assert not bench.out.exists() or bench.indices == []


def test_a_killed_worker_loses_nothing(bench: Bench) -> None:
    once = bench.folder / "once"
    stages = SOURCE + f'  copy: {{use: "parts:Copy", from: source, with: {{kill_at: 13, once: {once}}}}}\n' + SINK
    report = bench.run(stages)
    assert report.status == "done", report.error
    assert bench.lines == [(index, [index]) for index in range(40)]
    assert report.stages["copy"]["restarts"] == 1


def test_a_killed_source_goes_on_where_it_was(bench: Bench) -> None:
    def kill(progress: Progress) -> None:
        if progress.packets >= 5 and not killed:
            killed.append(_child("source").pid)
            os.kill(killed[0], signal.SIGKILL)

    killed: list[int] = []
    stages = '  source: {use: "parts:Count", with: {packets: 60, pace: 0.02}}\n'
    report = bench.run(stages + '  copy: {use: "parts:Copy", from: source}\n' + SINK, on_progress=kill)
    assert report.status == "done", report.error
    assert killed
    assert bench.indices == list(range(60))


def test_a_packet_that_kills_every_worker_is_skipped_if_so_asked(bench: Bench) -> None:
    stages = SOURCE + '  copy: {use: "parts:Copy", from: source, on_error: skip, with: {kill_at: 13}}\n' + SINK
    report = bench.run(stages)
    assert report.status == "done", report.error
    assert bench.indices == [index for index in range(40) if index != 13]
    assert report.stages["copy"]["errors"][0]["index"] == 13


def test_a_killed_stage_with_state_fails_clearly_and_keeps_what_was_written(bench: Bench) -> None:
    stages = SOURCE + '  copy: {use: "parts:Copy", from: source}\n' + SINK.replace("fields", "kill_at: 9, fields")
    report = bench.run(stages)
    assert report.status == "failed"
    assert report.error is not None
    # What it had done but not yet told of is in its hands as well, so that an earlier packet may be named.
    assert re.match(r"stage 'sink', packet [6-9] at 0\.\d+ s: its process was ended by SIGKILL", report.error)
    assert bench.indices == list(range(9))


APPEND = """\
  stay: {{use: "parts:Stay", from: source}}
  around: {{use: "parts:Around", from: stay}}
  sink: {{use: "parts:Append", from: around, with: {{path: OUT, fields: [number, total, mean], {more}}}}}
"""


def test_a_sink_that_knows_what_it_has_whole_survives_its_process(bench: Bench) -> None:
    report = bench.run(SOURCE + APPEND.format(more=f"kill_at: 17, once: {bench.folder / 'once'}"))
    assert report.status == "done", report.error
    assert bench.indices == list(range(40))
    assert bench.lines[20] == (20, [20, sum(range(21)), [19, 20, 21, 22]])
    assert report.stages["sink"]["restarts"] == 1
    assert report.packets == 40


def test_a_stage_with_state_that_is_killed_sees_everything_again_and_the_sink_nothing_twice(bench: Bench) -> None:
    def kill(progress: Progress) -> None:
        if progress.packets >= 9 and not killed:
            killed.append(_child("stay").pid)
            os.kill(killed[0], signal.SIGKILL)

    killed: list[int] = []
    stages = '  source: {use: "parts:Count", with: {packets: 60, pace: 0.02}}\n'
    stages += '  stay: {use: "parts:Stay", from: source}\n'
    report = bench.run(stages + SINK.replace("copy", "stay").replace("copied", "total"), on_progress=kill)
    assert report.status == "done", report.error
    assert killed and report.stages["stay"]["restarts"] == 1
    assert bench.lines == [(index, [index * (index + 1) // 2]) for index in range(60)]
    assert report.packets == 60, "what comes again is not counted again"


def test_a_run_goes_on_with_what_an_earlier_one_left(bench: Bench) -> None:
    assert bench.run(SOURCE.replace("40", "12") + APPEND.format(more="")).status == "done"
    report = bench.run(SOURCE + APPEND.format(more=""), resume=True)
    assert report.status == "done", report.error
    assert report.packets == 28
    assert bench.indices == list(range(40))
    assert bench.lines[30] == (30, [30, sum(range(31)), [29, 30, 31, 32]])


def test_a_task_that_hangs_is_killed_after_its_timeout(bench: Bench) -> None:
    once = bench.folder / "once"
    options = f"timeout: 0.5, with: {{hang_at: 13, once: {once}}}"
    report = bench.run(SOURCE + f'  copy: {{use: "parts:Copy", from: source, {options}}}\n' + SINK)
    assert report.status == "done", report.error
    assert bench.indices == list(range(40))


def test_a_slow_sink_holds_the_graph_at_its_bound(bench: Bench) -> None:
    stages = (
        '  source: {use: "parts:Count", with: {packets: 60, height: 256, width: 256}}\n'
        + '  copy: {use: "parts:Copy", from: source}\n'
        + SINK.replace("fields", "delay: 0.02, fields")
    )
    report = bench.run(stages)
    assert report.status == "done"
    assert report.links["source -> copy"]["high_water"] <= report.links["source -> copy"]["capacity"]
    assert 0 < report.memory["arena_peak"] <= report.memory["bound"] < 20 * 256 * 256 * 3
    assert report.bottleneck == "sink"
    assert report.stages["copy"]["wait_credit_s"] > 0.5


def test_a_drain_ends_the_source_and_finishes_what_is_in_flight(bench: Bench) -> None:
    control = Control()

    def drain(progress: Progress) -> None:
        if progress.packets >= 10:
            control.drain()

    stages = '  source: {use: "parts:Endless", with: {pace: 0.01}}\n'
    stages += '  copy: {use: "parts:Copy", from: source}\n' + SINK
    report = bench.run(stages, control=control, on_progress=drain)
    assert (report.status, report.exit_code) == ("interrupted", 130)
    assert report.outputs[0]["frames"] == report.packets == len(bench.indices)
    assert bench.indices == list(range(len(bench.indices)))


def test_memory_above_its_limit_is_refused_before_anything_flows(bench: Bench) -> None:
    stages = '  source: {use: "parts:Count", with: {height: 1080, width: 1920}}\n'
    report = bench.run(stages + '  copy: {use: "parts:Copy", from: source}\n' + SINK, head="memory: 20 MB")
    assert report.status == "failed"
    assert report.error is not None
    assert report.error.startswith("the arenas need ")
    assert "above memory: 20 MB" in report.error


def test_what_runs_first_is_kept_by_the_content_of_what_it_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path / "home"))
    (tmp_path / "before.yaml").write_text(
        "inputs: {data: {type: path}, output: {type: path, default: lines.txt}}\n"
        f'stages:\n  source: {{use: "{PARTS}:Count", with: {{packets: 5}}}}\n'
        f'  sink: {{use: "{PARTS}:Write", from: source, with: {{path: $output, fields: [number]}}}}\n'
    )
    data = tmp_path / "data"
    data.write_text("one")
    head = f"first: {{lines: {{graph: before.yaml, with: {{data: {data}}}}}}}"
    stages = SOURCE + '  sink: {use: "parts:Write", from: source, with: {path: OUT, fields: []}, env: {LINES: x}}\n'
    made = [bool(bench.run(stages, head).first) for _ in range(2)]
    data.write_text("two")
    made.append(bool(bench.run(stages, head).first))
    assert made == [True, False, True]


def test_what_runs_first_is_made_anew_when_its_code_changes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path / "home"))
    code, number = tmp_path / "mine.py", PARTS.read_text()
    code.write_text(number)
    inner = (
        "inputs: {output: {type: path, default: lines.txt}}\n"
        "%s"
        'stages:\n  source: {use: "%s:Count", with: {packets: 5}}\n'
        f'  sink: {{use: "{PARTS}:Write", from: source, with: {{path: $output, fields: [number]}}}}\n'
    )
    (tmp_path / "deepest.yaml").write_text(inner % ("", "./mine.py"))
    (tmp_path / "before.yaml").write_text(inner % ("first: {deep: {graph: deepest.yaml}}\n", PARTS))
    stages = SOURCE + '  sink: {use: "parts:Write", from: source, with: {path: OUT, fields: []}}\n'
    head = "first: {lines: {graph: before.yaml}}"
    made = [bool(bench.run(stages, head).first) for _ in range(2)]
    code.write_text(number + "\n# changed")
    made.append(bool(bench.run(stages, head).first))
    assert made == [True, False, True]


@pytest.fixture
def before(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What there is before a test."""
    take_own_temp_folder(tmp_path_factory.mktemp("temp"), monkeypatch)
    return surroundings()


def test_nothing_of_a_run_is_left_behind(bench: Bench, before: set[str]) -> None:
    bench.run(SOURCE + '  copy: {use: "parts:Copy", from: source}\n' + SINK)
    assert surroundings() <= before


def test_when_the_runner_is_killed_nothing_outlives_it(bench: Bench, before: set[str]) -> None:
    stages = '  source: {use: "parts:Endless", with: {pace: 0.01}}\n'
    path = bench.write(stages + '  copy: {use: "parts:Copy", from: source}\n' + SINK)
    code = f"from graph.runner import Graph; Graph.load({str(path)!r}).run()"
    runner = subprocess.Popen([sys.executable, "-c", code])
    while not bench.out.exists() or len(bench.indices) < 5:
        time.sleep(0.02)
        assert runner.poll() is None
    children = psutil.Process(runner.pid).children(recursive=True)
    assert len(children) == 3
    runner.kill()
    runner.wait()
    _, alive = psutil.wait_procs(children, timeout=2)
    assert not alive
    assert surroundings() <= before


def test_progress_tells_rates_and_fill(bench: Bench) -> None:
    seen: list[Progress] = []
    stages = '  source: {use: "parts:Count", with: {packets: 100, pace: 0.01}}\n'
    bench.run(stages + '  copy: {use: "parts:Copy", from: source}\n' + SINK, on_progress=seen.append)
    last = seen[-1]
    assert last.expected == 100
    assert {stage.name for stage in last.stages} == {"source", "copy", "sink"}
    assert all(0 <= fill <= capacity for one in seen for _, fill, capacity in one.links)
    assert any(one.left is not None and one.left < 2 for one in seen)


def _child(name: str) -> psutil.Process:
    return next(one for one in psutil.Process().children() if one.cmdline()[-1].startswith(name + "."))
