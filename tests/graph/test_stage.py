"""A stage is tried without the engine, and sees what it would see with it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from parts import FRAME, Around, Copy, Count, Rows

from graph.stage import Array, Caps, Packet, Stage, run_stage

FRAMES = [{"number": index, "frame": np.full((4, 6, 3), index, np.uint8)} for index in range(5)]


def test_a_stage_fills_what_it_writes() -> None:
    packets = run_stage(Copy(), FRAMES)
    assert [int(packet.copied.max()) for packet in packets] == [0, 1, 2, 3, 4]
    assert [packet.time for packet in packets] == [Fraction(index, 25) for index in range(5)]


def test_a_window_shows_neighbours_but_not_past_the_ends() -> None:
    packets = run_stage(Around(), FRAMES)
    assert [packet.mean for packet in packets] == [[0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4], [3, 4]]


def test_a_source_gives_packets_until_it_ends() -> None:
    assert [packet.number for packet in run_stage(Count(packets=3))] == [0, 1, 2]
    assert len(run_stage(Count(packets=100), limit=7)) == 7


def test_a_source_goes_on_where_it_is_told() -> None:
    source = Count(packets=9)
    source.seek(4)
    packet = Packet(4, Fraction(0), {"frame": np.zeros((8, 8, 3), np.uint8)}, source.writes)
    assert source.produce(packet)
    assert packet.number == 4


def test_rows_may_be_fewer_but_not_more() -> None:
    assert [len(packet.rows) for packet in run_stage(Rows(), FRAMES)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="'rows' takes shape <=4 2, got"):
        run_stage(Rows(), [{"number": 4}])[0].rows = np.zeros((5, 2), np.float32)


def test_what_is_read_cannot_be_written() -> None:
    class Vandal(Copy):
        def process(self, packet: Packet) -> None:
            packet.frame[:] = 0

    with pytest.raises(ValueError, match="read-only"):
        run_stage(Vandal(), FRAMES)


def test_only_declared_fields_are_written() -> None:
    class Careless(Copy):
        def process(self, packet: Packet) -> None:
            packet.copid = packet.frame

    with pytest.raises(AttributeError, match=r"does not declare that it writes 'copid' \(it writes: copied\)"):
        run_stage(Careless(), FRAMES)


def test_a_shape_that_nothing_tells_has_to_be_configured() -> None:
    class Half(Stage):
        reads = {"frame": FRAME}
        writes = {"half": Array(np.uint8, "a b 3")}

        def process(self, packet: Packet) -> None:
            packet.half[:] = packet.frame[::2, ::2]

    with pytest.raises(ValueError, match=r"nothing of the shape of 'half' \('a b 3'\): configure\(\) has to return it"):
        run_stage(Half(), FRAMES)

    class Told(Half):
        def configure(self, caps: Caps) -> Caps:
            height, width, _ = caps.shapes["frame"]
            return Caps({"half": (height // 2, width // 2, 3)})

    assert run_stage(Told(), FRAMES)[3].half.shape == (2, 3, 3)


@pytest.mark.parametrize("shape", ["h -1 3", "h <=4", "h w* 3"])
def test_words_that_are_no_dimensions(shape: str) -> None:
    with pytest.raises(ValueError, match="dimension"):
        Array(np.uint8, shape)
