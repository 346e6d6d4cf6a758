"""From patterns, or a file of jobs, to the jobs themselves; what would go wrong for sure is said before any begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from graph.many.job import Job
from graph.spec import GraphMistakes, GraphSpec, Mistake, Place, load_spec
from graph.spec import _Reader as Reader
from graph.staging import is_remote, matches, outputs_of

PATTERN = frozenset("*?[")
WORD = re.compile(r"\{\w+\}")
JOBS_KEYS = {
    "graph": "the graph file, beside this one",
    "with": "inputs of every job",
    "set": "other values for parameters of stages, of every job: {STAGE.PARAM: VALUE}",
    "jobs": "a list: the inputs of each job; a pattern such as clips/*.mp4 makes a job of every file",
}
WORDS = "{stem}, {name} and {folder}"


def is_jobs_file(path: Path) -> bool:
    """Whether a YAML file lists jobs, and is no graph."""
    try:
        root = yaml.compose(path.read_bytes().decode("utf-8"), Loader=yaml.SafeLoader)
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return False
    keys = {key.value for key, _ in root.value} if isinstance(root, yaml.MappingNode) else set()
    return "jobs" in keys and "stages" not in keys


def read_jobs(path: Path) -> list[Job]:
    """The jobs of a file; relative paths in it are beside it. Raises GraphMistakes."""
    reader = Reader(path)
    try:
        root = yaml.compose(path.read_bytes().decode("utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise GraphMistakes([Mistake(None, f"{path}: {error.strerror or error}")]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GraphMistakes([Mistake(Place(str(path), 1, 1), f"is not YAML: {str(error).splitlines()[0]}")]) from None
    assert root is not None
    pairs = reader.mapping(root, "a file of jobs", JOBS_KEYS)
    graph = reader.text(pairs["graph"][1], "graph") if "graph" in pairs else None
    if graph is None:
        raise GraphMistakes([*reader.mistakes, Mistake(reader.place(root), "says no graph (graph: FILE.yaml)")])
    spec = load_spec(path.parent / graph)
    common = _values(reader, pairs, "with")
    changes = _values(reader, pairs, "set")
    nodes = pairs["jobs"][1]
    rows = nodes.value if isinstance(nodes, yaml.SequenceNode) else []
    if not rows:
        reader.wrong(nodes, "jobs has to be a list with at least one job, such as - {video: a.mp4, output: b.mp4}")
    jobs: list[Job] = []
    for row in rows:
        inputs = {**common, **{name: reader.value(value) for name, (_, value) in reader.mapping(row, "a job").items()}}
        try:
            jobs += expand(spec, {name: _beside(spec, name, value, path) for name, value in inputs.items()}, changes)
        except GraphMistakes as error:
            reader.mistakes += [Mistake(reader.place(row), one.text) for one in error.mistakes]
    if reader.mistakes:
        raise GraphMistakes(reader.mistakes)
    return jobs


def _values(reader: Reader, pairs: Mapping[str, tuple[yaml.Node, yaml.Node]], key: str) -> dict[str, Any]:
    if key not in pairs:
        return {}
    return {name: reader.value(value) for name, (_, value) in reader.mapping(pairs[key][1], key).items()}


def _beside(spec: GraphSpec, name: str, value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return {key: str(path.parent / one) if _is_there(path.parent, one) else one for key, one in value.items()}
    if not isinstance(value, str) or not _is_path(spec, name) or is_remote(value):
        return value
    return str(path.parent / value)


def _is_there(folder: Path, value: Any) -> bool:
    """Whether a value of a map is the name of a file there."""
    return isinstance(value, str) and bool(value) and (folder / value).is_file()


def _is_path(spec: GraphSpec, name: str) -> bool:
    return name.partition(".")[0] in spec.first or (name in spec.inputs and spec.inputs[name].type == "path")


def expand(spec: GraphSpec, inputs: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> list[Job]:
    """A job for every file that the one input with a pattern names; `{stem}` in the others is that file's.

    Without a pattern it is one job. Raises GraphMistakes.
    """
    patterns = {
        name: value
        for name, value in inputs.items()
        if isinstance(value, str) and _is_path(spec, name) and PATTERN.intersection(value) and not Path(value).exists()
    }
    graph, changes = str(spec.file), dict(changes or {})
    if not patterns:
        return [Job(_name(inputs), graph, dict(inputs), changes)]
    if len(patterns) > 1:
        both = " and ".join(f"'{name}'" for name in patterns)
        raise GraphMistakes([Mistake(None, f"only one input can have a pattern, not {both}: say the rest by {WORDS}")])
    name, pattern = next(iter(patterns.items()))
    files = matches(pattern) if is_remote(pattern) else _local_matches(pattern)
    if not files:
        raise GraphMistakes([Mistake(None, f"{name}={pattern}: no file is named so")])
    jobs = []
    for file in files:
        place = PurePosixPath(file)
        words = {"{stem}": place.stem, "{name}": place.name, "{folder}": str(place.parent)}
        values = {other: _filled(other, value, words) for other, value in inputs.items()}
        jobs.append(Job(place.stem, graph, {**values, name: file}, changes))
    return jobs


def _local_matches(pattern: str) -> list[str]:
    import glob

    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - patterns as they are written, relative or not


def _filled(name: str, value: Any, words: Mapping[str, str]) -> Any:
    """A value with the words for the file in it; raises GraphMistakes for a word that there is not."""
    if not isinstance(value, str):
        return value
    if unknown := [word for word in WORD.findall(value) if word not in words]:
        raise GraphMistakes([Mistake(None, f"{name}={value}: there is no {unknown[0]}; there are {WORDS}")])
    return WORD.sub(lambda found: words[found.group()], value)


def _name(inputs: Mapping[str, Any]) -> str:
    """What a job is called: by its first input."""
    first = next((str(value) for value in inputs.values()), "job")
    return PurePosixPath(first).stem or first


def check_jobs(jobs: list[Job]) -> None:
    """Check every job's graph with its values, and that no two get in each other's way; raises GraphMistakes with all.

    Two jobs may not write the same file, and none may write what another reads. Folders for outputs are made.
    """
    mistakes: list[Mistake] = []
    writes: dict[str, Job] = {}
    reads: dict[str, Job] = {}
    for job in jobs:
        try:
            checked = job.check()
        except GraphMistakes as error:
            mistakes += [Mistake(one.place, f"job '{job.name}': {one.text}") for one in error.mistakes]
            continue
        outputs = outputs_of(checked)
        for path in map(_real, outputs):
            if path in writes:
                mistakes.append(Mistake(None, f"jobs '{writes[path].name}' and '{job.name}' both write {path}"))
            writes.setdefault(path, job)
        for name, value in checked.values.items():
            if isinstance(value, str) and value and _is_path(checked.spec, name) and value not in outputs:
                reads.setdefault(_real(value), job)
    for path in writes.keys() & reads.keys():
        if writes[path] is not reads[path]:
            text = f"job '{writes[path].name}' writes {path}, which job '{reads[path].name}' reads"
            mistakes.append(Mistake(None, text))
    if mistakes:
        raise GraphMistakes(mistakes)
    for path in writes:
        if not is_remote(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)


def _real(path: str) -> str:
    return path if is_remote(path) else str(Path(path).resolve())
