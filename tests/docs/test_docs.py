"""The words of the docs hold: their graphs check, their Python runs, their commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from graph.check import check
from graph.spec import parse_spec

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(kind: str) -> list[object]:
    found = []
    for page in PAGES:
        for at, text in enumerate(re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)):
            found.append(pytest.param(page, text, id=f"{page.name}-{at}"))
    return found


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_graphs_in_the_docs_check(page: Path, text: str) -> None:
    spec = parse_spec(text.encode(), page.parent / "graph.yaml")
    values = {name: "x" for name, one in spec.inputs.items() if one.required}
    checked = check(spec, values)
    assert checked.stages


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
    spec = parse_spec(path.read_bytes(), path)
    values = {name: "x" for name, one in spec.inputs.items() if one.required}
    assert check(spec, values).stages
    assert spec.about
