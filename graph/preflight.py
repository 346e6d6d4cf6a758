"""What stages can refuse before anything else runs, asked in a process of its own: the runner opens no media."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from graph.control import Failure
from graph.declared import Checked
from graph.load import load_class
from graph.stage import Source, Stage

_START = "import json,sys;sys.path[:]=json.loads(sys.argv.pop());from graph.preflight import main;main()"


def preflight(graphs: Iterable[Checked]) -> Failure | None:
    """Ask all stages of these graphs that have something to say (`Stage.preflight`); the first refusal."""
    asked: list[dict[str, Any]] = []
    for graph in graphs:
        for one in graph.stages.values():
            beside = str(graph.spec.file.parent.resolve())
            words = {"name": one.name, "use": one.spec.use.value, "beside": beside, "with": one.params}
            if one.cls.preflight not in (Source.preflight, Stage.preflight) and words not in asked:
                asked.append(words)
    if not asked:
        return None
    ended = subprocess.run(
        [sys.executable, "-P", "-c", _START, json.dumps(sys.path)],
        input=json.dumps(asked, default=str),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
        process_group=0,  # Ctrl-C in a terminal is for the runner
    )
    if ended.returncode:
        return None  # the stage itself will say it better, in its own worker
    stage, message = json.loads(ended.stdout)
    return Failure(message, stage) if stage else None


def main() -> None:
    """What the process runs: a list of stages in, the name of the one that refuses and its words out."""
    words = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what stages print does not get between
    refused = ["", ""]
    for one in json.load(sys.stdin):
        try:
            load_class(one["use"], Path(one["beside"]))(**one["with"]).preflight()
        except (ValueError, OSError, RuntimeError) as error:
            refused = [one["name"], str(error)]
            break
    json.dump(refused, words)
    words.close()
