"""Graphs that run first, and what they wrote: kept by the content of what they read, so that it is made only once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from graph.check import check, check_again
from graph.code import code_of
from graph.control import Control
from graph.declared import Checked
from graph.preflight import preflight
from graph.prepare import stand_ins
from graph.report import Report
from graph.spec import FirstSpec, GraphMistakes, GraphSpec, Mistake, load_spec

#: Bytes kept; what was used least recently goes first.
KEEP = 8_000_000_000

RunFirst = Callable[[tuple[GraphSpec, dict[str, Any]]], Report]


def home() -> Path:
    """Where graphrun keeps what it made or fetched: `GRAPHRUN_HOME`, else `~/.cache/graphrun`."""
    return Path(os.environ.get("GRAPHRUN_HOME") or Path.home() / ".cache" / "graphrun")


class First(NamedTuple):
    """A graph that runs before another, with values for its inputs; `checked` with stand-ins for what is not known."""

    one: FirstSpec
    spec: GraphSpec
    inputs: dict[str, Any]
    checked: Checked | None


def check_first(checked: Checked) -> list[First]:
    """The graphs before this one with their inputs, in order; raises GraphMistakes.

    A reference of one to the result of another stands as `$name` until that one has run.
    """
    prepared: list[First] = []
    mistakes: list[Mistake] = []
    for one in checked.spec.first.values():
        found = None
        try:
            spec = load_spec(checked.spec.file.parent / one.graph)
        except GraphMistakes as error:
            mistakes.extend(error.mistakes)
            continue
        inputs = {name: _value(checked, located.value) for name, located in one.params.items()}
        if one.gives not in spec.inputs:
            mistakes.append(
                Mistake(one.place, f"'{one.graph}' has no input '{one.gives}' to say where its result goes")
            )
        try:
            unknown: dict[str, object] = {name: "" for name, value in inputs.items() if _waits(checked, value)}
            if one.waits:
                unknown |= stand_ins(spec, {**inputs, one.gives: ""})
            found = check(spec, {**inputs, **unknown, one.gives: "kept" + suffix(spec, one.gives)})
        except GraphMistakes as error:
            mistakes.extend(error.mistakes)
        prepared.append(First(one, spec, inputs, found))
    if mistakes:
        raise GraphMistakes(mistakes)
    return prepared


def _value(checked: Checked, value: Any) -> Any:
    """A value of a first graph's `with:`; `$name` of an input is that input's value."""
    if isinstance(value, str) and value.startswith("$") and value[1:] in checked.values:
        name = value[1:]
        return checked.values[name] if name in checked.spec.inputs else value
    return value


def _waits(checked: Checked, value: Any) -> bool:
    """Whether a value is the result of a graph that has not run yet."""
    return isinstance(value, str) and value[:1] == "$" and value[1:] in checked.spec.first


def run_first(checked: Checked, control: Control, report: Report, run: RunFirst) -> dict[str, str] | None:
    """Run what has to run before a graph; the paths of what it wrote, by name. None, and a report, if that failed."""
    found: dict[str, str] = {}
    firsts = check_first(checked)
    asked = False
    for one, spec, inputs, _ in firsts:
        if one.waits:
            continue
        if checked.values.get(one.name):
            found[one.name] = str(checked.values[one.name])
            continue
        inputs = {name: _result(value, found) for name, value in inputs.items()}
        target = place(spec, inputs, one.gives)
        if target.exists():
            os.utime(target)
        else:
            if not asked and (refused := preflight([checked, *(first.checked for first in firsts if first.checked)])):
                report.status, report.error = "failed", str(refused)
                return None
            asked = True
            made = _make(target, lambda path, s=spec, i=inputs, g=one.gives: run((s, {**i, g: str(path)})))  # type: ignore[misc]
            report.first[one.name] = made.as_dict()
            if made.status != "done" or control.draining:
                report.status = made.status if made.status != "done" else "interrupted"
                report.error, report.traceback = made.error, made.traceback
                return None
            report.notes.extend(made.notes)
        found[one.name] = str(target)
    return run_first(check_again(checked, found), control, report, run) if _waiting(checked) else found


def look(checked: Checked) -> dict[str, str | None]:
    """What is there of the results that a graph needs first: the paths by name, None for what has yet to be made."""
    found: dict[str, str | None] = {}
    for one, spec, inputs, _ in check_first(checked):
        if one.waits:
            found[one.name] = None
            continue
        if checked.values.get(one.name):
            found[one.name] = str(checked.values[one.name])
            continue
        there = {name: path for name, path in found.items() if path is not None}
        inputs = {name: _result(value, there) for name, value in inputs.items()}
        target = place(spec, inputs, one.gives)
        found[one.name] = str(target) if target.exists() else None
    return found


def _waiting(checked: Checked) -> bool:
    """Whether graphs that run first wait for a map that another writes."""
    return any(one.waits for one in checked.spec.first.values())


def _make(target: Path, run: Callable[[Path], Report]) -> Report:
    """Have a run write beside its target, and put it in place when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    tidy(target.parent)
    spare = target.with_name(f"part-{os.getpid()}-{target.name}")
    try:
        report = run(spare)
        if report.status == "done" and not spare.exists():
            report.status, report.error = "failed", f"{report.file} has run, but wrote nothing where it was told to"
        elif report.status == "done":
            spare.replace(target)
        return report
    finally:
        _remove(spare)


def _result(value: Any, found: dict[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("$") and value[1:] in found:
        return found[value[1:]]
    return value


def place(spec: GraphSpec, inputs: dict[str, Any], gives: str) -> Path:
    """Where the result of a graph with these inputs is kept, whether it is there or not."""
    # What may lie where the result would go by default has no part in it.
    return home() / "kept" / f"{spec.name}-{key(spec, {**inputs, gives: None})[:32]}{suffix(spec, gives)}"


def suffix(spec: GraphSpec, gives: str) -> str:
    """How the name of a graph's result ends, as its default does."""
    default = spec.inputs[gives].default if gives in spec.inputs else None
    return Path(default).suffix if isinstance(default, str) else ""


def key(spec: GraphSpec, inputs: dict[str, Any]) -> str:
    """What a result depends on: the graph file, its stages' code, its inputs; of input files, their content."""
    parts: list[Any] = [code_of(spec)]
    values = {name: one.default for name, one in spec.inputs.items()} | inputs
    for name in sorted(values):
        kind = spec.inputs[name].type if name in spec.inputs else "text"
        parts.append([name, _by_content(kind, values[name])])
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _by_content(kind: str, value: Any) -> Any:
    """A value of an input of some type, with what a file holds in place of its name."""
    if kind == "path" and isinstance(value, str) and value:
        return content(Path(value))
    if kind == "map" and isinstance(value, dict):
        return [[name, content(Path(one)) if _is_file(one) else one] for name, one in value.items()]
    return value


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and Path(value).is_file()


def content(path: Path) -> str:
    """A hash of what a file or folder holds; the name itself if nothing is there."""
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.is_file())
        joined = "\n".join(f"{one.relative_to(path)} {content(one)}" for one in inside)
        return hashlib.sha256(joined.encode()).hexdigest()
    if not path.is_file():
        return f"no file {path}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tidy(folder: Path, keep: int = KEEP) -> None:
    """Remove what was used least recently, down to `keep` bytes."""
    sizes = {one: _size(one) for one in folder.iterdir()}
    total = sum(sizes.values())
    for one in sorted(sizes, key=lambda entry: entry.stat().st_mtime):
        if total <= keep:
            return
        total -= sizes[one]
        _remove(one)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
    return path.stat().st_size


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
