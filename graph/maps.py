"""Values of inputs of type `map`: a few entries, each a key and a plain value."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

#: entries that a map may have: each may become a handful of processes
MOST = 16
#: bytes of a file that holds a map
MOST_BYTES = 1_000_000

Entries = dict[str, Any]


def entries(value: Any) -> Entries:
    """The entries of a map, keys as text; raises ValueError with what would be right."""
    if not isinstance(value, dict) or not value:
        raise ValueError(f"has to be a map such as {{0: a.wav, 1: b.wav}}, not {value!r}")
    if len(value) > MOST:
        raise ValueError(f"has {len(value)} entries, but {MOST} is the most there may be")
    found: Entries = {}
    for key, one in value.items():
        if isinstance(one, bool) or not isinstance(one, str | int | float):
            raise ValueError(f"has to hold texts or numbers, but under {key!r} is {one!r}")
        if not word(str(key)):
            raise ValueError(f"has the key {key!r}: a key has a letter or a digit in it")
        if word(str(key)) in map(word, found):
            raise ValueError(f"has two keys like {key!r}: they have to differ in letters or digits")
        found[str(key)] = one
    return found


def read_entries(text: str) -> Entries:
    """A map as it is given on a command line, `{0: a.wav, 1: b.wav}`, or in a JSON or YAML file of that name.

    Raises ValueError with what would be right.
    """
    place = Path(text)
    try:
        if text.strip()[:1] != "{" and place.is_file():
            with place.open("rb") as file:
                return entries(yaml.safe_load(file.read(MOST_BYTES)))
        return entries(yaml.safe_load(text))
    except (yaml.YAMLError, OSError, RecursionError, UnicodeDecodeError):
        raise ValueError(f"has to be a map such as {{0: a.wav, 1: b.wav}}, not {text!r}") from None


def word(key: str) -> str:
    """A key as a part of a name: letters, digits, _ and -."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", key).strip("_")
