"""Parts of a graph that are repeated for each entry of a map: `each: NAME` becomes ordinary stages and graphs.

A stage `crop` with `each: speakers` becomes `crop.0` and `crop.1` where `speakers` is `{0: a.wav, 1: b.wav}`. What is
repeated for the same map belongs together by entry: `from:`, `$stage.param`, `$first` and the fields that are read lead
to the copy of the same entry, and what a copy writes has the entry in its name (`crop.0` as well). `$each.key` and
`$each.value` are the entry's own. With `chain: {frame: composed}` the copies come one after the other: each reads as
`frame` what the one before it wrote as `composed`, and a stage that is not repeated reads `composed` of the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from graph.declared import Declared
from graph.maps import Entries, word
from graph.spec import Copy, FirstSpec, GraphSpec, Located, Mistake, StageSpec

#: stands for the entries of a map that another graph has yet to write
STAND_IN: Entries = {"0": ""}


def maps_of(spec: GraphSpec) -> dict[str, Located]:
    """The names after `each:`, and where each is written first."""
    found: dict[str, Located] = {}
    for each in [*(one.each for one in spec.first.values()), *(one.each for one in spec.stages.values())]:
        if each is not None:
            found.setdefault(str(each.value), each)
    return found


def refuse_repeated(spec: GraphSpec, what: str) -> None:
    """Raises ValueError where a graph that `what` is to be done to repeats a part of itself."""
    for each in maps_of(spec).values():
        raise ValueError(f"{each.place}: a graph with each: cannot be {what}: its stages differ from run to run")


def unfold(spec: GraphSpec, maps: Mapping[str, Entries | None]) -> GraphSpec:
    """The graph with a copy for each entry of what is repeated; a map that is None is not known yet.

    `maps` has all of `maps_of`. What is wrong is added to the graph's mistakes.
    """
    if not maps_of(spec):
        return spec
    return _Unfolding(spec, maps).run()


class _Unfolding:
    def __init__(self, spec: GraphSpec, maps: Mapping[str, Entries | None]) -> None:
        self.spec = spec
        self.maps = maps
        self.mistakes = list(spec.mistakes)

    def run(self) -> GraphSpec:
        firsts = [copy for one in self.spec.first.values() for copy in self.firsts_of(one)]
        stages = [copy for one in self.spec.stages.values() for copy in self.stages_of(one)]
        return replace(
            self.spec,
            first={one.name: one for one in firsts},
            stages={one.name: one for one in stages},
            mistakes=tuple(self.mistakes),
        )

    def entries(self, each: Located) -> Entries:
        return self.maps[str(each.value)] or STAND_IN

    def firsts_of(self, one: FirstSpec) -> list[FirstSpec]:
        """The graph itself, or a copy for each entry; one that waits is told nothing of the entry."""
        if one.each is None:
            return [one]
        waits = self.maps[str(one.each.value)] is None
        copies = []
        for key, value in self.entries(one.each).items():
            params = {
                name: self.of_entry(located, one.each, key, value)
                for name, located in one.params.items()
                if not (waits and str(located.value).startswith("$each."))
            }
            when = self.when_of(one, one.each, key, value)
            copies.append(replace(one, name=f"{one.name}.{word(key)}", params=params, waits=waits, when=when))
        return copies

    def when_of(self, one: FirstSpec | StageSpec, each: Located, key: str, value: object) -> dict[str, Located]:
        """What a copy asks for: of a stage that is repeated with it, of the copy for its entry."""
        asked = {name: self.of_entry(Located(f"${name}", one.place), each, key, value) for name in one.when}
        return {str(asked[name].value)[1:]: wanted for name, wanted in one.when.items()}

    def stages_of(self, one: StageSpec) -> list[StageSpec]:
        if one.each is None:
            return [replace(one, sources=tuple(self.sources_of(one)))]
        copies: list[StageSpec] = []
        found = self.entries(one.each)
        for at, (key, value) in enumerate(found.items()):
            before = word(list(found)[at - 1]) if at else None
            copy = Copy(one.name, str(one.each.value), word(key), before, at == len(found) - 1)
            sources = self.sources_of(one, copy)
            if one.chain and before is not None:
                sources.append(Located(f"{one.name}.{before}", one.at("chain")))
            params = {name: self.of_entry(located, one.each, key, value) for name, located in one.params.items()}
            process = one.process and f"{one.process}.{copy.entry}"
            when = self.when_of(one, one.each, key, value)
            named = replace(one, name=f"{one.name}.{copy.entry}", process=process, each=None, copy=copy)
            copies.append(replace(named, sources=tuple(sources), params=params, when=when))
        return copies

    def sources_of(self, one: StageSpec, copy: Copy | None = None) -> list[Located]:
        """What comes before a stage: of what is repeated with it the copy of its entry, of all else all copies, or the
        last of a chain.
        """
        found: list[Located] = []
        for source in one.sources:
            before = self.spec.stages.get(str(source.value))
            if before is None or before.each is None:
                found.append(source)
            elif copy is None:
                names = [f"{before.name}.{word(key)}" for key in self.entries(before.each)]
                found += [replace(source, value=name) for name in (names[-1:] if before.chain else names)]
            elif before.each.value == copy.each:
                found.append(replace(source, value=f"{before.name}.{copy.entry}"))
            else:
                text = f"stage '{one.name}' is there for each of '{copy.each}', '{before.name}' for each of"
                self.mistakes.append(Mistake(source.place, f"{text} '{before.each.value}': they cannot be joined"))
        return found

    def of_entry(self, located: Located, each: Located, key: str, value: object) -> Located:
        """A value as it is for an entry."""
        if located.value in ("$each.key", "$each.value"):
            found = key if located.value == "$each.key" else value
            plain = f"${found}" if isinstance(found, str) and found.startswith("$") else found
            return replace(located, value=plain)
        if not isinstance(located.value, str) or not located.value.startswith("$"):
            return located
        name, dot, param = located.value[1:].partition(".")
        known: Mapping[str, FirstSpec | StageSpec] = self.spec.stages if dot else self.spec.first
        other = known[name].each if name in known else None
        if other is None or other.value != each.value:
            return located
        return replace(located, value=f"${name}.{word(key)}{dot}{param}")


def name_fields(declared: Iterable[Declared], passed: Mapping[str, str]) -> list[Mistake]:
    """Give the fields that copies write names of their own, and lead their readers to them; and the readers of what is
    `passed` to what there is instead.
    """
    every = list(declared)
    for one in every:
        called = {name: one.renamed.get(name, name) for name in one.stage.reads}
        one.renamed |= {name: passed[other] for name, other in called.items() if other in passed}
    written: dict[tuple[str, str], Copy] = {}
    last: dict[str, str] = {}
    for one in every:
        copy = one.spec.copy
        for name in one.writes if copy else ():
            assert copy is not None
            written[copy.each, name] = copy
            if copy.last and name in [one.renamed.get(str(of.value), of.value) for of in one.spec.chain.values()]:
                last[name] = f"{name}.{copy.entry}"
    mistakes = [mistake for one in every for mistake in _check_chain(one)]
    for one in every:
        called = {name: _named(one, name, written, last) for name in {**one.stage.reads, **one.stage.writes}}
        one.renamed = {name: other for name, other in called.items() if name != other}
    return mistakes


def _named(one: Declared, name: str, written: Mapping[tuple[str, str], Copy], last: Mapping[str, str]) -> str:
    """What the graph calls a field of a stage."""
    called, copy = one.renamed.get(name, name), one.spec.copy
    if copy is None:
        return last.get(called, called) if name in one.stage.reads else called
    if name in one.spec.chain and copy.before is not None:
        given = str(one.spec.chain[name].value)
        return f"{one.renamed.get(given, given)}.{copy.before}"
    return f"{called}.{copy.entry}" if (copy.each, called) in written else called


def _check_chain(one: Declared) -> list[Mistake]:
    """`chain:` leads from what a stage writes to what it reads."""
    wrong = []
    for name, given in one.spec.chain.items():
        if name not in one.stage.reads:
            wrong.append(Mistake(given.place, f"chain: stage '{one.name}' reads no '{name}'"))
        if given.value not in one.stage.writes:
            wrong.append(Mistake(given.place, f"chain: stage '{one.name}' writes no '{given.value}'"))
    return wrong


def said_once(mistakes: Iterable[Mistake], spec: GraphSpec) -> list[Mistake]:
    """The mistakes without those that say of one copy what is said of another."""
    names = {f"'{one.name}'": f"'{one.copy.of}'" for one in spec.stages.values() if one.copy is not None}
    found: dict[tuple[str, str], Mistake] = {}
    for mistake in mistakes:
        text = mistake.text
        for name, plain in names.items():
            text = text.replace(name, plain)
        found.setdefault((str(mistake.place), text), mistake)
    return list(found.values())
