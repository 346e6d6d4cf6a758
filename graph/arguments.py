"""A graph and what the command line gives it: `INPUT=VALUE`, and `--set STAGE.PARAM=VALUE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from graph.check import check
from graph.runner import Graph
from graph.spec import GraphMistakes, Mistake


def read(path: Path, inputs: list[str], changes: list[str]) -> tuple[Graph, dict[str, Any], dict[str, Any]]:
    """The graph and its arguments; raises GraphMistakes with what is wrong with any of them."""
    values, changed, mistakes = _arguments(inputs, changes)
    try:
        graph = Graph.load(path)
        known = graph.spec.inputs
        empty = [name for name, value in values.items() if value == "" and name in known and known[name].type == "path"]
        mistakes += [Mistake(None, f"'{name}=' names no file: leave it out, or say which") for name in empty]
        if mistakes:
            check(graph.spec, values, changed)
    except GraphMistakes as error:
        mistakes += error.mistakes
    if mistakes:
        raise GraphMistakes(mistakes)
    return graph, values, changed


def arguments(inputs: list[str], changes: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values of inputs and changes; raises GraphMistakes with what is wrong with any of them."""
    values, changed, mistakes = _arguments(inputs, changes)
    if mistakes:
        raise GraphMistakes(mistakes)
    return values, changed


def _arguments(inputs: list[str], changes: list[str]) -> tuple[dict[str, Any], dict[str, Any], list[Mistake]]:
    """`NAME=VALUE` taken apart; values of --set are YAML."""
    values: dict[str, Any] = {}
    changed: dict[str, Any] = {}
    mistakes = [Mistake(None, f"inputs are given as NAME=VALUE, not {one!r}") for one in inputs if "=" not in one]
    for one in inputs:
        name, equals, value = one.partition("=")
        if name in values:
            mistakes.append(Mistake(None, f"input '{name}' is given twice"))
        if equals:
            values[name] = value
    for one in changes:
        name, equals, value = one.partition("=")
        try:
            if not equals:
                raise ValueError(f"--set takes STAGE.PARAM=VALUE, not {one!r}")
            changed[name] = yaml.safe_load(value)
        except (ValueError, yaml.YAMLError) as error:
            text = str(error) if not equals else f"--set {one}: the value is not YAML"
            mistakes.append(Mistake(None, text))
    return values, changed, mistakes
