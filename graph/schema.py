"""The JSON Schema of graph files (draft 2020-12), made of the tables that the loader checks with.

Values that a stage takes come from its constructor; everywhere a reference such as `$video` may stand in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graph.load import LoadError, Parameter, built_in_names, load_class, parameters
from graph.spec import BATCH_KEYS, FIRST_KEYS, GRAPH_KEYS, INPUT_KEYS, INPUT_TYPES, NAME, ON_ERROR, STAGE_KEYS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 100_000}
SECONDS: Schema = {"type": "number", "exclusiveMinimum": 0}
REFERENCE: Schema = {"type": "string", "pattern": r"^\$"}
PROCESSOR: Schema = {"type": "integer", "minimum": 0}
PLAIN: Schema = {"type": ["string", "number", "boolean", "null"]}
POLICY: Schema = {"enum": list(ON_ERROR)}
BYTES: Schema = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*[kKmMgG]?[bB]?$"}
SIZE: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, BYTES]}
#: Values that are asked for, or `{not: …}`.
NEGATED: Schema = {"properties": {"not": True}, "required": ["not"], "additionalProperties": False}
WHEN: Schema = {"type": "object", "additionalProperties": {"if": {"type": "object"}, "then": NEGATED}}
#: A `use:` that names a class of one's own: a module, or a file.
OWN_STAGE = r"(:|\.py$)"


def graph_schema() -> Schema:
    """The schema of a whole graph file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "graphrun graph",
        **described(
            GRAPH_KEYS,
            {
                "graph": TEXT,
                "about": TEXT,
                "inputs": named({"$ref": "#/$defs/input"}),
                "first": named({"$ref": "#/$defs/first"}),
                "stages": {**named({"$ref": "#/$defs/stage"}), "minProperties": 1},
                "on_error": POLICY,
                "memory": SIZE,
            },
            required=["stages"],
        ),
        "$defs": {"input": input_schema(), "first": first_schema(), "stage": stage_schema()},
    }


def described(keys: Mapping[str, str], schemas: Mapping[str, Schema], required: list[str]) -> Schema:
    """A mapping with the keys of one of the loader's tables and its descriptions of them, and no others."""
    properties = {key: {"description": about, **schemas[key]} for key, about in keys.items()}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def named(value: Schema) -> Schema:
    """A mapping whose keys are names that the file makes up."""
    return {"type": "object", "propertyNames": {"pattern": f"^{NAME.pattern}$"}, "additionalProperties": value}


def input_schema() -> Schema:
    """An input; its default is of its type."""
    kinds = {"path": "string", "text": "string", "int": "integer", "float": "number", "bool": "boolean"}
    kinds["map"] = "object"
    default = {"type": [*PLAIN["type"], "object"], "additionalProperties": PLAIN}
    schema = described(
        INPUT_KEYS, {"type": {"enum": list(INPUT_TYPES)}, "default": default, "about": TEXT}, required=[]
    )
    schema["allOf"] = [
        {
            "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
            "then": {"properties": {"default": {"type": [kinds[kind], "null"]}}},
        }
        for kind in INPUT_TYPES
    ]
    return schema


def first_schema() -> Schema:
    """A graph that runs first."""
    schemas = {"graph": TEXT, "with": {"type": "object"}, "gives": TEXT, "each": TEXT, "when": WHEN}
    return described(FIRST_KEYS, schemas, required=["graph"])


def stage_schema() -> Schema:
    """A step. What its `with:` takes depends on what it uses."""
    names = built_in_names()
    batch = described(BATCH_KEYS, {"size": COUNT, "max_wait": SECONDS}, required=["size"])
    schema = described(
        STAGE_KEYS,
        {
            "use": {"anyOf": [{"enum": names}, {"type": "string", "pattern": OWN_STAGE}]},
            "from": {"anyOf": [TEXT, {"type": "array", "items": TEXT}]},
            "with": {"type": "object"},
            "fields": {"type": "object", "additionalProperties": TEXT},
            "workers": COUNT,
            "queue": {"anyOf": [COUNT, {"const": "auto"}]},
            "batch": {"anyOf": [COUNT, batch]},
            "max_wait": SECONDS,
            "process": TEXT,
            "on_error": POLICY,
            "timeout": SECONDS,
            "env": {"type": "object", "additionalProperties": PLAIN},
            "cpus": {"anyOf": [PROCESSOR, {"type": "array", "items": PROCESSOR}]},
            "each": TEXT,
            "when": WHEN,
            "chain": {"type": "object", "additionalProperties": TEXT},
        },
        required=["use"],
    )
    schema["allOf"] = [with_schema(name) for name in names]
    return schema


def with_schema(name: str) -> Schema:
    """What a built-in stage takes, where it is used."""
    try:
        cls = load_class(name, Path())
    except LoadError:
        return {}
    takes = parameters(cls)
    required = [one.name for one in takes.values() if one.required]
    with_ = {
        "type": "object",
        "properties": {one.name: parameter_schema(one) for one in takes.values()},
        "required": required,
        "additionalProperties": False,
    }
    then: Schema = {"properties": {"with": with_}}
    if required:
        then["required"] = ["with"]
    return {"if": {"properties": {"use": {"const": name}}, "required": ["use"]}, "then": then}


def parameter_schema(one: Parameter) -> Schema:
    """The values a parameter takes, or a reference to one."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(one.type).json_schema()
    known: Schema = {} if one.required else {"default": one.default}
    return {"anyOf": [schema, REFERENCE], **known}
