"""The schema takes the graphs that the loader takes, and refuses what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from graph.schema import graph_schema
from graph.spec import BATCH_KEYS, FIRST_KEYS, GRAPH_KEYS, INPUT_KEYS, STAGE_KEYS, parse_spec

PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found = graph_schema()
    Draft202012Validator.check_schema(found)
    return found


def mistakes(schema: dict[str, Any], text: str) -> list[str]:
    errors = Draft202012Validator(schema).iter_errors(yaml.safe_load(text))
    return [f"{error.json_path}: {error.message}" for error in errors]


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_pipelines_that_ship_are_right(schema: dict[str, Any], path: Path) -> None:
    assert not mistakes(schema, path.read_text())


def test_every_key_of_the_loader_is_there_and_described(schema: dict[str, Any]) -> None:
    definitions = schema["$defs"]
    batch = definitions["stage"]["properties"]["batch"]["anyOf"][1]
    tables = [
        (schema, GRAPH_KEYS),
        (definitions["input"], INPUT_KEYS),
        (definitions["first"], FIRST_KEYS),
        (definitions["stage"], STAGE_KEYS),
        (batch, BATCH_KEYS),
    ]
    for found, table in tables:
        assert {key: one["description"] for key, one in found["properties"].items()} == table


GOOD = """
graph: good
about: All keys that there are.
on_error: skip
memory: 500 MB
inputs: {video: {type: path, about: a video}, size: {type: int, default: 8}, of: {type: map, default: {a: 1, b: x}}}
first: {lines: {graph: before.yaml, with: {data: $video}, gives: result, each: of, when: {size: [7, 8]}}}
stages:
  decode: {use: decode, with: {path: $video, threads: 1, length: video, start: 0.5}}
  own: {use: "./own.py:Own", each: of, chain: {frame: other},
        from: [decode], fields: {frame: other}, workers: 2, queue: auto, on_error: fail,
        batch: {size: 4, max_wait: 0.1}, timeout: 3, env: {A: 1}, cpus: [0, 1], with: {anything: [1, {x: y}]}}
  more: {use: "./own.py:Own", from: own, when: {size: {not: 8}, video: x}, chain: {frame: other}}
  encode: {use: encode, from: own, queue: 7, batch: 2, max_wait: 1, process: p, cpus: 0,
           with: {path: a.mp4, crf: 18, keep: [audio]}}
"""


def test_all_keys_are_taken(schema: dict[str, Any]) -> None:
    assert not parse_spec(GOOD.encode(), Path("good.yaml")).mistakes
    assert not mistakes(schema, GOOD)


WRONG_FORM = {
    "unknown key": ("memory: 500 MB", "memry: 500 MB"),
    "no size": ("memory: 500 MB", "memory: much"),
    "policy": ("on_error: skip", "on_error: ignore"),
    "input type": ("type: int", "type: integer"),
    "default of another type": ("default: 8", "default: eight"),
    "no use": ("{use: decode, ", "{"),
    "workers": ("workers: 2", "workers: 0"),
    "queue": ("queue: 7", "queue: many"),
    "batch without size": ("{size: 4, max_wait: 0.1}", "{max_wait: 0.1}"),
    "timeout": ("timeout: 3", "timeout: -3"),
    "cpus": ("cpus: 0", "cpus: first"),
    "a map of maps": ("b: x}", "b: {c: x}}"),
    "chain": ("chain: {frame: other}", "chain: frame"),
    "when": ("size: [7, 8]", "size: {no: 8}"),
    "when without a value": ("{not: 8}", "{}"),
    "first without graph": ("{graph: before.yaml, ", "{"),
    "stage's key": ("process: p", "proces: p"),
}


@pytest.mark.parametrize(("right", "wrong"), WRONG_FORM.values(), ids=WRONG_FORM.keys())
def test_loader_and_schema_refuse_the_same(schema: dict[str, Any], right: str, wrong: str) -> None:
    text = GOOD.replace(right, wrong, 1)
    assert text != GOOD
    assert parse_spec(text.encode(), Path("wrong.yaml")).mistakes
    assert mistakes(schema, text)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("threads: 1", "thread: 1"),
        ("threads: 1", "threads: one"),
        ("length: video", "length: long"),
        ("path: $video, ", ""),
        ("keep: [audio]", "keep: [sound]"),
        ("use: decode", "use: decod"),
    ],
)
def test_what_a_built_in_stage_takes_is_known(schema: dict[str, Any], right: str, wrong: str) -> None:
    assert mistakes(schema, GOOD.replace(right, wrong, 1))


def test_references_stand_for_any_value(schema: dict[str, Any]) -> None:
    assert not mistakes(schema, GOOD.replace("threads: 1", "threads: $size").replace("crf: 18", "crf: $decode.start"))
