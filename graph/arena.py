"""Slots in shared memory: one anonymous file for the whole run, a stretch of it per array field.

The file is a memfd: it has no name that could be left behind, and its memory goes when the last process that maps it
goes. Workers open it through the runner's entry in /proc, which only the same user may do.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graph.stage import Shape

#: Bytes behind the last slot that may be read: the vector code of codecs and scalers reads past the end of a picture.
PADDING = 512


@dataclass(frozen=True)
class Arena:
    """The slots of one field: `slots` places of `shape` and `dtype`, `stride` bytes apart, from `offset` on."""

    field: str
    dtype: str
    shape: Shape
    slots: int
    offset: int = 0

    @property
    def slot_bytes(self) -> int:
        return _bytes(self.shape, self.dtype)

    @property
    def stride(self) -> int:
        """Slots begin at multiples of a cache line."""
        return max(64, -(-self.slot_bytes // 64) * 64)

    @property
    def bytes(self) -> int:
        """Whole pages, since a mapping begins at a page; `PADDING` is in them."""
        return -(-(self.stride * self.slots + PADDING) // mmap.PAGESIZE) * mmap.PAGESIZE


def lay_out(arenas: list[Arena]) -> list[Arena]:
    """Put arenas one behind the other."""
    placed, offset = [], 0
    for one in arenas:
        placed.append(Arena(one.field, one.dtype, one.shape, one.slots, offset))
        offset += one.bytes
    return placed


class Memory:
    """The runner's side: creates the file. `path` is how workers open it."""

    def __init__(self, arenas: list[Arena]) -> None:
        self.arenas = {one.field: one for one in arenas}
        self.bytes = sum(one.bytes for one in arenas)
        self._fd = os.memfd_create("graphrun", os.MFD_CLOEXEC)
        os.ftruncate(self._fd, self.bytes)
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"

    def close(self) -> None:
        os.close(self._fd)


class Slots:
    """A worker's side: the slots of one field as arrays, by packet index."""

    def __init__(self, path: str, arena: Arena) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(fd, arena.bytes, offset=arena.offset)
        finally:
            os.close(fd)
        self._count = arena.slots
        self._places = [self._place(arena, at) for at in range(arena.slots)]
        self._views = [place.view() for place in self._places]
        for view in self._views:
            view.flags.writeable = False

    def _place(self, arena: Arena, at: int) -> np.ndarray[Any, Any]:
        return np.ndarray(arena.shape, arena.dtype, self._map, at * arena.stride)

    def place(self, index: int) -> np.ndarray[Any, Any]:
        """The slot of a packet, to be filled."""
        return self._places[index % self._count]

    def view(self, index: int) -> np.ndarray[Any, Any]:
        """The slot of a packet, read-only."""
        return self._views[index % self._count]


def private(shape: Shape, dtype: Any) -> np.ndarray[Any, Any]:
    """An array of zeros of this process's own, with `PADDING` behind it as behind slots."""
    return np.ndarray(shape, dtype, np.zeros(_bytes(shape, dtype) + PADDING, np.uint8))


def _bytes(shape: Shape, dtype: Any) -> int:
    return int(np.dtype(dtype).itemsize * np.prod(shape, dtype=np.int64))


def plain(arenas: Mapping[str, Arena]) -> list[list[Any]]:
    """Arenas as a message carries them."""
    return [[one.field, one.dtype, list(one.shape), one.slots, one.offset] for one in arenas.values()]


def from_plain(rows: list[list[Any]]) -> dict[str, Arena]:
    """The other way round."""
    return {row[0]: Arena(row[0], row[1], tuple(row[2]), row[3], row[4]) for row in rows}
