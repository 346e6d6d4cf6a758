"""Graphs that run before another: checked with it, and run side by side as far as none needs what another makes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from graph import kept
from graph.check import check, check_again
from graph.control import Control, Failure
from graph.declared import Checked
from graph.preflight import preflight
from graph.prepare import stand_ins
from graph.report import Report
from graph.shares import cores_of_run
from graph.spec import FirstSpec, GraphMistakes, GraphSpec, Mistake, load_spec

#: Runs a graph that is known by a name, with values for its inputs, to be stopped by a control of its own; nothing of
#: it is shown before the last argument is true: what is refused meanwhile is refused in one sentence.
RunFirst = Callable[[str, GraphSpec, dict[str, Any], Control, Callable[[], bool]], Report]


class First(NamedTuple):
    """A graph that runs before another, with values for its inputs; `checked` with stand-ins for what is not known."""

    one: FirstSpec
    spec: GraphSpec
    inputs: dict[str, Any]
    checked: Checked | None


def check_first(checked: Checked) -> list[First]:
    """The graphs before this one with their inputs, in order; raises GraphMistakes.

    A reference of one to the result of another stands as `$name` until that one has run.
    """
    prepared: list[First] = []
    mistakes: list[Mistake] = []
    for one in checked.spec.first.values():
        found = None
        try:
            spec = load_spec(checked.spec.file.parent / one.graph)
        except GraphMistakes as error:
            mistakes.extend(error.mistakes)
            continue
        inputs = {name: _value(checked, located.value) for name, located in one.params.items()}
        if one.gives not in spec.inputs:
            mistakes.append(
                Mistake(one.place, f"'{one.graph}' has no input '{one.gives}' to say where its result goes")
            )
        try:
            unknown: dict[str, object] = {name: "" for name, value in inputs.items() if _waits(checked, value)}
            if one.waits:
                unknown |= stand_ins(spec, {**inputs, one.gives: ""})
            found = check(spec, {**inputs, **unknown, one.gives: "kept" + kept.suffix(spec, one.gives)})
        except GraphMistakes as error:
            mistakes.extend(error.mistakes)
        prepared.append(First(one, spec, inputs, found))
    if mistakes:
        raise GraphMistakes(mistakes)
    return prepared


def _value(checked: Checked, value: Any) -> Any:
    """A value of a first graph's `with:`; `$name` of an input is that input's value."""
    if isinstance(value, str) and value.startswith("$") and value[1:] in checked.values:
        name = value[1:]
        return checked.values[name] if name in checked.spec.inputs else value
    return value


def _waits(checked: Checked, value: Any) -> bool:
    """Whether a value is the result of a graph that has not run yet."""
    return isinstance(value, str) and value[:1] == "$" and value[1:] in checked.spec.first


def run_first(checked: Checked, control: Control, report: Report, run: RunFirst) -> dict[str, str] | None:
    """Run what has to run before a graph; the paths of what it wrote, by name. None, and a report, if that failed."""
    firsts = check_first(checked)
    found = _Firsts(checked, firsts, control, report, run).go()
    report.first = {name: report.first[name] for name in checked.spec.first if name in report.first} | report.first
    if found is None or not any(one.waits for one in checked.spec.first.values()):
        return found
    return run_first(check_again(checked, found), control, report, run)


@dataclass
class _Firsts:
    """Graphs that run first: `found` are their results, `failed` the report of the first that did not end well."""

    checked: Checked
    firsts: list[First]
    control: Control
    report: Report
    run: RunFirst
    found: dict[str, str] = field(default_factory=dict)
    failed: Report | None = None
    going: dict[Future[Report], tuple[First, Path, Control]] = field(default_factory=dict)
    asked: Future[Failure | None] | None = None

    def go(self) -> dict[str, str] | None:
        """Run them; their results by name, or None and the report of why not."""
        left = [first for first in self.firsts if not first.one.waits]
        try:
            with ThreadPoolExecutor(1 + max(2, cores_of_run())) as pool, self.stopping():
                while (left or self.going) and not (self.failed or self.refused()):
                    left = self.begin_what_can(left, pool)
                    self.take_what_ended()
        finally:
            for _, _, control in self.going.values():
                control.close()
        return self.found if self.ended_well() else None

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """In the end, stop what still goes on."""
        try:
            yield
        finally:
            for _, _, control in self.going.values():
                control.abort()

    def ended_well(self) -> bool:
        if refused := self.refused():
            self.report.first.clear()
            self.report.status, self.report.error = "failed", str(refused)
        elif self.failed:
            self.report.status = self.failed.status if self.failed.status != "done" else "interrupted"
            self.report.error, self.report.traceback = self.failed.error, self.failed.traceback
        return not (refused or self.failed)

    def refused(self) -> Failure | None:
        """What a stage refuses, as far as that is known by now."""
        return self.asked.result() if self.asked and self.asked.done() else None

    def is_allowed(self) -> bool:
        """Whether it is known that no stage refuses."""
        return self.asked is not None and self.asked.done() and self.asked.result() is None

    def begin_what_can(self, left: list[First], pool: ThreadPoolExecutor) -> list[First]:
        """Begin what needs nothing that is still to be made; the others have to wait."""
        unmade = {first.one.name for first in left} | {first.one.name for first, _, _ in self.going.values()}
        waiting = []
        for first in left:
            if any(_waits(self.checked, value) and value[1:] in unmade for value in first.inputs.values()):
                waiting.append(first)
            elif given := self.checked.values.get(first.one.name):
                self.found[first.one.name] = str(given)
            else:
                self.begin(first, pool)
        if len(waiting) == len(left) and not self.going:
            names = " and ".join(f"'{first.one.name}'" for first in waiting)
            raise GraphMistakes([Mistake(waiting[0].one.place, f"first: {names} cannot begin, each needs another's")])
        return waiting

    def begin(self, first: First, pool: ThreadPoolExecutor) -> None:
        """Take what is kept of an earlier run, or begin to make it."""
        inputs = {name: _result(value, self.found) for name, value in first.inputs.items()}
        target = kept.place(first.spec, inputs, first.one.gives)
        if target.exists():
            os.utime(target)
            self.found[first.one.name] = str(target)
            return
        asked = self.asked = self.asked or pool.submit(preflight, _all_of(self.checked, self.firsts))
        control = self.control.child()

        def run(path: Path) -> Report:
            given = {**inputs, first.one.gives: str(path)}
            return self.run(first.one.name, first.spec, given, control, self.is_allowed)

        making = pool.submit(kept.make, target, run, lambda: asked.result() is None)
        self.going[making] = first, target, control

    def take_what_ended(self) -> None:
        """Wait until one has ended, or a stage has refused."""
        if not self.going:
            return
        awaited: list[Future[Any]] = list(self.going)
        if self.asked and not self.asked.done():
            awaited.append(self.asked)
        wait(awaited, return_when=FIRST_COMPLETED)
        for ended in [future for future in self.going if future.done()]:
            first, target, control = self.going.pop(ended)
            control.close()
            made = ended.result()
            self.report.first[first.one.name] = made.as_dict()
            self.report.notes.extend(made.notes)
            self.found[first.one.name] = str(target)
            if made.status != "done" or self.control.draining:
                self.failed = self.failed or made


def _all_of(checked: Checked, firsts: Iterable[First]) -> list[Checked]:
    """A graph and all that run before it, and before these."""
    found = [checked]
    for first in firsts:
        if first.checked:
            found += _all_of(first.checked, check_first(first.checked))
    return found


def _result(value: Any, found: dict[str, str]) -> Any:
    """A value of a first graph's `with:`; the path, where it is the result of another."""
    return found.get(value[1:], value) if isinstance(value, str) and value[:1] == "$" else value


def look(checked: Checked) -> dict[str, str | None]:
    """What is there of the results that a graph needs first: the paths by name, None for what has yet to be made."""
    found: dict[str, str | None] = {}
    for one, spec, inputs, _ in check_first(checked):
        if one.waits:
            found[one.name] = None
            continue
        if checked.values.get(one.name):
            found[one.name] = str(checked.values[one.name])
            continue
        there = {name: path for name, path in found.items() if path is not None}
        inputs = {name: _result(value, there) for name, value in inputs.items()}
        target = kept.place(spec, inputs, one.gives)
        found[one.name] = str(target) if target.exists() else None
    return found
