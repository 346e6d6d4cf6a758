"""What tests of recorded runs share: a graph of small parts, run with a recorder."""

from __future__ import annotations

from pathlib import Path

from graph.display.timeline import Recorder
from graph.report import Report
from graph.runner import Graph

PARTS = Path(__file__).with_name("parts.py")

#: Two paths that part and meet; 'copy' waits longest.
FORKED = """\
graph: forked
stages:
  source: {use: "parts:Count", with: {packets: 100}}
  copy: {use: "parts:Copy", from: source, workers: WORKERS, with: {delay: DELAY}}   # the slow one
  more: {use: "parts:Copy", from: source, fields: {copied: second}, with: {delay: 0.010}}
  sink: {use: "parts:Write", from: [copy, more], with: {path: OUT, fields: [copied, second]}}
"""


def write(folder: Path, text: str = FORKED, workers: int = 1, delay: float = 0.03) -> Path:
    """A graph file in a folder."""
    path = folder / "graph.yaml"
    text = text.replace("parts:", f"{PARTS}:").replace("OUT", str(folder / "out.txt"))
    path.write_text(text.replace("WORKERS", str(workers)).replace("DELAY", str(delay)))
    return path


def record(folder: Path, text: str = FORKED, workers: int = 1, delay: float = 0.03) -> tuple[Recorder, Report]:
    """Run it to its end."""
    recorder = Recorder()
    report = Graph.load(write(folder, text, workers, delay)).run(recorder=recorder)
    assert report.status == "done", report.error
    return recorder, report
