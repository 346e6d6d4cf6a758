"""Whether the engine has become slower: this one and that of an earlier commit, in turn, on the same graphs.

    python tools/bench/earlier.py [COMMIT] [--now COMMIT] [--packets N] [--rounds N] [--json]

COMMIT is by default the last one before faults were tried on purpose: what came after it made runs survive more, and
must not cost those to whom nothing happens. `CPU us/packet` is of all processes, their start left out by running each
graph also with almost no packets. Of all rounds the best one counts, since what else runs on the machine only ever
makes an engine slower; the ratio is this engine's figure by the earlier one's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from running import PARTS, chain, show

ROOT = Path(__file__).parents[2]
BEFORE = "68f4033"
FEW = 50
CHILD = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import graph
from graph.runner import Graph
assert graph.__file__.startswith(sys.argv[1]), graph.__file__
report = Graph.load(sys.argv[2]).run()
assert report.status == "done", report.error
print(json.dumps([report.throughput, sum(os.times()[:4])]))
"""


def unpack(commit: str, folder: Path) -> Path:
    """The engine as it was at a commit; the folder."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit, "graph"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def once(engine: Path, graph: Path) -> tuple[float, float]:
    """Packets a second, and seconds of CPU of all processes."""
    command = [sys.executable, "-P", "-c", CHILD, str(engine), str(graph)]
    rate, cpu = json.loads(subprocess.run(command, capture_output=True, check=True, text=True, cwd=engine).stdout)
    return rate, cpu


def write(stages: list[str], path: Path) -> Path:
    path.write_text("stages:\n" + "".join(f"  {line}\n" for line in stages).replace("PARTS", str(PARTS)))
    return path


def graphs(packets: int) -> dict[str, tuple[int, list[str]]]:
    """Each with how many packets it has."""
    waits = 'work: {use: "PARTS:Device", from: source, with: {place: 1, seconds: 0.005}}'
    sink = 'sink: {use: "PARTS:Check", from: work, with: {place: 1}}'
    some = max(FEW + 1, packets // 8)
    return {
        "control alone": (packets, chain(packets, 4)),
        "frames of 1080p": (packets, chain(packets, 4, (1080, 1920))),
        "5 ms a packet": (some, [chain(some, 2)[0], waits, sink]),
    }


def compare(engines: dict[str, Path], folder: Path, packets: int, stages: list[str], rounds: int) -> dict[str, float]:
    """A row of the table: the best of rounds in which the engines take turns."""
    path = write(stages, folder / "all.yaml")
    few = write([line.replace(f"packets: {packets}", f"packets: {FEW}") for line in stages], folder / "few.yaml")
    runs: dict[str, list[tuple[float, float]]] = {which: [] for which in engines}
    starts: dict[str, list[float]] = {which: [] for which in engines}
    for _ in range(rounds):
        for which, engine in engines.items():
            runs[which].append(once(engine, path))
            starts[which].append(once(engine, few)[1])
    rates = {which: max(rate for rate, _ in runs[which]) for which in engines}
    cpus = {which: (min(cpu for _, cpu in runs[which]) - min(starts[which])) / (packets - FEW) for which in engines}
    return {
        **{f"packets/s {which}": round(rate, 1) for which, rate in rates.items()},
        "ratio": round(rates["now"] / rates["earlier"], 3),
        **{f"CPU us/packet {which}": round(cpu * 1e6, 1) for which, cpu in cpus.items()},
        "CPU ratio": round(cpus["now"] / cpus["earlier"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("commit", nargs="?", default=BEFORE)
    parser.add_argument("--now", metavar="COMMIT", help="its engine, instead of the one that is here")
    parser.add_argument("--packets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engines = {"earlier": unpack(options.commit, folder / "earlier"), "now": ROOT}
        if options.now is not None:
            engines["now"] = unpack(options.now, folder / "now")
        for title, (packets, stages) in graphs(options.packets).items():
            rows.append({"graph": title, **compare(engines, folder, packets, stages, options.rounds)})
    show(rows, options.json)


if __name__ == "__main__":
    main()
