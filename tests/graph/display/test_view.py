"""The picture of a graph: everything on it, nothing on top of anything else, and nothing that reaches out."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from xml.etree import ElementTree

import pytest

from graph.display.layout import Layout, Size, lay_out, layers
from graph.display.svg import svg
from graph.display.view import picture
from graph.spec import GraphMistakes, load_spec

PARTS = Path(__file__).parents[1] / "parts.py"
SVG = "{http://www.w3.org/2000/svg}"
GRAPH = """graph: a <picture> & more
about: Paths part and meet.
first: {lines: {graph: before.yaml}}
inputs: {output: {type: path}}
stages:
  source: {use: "parts:Count"}
  copy:   {use: "parts:Copy", from: source, workers: 3, on_error: pass}
  around: {use: "parts:Around", from: source, process: near}
  stay:   {use: "parts:Stay", from: around, process: near2}
  sink:   {use: "parts:Write", from: [copy, stay], queue: 30, with: {path: $output, fields: [copied, mean, total]}}
  other:  {use: "parts:Write", from: copy, batch: 4, with: {path: $lines, fields: [frame]}}
"""


def written(folder: Path, text: str = GRAPH) -> Path:
    path = folder / "graph.yaml"
    path.write_text(text.replace("parts:", f"{PARTS}:"))
    return path


def words(text: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(text).iter(f"{SVG}text")]


def test_stages_links_fields_and_numbers_are_on_it(tmp_path: Path) -> None:
    found = words(svg(picture(load_spec(written(tmp_path)))))
    for word in ("source", "copy", "around", "stay", "sink", "other", "a <picture> & more", "Paths part and meet."):
        assert word in found
    for word in ("3 workers", "on error pass", "batch 4", "window -1 +2", "process near", "queue 30", "before.yaml"):
        assert word in found
    for label in ("frame  uint8 h w 3", "copied  uint8 h w 3", "number  value", "mean  value", "path"):
        assert label in found


def test_fields_stand_at_the_link_that_brings_them(tmp_path: Path) -> None:
    lines = {(line.above, line.below): line.label for line in picture(load_spec(written(tmp_path))).lines}
    assert "number  value" in lines["stage around", "stage stay"]
    assert {"mean  value", "total  value", "queue 30"} == set(lines["stage stay", "stage sink"])
    assert "frame  uint8 h w 3" in lines["stage copy", "stage other"]
    assert lines["first lines", "stage other"] == ("path",)


def test_without_code_the_file_alone_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    own = '{a: {use: "./no.py:A", from: c}, b: {use: "./no.py:B", from: a}, c: {use: x, from: [b, z]}}'
    path.write_text(f"stages: {own}")
    assert {"a", "b", "c", "./no.py:A"} <= set(words(svg(picture(load_spec(path), code=False))))
    with pytest.raises(GraphMistakes):
        picture(load_spec(path))


def test_it_reaches_out_to_nothing_and_knows_dark_ground(tmp_path: Path) -> None:
    text = svg(picture(load_spec(written(tmp_path))))
    assert "prefers-color-scheme: dark" in text
    for word in ("<script", "href", "url(", "@import"):
        assert word not in text


def test_words_do_not_lie_on_boxes(tmp_path: Path) -> None:
    root = ElementTree.fromstring(svg(picture(load_spec(written(tmp_path)))))
    boxes = [one for one in root.iter(f"{SVG}rect") if (one.get("class") or "").startswith("box")]
    labels = [one for one in root.iter(f"{SVG}text") if (one.get("class") or "").startswith("label")]
    assert len(boxes) == 7
    for label in labels:
        x, y = float(label.get("x", "")), float(label.get("y", ""))
        right = x + 6.6 * len(label.text or "")
        for box in boxes:
            left, top = float(box.get("x", "")), float(box.get("y", ""))
            wide, tall = float(box.get("width", "")), float(box.get("height", ""))
            assert right <= left or x >= left + wide or y <= top or y - 9 >= top + tall, (label.text, box.attrib)
    for one, two in itertools.combinations(labels, 2):
        apart = abs(float(one.get("y", "")) - float(two.get("y", ""))) >= 12
        first, second = sorted((one, two), key=lambda each: float(each.get("x", "")))
        assert apart or float(first.get("x", "")) + 6.6 * len(first.text or "") <= float(second.get("x", ""))


# ------------------------------------------------------------------------------------------------------------ layout


def some_graph(seed: int) -> tuple[dict[str, Size], list[tuple[str, str]]]:
    chance = random.Random(seed)
    names = [f"n{at}" for at in range(chance.randint(1, 12))]
    sizes = {name: Size(chance.uniform(4, 100), chance.uniform(30, 100), chance.uniform(30, 90)) for name in names}
    links = [pair for pair in itertools.combinations(names, 2) if chance.random() < 0.25]
    return sizes, links


def laid_out(seed: int) -> tuple[dict[str, Size], list[tuple[str, str]], Layout]:
    sizes, links = some_graph(seed)
    return sizes, links, lay_out(sizes, links)


@pytest.mark.parametrize("seed", range(40))
def test_boxes_never_touch_and_links_lead_down(seed: int) -> None:
    sizes, links, layout = laid_out(seed)
    for one, two in itertools.permutations(sizes, 2):
        if layout.boxes[one].x > layout.boxes[two].x:
            continue
        beside = layout.boxes[two].x - layout.boxes[one].x >= sizes[one].right + sizes[two].left + 19
        below = abs(layout.boxes[one].y - layout.boxes[two].y) >= (sizes[one].height + sizes[two].height) / 2 + 19
        assert beside or below, (one, two)
    for link in links:
        assert all(above.y <= below.y for above, below in itertools.pairwise(layout.links[link]))
    for name, spot in layout.boxes.items():
        assert spot.x - sizes[name].left >= -1e-6
        assert spot.x + sizes[name].right <= layout.width + 1e-6


@pytest.mark.parametrize("seed", range(40))
def test_links_pass_beside_the_boxes_of_the_layers_they_cross(seed: int) -> None:
    sizes, links, layout = laid_out(seed)
    for link in links:
        for point in layout.links[link][1:-1]:
            for name, spot in layout.boxes.items():
                inside = -sizes[name].left < point.x - spot.x < sizes[name].right
                assert not inside or abs(point.y - spot.y) >= sizes[name].height / 2, (link, name)


def test_a_chain_is_a_straight_line_and_layers_follow_links() -> None:
    names = ["a", "b", "c"]
    sizes = {name: Size(50 + 20 * at, 40, 40) for at, name in enumerate(names)}
    layout = lay_out(sizes, [("a", "b"), ("b", "c")])
    assert len({round(layout.boxes[name].x, 3) for name in names}) == 1
    links = [("a", "c"), ("b", "c"), ("a", "d"), ("c", "d")]
    assert layers(dict.fromkeys(["a", "b", "c", "d"], Size(1, 1, 1)), links) == {"a": 0, "b": 0, "c": 1, "d": 2}
