"""Files that lie elsewhere are brought here for a run, and its results put there, whole; what goes wrong is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from graph.report import Report
from graph.runner import Graph
from graph.spec import load_spec
from graph.staging import run_near, staged

fsspec = pytest.importorskip("fsspec", reason="needs the extra: pip install 'graphrun[remote]'")

STAGES = """
from fractions import Fraction
from pathlib import Path

from graph.stage import Output, Packet, Sink, Source, Value


class Words(Source):
    writes = {"word": Value()}

    def __init__(self, path: str) -> None:
        self.path = path

    def open(self) -> None:
        self.words = Path(self.path).read_text().split()

    def produce(self, packet: Packet) -> bool:
        if packet.index >= len(self.words):
            return False
        packet.word, packet.time = self.words[packet.index], Fraction(packet.index)
        return True


class Lines(Sink):
    reads = {"word": Value()}

    def __init__(self, path: str, fail: bool = False) -> None:
        self.path, self.fail, self.lines = path, fail, []

    def process(self, packet: Packet) -> None:
        if self.fail:
            raise ValueError("as asked")
        self.lines.append(packet.word)

    def finish(self) -> list:
        Path(self.path).write_text("\\n".join(self.lines))
        return [Output(self.path, len(self.lines))]
"""
GRAPH = """
graph: words
inputs:
  text:   {type: path, default: "memory://in/usual.txt"}
  output: {type: path}
  fail:   {type: bool, default: false}
  more:   {type: map, default: {0: one}}
stages:
  words: {use: "./words.py:Words", with: {path: $text}}
  lines: {use: "./words.py:Lines", from: words, with: {path: $output, fail: $fail}}
"""


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    (tmp_path / "words.py").write_text(STAGES)
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield Graph.load(tmp_path / "graph.yaml")
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    """The address of a server that gives the files of `tmp_path`."""
    pytest.importorskip("aiohttp", reason="needs the extra: pip install 'graphrun[remote]'")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def done(report: Report) -> Report:
    assert report.status == "done", report.error
    return report


def test_a_plain_run_takes_its_input_from_a_server(graph: Graph, host: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("three small words")
    heard: list[str] = []
    report = done(run_near(graph, {"text": f"{host}/in.txt", "output": "out.txt"}, heard.append))
    assert (tmp_path / "here/out.txt").read_text().split() == ["three", "small", "words"]
    assert heard == [f"fetching {host}/in.txt"]
    assert report.outputs[0]["path"] == "out.txt"


def test_results_are_put_where_they_were_asked_for(graph: Graph, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/in/usual.txt", b"a b")
    report = done(run_near(graph, {"output": "memory://out/lines.txt"}))
    assert fsspec.filesystem("memory").cat("/out/lines.txt") == b"a\nb"
    assert report.outputs[0]["path"] == "memory://out/lines.txt"
    assert list((tmp_path / "here").iterdir()) == []


def test_files_in_a_map_are_fetched(graph: Graph) -> None:
    fsspec.filesystem("memory").pipe("/in/0.wav", b"sound")
    given = {"more": {"0": "memory://in/0.wav", "1": "here.wav", "2": 3}}
    with staged(load_spec(graph.spec.file), given, []) as stay:
        near = stay.inputs["more"]
        assert (near["1"], near["2"]) == ("here.wav", 3)
        assert Path(near["0"]).read_bytes() == b"sound"
    assert not Path(near["0"]).exists()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"text": "HOST/none.txt", "output": "out.txt"}, "HOST/none.txt cannot be fetched: there is no such file"),
        (
            {"text": "memory://in/usual.txt", "output": "https://host/out.txt"},
            "https://host/out.txt cannot be written to",
        ),
        ({"text": "nowhere://in.txt", "output": "out.txt"}, "nowhere://in.txt: Protocol not known: nowhere"),
    ],
)
def test_what_cannot_be_fetched_or_put_is_said_before_anything_flows(
    graph: Graph, host: str, inputs: dict[str, str], message: str
) -> None:
    fsspec.filesystem("memory").pipe("/in/usual.txt", b"a b")
    report = run_near(graph, {name: value.replace("HOST", host) for name, value in inputs.items()})
    assert (report.status, report.packets) == ("failed", 0)
    assert message.replace("HOST", host) in str(report.error)


def test_what_cannot_be_put_in_the_end_is_not_lost(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError("the store is closed")

    fsspec.filesystem("memory").pipe("/in/usual.txt", b"a b")
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "put", refuse)
    (tmp_path / "here/lines.txt").write_text("mine")
    report = run_near(graph, {"output": "memory://out/lines.txt"})
    assert report.status == "failed"
    assert (
        report.error
        == "memory://out/lines.txt cannot be written: the store is closed; what was made is kept: lines1.txt"
    )
    assert (tmp_path / "here/lines1.txt").read_text() == "a\nb"
    assert (tmp_path / "here/lines.txt").read_text() == "mine"
    assert report.outputs[0]["path"] == "lines1.txt"


def test_a_run_that_fails_puts_nothing(graph: Graph) -> None:
    fsspec.filesystem("memory").pipe("/in/usual.txt", b"a b")
    report = run_near(graph, {"output": "memory://out/failed.txt", "fail": True})
    assert report.status == "failed" and "as asked" in str(report.error)
    assert not fsspec.filesystem("memory").exists("/out/failed.txt")
