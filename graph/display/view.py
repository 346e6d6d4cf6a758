"""What a picture of a graph shows: its stages with workers, batch and window, its links with fields and capacity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from graph.catalogue import field_type
from graph.check import check
from graph.declared import Checked, Declared
from graph.load import kind
from graph.prepare import stand_ins
from graph.spec import GraphSpec, Located, StageSpec


@dataclass(frozen=True)
class Box:
    """A stage, or a graph that runs first. `kind`: Source, Stage, Sink, First, or Unknown where no code was loaded."""

    name: str
    lines: tuple[str, ...]
    kind: str
    process: str | None = None


@dataclass(frozen=True)
class Line:
    """A link, with what stands beside it."""

    above: str
    below: str
    label: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """All that is drawn; the boxes in an order in which every link leads on."""

    title: str
    about: str
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def picture(spec: GraphSpec, code: bool = True, values: Mapping[str, Any] | None = None) -> Picture:
    """What there is to draw of a graph with values for its inputs, which say how often stages with each: are there.

    Raises GraphMistakes if it has any; without `code` its file alone is read.
    """
    if code:
        given = values or {}
        checked = check(spec, {**stand_ins(spec, given), **given})
        spec = checked.spec
        stages = [_stage_box(one.spec, one) for one in checked.stages.values()]
        lines = [_link(checked, one, before) for one in checked.stages.values() for before in one.inputs]
    else:
        stages = [_stage_box(one, None) for one in spec.stages.values()]
        lines = [Line(str(before.value), one.name) for one in spec.stages.values() for before in one.sources]
    firsts, first_lines = _firsts(spec)
    boxes = [*firsts, *stages]
    lines = [*first_lines, *(replace(line, above=f"stage {line.above}", below=f"stage {line.below}") for line in lines)]
    boxes, lines = _leading_on(boxes, lines)
    return Picture(spec.name, spec.about, tuple(boxes), tuple(lines))


def key(box: Box) -> str:
    """What links call a box: a stage and a graph that runs first may have the same name."""
    return f"{'first' if box.kind == 'First' else 'stage'} {box.name}"


def _stage_box(one: StageSpec, declared: Declared | None) -> Box:
    facts = []
    use = str(one.use.value)
    if use != one.name:
        facts.append(use)
    if one.workers > 1:
        facts.append(f"{one.workers} workers")
    if one.batch > 1:
        facts.append(f"batch {one.batch}" + (f" or {one.max_wait:g} s" if one.max_wait is not None else ""))
    window = getattr(declared.stage, "window", None) if declared else None
    if window and (window.before or window.after):
        facts.append(f"window -{window.before} +{window.after}")
    if one.process is not None:
        facts.append(f"process {one.process}")
    if one.on_error != "fail":
        facts.append(f"on error {one.on_error}")
    return Box(one.name, tuple(facts), kind(declared.cls) if declared else "Unknown", one.process)


def _link(checked: Checked, one: Declared, before: str) -> Line:
    """A link with the fields that are read over it, and its capacity if the two do not share a process."""
    writers = {name: other for other in checked.stages.values() for name in other.writes}
    label = []
    for name, kind_of in one.reads.items():
        writer = writers[name].name
        ways = [way for way in one.inputs if way == writer] or [
            way for way in one.inputs if writer in _before(checked, way)
        ]
        if ways[0] == before:
            label.append(f"{name}  {field_type(kind_of)}")
    plan = checked.plan
    home = {stage: at for at, node in enumerate(plan.nodes) for stage in node.stages}
    for link in plan.links:
        if (link.producer, link.consumer) == (home[before], home[one.name]):
            label.append(f"queue {link.capacity}")
    return Line(before, one.name, tuple(label))


def _before(checked: Checked, name: str) -> set[str]:
    """All stages before one."""
    inputs = checked.stages[name].inputs
    return set(inputs).union(*(_before(checked, one) for one in inputs))


def _firsts(spec: GraphSpec) -> tuple[list[Box], list[Line]]:
    """Graphs that run first, and links to where their results are used."""
    boxes = [Box(one.name, (one.graph,), "First") for one in spec.first.values()]
    lines = []
    for name in spec.first:
        users: list[tuple[str, Mapping[str, Located]]] = [
            *((f"first {one.name}", one.params) for one in spec.first.values()),
            *((f"stage {one.name}", one.params) for one in spec.stages.values()),
        ]
        for user, params in users:
            taken = [param for param, located in params.items() if located.value == f"${name}"]
            if taken:
                lines.append(Line(f"first {name}", user, tuple(param for param in taken if param != name)))
    return boxes, lines


def _leading_on(boxes: list[Box], lines: list[Line]) -> tuple[list[Box], list[Line]]:
    """Boxes in topological order; links to what is not there, or back in a cycle of an unchecked file, are left out."""
    known = {key(box): box for box in boxes}
    lines = [line for line in lines if line.above in known and line.below in known]
    order: list[str] = []
    left = list(known)
    while left:
        free = [name for name in left if not any(line.below == name and line.above in left for line in lines)]
        order += free or left[:1]
        left = [name for name in left if name not in order]
    place = {name: at for at, name in enumerate(order)}
    return [known[name] for name in order], [line for line in lines if place[line.above] < place[line.below]]
