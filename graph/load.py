"""From `use:` to a stage: find its class, read what its constructor takes, make one."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph.stage import Sink, Source, Stage
from graph.words import nearest

BUILT_IN = "stages"


class LoadError(Exception):
    """`use:` names nothing that can be loaded, or a parameter does not fit; the message says what would be right."""


def built_in_names() -> list[str]:
    """The stages that may be used by their bare name."""
    package = importlib.import_module(BUILT_IN)
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.ispkg)


def load_class(use: str, beside: Path) -> type[Source] | type[Stage]:
    """The class that `use` names: a built-in stage, `package.module:Class`, or `./file.py:Class` beside a folder.

    Raises LoadError.
    """
    where, _, name = use.partition(":")
    if where.startswith(("./", "../", "/")) or where.endswith(".py"):
        module = _load_file(beside / where)
    elif name:
        module = _import(where, f"no module '{where}'")
    elif where in built_in_names():
        module = _import(f"{BUILT_IN}.{where}", f"no stage '{where}'")
    else:
        raise LoadError(f"there is no stage '{use}'{nearest(use, built_in_names())}")
    classes = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Source | Stage) and value.__module__ == module.__name__
    }
    if not name and len(classes) == 1:
        return next(iter(classes.values()))
    if name not in classes:
        raise LoadError(
            f"'{where}' has no stage '{name}'{nearest(name, classes)}"
            if name
            else f"'{use}' has to name a class{nearest('', classes)}"
        )
    return classes[name]


def _import(name: str, missing: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise LoadError(missing) from None
        raise LoadError(f"'{name}' needs the module '{error.name}', which is not installed") from None
    except Exception as error:
        raise LoadError(f"'{name}' cannot be imported: {type(error).__name__}: {error}") from error


def _load_file(path: Path) -> Any:
    """Load a file by its path, so that a user's own `models/` or `tools/` never collides with ours."""
    path = path.resolve()
    name = f"graphrun_file_{path.stem}_{abs(hash(str(path))):x}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise LoadError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise LoadError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


@dataclass(frozen=True)
class Parameter:
    """What a stage's constructor takes. `type` is an annotation; `required` if there is no default."""

    name: str
    type: Any
    default: Any
    required: bool


def parameters(stage: type) -> dict[str, Parameter]:
    """The parameters of a stage, by name."""
    if stage.__init__ is object.__init__:  # type: ignore[misc]
        return {}
    hints = typing.get_type_hints(stage.__init__, include_extras=True)  # type: ignore[misc]
    found = {}
    for name, one in list(inspect.signature(stage.__init__).parameters.items())[1:]:  # type: ignore[misc]
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            continue
        required = one.default is one.empty
        found[name] = Parameter(name, hints.get(name, Any), None if required else one.default, required)
    return found


def fit(parameter: Parameter, value: Any) -> Any:
    """The value as the parameter's type; raises LoadError with what would be right.

    Whole numbers pass as floats and text as paths; nothing else is converted, so that `'8'` for a number is a mistake.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        adapter = TypeAdapter(parameter.type, config={"arbitrary_types_allowed": True})
    except Exception:
        adapter = TypeAdapter(parameter.type)
    try:
        return adapter.validate_python(value, strict=parameter.type in (int, str, bool))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise LoadError(f"has to be {type_name(parameter.type)}, not {value!r} ({first['msg'].lower()})") from None


def type_name(annotation: Any) -> str:
    """An annotation as people write it: `int`, `'a' | 'b'`, `str | None`."""
    if typing.get_origin(annotation) is typing.Literal:
        return " | ".join(repr(one) for one in typing.get_args(annotation))
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("NoneType", "None")


def kind(stage: type) -> str:
    """Source, Stage or Sink."""
    return "Source" if issubclass(stage, Source) else "Sink" if issubclass(stage, Sink) else "Stage"
