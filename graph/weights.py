"""`graphrun models`: the registry of weights, in lines of text. It is loaded by name: the engine knows no network."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from graph.display.text import Wrong, columns, size

commands = typer.Typer(rich_markup_mode=None, help="The weights of networks: which there are, and those at hand.")


@contextmanager
def _registry(module: str = "models.registry") -> Iterator[Any]:
    """The registry; its refusals are for the person who asked."""
    try:
        yield importlib.import_module(module)
    except (ValueError, OSError) as error:
        raise Wrong(str(error)) from error


@commands.command("list")
def list_models() -> list[str]:
    """The networks that take weights, and which of these are here."""
    with _registry() as registry:
        rows = [
            (model.name, size(model.size), "here" if found else "-", model.licence, model.about)
            for model, found in registry.list_models()
        ]
    return columns(("model", "size", "weights", "licence", "about"), rows)


@commands.command("show")
def show_model(name: str) -> list[str]:
    """One network: its licence, where its weights come from, where they lie."""
    with _registry() as registry:
        model, found = registry.find_model(name), registry.installed(name)
    facts = [
        ("licence", model.licence),
        ("may be used", model.uses or "for anything"),
        ("size", f"{model.size:,} bytes"),
        ("from", model.where),
        ("address", model.url or "none: models fetch needs --url"),
        *(("sha256", digest) for digest in model.sha256),
    ]
    if found is None:
        facts.append(("weights", f"not here (graphrun models add {name} FILE)"))
    else:
        listed = "" if found.known else " (not listed)"
        facts += [("weights", str(found.path)), ("has sha256", found.sha256 + listed), ("came from", found.origin)]
    width = max(len(what) for what, _ in facts)
    return [f"{model.name}: {model.about}", "", *(f"  {what.ljust(width)}  {value}" for what, value in facts)]


@commands.command()
def add(name: str, file: Path) -> list[str]:
    """Check that a file holds the weights of a network, and keep a copy."""
    with _registry() as registry:
        return [_added(registry.add(name, file))]


def _added(found: Any) -> str:
    known = "" if found.known else "; its sha256 is not one that is listed"
    return f"{found.name}: {size(found.size)} at {found.path}{known}"


@commands.command()
def verify(name: Annotated[str | None, typer.Argument()] = None) -> list[str]:
    """Check the sha256 of the weights that are here; exit code 1 if any differ."""
    with _registry() as registry:
        found = registry.verify(name)
    lines = [f"{one.name}: {one.problem or 'as it was added'} ({one.path})" for one in found]
    if any(one.problem for one in found):
        raise Wrong("\n".join(lines), code=1)
    return lines or ["there are no weights here to verify"]


@commands.command()
def convert(name: str, to: Annotated[str, typer.Option("--to", help="onnx or safetensors")]) -> list[str]:
    """Write the weights of a network in another form beside them."""
    with _registry() as registry:
        return [f"wrote {file}" for file in registry.convert(name, to)]


@commands.command()
def fetch(
    name: str,
    url: Annotated[str | None, typer.Option("--url", help="an address other than the one that is known")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="what the file must have")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> list[str]:
    """Download the weights of a network, after saying what will be done."""
    with _registry("models.fetch") as fetching:
        typer.echo(str(fetching.plan_fetch(name, url)), err=True)
        if not yes and not typer.confirm("go on?", err=True):
            raise Wrong("nothing was downloaded", code=1)
        return [_added(fetching.fetch(name, url, sha256=sha256))]
