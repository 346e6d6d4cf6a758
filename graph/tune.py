"""Workers, batches, shared processes, queues and threads that suit this machine: `graphrun tune`.

A short sample is run and measured; the plan is then changed step by step for as long as the simulation of `whatif` says
that it helps; the best few plans are run, in turn, and the fastest is written.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from graph.check import check
from graph.control import Control
from graph.declared import Checked
from graph.display.timeline import Recorder
from graph.display.whatif import HUB_S, Outcome, Service, measure, simulate
from graph.load import parameters
from graph.plan import Node
from graph.report import Report
from graph.runner import Graph, Progress
from graph.scratch import scratch
from graph.shares import cores_of_run
from graph.spec import GraphMistakes, GraphSpec, Located
from graph.stage import Sink, Stage
from graph.written import write_whole

#: What a step has to gain to be taken, and a plan to be preferred to the one there was.
STEP, WORTH = 1.02, 1.02
MAX_STEPS, MAX_BATCH, MAX_WORKERS = 12, 32, 8
MAX_ROUNDS, FINALISTS = 3, 3
#: The batch at which stages that take batches are measured a second time.
SECOND_BATCH = 4
#: Packets that a simulated run has at least, and how often all workers of the widest node are filled in one.
SIMULATED, FILLINGS = 80, 6
#: A node is given another worker if those it has are at work for more than this share of the time.
BUSY = 0.6

#: What is changed, by stage: `workers`, `batch`, `process`, `queue`, `threads`.
Choices = Mapping[str, Mapping[str, Any]]


@dataclass
class Trial:
    """A plan that was run: packets a second that the simulation expected of it, and those that were measured."""

    choices: Choices
    expected: float | None = None
    measured: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """Of its runs: what else the machine does can only slow them down."""
        return max(self.measured, default=0.0)


@dataclass
class Tuned:
    """What came of it: the plan as it was, the one that was chosen (perhaps the same), and all that were run."""

    spec: GraphSpec
    before: Trial
    chosen: Trial
    trials: list[Trial]


class SampleFailed(RuntimeError):
    """A sample could not be run; the message is its error."""


def tune(
    spec: GraphSpec,
    values: Mapping[str, Any],
    changes: Mapping[str, Any] | None = None,
    *,
    seconds: float = 4.0,
    cores: int | None = None,
    tell: Callable[[str], None] | None = None,
    control: Control | None = None,
) -> Tuned:
    """Find a fast plan. Samples take `seconds` each, and write beside nothing: sinks are given paths of their own.

    Raises GraphMistakes, or SampleFailed if the graph does not run.
    """
    tuner = _Tuner(spec, dict(values), dict(changes or {}), seconds, cores or cores_of_run())
    tuner.tell = tell or tuner.tell
    tuner.control = control
    return tuner.run()


class _Tuner:
    def __init__(
        self, spec: GraphSpec, values: dict[str, Any], changes: dict[str, Any], seconds: float, cores: int
    ) -> None:
        self.spec, self.values, self.changes = spec, values, changes
        self.seconds, self.cores = seconds, cores
        self.control: Control | None = None
        self.tell: Callable[[str], None] = lambda line: None
        #: what each stage takes, by the batch it was measured at, the last measured at the end
        self.services: dict[str, dict[int, Service]] = {}
        self.hub_s = HUB_S
        self.right = 1.0
        self.known: dict[str, Outcome] = {}

    def run(self) -> Tuned:
        """Round by round: measure the fastest plan so far, see what the simulation would change of it, try that."""
        before = at = Trial({})
        trials = [before]
        for _ in range(MAX_ROUNDS):
            self.learn(at)
            found = [one for one in self.proposals(at.choices) if one.choices not in [had.choices for had in trials]]
            for trial in found:
                self.sample(trial)
            trials += found
            fastest = max(trials, key=lambda trial: trial.best)
            if fastest.best <= at.best * WORTH:
                break
            at = fastest
        before.expected = before.best
        finalists = sorted(trials, key=lambda trial: -trial.best)[:FINALISTS]
        for trial in [before, *(one for one in finalists if one is not before)]:
            self.sample(trial)
        fastest = max(trials, key=lambda trial: trial.best)
        trials += [self.tried(choices) for choices in self.with_threads(fastest.choices)]
        fastest = max(trials, key=lambda trial: trial.best)
        chosen = fastest if fastest.best > before.best * WORTH else before
        return Tuned(self.spec, before, chosen, trials)

    def learn(self, trial: Trial) -> None:
        """Run a plan and take from it what its stages and the hub need, and by how much the simulation is wrong."""
        recorder, report = self.sample(trial)
        self.hub_s = report.hub["cpu_us_per_task"] / 1e6
        self.note(measure(recorder))
        if not trial.choices:
            self.measure_batches()
        self.right, self.known = 1.0, {}
        base = self.expect(trial.choices)
        self.right = trial.best / base if base else 1.0

    def note(self, services: Mapping[str, Service]) -> None:
        for name, one in services.items():
            known = self.services.setdefault(name, {})
            known.pop(one.batch, None)
            known[one.batch] = one

    # --------------------------------------------------------------------------------------------------- real runs

    def sample(self, trial: Trial) -> tuple[Recorder, Report]:
        """Run a plan for a while and note how fast it was."""
        control, recorder = Control(), Recorder()
        flowing: list[float] = []

        def watch(now: Progress) -> None:
            if now.packets and not flowing:
                flowing.append(now.wall)
            enough = bool(flowing) and now.wall - flowing[0] > self.seconds
            if enough or (self.control is not None and self.control.draining):
                control.drain()

        with scratch() as folder:
            elsewhere = {
                f"{name}.path": str(folder / f"{name}{Path(str(one.params['path'])).suffix}")
                for name, one in self.checked({}).stages.items()
                if isinstance(one.stage, Sink) and isinstance(one.params.get("path"), str)
            }
            try:
                graph = Graph(changed(self.spec, trial.choices))
                report = graph.run(
                    self.values, changes={**self.changes, **elsewhere},
                    on_progress=watch, control=control, recorder=recorder,
                )  # fmt: skip
            finally:
                control.close()
        if self.control is not None and self.control.draining:
            raise SampleFailed("interrupted")
        if report.status == "failed" or not report.throughput:
            raise SampleFailed(report.error or "too few packets reached the sinks to tell how fast it is")
        trial.measured.append(report.throughput)
        self.tell(f"{report.throughput:.1f} packets/s: {describe(trial.choices)}")
        return recorder, report

    def tried(self, choices: Choices) -> Trial:
        trial = Trial(choices)
        self.sample(trial)
        return trial

    def measure_batches(self) -> None:
        """Measure stages that take batches at a second size, so that any other can be reckoned."""
        takes = {
            name: {"batch": SECOND_BATCH}
            for name, one in self.checked({}).stages.items()
            if isinstance(one.stage, Stage) and type(one.stage).process_batch is not Stage.process_batch
            if one.spec.batch != SECOND_BATCH and name in self.services and self.valid({name: {"batch": SECOND_BATCH}})
        }
        if takes and self.valid(takes):
            recorder, _ = self.sample(Trial(takes))
            self.note({name: one for name, one in measure(recorder).items() if name in takes})

    # --------------------------------------------------------------------------------------------------- proposals

    def checked(self, choices: Choices) -> Checked:
        return check(changed(self.spec, choices), self.values, self.changes)

    def valid(self, choices: Choices) -> bool:
        try:
            self.checked(choices)
        except GraphMistakes:
            return False
        return True

    def expect(self, choices: Choices) -> float:
        """Packets a second of a plan, by simulation; 0 if it may not be."""
        return self.right * self.simulated(choices).throughput

    def simulated(self, choices: Choices) -> Outcome:
        key = repr(sorted((name, sorted(one.items())) for name, one in choices.items()))
        if key not in self.known:
            self.known[key] = self.simulate(choices)
        return self.known[key]

    def simulate(self, choices: Choices) -> Outcome:
        try:
            plan = self.checked(choices).plan
            services = {name: self.service(name, choices) for name in self.services}
            packets = max(SIMULATED, *(FILLINGS * node.workers * node.batch for node in plan.nodes))
            return simulate(plan, services, self.cores, packets, self.hub_s)
        except (GraphMistakes, ValueError):
            return Outcome(0.0, 0.0)

    def service(self, name: str, choices: Choices) -> Service:
        """The times of a stage at the batch that is chosen for it: between two measured sizes on a line."""
        known = self.services[name]
        batch = choices.get(name, {}).get("batch", self.spec.stages[name].batch)
        if batch in known:
            return known[batch]
        one = known[next(reversed(known))]
        other = known[max(known, key=lambda size: abs(size - one.batch))]
        if other is one:
            return one
        slope = max(0.0, (other.mean - one.mean) / (other.batch - one.batch))
        wall = max(one.mean + slope * (batch - one.batch), 1e-9)
        scale = wall / one.mean if one.mean else 1.0
        return Service(tuple(took * scale for took in one.walls), max(one.cores, other.cores), batch)

    def proposals(self, start: Choices) -> list[Trial]:
        """The plans at the end of two climbs, one without shared processes, and the last but one of each."""
        found: list[Trial] = []
        for fuse in (True, False):
            steps = list(self.climb(start, fuse))
            found += [one for one in steps[-2:] if one.choices and one.choices not in [had.choices for had in found]]
        return sorted(found, key=lambda one: -(one.expected or 0.0))[:3]

    def climb(self, at: Choices, fuse: bool) -> Iterator[Trial]:
        """Step by step to what is expected to be faster."""
        value = self.expect(at)
        for _ in range(MAX_STEPS):
            steps = [(self.expect(step), step) for step in self.moves(at, fuse)]
            best, step = max(steps, key=lambda one: one[0], default=(0.0, at))
            if best < value * STEP:
                return
            at, value = step, best
            yield Trial(at, value)

    def moves(self, choices: Choices, fuse: bool) -> Iterator[Choices]:
        """Plans that are one step away from a plan."""
        plan, busy = self.checked(choices).plan, self.simulated(choices).busy
        nodes = plan.nodes
        wider = larger = choices
        for node, share in zip(nodes, busy, strict=True):
            if node.source or node.stateful:
                continue
            if share > BUSY:
                for workers in {node.workers + 1, 2 * node.workers}:
                    if workers <= self.most(node):
                        yield _with(choices, node.stages, "workers", workers)
                        wider = _with(wider, node.stages, "workers", workers)
            if node.workers > 1:
                yield _with(choices, node.stages, "workers", node.workers - 1)
            if node.batch * 2 <= MAX_BATCH and all(len(self.services[name]) > 1 for name in node.stages):
                yield _with(choices, node.stages, "batch", node.batch * 2)
                larger = _with(larger, node.stages, "batch", node.batch * 2)
        yield from (one for one in (wider, larger) if one != choices)
        for link in plan.links:
            if fuse:
                together = (*nodes[link.producer].stages, *nodes[link.consumer].stages)
                yield _with(choices, together, "process", "+".join(together))
            for name in nodes[link.consumer].stages:
                if self.spec.stages[name].queue == link.capacity:
                    yield _with(choices, (name,), "queue", 2 * link.capacity)

    def most(self, node: Node) -> int:
        """Workers that a node may come to have: more than there are cores, if it does not compute."""
        return max(self.cores, MAX_WORKERS if all(self.service(one, {}).cores < 0.5 for one in node.stages) else 1)

    def with_threads(self, choices: Choices) -> Iterator[Choices]:
        """A plan with one thread, and as many as there are cores, for each stage that has a parameter for that."""
        for name, one in self.checked(choices).stages.items():
            if "threads" in parameters(one.cls):
                for threads in {1, self.cores} - {one.params.get("threads")}:
                    if self.valid(step := _with(choices, (name,), "threads", threads)):
                        yield step


def _with(choices: Choices, stages: tuple[str, ...], what: str, value: Any) -> Choices:
    return {**choices, **{name: {**choices.get(name, {}), what: value} for name in stages}}


def changed(spec: GraphSpec, choices: Choices) -> GraphSpec:
    """The graph with what was chosen."""
    stages = dict(spec.stages)
    for name, chosen in choices.items():
        plain = {word: value for word, value in chosen.items() if word != "threads"}
        stages[name] = replace(stages[name], **plain)
        if "threads" in chosen:
            threads = Located(chosen["threads"], stages[name].place)
            stages[name] = replace(stages[name], params={**stages[name].params, "threads": threads})
    return replace(spec, stages=stages)


def describe(choices: Choices) -> str:
    """What was chosen, for people."""
    parts = [f"{name} " + ", ".join(f"{word} {value}" for word, value in one.items()) for name, one in choices.items()]
    return "; ".join(parts) or "as it is written"


# --------------------------------------------------------------------------------------------------------- the file


def tuned_text(tuned: Tuned) -> str:
    """The graph file with what was chosen, its comments kept, and a comment in front that says what that is worth."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    keeping = YAML()
    keeping.preserve_quotes = True
    keeping.width = 4096
    whole = keeping.load(tuned.spec.file.read_text(encoding="utf-8"))
    for name, chosen in tuned.chosen.choices.items():
        stage = whole["stages"][name]
        for word, value in chosen.items():
            if word == "threads":
                stage.setdefault("with", CommentedMap())["threads"] = value
            elif word == "batch" and isinstance(stage.get("batch"), dict):
                stage["batch"]["size"] = value
            else:
                stage[word] = value
    out = io.StringIO()
    keeping.dump(whole, out)
    now, before = tuned.chosen, tuned.before
    said = f"# Tuned for {cores_of_run()} cores: {now.best:.1f} packets/s, before {before.best:.1f}."
    return f"{said}\n# {describe(now.choices)}\n{out.getvalue()}"


def check_target(spec: GraphSpec, path: Path) -> None:
    """Raises ValueError if a tuned graph would not find there what the graph names beside itself."""
    written = yaml.safe_load(spec.file.read_text(encoding="utf-8")).get("inputs") or {}
    named = [str(one.use.value) for one in spec.stages.values()]
    named += [str(written[name].get("default")) for name, one in spec.inputs.items() if one.type == "path"]
    relative = [one for one in named if one.startswith(("./", "../"))] + [one.graph for one in spec.first.values()]
    if relative and path.resolve().parent != spec.file.resolve().parent:
        raise ValueError(f"{path} has to be in the folder of {spec.file}: the graph names {relative[0]} beside itself")


def write_tuned(tuned: Tuned, path: Path) -> None:
    """Write the file; raises ValueError as `check_target` does, or Unwritten."""
    check_target(tuned.spec, path)
    write_whole(path, [tuned_text(tuned)])
