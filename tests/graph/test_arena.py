"""Slots in shared memory: what one process writes another reads in place, also a little past the end."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from graph.arena import Arena, Memory, Slots, lay_out, private

#: a picture that fills whole pages, so that nothing is left over behind the last slot
PICTURE = (64, 64, 3)


def mapped_up_to(address: int) -> int:
    """Where the mapping ends that an address lies in."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(part, 16) for part in line.split()[0].split("-"))
        if first <= address < last:
            return last
    raise AssertionError("not mapped")


@pytest.mark.parametrize("slots", [1, 3, 4])
def test_vector_code_may_read_past_the_end_of_the_last_slot(slots: int) -> None:
    memory = Memory(lay_out([Arena(name, "|u1", PICTURE, slots) for name in ("first", "last")]))
    try:
        for arena in memory.arenas.values():
            picture = Slots(memory.path, arena).view(slots - 1)
            end = picture.ctypes.data + picture.nbytes
            assert mapped_up_to(end - 1) - end >= 256
            assert len(ctypes.string_at(end, 256)) == 256  # a file that ends before would kill this process
    finally:
        memory.close()


def test_a_slot_is_seen_by_all_who_map_it_and_by_its_index() -> None:
    memory = Memory(lay_out([Arena("frame", "<f4", (2, 3), 2)]))
    try:
        writer, reader = (Slots(memory.path, memory.arenas["frame"]) for _ in range(2))
        writer.place(5)[:] = 7.0
        assert np.array_equal(reader.view(5), np.full((2, 3), 7.0, np.float32))
        assert not reader.view(4).any()
        assert not reader.view(5).flags.writeable
    finally:
        memory.close()


def test_memory_of_ones_own_may_be_read_past_its_end_as_well() -> None:
    picture = private(PICTURE, "<u2")
    assert picture.shape == PICTURE and picture.dtype == np.uint16 and not picture.any()
    assert len(ctypes.string_at(picture.ctypes.data + picture.nbytes, 256)) == 256
