"""What `graphrun check` finds out of a graph that has no mistakes: its plan, and the memory that a run of it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graph import firsts, kept
from graph.check import check, check_again
from graph.control import Control, Failure
from graph.display.text import plan_lines, size
from graph.prepare import Prepared, prepare, stand_ins
from graph.scratch import scratch
from graph.spec import FirstSpec, GraphSpec


@dataclass
class Inspection:
    """Lines for a person, and why the graph could not be made ready if it could not."""

    lines: list[str] = field(default_factory=list)
    failure: Failure | None = None


def inspect_graph(
    spec: GraphSpec, values: Mapping[str, str], changes: Mapping[str, Any], control: Control
) -> Inspection:
    """Check a graph, then make it ready as far as its inputs are known; raises GraphMistakes."""
    missing = stand_ins(spec, values)
    checked = check(spec, {**values, **missing}, changes)
    there = {} if missing else firsts.look(checked)
    while there and any(one.waits for one in checked.spec.first.values()):
        known = {name: path for name, path in there.items() if path is not None}
        again = check_again(checked, known)
        if again.spec == checked.spec:
            break
        checked, there = again, firsts.look(again)
    before = firsts.check_first(checked)
    found = Inspection()
    for one, first, inputs, _ in before:
        found.lines.append(_first_line(one, first, inputs, there, control))
    unmade = [name for name in checked.spec.first if there.get(name) is None]
    prepared: Prepared | None = None
    if not missing and not unmade:
        prepared = prepare(check_again(checked, {name: path for name, path in there.items() if path}), control)
        found.failure = prepared.failure
    found.lines = plan_lines(checked, prepared) + (["", "first", *found.lines] if before else [])
    if missing:
        given = " ".join(f"{name}=…" for name in missing)
        found.lines += ["", f"memory: known once inputs are given ({given})"]
    elif unmade:
        found.lines += ["", f"memory: known once {', '.join(unmade)} has been made, which a run does"]
    return found


def _first_line(
    one: FirstSpec, first: GraphSpec, inputs: Mapping[str, Any], there: Mapping[str, str | None], control: Control
) -> str:
    """A graph that runs before: whether its result is there, else what making it takes."""
    head = f"  {one.name}: {one.graph}"
    if one.name not in there:
        return head
    if there[one.name] is not None:
        return f"{head}, kept from an earlier run"
    if one.waits:
        return f"{head}, not made yet; runs for each entry of what another makes"
    if any(isinstance(value, str) and value[1:] in there for value in inputs.values() if str(value).startswith("$")):
        return f"{head}, not made yet; takes what another makes"
    with scratch() as folder:
        result = folder / f"result{kept.suffix(first, one.gives)}"
        prepared = prepare(check(first, {**inputs, one.gives: str(result)}), control)
    if prepared.failure is not None:
        return f"{head}, cannot be made: {prepared.failure}"
    return f"{head}, not made yet; arenas {size(prepared.bound)}, at rest {size(prepared.at_rest)}"
