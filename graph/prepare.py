"""A graph made ready and let go again, without a packet: what its arenas and its processes at rest need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from graph.arena import Arena
from graph.control import Control, Failure
from graph.declared import Checked
from graph.hub import Hub
from graph.spec import GraphSpec
from graph.stats import proportional


@dataclass(frozen=True)
class Prepared:
    """What is known of a graph once its workers are open and configured.

    `bound`: bytes of all slots, which no run exceeds. `at_rest`: PSS in bytes of the runner and the workers, of which
    there are `processes`. `failure`: why it could not be made ready; then the rest is what was known until then.
    """

    arenas: dict[str, Arena] = field(default_factory=dict)
    bound: int = 0
    at_rest: int = 0
    processes: int = 0
    failure: Failure | None = None


def prepare(checked: Checked, control: Control) -> Prepared:
    """Start the workers of a graph but for its sinks, let them open and say their shapes, and close them."""
    hub = Hub(checked, control, lambda: None)
    try:
        hub.start(sinks=False)
        pids = [os.getpid(), *hub.pids()]
        at_rest = sum(map(proportional, pids))
        arenas, bound = (hub.memory.arenas, hub.memory.bytes) if hub.memory else ({}, 0)
        return Prepared(arenas, bound, at_rest, len(pids), hub.failure)
    finally:
        hub.close()


def placeholder(kind: object) -> object:
    """A harmless value of a type, where only the form of a thing is asked for."""
    return {int: 1, float: 1.0, bool: False, str: ""}.get(kind) if isinstance(kind, type) else None


def stand_ins(spec: GraphSpec, given: Mapping[str, object]) -> dict[str, object]:
    """A placeholder for every required input that was not given."""
    kinds = {"path": str, "text": str, "int": int, "float": float, "bool": bool}
    missing = {name: one for name, one in spec.inputs.items() if one.required and name not in given}
    return {name: {"0": ""} if one.type == "map" else placeholder(kinds[one.type]) for name, one in missing.items()}
