"""What was heard of a recording, and of a video's own sound, as a file: pieces with their phones and voice."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.mouth.voice import FEATURES


class Heard(NamedTuple):
    """One piece of sound: `span` says what it answers for (see the stage `listen`), `phones` [[label, first, end], ...]
    in 1/100 s of the recording, `voice` float16 [end - first, FEATURES].
    """

    span: dict[str, Any]
    phones: list[list[Any]]
    voice: npt.NDArray[np.float16]


def write_hearing(path: str | Path, pieces: Iterable[Heard], stream: Mapping[str, Any]) -> None:
    """Write pieces in order, and the facts of their stream, as an .npz of three arrays: JSON, JSON, float16 [N, 14]."""
    pieces = list(pieces)
    voice = np.concatenate([np.zeros((0, FEATURES), np.float16), *(one.voice for one in pieces)])
    told = [{"span": one.span, "phones": one.phones} for one in pieces]
    with Path(path).open("wb") as file:
        np.savez(file, stream=_bytes(stream), pieces=_bytes(told), voice=voice)


def read_hearing(path: str | Path) -> tuple[list[Heard], dict[str, Any]]:
    """The pieces of a file and the facts of their stream; ValueError where it is none."""
    if not Path(path).is_file():
        raise ValueError(f"no such file: {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            stream, told = (json.loads(file[name].tobytes()) for name in ("stream", "pieces"))
            voice = file["voice"]
        pieces, at = [], 0
        for one in told:
            rows = one["span"]["end"] - one["span"]["first"]
            pieces.append(Heard(one["span"], one["phones"], voice[at : at + rows]))
            at += rows
        if voice.shape != (at, FEATURES) or not isinstance(stream, dict):
            raise ValueError
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile):
        raise ValueError(f"{path} is no file of hearing.yaml") from None
    return pieces, stream


def _bytes(value: Any) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)
