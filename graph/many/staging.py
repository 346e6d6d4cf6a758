"""Files that lie elsewhere: on this machine's disk for the time of a run, and its results put there whole.

A path with a scheme (`s3://`, `gs://`, `http://`, …) is read and written through fsspec, which is an optional extra.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from graph.scratch import scratch
from graph.spec import GraphSpec

#: Stores in which a file is there whole or not at all, so that it needs no other name while it is written.
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")
READ_ONLY = ("http", "https")
INSTALL = "pip install 'graphrun[remote]'"


@dataclass
class Stay:
    """Values of a run's inputs with every path on this machine; `results` are local paths by where they are to go."""

    inputs: dict[str, Any]
    results: dict[str, str] = field(default_factory=dict)

    def put(self, outputs: Sequence[dict[str, Any]]) -> None:
        """Put what was written where it was asked for, and have the report say so. Raises OSError."""
        for url, local in self.results.items():
            put(local, url)
            for one in outputs:
                if one.get("path") == local:
                    one["path"] = url


def is_remote(value: object) -> bool:
    """Whether a path has a scheme."""
    return isinstance(value, str) and "://" in value


@contextmanager
def staged(spec: GraphSpec, inputs: Mapping[str, Any], outputs: Sequence[str]) -> Iterator[Stay]:
    """Fetch what is remote among the paths that a graph is given; what is in `outputs` gets a local name instead.

    All is removed again at the end. Raises OSError where something cannot be fetched.
    """
    remote = {name: value for name, value in inputs.items() if is_remote(value) and _is_path(spec, name)}
    if not remote:
        yield Stay(dict(inputs))
        return
    with scratch() as folder:
        stay = Stay(dict(inputs))
        for name, url in remote.items():
            place = folder / name
            place.mkdir()
            local = str(place / PurePosixPath(url).name)
            stay.inputs[name] = local
            if url in outputs:
                _check_writable(url)
                stay.results[url] = local
            else:
                fetch(url, local)
        yield stay


def _is_path(spec: GraphSpec, name: str) -> bool:
    return name.partition(".")[0] in spec.first or (name in spec.inputs and spec.inputs[name].type == "path")


def _check_writable(url: str) -> None:
    if url.partition("://")[0] in READ_ONLY:
        raise OSError(f"{url} cannot be written to: take a store such as s3:// or a local path")


def fetch(url: str, local: str) -> None:
    """Copy a remote file or folder to this machine. Raises OSError."""
    files, path = _filesystem(url)
    try:
        files.get(path, local, recursive=files.isdir(path))
    except Exception as error:
        raise OSError(f"{url} cannot be fetched: {error or type(error).__name__}") from error


def put(local: str, url: str) -> None:
    """Copy a local file or folder to a store, whole or not at all. Raises OSError."""
    files, path = _filesystem(url)
    whole = url.partition("://")[0] in OBJECT_STORES
    target = path if whole else path + ".part"
    try:
        files.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
        files.put(local, target, recursive=Path(local).is_dir())
        if not whole:
            files.mv(target, path, recursive=Path(local).is_dir())
    except Exception as error:
        raise OSError(f"{url} cannot be written: {error or type(error).__name__}") from error


def remove(url: str) -> None:
    """Remove a remote file. Raises OSError."""
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
        raise OSError(f"{url} lies on another machine, and fsspec is not installed: {INSTALL}") from None
    try:
        files, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise OSError(f"{url}: {error}") from None
    return files, str(path)
