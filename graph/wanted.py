"""`when:`: what of a graph is there only if inputs and parameters have certain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from graph.spec import GraphSpec, Located, StageSpec


def what_is_wanted(spec: GraphSpec, resolve: Callable[[Located], Any]) -> GraphSpec:
    """A graph without what is not wanted: graphs that run first, and stages.

    A stage that took its packets from nothing else takes them from where one that is left out took its own, and what
    its `chain:` leads to is what it leads from. `resolve` follows a reference such as `$stage.param`.
    """

    def holds(when: Mapping[str, Located]) -> bool:
        return all(_is_one(resolve(Located(f"${key}", one.place)), one.value) for key, one in when.items())

    first = {name: one for name, one in spec.first.items() if holds(one.when)}
    out = {name for name, one in spec.stages.items() if not holds(one.when)}
    stages = {name: _linked(one, spec.stages, out) for name, one in spec.stages.items() if name not in out}
    return replace(spec, first=first, stages=stages, passed=_passed([spec.stages[name] for name in out]))


def _is_one(found: Any, asked: Any) -> bool:
    """Whether a value is what is asked for: a value, one of a list, or `{not: …}`."""
    if isinstance(asked, dict):
        return not _is_one(found, asked.get("not"))
    return found in (asked if isinstance(asked, list) else [asked])


def _passed(out: Iterable[StageSpec]) -> dict[str, str]:
    """What is read for the fields of stages that are left out, by the graph's names."""
    passed: dict[str, str] = {}
    for one in out:
        called = {name: str(located.value) for name, located in one.fields.items()}
        for name, written in one.chain.items() if one.copy is None else ():
            passed[called.get(str(written.value), str(written.value))] = called.get(name, name)
    for _ in range(len(passed) - 1):  # where one leads to another
        passed = {name: passed.get(other, other) for name, other in passed.items()}
    return passed


def _linked(one: StageSpec, stages: Mapping[str, StageSpec], out: set[str]) -> StageSpec:
    """A stage as it is linked where those `out` are not there."""
    sources, gone = list(one.sources), set[str]()
    while sources and all(source.value in out for source in sources):
        gone |= {str(source.value) for source in sources}
        before = {link.value: link for source in sources for link in stages[str(source.value)].sources}
        sources = [link for name, link in before.items() if name not in gone]
    return replace(one, sources=tuple(source for source in sources if source.value not in out))
