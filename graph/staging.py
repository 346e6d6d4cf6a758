"""Files that lie elsewhere: on this machine's disk for the time of a run, and its results put there whole.

A path with a scheme (`s3://`, `gs://`, `http://`, …) is read and written through fsspec, which is an optional extra.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from graph.check import check
from graph.declared import Checked
from graph.report import Report
from graph.runner import Graph
from graph.scratch import scratch
from graph.spec import GraphSpec
from graph.stage import Sink

#: Stores in which a file is there whole or not at all, so that it needs no other name while it is written.
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")
READ_ONLY = ("http", "https")
INSTALL = "pip install 'graphrun[remote]'"


class Unreached(OSError):
    """A file elsewhere cannot be fetched or put; the message says which and why."""


@dataclass
class Stay:
    """Values of a run's inputs with every path on this machine; `results` are local paths by where they are to go."""

    inputs: dict[str, Any]
    results: dict[str, str] = field(default_factory=dict)

    def put(self, outputs: Sequence[dict[str, Any]], tell: Callable[[str], None] = lambda line: None) -> None:
        """Put what was written where it was asked for, and have the report say so. Raises Unreached."""
        for url, local in self.results.items():
            tell(f"putting {url}")
            put(local, url)
            for one in outputs:
                if one.get("path") == local:
                    one["path"] = url


def is_remote(value: object) -> bool:
    """Whether a path has a scheme."""
    return isinstance(value, str) and "://" in value


def outputs_of(checked: Checked) -> list[str]:
    """Where a run will write: what its sinks were given as `path`."""
    sinks = (one for one in checked.stages.values() if isinstance(one.stage, Sink))
    return [str(one.params["path"]) for one in sinks if isinstance(one.params.get("path"), str)]


def run_near(
    graph: Graph, inputs: Mapping[str, Any], tell: Callable[[str], None] = lambda line: None, **options: Any
) -> Report:
    """As `graph.run`, with what is remote among its files on this machine for the time of the run.

    The results of a run that is done are put where they were asked for; `tell` hears what is copied. What cannot be
    fetched or put is in the report, and the results are then kept in the folder that the command runs in. Raises
    GraphMistakes where the graph is wrong.
    """
    given = {name: one.default for name, one in graph.spec.inputs.items() if not one.required} | dict(inputs)
    if not any(_remote(graph.spec, name, value) for name, value in given.items()):
        return graph.run(inputs, **options)
    outputs = outputs_of(check(graph.spec, given, options.get("changes")))
    report = Report(graph.spec.name, str(graph.spec.file), given)
    try:
        with staged(graph.spec, given, outputs, tell) as stay:
            report = graph.run(stay.inputs, **options)
            if report.status == "done":
                _put_or_keep(stay, report, tell)
            elif stay.results and report.outputs:
                report.notes.append(f"the run did not come to its end: nothing was put to {', '.join(stay.results)}")
    except Unreached as error:
        report.status, report.error = "failed", str(error)
    return report


def _put_or_keep(stay: Stay, report: Report, tell: Callable[[str], None]) -> None:
    try:
        stay.put(report.outputs, tell)
    except Unreached as error:
        kept = {local: _keep(Path(local)) for local in stay.results.values() if Path(local).exists()}
        for one in report.outputs:
            one["path"] = kept.get(one["path"], one["path"])
        raise Unreached(f"{error}; what was made is kept: {', '.join(kept.values())}") from error


def _keep(made: Path) -> str:
    """Move a result to where the command runs, under a name that nothing has there."""
    names = (f"{made.stem}{number or ''}{made.suffix}" for number in count())
    name = next(name for name in names if not Path(name).exists())
    return str(shutil.move(made, name))


@contextmanager
def staged(
    spec: GraphSpec,
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[Stay]:
    """Fetch what is remote among the paths that a graph is given; what is in `outputs` gets a local name instead.

    All is removed again at the end. Raises Unreached where something cannot be fetched.
    """
    remote = {name: found for name, value in inputs.items() if (found := _remote(spec, name, value))}
    if not remote:
        yield Stay(dict(inputs))
        return
    with scratch() as folder:
        stay = Stay(dict(inputs))
        for name, urls in remote.items():
            near = {key: _place(folder / name / key, url, outputs, stay, tell) for key, url in urls.items()}
            stay.inputs[name] = near[""] if "" in near else {**inputs[name], **near}
        yield stay


def _remote(spec: GraphSpec, name: str, value: object) -> dict[str, str]:
    """The addresses in a value that is a path or a map of some, by their keys in it (a path's is empty)."""
    kind = "path" if name.partition(".")[0] in spec.first else spec.inputs[name].type if name in spec.inputs else ""
    found = {"": value} if kind == "path" else value if kind == "map" and isinstance(value, dict) else {}
    return {key: one for key, one in found.items() if isinstance(one, str) and is_remote(one)}


def _place(folder: Path, url: str, outputs: Sequence[str], stay: Stay, tell: Callable[[str], None]) -> str:
    """Where a remote file lies on this machine: fetched, or to be written."""
    folder.mkdir(parents=True)
    local = str(folder / PurePosixPath(url).name)
    if url in outputs:
        _check_writable(url)
        stay.results[url] = local
    else:
        tell(f"fetching {url}")
        fetch(url, local)
    return local


def _check_writable(url: str) -> None:
    if url.partition("://")[0] in READ_ONLY:
        raise Unreached(f"{url} cannot be written to: take a store such as s3:// or a local path")
    _filesystem(url)


def fetch(url: str, local: str) -> None:
    """Copy a remote file or folder to this machine. Raises Unreached."""
    files, path = _filesystem(url)
    try:
        files.get(path, local, recursive=files.isdir(path))
    except FileNotFoundError:
        raise Unreached(f"{url} cannot be fetched: there is no such file") from None
    except Exception as error:
        raise Unreached(f"{url} cannot be fetched: {error or type(error).__name__}") from error


def put(local: str, url: str) -> None:
    """Copy a local file or folder to a store, whole or not at all. Raises Unreached."""
    files, path = _filesystem(url)
    whole = url.partition("://")[0] in OBJECT_STORES
    target = path if whole else path + ".part"
    try:
        files.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
        files.put(local, target, recursive=Path(local).is_dir())
        if not whole:
            files.mv(target, path, recursive=Path(local).is_dir())
    except Exception as error:
        raise Unreached(f"{url} cannot be written: {error or type(error).__name__}") from error


def remove(url: str) -> None:
    """Remove a remote file. Raises Unreached."""
    files, path = _filesystem(url)
    files.rm(path)


def matches(url: str) -> list[str]:
    """The remote files that a pattern names, in order."""
    files, path = _filesystem(url)
    return [files.unstrip_protocol(one) for one in sorted(files.glob(path))]


def _filesystem(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise Unreached(f"{url} lies on another machine, and fsspec is not installed: {INSTALL}") from None
    try:
        files, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise Unreached(f"{url}: {error}") from None
    return files, str(path)
