"""What is repeated for each entry of a map: unfolded into ordinary stages, joined by entry, run in real processes."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graph.check import check
from graph.declared import Checked
from graph.display.svg import svg
from graph.display.view import picture
from graph.runner import Graph
from graph.spec import GraphMistakes, load_spec

PARTS = Path(__file__).with_name("parts.py")

#: every entry adds its own number to the frames, and passes them on to the next
OWN = '''
import numpy as np
from graph.stage import Array, Sink, Stage, Value

FRAME = Array(np.uint8, "h w 3")


class Weigh(Stage):
    """A number of the entry's own."""

    reads = {"number": Value()}
    writes = {"weight": Value()}

    def __init__(self, factor: int, name: str = "") -> None:
        self.factor = factor

    def process(self, packet):
        packet.weight = packet.number * self.factor


class Add(Stage):
    """The frame and a weight."""

    reads = {"frame": FRAME, "weight": Value()}
    writes = {"sum": FRAME}

    def __init__(self, more: int = 0) -> None:
        self.more = more

    def process(self, packet):
        packet.sum[:] = packet.frame + packet.weight + self.more
        self.counts["added"] += 1
'''

CHAIN = """\
graph: chain
inputs: {of: {type: map}, packets: {type: int, default: 6}}
stages:
  source: {use: "parts:Count", with: {packets: $packets}}
  weigh: {each: of, use: "./own.py:Weigh", from: source, with: {factor: $each.value, name: $each.key}}
  add: {each: of, use: "./own.py:Add", from: weigh, chain: {frame: sum}}
  sink: {from: add, use: "parts:Write", fields: {frame: sum}, with: {path: OUT, fields: [frame]}}
"""


def write(folder: Path, text: str = CHAIN) -> Path:
    path = folder / "graph.yaml"
    path.write_text(text.replace("parts:", f"{PARTS}:").replace("OUT", str(folder / "out.txt")))
    (folder / "own.py").write_text(OWN)
    return path


def checked(folder: Path, text: str = CHAIN, changes: dict[str, Any] | None = None, **values: Any) -> Checked:
    return check(load_spec(write(folder, text)), values, changes)


def mistakes(folder: Path, text: str = CHAIN, changes: dict[str, Any] | None = None, **values: Any) -> list[str]:
    with pytest.raises(GraphMistakes) as caught:
        checked(folder, text, changes, **values)
    return [str(one).removeprefix(f"{folder}/") for one in caught.value.mistakes]


def rows(folder: Path) -> list[int]:
    return [ast.literal_eval(line.split(" ", 2)[2])[0] for line in (folder / "out.txt").read_text().splitlines()]


def test_stages_are_repeated_and_joined_by_entry(tmp_path: Path) -> None:
    found = checked(tmp_path, of="{a: 2, b: 30}")
    assert set(found.stages) == {"source", "weigh.a", "weigh.b", "add.a", "add.b", "sink"}
    assert found.stages["weigh.b"].params == {"factor": 30, "name": "b"}
    assert {name: one.inputs for name, one in found.stages.items()} == {
        "source": (), "weigh.a": ("source",), "weigh.b": ("source",),
        "add.a": ("weigh.a",), "add.b": ("weigh.b", "add.a"), "sink": ("add.b",),
    }  # fmt: skip
    assert set(found.stages["add.a"].reads) == {"frame", "weight.a"}
    assert set(found.stages["add.b"].reads) == {"sum.a", "weight.b"}
    assert set(found.stages["sink"].reads) == {"sum.b"}
    assert {one.spec.place.line for one in found.stages.values() if one.spec.copy and one.spec.copy.of == "add"} == {6}


def test_a_chain_runs_in_real_processes(tmp_path: Path) -> None:
    report = Graph.load(write(tmp_path)).run(of={"a": 2, "b": 30, "c": 1})
    assert report.status == "done", report.error
    assert rows(tmp_path) == [index * (1 + 2 + 30 + 1) % 256 for index in range(6)]
    assert {name: report.stages[f"add.{name}"]["counts"] for name in "abc"} == {name: {"added": 6} for name in "abc"}


def test_what_refers_to_a_repeated_stage_means_the_one_of_its_entry(tmp_path: Path) -> None:
    """Parameters of other stages, and the process that neighbours share."""
    text = CHAIN.replace("chain: {frame: sum}}", "chain: {frame: sum}, with: {more: $weigh.factor}}")
    found = checked(tmp_path, text, of="{a: 2, b: 30}")
    assert [found.stages[f"add.{name}"].params["more"] for name in "ab"] == [2, 30]
    shared = text.replace("{each: of, ", "{each: of, process: one, ").replace(", chain: {frame: sum}", "")
    shared = shared.replace("fields: {frame: sum}", "fields: {frame: sum.b}")
    report = Graph.load(write(tmp_path, shared)).run(of="{a: 2, b: 30}")
    assert report.status == "done", report.error
    assert report.stages["weigh.b"]["process"] == report.stages["add.b"]["process"] == ["weigh.b+add.b-0"]
    assert report.stages["add.a"]["process"] == ["weigh.a+add.a-0"]
    assert rows(tmp_path) == [(index * 31 + 30) % 256 for index in range(6)]


def test_one_entry_is_enough(tmp_path: Path) -> None:
    report = Graph.load(write(tmp_path)).run(of={0: 5})
    assert report.status == "done", report.error
    assert rows(tmp_path) == [index * 6 for index in range(6)]


def test_changes_are_for_all_or_for_one(tmp_path: Path) -> None:
    both = checked(tmp_path, changes={"add.more": 3}, of="{a: 1, b: 1}")
    assert [both.stages[f"add.{name}"].params["more"] for name in "ab"] == [3, 3]
    one = checked(tmp_path, changes={"add.b.more": 3}, of="{a: 1, b: 1}")
    assert [one.stages[f"add.{name}"].params.get("more") for name in "ab"] == [None, 3]
    assert "there is no stage 'add.c'" in mistakes(tmp_path, changes={"add.c.more": 3}, of="{a: 1, b: 1}")[0]


def test_a_map_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text(json.dumps({"x": 1, "y": 2}))
    assert {"add.x", "add.y"} <= set(checked(tmp_path, of=str(tmp_path / "map.json")).stages)


def test_keys_that_are_no_names(tmp_path: Path) -> None:
    found = checked(tmp_path, of={"at=10,20": 1, "at=30,40": 2})
    assert found.stages["weigh.at_10_20"].params == {"factor": 1, "name": "at=10,20"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{}", "'of' has to be a map such as {0: a.wav, 1: b.wav}, not {}"),
        ("a.wav", "has to be a map such as {0: a.wav, 1: b.wav}, not 'a.wav'"),
        ("{a: 1", "has to be a map such as"),
        ("{a: [1]}", "has to hold texts or numbers, but under 'a' is [1]"),
        ("{a b: 1, a_b: 2}", "has two keys like 'a_b'"),
        ("{'...': 1}", "has the key '...'"),
        (str(dict.fromkeys(range(17), 1)), "has 17 entries, but 16 is the most"),
    ],
)
def test_wrong_maps(tmp_path: Path, given: str, words: str) -> None:
    assert words in mistakes(tmp_path, of=given)[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{each: of, use: \"./own.py:Weigh\"", "{each: fo, use: \"./own.py:Weigh\"",
         "5:17: each: 'fo' is neither an input of type map nor a graph that runs first"),
        ("each: of, use: \"./own.py:Add\"", "use: \"./own.py:Add\"", "chain joins the copies that each: makes, or"),
        ("chain: {frame: sum}", "chain: {fram: sum}", "6:67: chain: stage 'add.a' reads no 'fram'"),
        ("chain: {frame: sum}", "chain: {frame: some}", "6:68: chain: stage 'add.a' writes no 'some'"),
        ("factor: $each.value", "factor: many", "5:73: stage 'weigh.a': 'factor' has to be int"),
        ("fields: {frame: sum}, ", "fields: {frame: weight}, ", "stage 'sink' reads 'weight', which no stage before"),
        ("from: add", "from: ad", "7:16: there is no stage 'ad'"),
        (", chain: {frame: sum}", "", "stage 'sink' reads 'sum', which no stage before it writes"),
    ],
)  # fmt: skip
def test_mistakes_have_the_line_that_was_written_and_are_said_once(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    text = CHAIN.replace(old, new, 1)
    assert text != CHAIN
    found = [one for one in mistakes(tmp_path, text, of="{a: 1, b: 1}") if words in one]
    assert len(found) == 1, mistakes(tmp_path, text, of="{a: 1, b: 1}")


def test_two_maps_cannot_be_joined_by_entry(tmp_path: Path) -> None:
    text = CHAIN.replace("inputs: {", "inputs: {to: {type: map, default: {a: 1}}, ")
    found = mistakes(tmp_path, text.replace("add: {each: of", "add: {each: to"), of="{a: 1}")
    assert any("'add' is there for each of 'to', 'weigh' for each of 'of'" in one for one in found), found


FIRST = """\
graph: numbers
inputs: {packets: {type: int}, output: {type: path, default: numbers.txt}}
stages:
  source: {use: "parts:Count", with: {packets: $packets}}
  sink: {use: "parts:Write", from: source, with: {path: $output, fields: [number]}}
"""

#: a sink that writes a map, for others to be repeated by
TELL = '''
import json
from pathlib import Path
from graph.stage import Output, Sink, Value


class Tell(Sink):
    """Writes {n0: 3, n1: 4, ...}, an entry a packet."""

    reads = {"number": Value()}

    def __init__(self, path: str) -> None:
        self.path, self.found = path, {}

    def process(self, packet):
        self.found[f"n{packet.number}"] = 3 + packet.number

    def finish(self):
        Path(self.path).write_text(json.dumps(self.found))
        return [Output(self.path)]
'''

WRITTEN = """\
graph: written
inputs: {entries: {type: int, default: 2}}
first:
  found: {graph: tell.yaml, with: {packets: $entries}, gives: output}
  lines: {each: found, graph: first.yaml, with: {packets: $each.value}, gives: output}
stages:
  source: {use: "parts:Count", with: {packets: 2}}
  weigh: {each: found, use: "./own.py:Weigh", from: source, with: {factor: 1, name: $lines}}
  add: {each: found, use: "./own.py:Add", from: weigh, chain: {frame: sum}}
  sink: {use: "parts:Write", from: add, fields: {frame: sum}, with: {path: OUT, fields: [frame]}}
"""


def write_firsts(folder: Path) -> Path:
    (folder / "first.yaml").write_text(FIRST.replace("parts:", f"{PARTS}:"))
    (folder / "tell.py").write_text(TELL)
    tell = FIRST.replace("numbers.txt", "map.json").replace("graph: numbers", "graph: tell")
    tell = tell.replace("parts:Write", "./tell.py:Tell").replace(", fields: [number]", "")
    (folder / "tell.yaml").write_text(tell.replace("parts:", f"{PARTS}:"))
    return write(folder, WRITTEN)


def test_a_graph_that_runs_first_may_write_the_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is repeated for it waits until it is known, and each copy is given what its own graph wrote."""
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path / "home"))
    graph = Graph.load(write_firsts(tmp_path))
    assert "add.0" in graph.check().stages, "one stands for them all until they are known"
    shown = graphrun("check", str(graph.spec.file), folder=tmp_path).stdout
    assert "lines.0: first.yaml, not made yet; runs for each entry of what another makes" in shown
    report = graph.run()
    assert report.status == "done", report.error
    assert list(report.first) == ["found", "lines.n0", "lines.n1"]
    assert [report.first[name]["packets"] for name in report.first] == [2, 3, 4]
    assert rows(tmp_path) == [0, 3]
    assert {"add.n0", "add.n1"} <= set(report.stages)
    shown = graphrun("check", str(graph.spec.file), folder=tmp_path).stdout
    assert "lines.n1: first.yaml, kept from an earlier run" in shown
    assert "memory: arenas" in shown
    again = graph.run()
    assert again.status == "done", again.error
    assert not again.first, "what was written is kept"


def test_a_repeated_graph_asks_the_stage_of_its_entry_whether_it_is_wanted(tmp_path: Path) -> None:
    write_firsts(tmp_path)
    text = WRITTEN.replace("found: {graph: tell.yaml, with: {packets: $entries}, gives: output}", "").replace(
        "inputs: {", "inputs: {found: {type: map, default: {a: 1, b: 2}}, "
    )
    text = text.replace("gives: output}", "when: {add.more: [0, 5]}}")
    assert set(checked(tmp_path, text).spec.first) == {"lines.a", "lines.b"}
    assert set(checked(tmp_path, text, changes={"add.b.more": 3}).spec.first) == {"lines.a"}
    assert not checked(tmp_path, text, changes={"add.more": 3}).spec.first


def test_a_repeated_stage_asks_the_stage_of_its_entry_whether_it_is_wanted(tmp_path: Path) -> None:
    more = '  more: {each: of, use: "parts:Copy", from: weigh, when: {add.more: 0}}\n  sink: {from: [add, more]'
    found = checked(tmp_path, CHAIN.replace("  sink: {from: add", more), {"add.b.more": 3}, of="{a: 1, b: 2}")
    assert "more.a" in found.stages
    assert "more.b" not in found.stages
    assert found.stages["sink"].inputs == ("add.b", "more.a")


def graphrun(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("graphrun")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=100)


def test_check_shows_the_copies(tmp_path: Path) -> None:
    shown = graphrun("check", str(write(tmp_path)), "of={left: 1, right: 2}", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    for line in ("weigh.left -> add.left", "add.left -> add.right", "add.right -> sink", "sum.left"):
        assert line in shown.stdout


def test_tune_takes_no_graph_that_repeats(tmp_path: Path) -> None:
    refused = graphrun("tune", str(write(tmp_path)), "of={left: 1, right: 2}", folder=tmp_path)
    assert refused.returncode == 2
    assert "graph.yaml:5:17: a graph with each: cannot be tuned" in refused.stderr


def test_view_draws_the_copies(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path))
    drawn = picture(spec, values={"of": "{left: 1, right: 2}"})
    assert [box.name for box in drawn.boxes if box.name.startswith("add")] == ["add.left", "add.right"]
    assert "add.right" in svg(drawn)


def test_what_was_kept_depends_on_the_content_of_the_files_in_a_map(tmp_path: Path) -> None:
    from graph.kept import key

    spec = load_spec(write(tmp_path))
    (tmp_path / "a.wav").write_bytes(b"one")
    one = key(spec, {"of": {"a": str(tmp_path / "a.wav")}})
    (tmp_path / "a.wav").write_bytes(b"two")
    two = key(spec, {"of": {"a": str(tmp_path / "a.wav")}})
    (tmp_path / "a.wav").rename(tmp_path / "b.wav")
    assert one != two == key(spec, {"of": {"a": str(tmp_path / "b.wav")}})


def test_files_that_a_map_names_lie_beside_the_file_of_jobs(tmp_path: Path) -> None:
    from graph.many.jobs import read_jobs

    write(tmp_path)
    (tmp_path / "a.wav").touch()
    jobs = tmp_path / "jobs.yaml"
    jobs.write_text("graph: graph.yaml\njobs:\n  - {of: {a: a.wav, b: gone.wav, c: 3}}\n")
    (job,) = read_jobs(jobs)
    assert job.inputs["of"] == {"a": str(tmp_path / "a.wav"), "b": "gone.wav", "c": 3}
