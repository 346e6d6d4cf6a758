"""What is wrong with a graph is said at once, with its place and what would be right, before a process starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from graph.check import check
from graph.declared import Checked
from graph.runner import Graph
from graph.spec import GraphMistakes, load_spec, parse_spec

PARTS = Path(__file__).with_name("parts.py")


def load(text: str, folder: Path) -> Path:
    path = folder / "graph.yaml"
    path.write_text(text)
    shutil.copy(PARTS, folder / "parts.py")
    return path


def mistakes(text: str, folder: Path, **values: object) -> list[str]:
    """Every mistake as `line:column text`."""
    path = load(text, folder)
    try:
        check(load_spec(path), values)
    except GraphMistakes as error:
        return [str(one).removeprefix(f"{path}:") for one in error.mistakes]
    return []


def checked(text: str, folder: Path, **values: object) -> Checked:
    return check(load_spec(load(text, folder)), values)


GOOD = """\
inputs: {count: {type: int, default: 5}}
stages:
  source: {use: "./parts.py:Count", with: {packets: $count}}
  copy: {use: "./parts.py:Copy", from: source}
  sink: {use: "./parts.py:Write", from: copy, with: {path: out.txt, fields: [copied]}}
"""


def test_a_good_graph_has_no_mistakes(tmp_path: Path) -> None:
    assert mistakes(GOOD, tmp_path) == []
    assert checked(GOOD, tmp_path, count="7").stages["source"].params == {"packets": 7}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("stages:", "stagse:\nstages:", "2:1: the graph has no key 'stagse' (did you mean 'stages'?)"),
        ("from: source}", "form: source}", "4:34: stage 'copy' has no key 'form' (did you mean 'from'?)"),
        ("from: copy", "from: cpy", "5:41: there is no stage 'cpy' (did you mean 'copy'?)"),
        ("./parts.py:Copy", "./parts.py:Cpoy", "has no stage 'Cpoy' (did you mean 'Copy'?)"),
        ('"./parts.py:Copy"', "bluur", "4:15: stage 'copy': there is no stage 'bluur'"),
        ('"./parts.py:Copy"', "no_such_package.x:Y", "4:15: stage 'copy': no module 'no_such_package.x'"),
        ("packets: $count", "packets: many", "'packets' has to be int, not 'many'"),
        ("packets: $count", "packts: 3", "takes no 'packts' (did you mean 'packets'?)"),
        ("packets: $count", "packets: $cuont", "there is no input 'cuont' (did you mean 'count'?)"),
        (
            "fields: [copied]",
            "fields: [copid]",
            "reads 'copid', which no stage before it writes (did you mean 'copied'?)",
        ),
        ("path: out.txt, ", "", "5:3: stage 'sink' needs 'path' (with: {path: …})"),
        ("from: source}", "from: source, workers: 0}", "workers has to be a whole number of at least 1, not 0"),
        ("from: source}", "from: source, on_error: ignore}", "has to be one of fail, skip, pass, not 'ignore'"),
        ("from: source}", "from: source, batch: {size: 2, max_wiat: 1}}", "(did you mean 'max_wait'?)"),
        ("from: source}", "from: copy}", "4:34: a cycle: copy -> copy"),
        ("from: source}", "max_wait: 1.0, from: source}", "max_wait means something only with a batch"),
        ("with: {packets", "workers: 2, with: {packets", "stage 'source' has order: it takes one worker"),
        ("from: copy,", "from: copy, workers: 2,", "stage 'sink' has state: it takes one worker"),
        ("default: 5", "default: five", "the default of 'count' has to be of type int, not 'five'"),
        ("type: int", "type: integer", "has to be one of path, text, int, float, bool, map, not 'integer'"),
        (", from: source}", "}", "stage 'copy' cannot be reached: it is no source and has no from:"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    found = mistakes(GOOD.replace(old, new, 1), tmp_path)
    assert any(expected in one for one in found), found
    assert all(one[0].isdigit() for one in found), "every mistake has a line"


def test_all_mistakes_are_reported_at_once_and_once(tmp_path: Path) -> None:
    text = """\
inputs: {count: {type: int, default: five}}
stages:
  source: {use: "./parts.py:Count", with: {packets: lots, hight: 3}}
  copy: {use: "./parts.py:Copy", from: sourc, workers: none}
  sink: {use: "./parts.py:Write", from: copy, with: {path: out.txt, fields: [copied]}, queue: -1}
  extra: {use: nothing, form: sink}
"""
    found = mistakes(text, tmp_path)
    places = ["1:38", "3:53", "3:66", "4:40", "4:56", "5:95", "6:16", "6:25"]
    assert [one.split(": ")[0] for one in found] == places, found


def test_two_writers_of_a_field(tmp_path: Path) -> None:
    text = GOOD + '  again: {use: "./parts.py:Copy", from: source}\n'
    found = mistakes(text, tmp_path)
    assert found == ["6:3: stage 'again' writes 'copied', as stage 'copy' does (fields: {copied: …} renames it)"]


def test_a_field_that_is_written_elsewhere_but_not_before(tmp_path: Path) -> None:
    text = GOOD.replace("from: copy, with", "from: source, with")
    assert mistakes(text, tmp_path) == [
        "5:3: stage 'sink' reads 'copied', which stage 'copy' writes, but that is not before it (from: copy)"
    ]


def test_a_longer_cycle_is_spelled_out_and_what_stands_behind_it(tmp_path: Path) -> None:
    text = """\
stages:
  source: {use: "./parts.py:Count"}
  a: {use: "./parts.py:Copy", from: [source, b]}
  b: {use: "./parts.py:Copy", from: a}
  c: {use: "./parts.py:Copy", from: b}
"""
    found = mistakes(text, tmp_path)
    assert any("a cycle: " in one and "a -> b" in one for one in found)
    assert any("stage 'c' cannot be reached" in one for one in found)


def test_a_capacity_that_would_lock_is_refused_with_the_paths_and_the_number(tmp_path: Path) -> None:
    text = """\
stages:
  source: {use: "./parts.py:Count", with: {packets: 100}}
  copy: {use: "./parts.py:Batched", from: source, batch: 8}
  sink: {use: "./parts.py:Write", from: [copy, source], queue: 4, with: {path: out.txt, fields: [copied, number]}}
"""
    found = mistakes(text, tmp_path)
    assert len(found) == 2
    assert found[1].startswith("4:57: queue: 4 on source -> sink would lock the graph against copy -> sink")
    assert found[1].endswith("at least 8 would do")
    assert mistakes(text.replace("queue: 4", "queue: 8"), tmp_path) == []
    assert mistakes(text.replace("queue: 4", "queue: auto"), tmp_path) == []


def test_few_pictures_and_more_small_packets_wait_in_a_link_by_itself(tmp_path: Path) -> None:
    (tmp_path / "kinds.py").write_text(
        "import numpy as np\n"
        "from graph.stage import Array, Sink, Source, Stage, Value\n"
        "class Camera(Source):\n    writes = {'frame': Array(np.uint8, 'h w 3')}\n"
        "class Look(Stage):\n    reads = Camera.writes\n    writes = {'seen': Value(), 'box': Array(np.float32, '4')}\n"
        "class Tell(Sink):\n    reads = Look.writes\n"
    )
    text = """\
stages:
  camera: {use: "./kinds.py:Camera"}
  look: {use: "./kinds.py:Look", from: camera}
  tell: {use: "./kinds.py:Tell", from: look}
"""
    pictures, small = checked(text, tmp_path).plan.links
    assert 2 <= pictures.capacity < small.capacity
    assert checked(text.replace("from: camera", "from: camera, queue: 9"), tmp_path).plan.links[0].capacity == 9


def test_a_queue_shorter_than_its_batch_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("from: source}", "from: source, batch: 8, queue: 7}")
    assert "at least 8 would do" in mistakes(text, tmp_path)[0]


def test_a_parameter_may_refer_to_one_of_another_stage(tmp_path: Path) -> None:
    text = GOOD.replace("from: source}", "from: source, with: {delay: 0.5}}").replace(
        "path: out.txt", "path: out.txt, delay: $copy.delay"
    )
    assert checked(text, tmp_path).stages["sink"].params["delay"] == 0.5
    changed = check(load_spec(load(text, tmp_path)), {}, {"copy.delay": 0.25})
    assert changed.stages["sink"].params["delay"] == 0.25


def test_changes_and_values_are_checked_too(tmp_path: Path) -> None:
    spec = load_spec(load(GOOD, tmp_path))
    with pytest.raises(GraphMistakes) as caught:
        check(spec, {"cuont": 3, "count": "x"}, {"cpy.delay": 1, "copy.dely": 1, "copy": 1})
    text = str(caught.value)
    for part in (
        "no input 'cuont'",
        "'count' has to be of type int",
        "no stage 'cpy'",
        "takes no 'dely'",
        "--set takes",
    ):
        assert part in text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"stages",
        b"[1, 2]",
        b"a: b: c",
        b"\xff\xfe",
        b"stages: {a: 1}",
        b"x" * 2_000_000,
        b"stages: !!python/object:os.system {}",
    ],
)
def test_what_is_no_graph_is_refused_in_words(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(GraphMistakes):
        check(parse_spec(data, tmp_path / "graph.yaml"))


def test_aliases_cannot_be_made_to_explode(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{at}: &a{at} [*a{at - 1}, *a{at - 1}, *a{at - 1}]" for at in range(1, 30)]
    text = "stages: {s: {use: x, with: {deep: {" + ", ".join(lines) + "}}}}"
    with pytest.raises(GraphMistakes, match="unfolds to more than"):
        check(parse_spec(text.encode(), tmp_path / "graph.yaml"))


def test_a_path_default_that_begins_with_a_dot_is_beside_the_file(tmp_path: Path) -> None:
    text = "inputs: {a: {type: path, default: ./x.mp4}, b: {type: path, default: x.mp4}}\nstages: {s: {use: x}}\n"
    spec = parse_spec(text.encode(), tmp_path / "graph.yaml")
    assert spec.inputs["a"].default == str(tmp_path / "x.mp4")
    assert spec.inputs["b"].default == "x.mp4"


def test_stages_that_share_a_process_have_to_be_neighbours(tmp_path: Path) -> None:
    text = GOOD.replace('"./parts.py:Count",', '"./parts.py:Count", process: p,').replace(
        "from: copy,", "from: copy, process: p,"
    )
    assert any("cannot share a process" in one for one in mistakes(text, tmp_path))


WRITING = """\
inputs: {out: {type: path, default: out.txt}}
stages:
  source: {use: "./parts.py:Count", with: {packets: 5}}
  copy: {use: "./parts.py:Copy", from: source, with: {once: %s}}
  sink:
    use: "./parts.py:Write"
    from: copy
    with: {path: $out, fields: [copied]}
"""


def test_a_sink_does_not_write_over_what_another_stage_reads(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("precious")
    (tmp_path / "link.txt").symlink_to(tmp_path / "in.txt")
    text = WRITING % (tmp_path / "in.txt")
    for name in ("in.txt", "link.txt"):
        said = f"8:18: stage 'sink' would write over what stage 'copy' reads: {tmp_path / name}"
        assert mistakes(text, tmp_path, out=str(tmp_path / name)) == [said]
    assert mistakes(text, tmp_path, out=str(tmp_path / "other.txt")) == []


def test_a_folder_that_is_not_there_is_a_mistake_of_a_run(tmp_path: Path) -> None:
    path = load(WRITING % "x", tmp_path)
    with pytest.raises(GraphMistakes) as told:
        Graph.load(path).run({"out": str(tmp_path / "nowhere/out.txt")})
    (said,) = map(str, told.value.mistakes)
    assert said == f"{path}:8:18: stage 'sink': {tmp_path}/nowhere/out.txt: there is no folder {tmp_path}/nowhere"


CHOICE = """\
inputs: {kind: {type: text, default: plain}}
stages:
  source: {use: "./parts.py:Count", with: {packets: 5}}
  copy: {use: "./parts.py:Copy", from: source, when: {kind: [plain, both]}}
  sink: {use: "./parts.py:Write", from: copy, with: {path: out.txt, fields: [number]}}
"""


def test_a_stage_is_there_only_when_it_is_wanted(tmp_path: Path) -> None:
    assert list(checked(CHOICE, tmp_path).stages) == ["source", "copy", "sink"]
    without = checked(CHOICE, tmp_path, kind="none")
    assert list(without.stages) == ["source", "sink"]
    assert without.stages["sink"].inputs == ("source",), "it takes its packets from before what is left out"


def test_a_stage_that_is_not_wanted_leaves_the_others_of_a_join(tmp_path: Path) -> None:
    text = CHOICE.replace("from: copy", "from: [source, copy]")
    assert checked(text, tmp_path, kind="none").stages["sink"].inputs == ("source",)
    twice = CHOICE.replace("from: copy", "from: more").replace(
        "  sink:", '  more: {use: "./parts.py:Copy", from: copy, fields: {copied: again}, when: {kind: both}}\n  sink:'
    )
    assert list(checked(twice, tmp_path, kind="both").stages) == ["source", "copy", "more", "sink"]
    assert checked(twice, tmp_path).stages["sink"].inputs == ("copy",)
    assert checked(twice, tmp_path, kind="none").stages["sink"].inputs == ("source",)


def test_what_only_a_stage_writes_that_is_not_wanted_is_missed(tmp_path: Path) -> None:
    text = CHOICE.replace("fields: [number]", "fields: [copied]")
    assert mistakes(text, tmp_path) == []
    (missed,) = mistakes(text, tmp_path, kind="none")
    assert "stage 'sink' reads 'copied', which no stage before it writes" in missed
    (unknown,) = mistakes(CHOICE.replace("{kind: [", "{kin: ["), tmp_path)
    assert unknown == "4:55: there is no input 'kin' (did you mean 'kind'?)"


OPTION = """\
inputs: {more: {type: float, default: 0}}
stages:
  source: {use: "./parts.py:Count", with: {packets: 5}}
  copy: {use: "./parts.py:Copy", from: source, fields: {copied: one}}
  again: {use: "./parts.py:Copy", from: copy, fields: {frame: one, copied: two}, when: {more: {not: [0, 1]}},
          chain: {frame: copied}}
  third: {use: "./parts.py:Copy", from: again, fields: {frame: two}, when: {more: {not: 0}}, chain: {frame: copied}}
  sink: {use: "./parts.py:Write", from: third, with: {path: out.txt, fields: [copied]}}
"""


@pytest.mark.parametrize(
    ("more", "there", "read"),
    [(0, [], "one"), (1, ["third"], "copied"), (0.5, ["again", "third"], "copied")],
)
def test_what_would_read_of_a_stage_that_is_not_wanted_reads_what_that_would_have_read(
    tmp_path: Path, more: float, there: list[str], read: str
) -> None:
    found = checked(OPTION, tmp_path, more=more)
    assert list(found.stages) == ["source", "copy", *there, "sink"]
    assert list(found.stages["sink"].reads) == [read]
    if there == ["third"]:
        assert list(found.stages["third"].reads) == ["one"]


def test_an_option_without_its_value_is_one_mistake(tmp_path: Path) -> None:
    assert mistakes(OPTION, tmp_path, more="much") == ["'more' has to be of type float, not 'much'"]
    (said,) = mistakes(OPTION.replace("{not: 0}", "{nor: 0}"), tmp_path)
    assert "stage 'third': when: more has to be a value, a list of them, or {not: VALUE}" in said
