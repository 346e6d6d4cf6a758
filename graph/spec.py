"""A graph file as it was written: YAML to GraphSpec, with the place of every value, all mistakes of form at once.

The words of the file are defined here, once: the loader checks with these tables and `graphrun schema` is made of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from graph.maps import entries
from graph.words import nearest

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
PLAIN = ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")
ON_ERROR = ("fail", "skip", "pass")
INPUT_TYPES: dict[str, type] = {"path": str, "text": str, "int": int, "float": float, "bool": bool, "map": dict}


@dataclass(frozen=True)
class Place:
    """Where in a file: line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong: where, what, and what would be right."""

    place: Place | None
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class GraphMistakes(Exception):
    """All that is wrong with a graph or with the arguments it was given."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(set(mistakes), key=_reading_order)
        super().__init__("\n".join(map(str, self.mistakes)))


def _reading_order(mistake: Mistake) -> tuple[str, int, int, str]:
    place = mistake.place
    return (place.file, place.line, place.column, mistake.text) if place else ("", 0, 0, mistake.text)


@dataclass(frozen=True)
class Located:
    """A plain value and where it was written."""

    value: Any
    place: Place


@dataclass(frozen=True)
class InputSpec:
    """An input of the graph. `required` inputs have no default."""

    name: str
    place: Place
    type: str = "text"
    default: Any = None
    required: bool = True
    about: str = ""


@dataclass(frozen=True)
class FirstSpec:
    """A graph that runs before this one; `gives` names its input that says where its result goes.

    `each`: the map for each entry of which it runs; `waits`: that map is not known yet (see graph/each.py). `when`: the
    values that inputs and parameters have to have for it to run; without it, its result is empty.
    """

    name: str
    place: Place
    graph: str
    params: Mapping[str, Located]
    gives: str = "output"
    each: Located | None = None
    waits: bool = False
    when: Mapping[str, Located] = field(default_factory=dict)


@dataclass(frozen=True)
class Copy:
    """What a stage is a copy of: stage `of`, for an entry of the map `each`; `before` is the entry before, if any."""

    of: str
    each: str
    entry: str
    before: str | None
    last: bool


@dataclass(frozen=True)
class StageSpec:
    """A declared step; with `each` one for each entry of a map, and then the copies of it.

    `when`: the values that inputs and parameters have to have for it to be there; `chain`: from fields that it reads to
    what it makes of them (see graph/wanted.py, and graph/each.py for copies).
    """

    name: str
    place: Place
    use: Located
    sources: tuple[Located, ...] = ()
    params: Mapping[str, Located] = field(default_factory=dict)
    fields: Mapping[str, Located] = field(default_factory=dict)
    workers: int = 1
    queue: int | None = None
    batch: int = 1
    max_wait: float | None = None
    process: str | None = None
    on_error: str = "fail"
    timeout: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cpus: tuple[int, ...] = ()
    each: Located | None = None
    chain: Mapping[str, Located] = field(default_factory=dict)
    copy: Copy | None = None
    when: Mapping[str, Located] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)

    def at(self, key: str) -> Place:
        """Where a key of this stage was written; the stage itself if it was not."""
        return self.places.get(key, self.place)


@dataclass(frozen=True)
class GraphSpec:
    """A whole graph file. `memory` (bytes) is the bound that the arenas may not exceed, if one is set.

    `mistakes` are those of its form: what stands there instead is left out or at its default, so that the rest can be
    checked and everything that is wrong be said at once. `passed`: fields that nothing writes, since what would have
    written them is left out, and the fields that are read instead.
    """

    name: str
    file: Path
    place: Place
    about: str = ""
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    first: Mapping[str, FirstSpec] = field(default_factory=dict)
    stages: Mapping[str, StageSpec] = field(default_factory=dict)
    memory: int | None = None
    mistakes: tuple[Mistake, ...] = ()
    passed: Mapping[str, str] = field(default_factory=dict)


def load_spec(path: str | Path) -> GraphSpec:
    """Read a graph file; what is wrong with its form is in `mistakes`. Raises GraphMistakes if it is no YAML at all."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GraphMistakes([Mistake(None, f"{path}: {error.strerror or error}")]) from None
    return parse_spec(data, path)


def parse_spec(data: bytes, path: Path) -> GraphSpec:
    """As `load_spec`, for the bytes of a file."""
    if len(data) > MAX_BYTES:
        raise GraphMistakes([Mistake(Place(str(path), 1, 1), f"is larger than {MAX_BYTES} bytes: no graph is")])
    try:
        root = yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise GraphMistakes([Mistake(Place(str(path), 1, 1), f"is not UTF-8 text: {error.reason}")]) from None
    except yaml.YAMLError as error:
        raise GraphMistakes([_yaml_mistake(path, error)]) from None
    except RecursionError:
        raise GraphMistakes([Mistake(Place(str(path), 1, 1), "is nested too deeply")]) from None
    reader = _Reader(path)
    spec = reader.graph(root)
    if spec is None:
        raise GraphMistakes(reader.mistakes)
    return replace(spec, mistakes=tuple(reader.mistakes))


def _yaml_mistake(path: Path, error: yaml.YAMLError) -> Mistake:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = Place(str(path), mark.line + 1, mark.column + 1) if mark else Place(str(path), 1, 1)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Mistake(place, f"is not YAML: {problem}")


class _Reader:
    """Walks the nodes of one file, collecting mistakes as it goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mistakes: list[Mistake] = []
        self.seen = 0

    def place(self, node: yaml.Node) -> Place:
        return Place(str(self.path), node.start_mark.line + 1, node.start_mark.column + 1)

    def wrong(self, node: yaml.Node, text: str) -> None:
        self.mistakes.append(Mistake(self.place(node), text))

    def mapping(
        self, node: yaml.Node, what: str, known: Iterable[str] | None = None
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """The pairs of a mapping by key; unknown and repeated keys are mistakes."""
        self.known(node)
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"{what} has to be a mapping, not {_form(node)}")
            return {}
        pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                self.wrong(key, f"{what}: a key has to be a word")
            elif name in pairs:
                self.wrong(key, f"{what}: '{name}' is there twice")
            elif known is not None and name not in known:
                self.wrong(key, f"{what} has no key '{name}'{nearest(name, known)}")
            else:
                pairs[name] = (key, value)
        return pairs

    def value(self, node: yaml.Node, depth: int = 0) -> Any:
        """A plain value; aliases are followed, within a limit on what they unfold to."""
        self.known(node)
        self.seen += 1
        if self.seen > MAX_NODES or depth > 50:
            if self.seen == MAX_NODES + 1 or depth > 50:
                self.wrong(node, f"unfolds to more than {MAX_NODES} values or 50 levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return {str(self.value(key, depth + 1)): self.value(item, depth + 1) for key, item in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        try:
            found = yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self.wrong(node, f"cannot be read: {getattr(error, 'problem', None) or error}")
            return None
        return found if isinstance(found, bool | int | float | str | None) else str(node.value)

    def known(self, node: yaml.Node) -> None:
        """Tags that ask for anything but plain values are mistakes."""
        if node.tag.removeprefix("tag:yaml.org,2002:") not in PLAIN:
            self.wrong(node, f"has the tag {node.tag}: a graph holds plain values only")

    def located(self, node: yaml.Node) -> Located:
        return Located(self.value(node), self.place(node))

    def scalar(
        self, node: yaml.Node, what: str, kind: type | tuple[type, ...], right: str, fits: Callable[[Any], bool]
    ) -> Any:
        """A value of one kind that fits; None, and a mistake, if it does not."""
        found = self.value(node)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds) or not fits(found):
            self.wrong(node, f"{what} has to be {right}, not {found!r}")
            return None
        return found

    def text(self, node: yaml.Node, what: str) -> str | None:
        found = self.scalar(node, what, str, "text", lambda _: True)
        return None if found is None else str(found)

    def count(self, node: yaml.Node, what: str) -> int | None:
        found = self.scalar(node, what, int, "a whole number of at least 1", lambda number: 1 <= number <= 100_000)
        return None if found is None else int(found)

    def seconds(self, node: yaml.Node, what: str) -> float | None:
        found = self.scalar(node, what, (int, float), "a number of seconds above 0", lambda number: 0 < number < 1e9)
        return None if found is None else float(found)

    def names(self, node: yaml.Node, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """A mapping whose keys are names that the file itself makes up."""
        pairs = self.mapping(node, what)
        for name, (key, _) in list(pairs.items()):
            if not NAME.fullmatch(name):
                self.wrong(key, f"'{name}' is no name: letters, digits, _ and -, not beginning with a digit")
                del pairs[name]
        return pairs

    def graph(self, root: yaml.Node | None) -> GraphSpec | None:
        if root is None:
            self.mistakes.append(Mistake(Place(str(self.path), 1, 1), "is empty: a graph has stages"))
            return None
        pairs = self.mapping(root, "the graph", GRAPH_KEYS)
        if not isinstance(root, yaml.MappingNode):
            return None
        if "stages" not in pairs:
            self.wrong(root, "has no stages")
        default = "fail"
        if "on_error" in pairs:
            default = self.choice(pairs["on_error"][1], "on_error", ON_ERROR) or "fail"
        spec = GraphSpec(
            name=(self.text(pairs["graph"][1], "graph") if "graph" in pairs else None) or self.path.stem,
            file=self.path,
            place=self.place(root),
            about=(self.text(pairs["about"][1], "about") if "about" in pairs else None) or "",
            inputs=self.each(pairs, "inputs", self.input),
            first=self.each(pairs, "first", self.first),
            stages=self.each(pairs, "stages", lambda name, key, node: self.stage(name, key, node, default)),
        )
        if "memory" in pairs:
            spec = replace(spec, memory=self.size(pairs["memory"][1]))
        return spec

    def each(
        self,
        pairs: Mapping[str, tuple[yaml.Node, yaml.Node]],
        key: str,
        read: Callable[[str, yaml.Node, yaml.Node], Any],
    ) -> dict[str, Any]:
        if key not in pairs:
            return {}
        found = {name: read(name, *nodes) for name, nodes in self.names(pairs[key][1], key).items()}
        return {name: one for name, one in found.items() if one is not None}

    def choice(self, node: yaml.Node, what: str, choices: tuple[str, ...]) -> str | None:
        found = self.scalar(node, what, str, "one of " + ", ".join(choices), lambda word: word in choices)
        return None if found is None else str(found)

    def size(self, node: yaml.Node) -> int | None:
        """Bytes: a number, or a number with KB, MB or GB."""
        found = str(self.value(node))
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", found, re.IGNORECASE)
        if not match:
            self.wrong(node, f"memory has to be a size such as 500 MB, not {found!r}")
            return None
        return int(float(match[1]) * {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}[match[2].upper()])

    def input(self, name: str, key: yaml.Node, node: yaml.Node) -> InputSpec | None:
        place = self.place(key)
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"input '{name}' has to be a mapping such as {{type: path}}, not {_form(node)}")
            return None
        pairs = self.mapping(node, f"input '{name}'", INPUT_KEYS)
        kind = self.choice(pairs["type"][1], "type", tuple(INPUT_TYPES)) if "type" in pairs else "text"
        about = self.text(pairs["about"][1], "about") if "about" in pairs else ""
        spec = InputSpec(name, place, kind or "text", about=about or "")
        if "default" not in pairs:
            return spec
        default = pairs["default"][1]
        value = self.value(default)
        if value is not None and kind and not _is_of(value, kind):
            self.wrong(default, f"the default of '{name}' has to be of type {kind}, not {value!r}")
        if kind == "path":
            value = self.beside(value)
        if kind == "map" and isinstance(value, dict):
            value = {one: self.beside(item) for one, item in value.items()}
        return replace(spec, default=value, required=False)

    def beside(self, value: Any) -> Any:
        """A path that begins with ./ or ../ lies beside the file; all else is what it is."""
        inside = isinstance(value, str) and value.startswith(("./", "../"))
        return str(self.path.parent / value) if inside else value

    def first(self, name: str, key: yaml.Node, node: yaml.Node) -> FirstSpec | None:
        pairs = self.mapping(node, f"first '{name}'", FIRST_KEYS)
        if "graph" not in pairs:
            if isinstance(node, yaml.MappingNode):
                self.wrong(node, f"first '{name}' says no graph to run")
            return None
        graph = self.text(pairs["graph"][1], "graph")
        gives = self.text(pairs["gives"][1], "gives") if "gives" in pairs else "output"
        params = self.each(pairs, "with", lambda _name, _key, value: self.located(value))
        each = self.located(pairs["each"][1]) if "each" in pairs else None
        when = self.when(pairs, f"first '{name}': when")
        return FirstSpec(name, self.place(key), graph or "", params, gives or "output", each, when=when)

    def when(self, pairs: Mapping[str, tuple[yaml.Node, yaml.Node]], what: str) -> dict[str, Located]:
        asked = self.mapping(pairs["when"][1], what) if "when" in pairs else {}
        for reference, (_, node) in asked.items():
            if isinstance(node, yaml.MappingNode) and list(self.mapping(node, f"{what}: {reference}")) != ["not"]:
                self.wrong(node, f"{what}: {reference} has to be a value, a list of them, or {{not: VALUE}}")
        return {reference: Located(self.value(value), self.place(word)) for reference, (word, value) in asked.items()}

    def stage(self, name: str, key: yaml.Node, node: yaml.Node, on_error: str) -> StageSpec | None:
        pairs = self.mapping(node, f"stage '{name}'", STAGE_KEYS)
        if "use" not in pairs:
            if isinstance(node, yaml.MappingNode):
                self.wrong(key, f"stage '{name}' does not say what to use")
            return StageSpec(name, self.place(key), Located(None, self.place(key)))
        what = f"stage '{name}': "
        self.text(pairs["use"][1], what + "use")
        found: dict[str, Any] = {"on_error": on_error}
        if "chain" in pairs and not pairs.keys() & {"each", "when"}:
            text = "chain joins the copies that each: makes, or what lies around a stage that when: leaves out"
            self.wrong(pairs["chain"][0], f"{what}{text}, but there is neither")
        for word in ("workers", "queue", "max_wait", "timeout", "process", "on_error", "batch", "cpus", "env"):
            if word in pairs:
                value = getattr(self, f"_{word}")(pairs[word][1], what + word)
                found |= value if word == "batch" else {word: value}
        return StageSpec(
            name=name,
            place=self.place(key),
            use=self.located(pairs["use"][1]),
            sources=self.sources(pairs["from"][1], what) if "from" in pairs else (),
            params=self.each(pairs, "with", lambda _name, _key, value: self.located(value)),
            fields=self.each(pairs, "fields", lambda _name, _key, value: self.located(value)),
            each=self.located(pairs["each"][1]) if "each" in pairs else None,
            chain=self.each(pairs, "chain", lambda _name, _key, value: self.located(value)),
            when=self.when(pairs, what + "when"),
            places={word: self.place(nodes[0]) for word, nodes in pairs.items()},
            **{word: value for word, value in found.items() if value is not None},
        )

    def sources(self, node: yaml.Node, what: str) -> tuple[Located, ...]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found = []
        for item in nodes:
            if self.text(item, what + "from") is not None:
                found.append(self.located(item))
        return tuple(found)

    def _workers(self, node: yaml.Node, what: str) -> int | None:
        return self.count(node, what)

    def _queue(self, node: yaml.Node, what: str) -> int | None:
        return None if self.value(node) == "auto" else self.count(node, what)

    def _max_wait(self, node: yaml.Node, what: str) -> float | None:
        return self.seconds(node, what)

    def _timeout(self, node: yaml.Node, what: str) -> float | None:
        return self.seconds(node, what)

    def _process(self, node: yaml.Node, what: str) -> str | None:
        return self.text(node, what)

    def _on_error(self, node: yaml.Node, what: str) -> str | None:
        return self.choice(node, what, ON_ERROR)

    def _batch(self, node: yaml.Node, what: str) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            return {"batch": self.count(node, what) or 1}
        pairs = self.mapping(node, what, BATCH_KEYS)
        found: dict[str, Any] = {}
        if "size" in pairs:
            found["batch"] = self.count(pairs["size"][1], what + " size") or 1
        else:
            self.wrong(node, f"{what} has no size")
        if "max_wait" in pairs:
            found["max_wait"] = self.seconds(pairs["max_wait"][1], what + " max_wait")
        return found

    def _cpus(self, node: yaml.Node, what: str) -> tuple[int, ...] | None:
        found = self.value(node)
        numbers = found if isinstance(found, list) else [found]
        if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers):
            self.wrong(node, f"{what} has to be processor numbers such as [0, 1], not {found!r}")
            return None
        return tuple(numbers)

    def _env(self, node: yaml.Node, what: str) -> dict[str, str] | None:
        return {name: str(self.value(value)) for name, (_, value) in self.mapping(node, what).items()}


def _form(node: yaml.Node) -> str:
    if isinstance(node, yaml.CollectionNode):
        return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"
    return repr(node.value)


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    if kind == "float":
        return isinstance(value, int | float)
    if kind == "map":
        return _is_map(value)
    return isinstance(value, INPUT_TYPES[kind])


def _is_map(value: Any) -> bool:
    try:
        return bool(entries(value))
    except ValueError:
        return False


GRAPH_KEYS = {
    "graph": "the name of the graph",
    "about": "what it does, in a sentence",
    "inputs": "values given on the command line: NAME: {type, default, about}",
    "first": "graphs to run before: NAME: {graph, with, gives}; what they write is kept, and $NAME is its path",
    "stages": "the steps",
    "on_error": "what becomes of a packet whose processing fails: fail, skip or pass; of every stage that says nothing",
    "memory": "refuse to start if the arenas need more, such as 500 MB",
}
INPUT_KEYS = {
    "type": "path, text, int, float, bool or map",
    "default": "the value if none is given; a path that begins with ./ is beside this file",
    "about": "what it is",
}
FIRST_KEYS = {
    "graph": "the graph file, beside this one",
    "with": "its inputs",
    "gives": "which input of it says where the result goes (output)",
    "each": "a map, or a graph that runs first and writes one: it runs for each entry ($each.key, $each.value)",
    "when": "runs only if inputs or parameters have certain values: {STAGE.PARAM: [VALUE, VALUE]}, or {not: VALUE}",
}
STAGE_KEYS = {
    "use": "a built-in stage, package.module:Class, or ./file.py:Class beside this file",
    "from": "the stage or stages whose packets it takes; their fields are joined by index",
    "with": "parameters of the stage",
    "fields": "names in the graph of fields that the stage calls otherwise: {frame: blurred}",
    "workers": "how many processes run it",
    "queue": "capacity of the link into it, in packets, or auto",
    "batch": "how many packets make a task: a number, or {size, max_wait}",
    "max_wait": "seconds after which a batch that is not full goes on all the same",
    "process": "a name: neighbours with the same name share a process",
    "on_error": "what becomes of a packet whose processing fails: fail, skip or pass",
    "timeout": "seconds that a task may take before its worker is killed",
    "env": "environment variables of its workers",
    "cpus": "processors its workers are pinned to",
    "each": "a map, or a graph that runs first and writes one: there is one stage for each entry, NAME.KEY",
    "when": "is there only if inputs or parameters have certain values: {STAGE.PARAM: [VALUE, VALUE]}, or {not: VALUE}",
    "chain": "{frame: composed}: with each:, the next copy reads as frame what this one writes as composed; "
    "with when:, where this one is left out, what would read its composed reads its frame",
}
BATCH_KEYS = {"size": "packets", "max_wait": "seconds after which a batch that is not full goes on all the same"}
