"""The stages there are, and what one says of itself: for `graphrun stages`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graph.display.text import columns
from graph.load import LoadError, Parameter, built_in_names, kind, load_class, parameters, type_name
from graph.prepare import placeholder
from graph.stage import Array, Field, Source, Stage, Window


@dataclass(frozen=True)
class Told:
    """A stage by its own declarations. `guessed` says why fields may be missing, None where all are known."""

    use: str
    cls: type[Source] | type[Stage]
    takes: Mapping[str, Parameter]
    reads: Mapping[str, Field]
    writes: Mapping[str, Field]
    window: Window
    stateful: bool
    guessed: str | None


def tell(use: str, beside: Path) -> Told:
    """What a stage says of itself; raises LoadError.

    Fields may depend on parameters, so one is made with its defaults, and harmless values for what has none.
    """
    cls = load_class(use, beside)
    takes, guessed = parameters(cls), None
    stage: Source | Stage | type[Source] | type[Stage] = cls
    required = {name: placeholder(one.type) for name, one in takes.items() if one.required}
    try:
        stage = cls(**required)
    except Exception as error:
        guessed = f"as its class says it; one could not be made without values ({error})"
    window = getattr(stage, "window", Window())
    return Told(use, cls, takes, stage.reads, stage.writes, window, stage.stateful, guessed)


def stages_lines(beside: Path) -> list[str]:
    """All built-in stages, a line each."""
    rows, broken = [], []
    for name in built_in_names():
        try:
            one = tell(name, beside)
        except LoadError as error:
            broken.append(f"  {name}: {error}")
            continue
        fields = ", ".join(one.reads) + (" → " if one.reads and one.writes else "") + ", ".join(one.writes)
        rows.append((name, kind(one.cls), fields, first_sentence(one.cls)))
    lines = columns(("stage", "kind", "reads → writes", "what it does"), rows)
    hint = "graphrun stages NAME tells what one takes; NAME may be module:Class or ./file.py:Class"
    return [*lines, *broken, "", hint]


def stage_lines(one: Told) -> list[str]:
    """One stage in full."""
    lines = [f"{one.use}: {kind(one.cls)} {one.cls.__name__}", ""]
    lines += [f"  {line}".rstrip() for line in (docstring(one.cls) or "It says nothing of itself.").splitlines()]
    if one.takes:
        lines += ["", "with"]
        lines += columns(
            ("parameter", "type", "default"),
            ((each.name, type_name(each.type), _default(each)) for each in one.takes.values()),
        )
    for head, fields in (("reads", one.reads), ("writes", one.writes)):
        if fields:
            rows = [(name, field_type(of), of.about) for name, of in fields.items()]
            lines += ["", head, *columns(("field", "type", "about"), rows)]
    lines += ["", *_facts(one)]
    return lines


def _facts(one: Told) -> list[str]:
    facts = []
    if one.window.before or one.window.after:
        facts.append(f"reads {one.window.before} packets before each and {one.window.after} after it")
    facts.append("has state: one worker, which sees every packet in order" if one.stateful else "has no state")
    if issubclass(one.cls, Source):
        facts = ["begins packets: one worker"]
    if one.guessed:
        facts.append("the fields are shown " + one.guessed)
    return [f"  {fact}" for fact in facts]


def _default(one: Parameter) -> str:
    if one.required:
        return "needed"
    if one.default is None:
        return "none"
    return str(one.default).lower() if isinstance(one.default, bool) else str(one.default)


def field_type(field: Field) -> str:
    """`uint8 h w 3`, or `value`."""
    return f"{field.dtype.name} {field}" if isinstance(field, Array) else "value"


def docstring(cls: type) -> str:
    """A class's own docstring; not the one it inherits from the engine."""
    return inspect.cleandoc(cls.__doc__ or "") if cls.__doc__ else ""


def first_sentence(cls: type) -> str:
    """The first line of what a class says of itself, without its full stop."""
    return next(iter(docstring(cls).splitlines()), "").rstrip(".")
