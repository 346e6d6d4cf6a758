"""Everything that can be known of a graph without running it: all mistakes at once, else what there is to run.

Nothing here knows a stage by name. The order of the checks is the order of dependence: a check that builds on another
is left out where that one failed, so that one mistake is reported once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graph.declared import Asked, Checked, Declared, make_plan, passes, sorted_groups
from graph.each import maps_of, name_fields, said_once, unfold
from graph.load import LoadError, fit, kind, load_class, parameters
from graph.maps import Entries, entries, read_entries
from graph.plan import Link, Plan, auto_capacities, resized
from graph.simulate import enough, locks
from graph.spec import GraphMistakes, GraphSpec, InputSpec, Located, Mistake, Place, StageSpec
from graph.stage import Array, Field, Sink, Source, Stage
from graph.wanted import what_is_wanted
from graph.words import nearest

COMMAND_LINE = Place("command line", 1, 1)


def check(
    spec: GraphSpec, values: Mapping[str, Any] | None = None, changes: Mapping[str, Any] | None = None
) -> Checked:
    """Check a graph with values for its inputs and changes `stage.param` → value; raises GraphMistakes with all."""
    return _Check(spec).run(dict(values or {}), dict(changes or {}))


def check_again(checked: Checked, found: Mapping[str, str]) -> Checked:
    """A graph that was checked, now that results of graphs that run first are known by name."""
    asked = checked.asked
    return check(asked.spec, {**asked.values, **found}, asked.changes)


def input_value(one: InputSpec, given: Any) -> Any:
    """A value for an input, from text if it comes from a command line; raises ValueError with what would be right."""
    if one.type == "map" and given is not None:
        try:
            return read_entries(given) if isinstance(given, str) else entries(given)
        except ValueError as error:
            raise ValueError(f"'{one.name}' {error}") from None
    if not isinstance(given, str):
        return given
    if one.type == "bool":
        if given.lower() not in ("true", "false", "yes", "no", "1", "0"):
            raise ValueError(f"'{one.name}' has to be true or false, not {given!r}")
        return given.lower() in ("true", "yes", "1")
    try:
        return {"int": int, "float": float}.get(one.type, str)(given)
    except ValueError:
        raise ValueError(f"'{one.name}' has to be of type {one.type}, not {given!r}") from None


class _Check:
    def __init__(self, spec: GraphSpec) -> None:
        self.spec = spec
        self.mistakes: list[Mistake] = list(spec.mistakes)
        self.values: dict[str, Any] = {}
        #: references to inputs that were found wrong: nothing more is said of where they are used
        self.valueless: set[str] = set()
        self.order: list[str] = []

    def wrong(self, place: Place | None, text: str) -> None:
        self.mistakes.append(Mistake(place, text))

    def run(self, values: dict[str, Any], changes: dict[str, Any]) -> Checked:
        asked = Asked(self.spec, values, changes)
        self.take_values(values)
        self.unfold(values, changes)
        self.check_links()
        declared = {name: one for name in self.spec.stages if (one := self.declare(self.spec.stages[name]))}
        unchained = name_fields(declared.values(), self.spec.passed)
        self.mistakes += unchained
        whole = len(declared) == len(self.spec.stages) and len(self.order) == len(declared)
        if whole:
            declared = {name: declared[name] for name in self.order}
            self.check_kinds(declared)
        if not unchained:
            self.check_fields(declared)
        self.check_written(declared)
        groups = self.groups(declared) if whole else []
        self.stop_if_wrong()
        checked = Checked(self.spec, self.values, declared, make_plan(declared, groups), asked)
        self.check_capacities(checked)
        self.stop_if_wrong()
        return checked

    def stop_if_wrong(self) -> None:
        if self.mistakes:
            raise GraphMistakes(said_once(self.mistakes, self.spec))

    # ---------------------------------------------------------------------------------------------- inputs and values

    def take_values(self, values: dict[str, Any]) -> None:
        for name, one in self.spec.inputs.items():
            if name in values:
                try:
                    self.values[name] = input_value(one, values[name])
                except ValueError as error:
                    self.wrong(None, str(error))
                    self.values[name] = None
                    self.valueless.add(f"${name}")
            elif one.required:
                about = f": {one.about}" if one.about else ""
                self.wrong(one.place, f"input '{name}' is needed{about} (give {name}=…)")
                self.values[name] = ""
                if one.type not in ("path", "text"):
                    self.valueless.add(f"${name}")
            else:
                self.values[name] = entries(one.default) if isinstance(one.default, dict) else one.default

    def unfold(self, values: dict[str, Any], changes: dict[str, Any]) -> None:
        """Make the copies that each: asks for, with what changes; take the results of graphs that run first; leave out
        what is not wanted.
        """
        before = replace(self.spec, stages=self.changed(changes, final=False))
        self.spec = unfold(before, self.maps(values))
        self.mistakes += self.spec.mistakes[len(before.mistakes) :]
        self.spec = replace(self.spec, stages=self.changed(changes, final=True))
        for name in self.spec.first:
            if name in self.spec.inputs:
                self.wrong(self.spec.first[name].place, f"'{name}' is an input as well")
            self.values[name] = values.get(name, "")
        for name in values:
            if name not in self.spec.inputs and name not in self.spec.first:
                self.wrong(None, f"the graph has no input '{name}'{nearest(name, self.spec.inputs)}")
        self.spec = what_is_wanted(self.spec, self.resolve)

    def maps(self, values: dict[str, Any]) -> dict[str, Entries | None]:
        """What each: names: a map, or a graph that runs first and writes one; None where it is not known yet."""
        found: dict[str, Entries | None] = {}
        for name, each in maps_of(self.spec).items():
            first = self.spec.first.get(name)
            if name in self.spec.inputs and self.spec.inputs[name].type == "map":
                found[name] = self.values.get(name) or None
            elif first is None or first.each is not None:
                self.wrong(each.place, f"each: '{name}' is neither an input of type map nor a graph that runs first")
                found[name] = None
            else:
                found[name] = self.written_map(name, str(values.get(name) or ""))
        return found

    def written_map(self, name: str, path: str) -> Entries | None:
        """The map that a graph which ran first has written; None if it has yet to run."""
        if not path:
            return None
        try:
            return read_entries(path)
        except ValueError as error:
            self.wrong(self.spec.first[name].place, f"{path}, which '{name}' wrote, {error}")
            return None

    def changed(self, changes: dict[str, Any], *, final: bool) -> dict[str, StageSpec]:
        """The stages with what `--set STAGE.PARAM=VALUE` changes, for copies too: of all before they are made, of one
        in the end (`final`), when a name that was never there is a mistake.
        """
        stages = dict(self.spec.stages)
        copied = {one.copy.of for one in stages.values() if one.copy is not None}
        for key, value in changes.items():
            name, _, param = key.rpartition(".")
            if name in stages:
                one = stages[name]
                stages[name] = replace(one, params={**one.params, param: Located(value, COMMAND_LINE)})
            elif final and not name:
                self.wrong(None, f"--set takes STAGE.PARAM=VALUE, not {key!r}")
            elif final and name not in copied:
                self.wrong(None, f"--set {key}: there is no stage '{name}'{nearest(name, stages)}")
        return stages

    def resolve(self, located: Located, seen: tuple[str, ...] = ()) -> Any:
        """A value with its reference followed: `$input`, `$stage.param`; `$$` begins a plain dollar."""
        value = located.value
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        if value.startswith("$$"):
            return value[1:]
        if value[1:] in self.values:
            return self.values[value[1:]]
        name, _, param = value[1:].rpartition(".")
        if not name:
            self.wrong(
                located.place, f"there is no input '{param}'{nearest(param, [*self.spec.inputs, *self.spec.first])}"
            )
            return None
        if name not in self.spec.stages:
            self.wrong(located.place, f"'{value}': there is no stage '{name}'{nearest(name, self.spec.stages)}")
            return None
        if value in seen:
            self.wrong(located.place, f"'{value}' refers to itself")
            return None
        other = self.spec.stages[name]
        if param in other.params:
            return self.resolve(other.params[param], (*seen, value))
        return self.default_of(other, param, located.place)

    def default_of(self, other: StageSpec, param: str, place: Place) -> Any:
        try:
            known = parameters(load_class(str(other.use.value), self.spec.file.parent))
        except LoadError:
            return None
        if param not in known:
            self.wrong(place, f"stage '{other.name}' takes no '{param}'{nearest(param, known)}")
            return None
        return known[param].default

    # --------------------------------------------------------------------------------------------------- the links

    def check_links(self) -> None:
        """Names after `from:`, cycles, stages that no source feeds; fills `order` if there is one."""
        stages = self.spec.stages
        if not stages and not self.spec.mistakes:
            self.wrong(self.spec.place, "has no stages")
        for one in stages.values():
            named = [located.value for located in one.sources]
            for located in one.sources:
                if located.value not in stages:
                    self.wrong(
                        located.place, f"there is no stage '{located.value}'{nearest(str(located.value), stages)}"
                    )
                if named.count(located.value) > 1:
                    self.wrong(located.place, f"'{located.value}' is there twice")
        left = {name: {str(item.value) for item in one.sources if item.value in stages} for name, one in stages.items()}
        while free := [name for name, before in left.items() if not before]:
            self.order.extend(free)
            left = {name: before - set(free) for name, before in left.items() if name not in free}
        cycle = _cycle(left)
        if cycle:
            self.wrong(stages[cycle[0]].at("from"), f"a cycle: {' -> '.join([*cycle, cycle[0]])}")
        for name in left:
            if name not in cycle:
                self.wrong(stages[name].place, f"stage '{name}' cannot be reached: it stands behind the cycle")

    def inputs_of(self, name: str) -> tuple[str, ...]:
        return tuple(str(item.value) for item in self.spec.stages[name].sources if item.value in self.spec.stages)

    def before(self, name: str) -> set[str]:
        """All stages before one."""
        found: set[str] = set()
        todo = list(self.inputs_of(name))
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo.extend(self.inputs_of(one))
        return found

    def loose(self) -> set[str]:
        """Stages whose links are wrong, so that nothing can be said of what comes before them."""
        stages = self.spec.stages
        unknown = {name for name, one in stages.items() if any(item.value not in stages for item in one.sources)}
        return unknown | (stages.keys() - set(self.order))

    # ------------------------------------------------------------------------------------------------ single stages

    def declare(self, one: StageSpec) -> Declared | None:
        """Load a stage's class and make one with its parameters."""
        if one.use.value is None:
            return None
        try:
            cls = load_class(str(one.use.value), self.spec.file.parent)
        except LoadError as error:
            self.wrong(one.use.place, f"stage '{one.name}': {error}")
            return None
        params = self.params_of(one, cls)
        if params is None:
            return None
        try:
            stage = cls(**params)
        except Exception as error:
            self.wrong(one.at("with"), f"stage '{one.name}': {error}")
            return None
        renamed = {name: str(located.value) for name, located in one.fields.items()}
        known = {**stage.reads, **stage.writes}
        for name in renamed:
            if name not in known:
                self.wrong(one.fields[name].place, f"stage '{one.name}' has no field '{name}'{nearest(name, known)}")
        return Declared(one, cls, params, stage, renamed, self.inputs_of(one.name))

    def params_of(self, one: StageSpec, cls: type) -> dict[str, Any] | None:
        known, found, good = parameters(cls), {}, True
        for name, located in one.params.items():
            if name not in known:
                self.wrong(located.place, f"stage '{one.name}' takes no '{name}'{nearest(name, known)}")
                good = False
                continue
            if isinstance(located.value, str) and located.value in self.valueless:
                good = False
                continue
            mistakes = len(self.mistakes)
            value = self.resolve(located)
            if len(self.mistakes) > mistakes:
                good = False
                continue
            try:
                found[name] = fit(known[name], value)
            except LoadError as error:
                self.wrong(located.place, f"stage '{one.name}': '{name}' {error}")
                good = False
        for name, parameter in known.items():
            if parameter.required and name not in one.params:
                self.wrong(one.place, f"stage '{one.name}' needs '{name}' (with: {{{name}: …}})")
                good = False
        return found if good else None

    def check_kinds(self, declared: dict[str, Declared]) -> None:
        """What a source, a stage with state or a sink cannot be asked for."""
        for one in declared.values():
            spec, what = one.spec, f"stage '{one.name}'"
            source = isinstance(one.stage, Source)
            if source and one.inputs:
                self.wrong(spec.at("from"), f"{what} is a source ({one.cls.__name__}): it takes no packets")
            if not source and not spec.sources and not self.spec.mistakes:
                self.wrong(spec.place, f"{what} cannot be reached: it is no source and has no from:")
            if spec.workers > 1 and (source or one.stage.stateful):
                self.wrong(spec.at("workers"), f"{what} has {'order' if source else 'state'}: it takes one worker")
            if source and spec.batch > 1:
                self.wrong(spec.at("batch"), f"{what} is a source: it takes no batch")
            if spec.max_wait is not None and spec.batch == 1:
                self.wrong(spec.at("max_wait"), f"{what}: max_wait means something only with a batch")
            if spec.queue is not None and source:
                self.wrong(spec.at("queue"), f"{what} is a source: no link leads into it")
            if spec.on_error == "pass" and "on_error" in spec.places and not passes(one.stage):
                self.wrong(spec.at("on_error"), f"{what} cannot pass a packet on unprocessed: fail or skip")
            if kind(one.cls) == "Sink" and any(one.name in other.inputs for other in declared.values()):
                self.wrong(spec.place, f"{what} is a sink ({one.cls.__name__}): nothing comes after it")

    def check_written(self, declared: dict[str, Declared]) -> None:
        """No sink's `path` may be a file that another stage was given too."""
        for one in declared.values():
            target = one.params.get("path")
            if not isinstance(one.stage, Sink) or not isinstance(target, str) or not _is_file(target):
                continue
            for other in declared.values():
                shared = {name for name, value in other.params.items() if _is_same(value, target)}
                if other is not one and shared:
                    does = "writes" if isinstance(other.stage, Sink) and "path" in shared else "reads"
                    text = f"stage '{one.name}' would write over what stage '{other.name}' {does}: {target}"
                    self.wrong(one.spec.params["path"].place if "path" in one.spec.params else one.spec.place, text)

    # ------------------------------------------------------------------------------------------------------- fields

    def check_fields(self, declared: dict[str, Declared]) -> None:
        """Each field has one writer, which comes before its readers and writes what they read."""
        writers: dict[str, Declared] = {}
        for one in declared.values():
            for name in one.writes:
                if name in writers:
                    text = f"stage '{one.name}' writes '{name}', as stage '{writers[name].name}' does"
                    self.wrong(one.spec.place, f"{text} (fields: {{{name}: …}} renames it)")
                writers.setdefault(name, one)
        for one in declared.values():
            before = self.before(one.name)
            if not before | {one.name} <= declared.keys() - self.loose():
                continue
            here = sorted(name for name, writer in writers.items() if writer.name in before)
            for name, wanted in one.reads.items():
                self.check_read(one, name, wanted, writers.get(name), before, here)

    def check_read(
        self, one: Declared, name: str, wanted: Field, writer: Declared | None, before: set[str], here: list[str]
    ) -> None:
        place = one.spec.at("fields") if name in one.renamed.values() else one.spec.place
        if writer is None:
            self.wrong(
                place, f"stage '{one.name}' reads '{name}', which no stage before it writes{nearest(name, here)}"
            )
        elif writer.name not in before:
            text = f"stage '{one.name}' reads '{name}', which stage '{writer.name}' writes, but that is not before it"
            self.wrong(place, text + f" (from: {writer.name})")
        else:
            given = writer.writes[name]
            if trouble := _misfit(given, wanted):
                self.wrong(place, f"stage '{one.name}' reads '{name}' as {wanted!r}, stage '{writer.name}' {trouble}")

    # ------------------------------------------------------------------------------------------- shared processes

    def groups(self, declared: dict[str, Declared]) -> list[list[str]]:
        """Stages by process, in topological order: each alone, or with those of the same `process:` name."""
        by_name: dict[str, list[str]] = {}
        for name in self.order:
            shared = declared[name].spec.process
            by_name.setdefault(f"process {shared}" if shared else name, []).append(name)
        for members in by_name.values():
            if len(members) > 1:
                self.check_group(declared, members)
        return sorted_groups(list(by_name.values()), declared)

    def check_group(self, declared: dict[str, Declared], members: list[str]) -> None:
        head = declared[members[0]]
        for name in members[1:]:
            one, place = declared[name], declared[name].spec.at("process")
            if not set(one.inputs) <= set(members):
                inside = set(one.inputs).intersection(members)
                outside = sorted(set(one.inputs) - set(members))
                if not inside:
                    self.wrong(
                        place, f"stages '{head.name}' and '{name}' are no neighbours: they cannot share a process"
                    )
                elif any(self.before(other).intersection(members) for other in outside):
                    self.wrong(place, f"stage '{name}' also waits for '{outside[0]}', which waits for this process")
            for word in ("workers", "batch", "on_error"):
                if getattr(one.spec, word) != getattr(head.spec, word):
                    self.wrong(
                        place, f"stages that share a process have the same {word}, unlike '{head.name}' and '{name}'"
                    )
            if isinstance(one.stage, Stage) and (one.stage.window.before or one.stage.window.after):
                self.wrong(place, f"stage '{name}' reads a window: it can only be the first of its process")

    # --------------------------------------------------------------------------------------------------- capacities

    def check_capacities(self, checked: Checked) -> None:
        """Capacities that were written down must not lock; those of `auto` cannot."""
        plan = checked.plan
        explicit = [link for link in plan.links if self.queue_of(plan, link) is not None]
        if not explicit or locks(plan) is None:
            return
        automatic = auto_capacities(plan.nodes)
        limit = sum(automatic.values()) + sum(link.capacity for link in plan.links) + 8
        easy = [
            replace(link, capacity=max(link.capacity, automatic[link.producer, link.consumer])) for link in plan.links
        ]
        for at, link in enumerate(plan.links):
            if link in explicit:
                alone = resized(plan, (*easy[:at], link, *easy[at + 1 :]))
                if locks(alone) is not None:
                    self.blame(plan, link, f"at least {enough(alone, link, limit)} would do")

    def queue_of(self, plan: Plan, link: Link) -> StageSpec | None:
        """The stage whose `queue:` gave a link its capacity."""
        for name in plan.nodes[link.consumer].stages:
            spec = self.spec.stages[name]
            if spec.queue is not None and set(self.inputs_of(name)).intersection(plan.nodes[link.producer].stages):
                return spec
        return None

    def blame(self, plan: Plan, link: Link, cure: str) -> None:
        spec = self.queue_of(plan, link)
        node = plan.nodes[link.consumer]
        why = f"'{node.name}' takes {node.ahead + 1} packets at once" if node.ahead else "the paths part and meet again"
        others = [other for other in plan.links if other.consumer == link.consumer and other != link]
        against = f" against {plan.link_name(others[0])}" if others else ""
        text = f"queue: {link.capacity} on {plan.link_name(link)} would lock the graph{against}, since {why}: {cure}"
        self.wrong(spec.at("queue") if spec else None, text)


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def _is_same(value: object, path: str) -> bool:
    """Whether a value of a parameter names a file that is there."""
    return isinstance(value, str) and _is_file(value) and Path(value).samefile(path)


def missing_folders(checked: Checked) -> list[Mistake]:
    """The sinks whose `path` lies in a folder that is not there."""
    mistakes = []
    for one in checked.stages.values():
        target = one.params.get("path")
        if isinstance(one.stage, Sink) and isinstance(target, str) and target and "://" not in target:
            folder = Path(target).parent
            if not folder.is_dir():
                place = one.spec.params["path"].place if "path" in one.spec.params else one.spec.place
                mistakes.append(Mistake(place, f"stage '{one.name}': {target}: there is no folder {folder}"))
    return mistakes


def _misfit(given: Field, wanted: Field) -> str | None:
    """What is wrong with a field as it is written, for how it is read."""
    if not isinstance(given, Array) or not isinstance(wanted, Array):
        return None if type(given) is type(wanted) else f"writes {given!r}"
    if given.dtype != wanted.dtype or len(given.words) != len(wanted.words):
        return f"writes {given!r}"
    for have, want in zip(given.words, wanted.words, strict=True):
        if have[-1].isdigit() and want[-1].isdigit() and have != want:
            return f"writes {given!r}"
    return None


def _cycle(left: dict[str, set[str]]) -> list[str]:
    """One cycle among stages that wait for each other, in the order of the packets."""
    if not left:
        return []
    path: list[str] = [next(iter(left))]
    while True:
        before = next(iter(sorted(left[path[-1]])))
        if before in path:
            return list(reversed(path[path.index(before) :]))
        path.append(before)
