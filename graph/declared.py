"""The stages of a graph with what their own code says of them, and the plan that is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graph.plan import CREDIT, DEVICE_CREDIT, EXTRA, FieldPlan, Link, Node, Plan, auto_capacities, auto_slots
from graph.spec import GraphSpec, StageSpec
from graph.stage import Array, Field, Sink, Source, Stage, works_ahead


@dataclass
class Declared:
    """A stage of the graph with everything that its own code says of it. Field names are the graph's."""

    spec: StageSpec
    cls: type[Source] | type[Stage]
    params: dict[str, Any]
    stage: Source | Stage
    renamed: dict[str, str]
    inputs: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def reads(self) -> dict[str, Field]:
        return {self.renamed.get(name, name): kind for name, kind in self.stage.reads.items()}

    @property
    def writes(self) -> dict[str, Field]:
        return {self.renamed.get(name, name): kind for name, kind in self.stage.writes.items()}


@dataclass(frozen=True)
class Asked:
    """What a graph was checked with: the file as it was read, values of inputs and changes of parameters."""

    spec: GraphSpec
    values: Mapping[str, Any]
    changes: Mapping[str, Any]


@dataclass
class Checked:
    """A graph that can run: its stages in topological order, its inputs' values, and its plan.

    In `spec` every `each:` is unfolded; `asked` has the graph as it was read.
    """

    spec: GraphSpec
    values: dict[str, Any]
    stages: dict[str, Declared]
    plan: Plan
    asked: Asked

    @property
    def facts(self) -> dict[str, Any]:
        """What this run is, in plain values: two runs with the same facts make the same of the same inputs."""
        stages = {
            name: {"use": one.spec.use.value, "with": one.params, "sink": isinstance(one.stage, Sink)}
            for name, one in self.stages.items()
        }
        return {"graph": self.spec.name, "inputs": self.values, "stages": stages}


def passes(stage: Source | Stage) -> bool:
    """Whether a stage can hand a packet on unprocessed."""
    return isinstance(stage, Stage) and type(stage).pass_through is not Stage.pass_through


def sorted_groups(groups: list[list[str]], declared: dict[str, Declared]) -> list[list[str]]:
    """Groups in topological order, as a whole."""
    home = {name: at for at, members in enumerate(groups) for name in members}
    left = {
        at: {home[before] for name in members for before in declared[name].inputs if home[before] != at}
        for at, members in enumerate(groups)
    }
    order: list[int] = []
    while left:
        free = [at for at, before in left.items() if not before - set(order)] or list(left)
        order.append(free[0])
        del left[free[0]]
    return [groups[at] for at in order]


def make_plan(declared: dict[str, Declared], groups: list[list[str]]) -> Plan:
    """Nodes, links and fields with their capacities, of stages that have been checked."""
    home = {name: at for at, members in enumerate(groups) for name in members}
    nodes = tuple(_node(declared, members, home) for members in groups)
    automatic = auto_capacities(nodes)
    links = []
    for (producer, consumer), size in automatic.items():
        queues = [
            one.spec.queue
            for name in groups[consumer]
            if (one := declared[name]).spec.queue is not None and any(home[before] == producer for before in one.inputs)
        ]
        links.append(Link(producer, consumer, min((queue for queue in queues if queue), default=size)))
    fields = []
    for name, one in declared.items():
        for field_name, kind_of in one.writes.items():
            readers = {home[other.name] for other in declared.values() if field_name in other.reads}
            outside = tuple(sorted(readers - {home[name]}))
            if not outside:
                continue
            slots = auto_slots(nodes, tuple(links), home[name], outside) if isinstance(kind_of, Array) else 0
            fields.append(FieldPlan(field_name, home[name], outside, slots))
    return Plan(nodes, tuple(links), tuple(fields))


def _node(declared: dict[str, Declared], members: list[str], home: dict[str, int]) -> Node:
    stages = [declared[name] for name in members]
    at = home[members[0]]
    head, window = stages[0], getattr(stages[0].stage, "window", None)
    with_state = [one.stage for one in stages if one.stage.stateful]
    before = {home[name] for one in stages for name in one.inputs} - {at}
    timeouts = [one.spec.timeout for one in stages if one.spec.timeout is not None]
    has_device = len(stages) == 1 and works_ahead(head.stage)
    return Node(
        name="+".join(members),
        stages=tuple(members),
        inputs=tuple(sorted(before)),
        workers=head.spec.workers,
        batch=head.spec.batch,
        max_wait=head.spec.max_wait,
        before=window.before if window else 0,
        after=window.after if window else 0,
        stateful=bool(with_state),
        on_error=_on_error(stages),
        timeout=sum(timeouts) if timeouts else None,
        credit=DEVICE_CREDIT if has_device else CREDIT,
        extra=EXTRA if head.spec.batch == 1 and not has_device else 0,
        pictures=_writes_pictures(stages, [one for one in declared.values() if one.name not in members]),
        sink=not any(name in one.inputs for name in members for one in declared.values() if one.name not in members),
        resumes=bool(with_state) and all(_resumes(stage) for stage in with_state),
    )


def _writes_pictures(stages: list[Declared], others: list[Declared]) -> bool:
    """Whether others read an array of these stages whose shape only a run tells: a picture, mostly."""
    open_ = {name for one in stages for name, kind in one.writes.items() if _is_open(kind)}
    return any(open_.intersection(other.reads) for other in others)


def _is_open(kind: Field) -> bool:
    return isinstance(kind, Array) and kind.resolve({}) is None


def _resumes(stage: object) -> bool:
    """Whether a stage knows, after its process died, what it has whole."""
    return isinstance(stage, Sink) and type(stage).resume is not Sink.resume


def _on_error(stages: list[Declared]) -> str:
    """A graph's default of `pass` means `skip` for a stage that cannot pass a packet on."""
    wanted = stages[0].spec.on_error
    return "skip" if wanted == "pass" and not all(passes(one.stage) for one in stages) else wanted
