"""The words of the docs hold: their graphs check, their Python runs, their commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from graph.check import check
from graph.declared import Checked
from graph.spec import parse_spec

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(kind: str) -> list[object]:
    found = []
    for page in PAGES:
        for at, text in enumerate(re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)):
            found.append(pytest.param(page, text, id=f"{page.name}-{at}"))
    return found


def check_with_samples(data: bytes, path: Path) -> Checked:
    """Check a graph, the samples standing in for a video and a sound, whatever their default is."""
    spec = parse_spec(data, path)
    samples = {"video": ROOT / "pipelines/samples/portrait.mp4", "audio": ROOT / "pipelines/samples/speech.wav"}
    values = {name: str(samples.get(name, "x")) for name, one in spec.inputs.items() if one.required or name in samples}
    return check(spec, values)


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_graphs_in_the_docs_check(page: Path, text: str) -> None:
    if "\njobs:" in text:
        tried = {name: str(value) for name, value in yaml.safe_load(text)["jobs"][0].items()}
        graph = ROOT / yaml.safe_load(text)["graph"]
        assert tried.keys() <= parse_spec(graph.read_bytes(), graph).inputs.keys()
        return
    assert check_with_samples(text.encode(), page.parent / "graph.yaml").stages


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_python_in_the_docs_runs(page: Path, text: str) -> None:
    exec(compile(text, str(page), "exec"), {"__name__": "docs"})


@pytest.mark.parametrize(("page", "text"), blocks("sh"))
def test_commands_in_the_docs_exist(page: Path, text: str) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert words[1] in targets
        for word in words:
            if word.startswith(("pipelines/", "tools/")):
                assert (ROOT / word).exists(), f"{page.name}: {word}"


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda path: path.name)
def test_the_pipelines_that_ship_check(path: Path) -> None:
    checked = check_with_samples(path.read_bytes(), path)
    assert checked.stages
    assert checked.spec.about
