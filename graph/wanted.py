"""`when:`: what of a graph is there only if inputs and parameters have certain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from graph.spec import GraphSpec, Located, StageSpec


def what_is_wanted(spec: GraphSpec, resolve: Callable[[Located], Any]) -> GraphSpec:
    """A graph without what is not wanted: graphs that run first, and stages.

    A stage that took its packets from nothing else takes them from where one that is left out took its own. `resolve`
    follows a reference such as `$stage.param`.
    """

    def holds(when: Mapping[str, Located]) -> bool:
        asked = [(resolve(Located(f"${key}", one.place)), one.value) for key, one in when.items()]
        return all(found in (values if isinstance(values, list) else [values]) for found, values in asked)

    first = {name: one for name, one in spec.first.items() if holds(one.when)}
    out = {name for name, one in spec.stages.items() if not holds(one.when)}
    stages = {name: _linked(one, spec.stages, out) for name, one in spec.stages.items() if name not in out}
    return replace(spec, first=first, stages=stages)


def _linked(one: StageSpec, stages: Mapping[str, StageSpec], out: set[str]) -> StageSpec:
    """A stage as it is linked where those `out` are not there."""
    sources, gone = list(one.sources), set[str]()
    while sources and all(source.value in out for source in sources):
        gone |= {str(source.value) for source in sources}
        before = {link.value: link for source in sources for link in stages[str(source.value)].sources}
        sources = [link for name, link in before.items() if name not in gone]
    return replace(one, sources=tuple(source for source in sources if source.value not in out))
