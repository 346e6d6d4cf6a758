"""Whether two runs are the same: what is kept of a run to tell, and what differs between two."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

#: bytes up to which a file is known by its content, above by size and time of change
HASHED = 64 << 20


def run_print(facts: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    """What a run is: its facts (`run_facts` of a stage), what it is made with, and the files that it reads.

    A file is one if a parameter of a stage names it; what the sinks' `path` names is written, not read.
    """
    files = {path: file_print(Path(path)) for path in sorted(set(_paths(facts)))}
    return {**facts, "files": files, "versions": dict(versions)}


def _paths(facts: Mapping[str, Any]) -> Iterator[str]:
    for stage in facts.get("stages", {}).values():
        for name, value in stage["with"].items():
            if stage.get("sink") and name == "path":
                continue
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, str) and (os.sep in one or "." in one) and "\0" not in one:
                    yield one


def file_print(path: Path) -> str | None:
    """What a file or folder holds, in a word; None if there is none of this name.

    Of a pattern such as `frame_%04d.png` the folder is looked at.
    """
    if "%" in path.name and not path.exists():
        path = path.parent
    try:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.is_file())
            joined = "\n".join(f"{one.relative_to(path)} {_stamp(one)}" for one in inside)
            return hashlib.sha256(joined.encode()).hexdigest()
        if not path.is_file():
            return None
        if path.stat().st_size > HASHED:
            return _stamp(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _stamp(path: Path) -> str:
    state = path.stat()
    return f"{state.st_size} bytes, {state.st_mtime_ns}"


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two runs, in words; inputs of the graph first, stages only where the inputs are the same."""
    for read in (_graph, _inputs, _stages, _versions):
        old, new = read(was), read(now)
        if old != new:
            names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            return [f"{name}: {_said(new, name)}, was {_said(old, name)}" for name in names]
    old, new = was.get("files", {}), now.get("files", {})
    return [f"{name} has changed" for name in {**old, **new} if old.get(name) != new.get(name)]


def _said(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return "none" if value is None else str(value)


def _graph(run: Mapping[str, Any]) -> dict[str, Any]:
    return {"graph": run.get("graph")}


def _inputs(run: Mapping[str, Any]) -> dict[str, Any]:
    return dict(run.get("inputs", {}))


def _stages(run: Mapping[str, Any]) -> dict[str, Any]:
    stages = run.get("stages", {})
    used = {name: stage["use"] for name, stage in stages.items()}
    return used | {f"{name}.{key}": value for name, stage in stages.items() for key, value in stage["with"].items()}


def _versions(run: Mapping[str, Any]) -> dict[str, Any]:
    return dict(run.get("versions", {}))
