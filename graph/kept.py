"""What graphs that run first wrote: kept by the content of what they read, so that it is made only once."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from graph.code import code_of
from graph.report import Report
from graph.spec import GraphSpec

#: Bytes kept; what was used least recently goes first.
KEEP = 8_000_000_000
#: How names of results begin that are being made, and seconds after which nobody makes them any more.
PART, LEFT_AFTER = "part-", 7 * 86_400

def home() -> Path:
    """Where graphrun keeps what it made or fetched: `GRAPHRUN_HOME`, else `~/.cache/graphrun`."""
    return Path(os.environ.get("GRAPHRUN_HOME") or Path.home() / ".cache" / "graphrun")


def make(target: Path, run: Callable[[Path], Report], may_keep: Callable[[], bool]) -> Report:
    """Have a run write beside its target, and put it in place when it is whole and may be kept."""
    target.parent.mkdir(parents=True, exist_ok=True)
    tidy(target.parent)
    spare = target.with_name(f"{PART}{secrets.token_hex(4)}-{target.name}")
    try:
        report = run(spare)
        if report.status == "done" and not spare.exists():
            report.status, report.error = "failed", f"{report.file} has run, but wrote nothing where it was told to"
        elif report.status == "done" and may_keep():
            _put(spare, target)
        return report
    finally:
        _remove(spare)


def _put(spare: Path, target: Path) -> None:
    """Put a result in its place, unless another run has made the same meanwhile."""
    try:
        spare.replace(target)
    except OSError:
        if not target.exists():
            raise


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
    """Remove what was used least recently, down to `keep` bytes, and what runs that were killed left half made."""
    used = {one: when for one in folder.iterdir() if (when := _used(one)) is not None}
    for one in [one for one in used if one.name.startswith(PART)]:
        if used.pop(one) < time.time() - LEFT_AFTER:
            _remove(one)
    sizes = {one: _size(one) for one in used}
    total = sum(sizes.values())
    for one in sorted(sizes, key=lambda entry: used[entry]):
        if total <= keep:
            return
        total -= sizes[one]
        _remove(one)


def _used(path: Path) -> float | None:
    """When a result was used last; None where another run has removed it meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def _size(path: Path) -> int:
    inside = path.rglob("*") if path.is_dir() else [path]
    total = 0
    for one in inside:
        with suppress(FileNotFoundError):
            total += one.stat().st_size if one.is_file() else 0
    return total


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):  # another run removes it as well
        shutil.rmtree(path)
