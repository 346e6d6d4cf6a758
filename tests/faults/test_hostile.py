"""Input that means harm: it is refused in words, never run, and nobody else gets in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import zmq
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zmq.utils.monitor import recv_monitor_message

from graph import protocol
from graph.check import check
from graph.control import Control
from graph.hub import Hub
from graph.spec import GraphMistakes, load_spec, parse_spec

pytestmark = pytest.mark.faults

PARTS = Path(__file__).with_name("parts.py")
KEYS = [
    "graph",
    "inputs",
    "stages",
    "first",
    "use",
    "from",
    "with",
    "batch",
    "queue",
    "workers",
    "env",
    "cpus",
    "a",
    "$a",
]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(KEYS))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=40,
)


@settings(max_examples=600, deadline=None)
@given(st.binary(max_size=400))
@example(b"\xc1")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xc9\xff\xff\xff\xff\x01")
@example(b"\x91" * 100_000)
@example(b"\x82\x00\x00\x90\x00")
def test_no_bytes_break_the_decoder_of_messages(raw: bytes) -> None:
    try:
        message = protocol.unpack(raw)
    except ValueError:
        return
    assert isinstance(message, list)
    assert isinstance(message[0], int)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@example(b"&a [*a]")
@example(b"? [a]\n: b")
@example(b"a: !!python/object/apply:os.system ['touch x']")
@example(b"{" * 2000)
def test_no_bytes_break_the_loader(data: bytes) -> None:
    _read(data)


@settings(max_examples=400, deadline=None)
@given(TREES)
def test_no_tree_of_values_breaks_the_loader(tree: object) -> None:
    import yaml

    _read(yaml.safe_dump(tree).encode())


def _read(data: bytes) -> None:
    try:
        check(parse_spec(data, Path("graph.yaml")))
    except GraphMistakes as error:
        assert str(error)


def test_only_this_user_and_only_who_has_the_key_reaches_the_hub(tmp_path: Path) -> None:
    path = tmp_path / "graph.yaml"
    path.write_text(
        f'stages:\n  source: {{use: "{PARTS}:Mixed", with: {{packets: 5}}}}\n'
        f'  sink: {{use: "{PARTS}:Tell", from: source, with: {{path: {tmp_path / "out.txt"}}}}}\n'
    )
    control = Control()
    hub = Hub(check(load_spec(path)), control, lambda: None)
    try:
        stranger = zmq.Context().socket(zmq.DEALER)
        stranger.setsockopt(zmq.IDENTITY, b"source.0.0.guess")
        stranger.connect(hub._wire.address)
        for raw in (
            protocol.pack(protocol.BROKEN, "source", "open", "lies", ""),
            b"\xff",
            protocol.pack(protocol.HELLO),
        ):
            stranger.send(raw)
        stranger.send_multipart([b"a", b"b", b"c"])
        hub.start()
        hub.flow()
        assert hub.failure is None
        assert hub.tally.sunk == 5
        stranger.close(0)
    finally:
        hub.close()
        control.close()


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")
def test_another_user_is_refused(tmp_path: Path) -> None:
    control = Control()
    path = tmp_path / "graph.yaml"
    path.write_text(
        f'stages:\n  source: {{use: "{PARTS}:Mixed", with: {{packets: 5}}}}\n'
        f'  sink: {{use: "{PARTS}:Tell", from: source, with: {{path: {tmp_path / "out.txt"}}}}}\n'
    )
    hub = Hub(check(load_spec(path)), control, lambda: None)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            os.write(write, b"in" if _gets_in(hub._wire.address) else b"out")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 3) == b"out"
    hub.close()
    control.close()


def _gets_in(address: str) -> bool:
    """Whether a connection from this process is let in."""
    socket = zmq.Context().socket(zmq.DEALER)
    events = socket.get_monitor_socket()
    socket.connect(address)
    seen = {recv_monitor_message(events)["event"] for _ in range(3) if events.poll(1500)}
    return zmq.EVENT_HANDSHAKE_SUCCEEDED in seen


def test_a_message_is_never_unpickled_and_has_a_largest_size() -> None:
    with pytest.raises(ValueError, match="a message of"):
        protocol.unpack(b"\x00" * (protocol.MAX_MESSAGE + 1))
    source = "".join(path.read_text() for path in (Path(protocol.__file__).parent).glob("*.py"))
    assert "pickle" not in source.replace("unpickled", "")
