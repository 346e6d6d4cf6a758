"""Whose code decides what a graph gives: a hash of it, so that what was kept is made anew when that changes."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from graph.load import BUILT_IN
from graph.spec import GraphSpec, load_spec


def code_of(spec: GraphSpec) -> str:
    """A hash of the graph file, of its stages' code, and of the same of graphs that run before it."""
    told = hashlib.sha256(spec.file.read_bytes())
    for one in sorted(set(_codes(spec))):
        told.update(one.encode())
    for first in spec.first.values():
        told.update(code_of(load_spec(spec.file.parent / first.graph)).encode())
    return told.hexdigest()


def _codes(spec: GraphSpec) -> Iterator[str]:
    """Hashes of the files beside the graph and of the packages that its stages come from."""
    for stage in spec.stages.values():
        where, _, name = str(stage.use.value).partition(":")
        if where.startswith(("./", "../", "/")) or where.endswith(".py"):
            yield hashlib.sha256((spec.file.parent / where).read_bytes()).hexdigest()
        else:
            yield from _packages(where.partition(".")[0] if name else BUILT_IN)


@cache
def _packages(name: str) -> tuple[str, ...]:
    """Hashes of all files of a package but compiled ones, and of the packages that its `BUILDS_ON` names."""
    module = importlib.import_module(name)
    own = [Path(one) for one in getattr(module, "__path__", [])] or [Path(str(module.__file__))]
    files = [file for one in own for file in ([one] if one.is_file() else sorted(one.rglob("*")))]
    told = hashlib.sha256()
    for file in files:
        if file.is_file() and file.suffix != ".pyc":
            told.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    others = (code for other in getattr(module, "BUILDS_ON", ()) for code in _packages(other))
    return (told.hexdigest(), *others)
