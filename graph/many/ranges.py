"""One long run in parts: ranges of its packets, each a run by itself, put together without doing anything twice.

A part is a run of the same graph that is told which packets are its own: indices, times and windows are those of the
whole run, so a part gives what the whole run would give for these packets. Graphs that run `first:` run once, for all.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph.check import check
from graph.control import Control
from graph.declared import Checked
from graph.firsts import run_first
from graph.many.batch import BatchReport, OnWord, run_queue
from graph.many.job import Job
from graph.many.journal import Journal
from graph.many.local import Place
from graph.many.merge import merged
from graph.many.split import Joinable, Opened, Split, joinable_sink, parts_for
from graph.report import Report, bottleneck, digest
from graph.runner import Graph
from graph.scratch import scratch
from graph.spec import GraphSpec
from graph.staging import fetch, is_remote, remove, staged

#: Where the runs go, decided when it is known what one needs; the paths of files they take along, by input.
MakePlace = Callable[[Checked, Mapping[str, str]], Place]


def run_parts(
    graph: Graph,
    inputs: Mapping[str, Any],
    make_place: MakePlace,
    *,
    parts: int | None = None,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    control: Control | None = None,
    on_word: OnWord = lambda number, job, word: None,
) -> Report:
    """Run a graph in parts where `make_place` says and put them together; None parts: as many as are worth it.

    What is done of the parts lies beside the output, in `NAME.parts`, until all is; `resume` goes on with it. Raises
    GraphMistakes where the graph cannot run in parts; all else that goes wrong is in the report.
    """
    checked = check(graph.spec, inputs, changes)
    own = Control() if control is None else control
    report = Report(checked.spec.name, str(checked.spec.file), dict(checked.values))
    began = time.monotonic()
    try:
        if parts != 1:
            joinable_sink(checked)
        firsts = run_first(checked, own, report, lambda _, one, given, its, _may: Graph(one).run(given, control=its))
        if firsts is not None:
            whole = _Whole(graph.spec, {**inputs, **firsts}, dict(changes or {}), firsts, report)
            whole.run(make_place, parts, resume, own, on_word)
    except (OSError, ValueError, RuntimeError) as error:
        report.status, report.error = "failed", str(error)
    finally:
        report.wall_s = round(time.monotonic() - began, 3)
        if control is None:
            own.close()
    return report


@dataclass
class _Whole:
    """A run that is done in parts: its graph, the values that were given for it, and its report."""

    spec: GraphSpec
    inputs: dict[str, Any]
    changes: dict[str, Any]
    firsts: dict[str, str]
    report: Report

    def run(self, make_place: MakePlace, parts: int | None, resume: bool, control: Control, on_word: OnWord) -> None:
        checked = check(self.spec, self.inputs, self.changes)
        place = make_place(checked, self.firsts)
        try:
            if parts == 1:
                self.run_one(place, control, on_word)
                return
            target = str(joinable_sink(checked).params["path"])
            with staged(self.spec, checked.values, [target]) as stay:
                here = check(self.spec, stay.inputs, self.changes)
                self.run_split(here, target, place, parts, resume, control, on_word)
                if self.report.status == "done":
                    stay.put(self.report.outputs)
        finally:
            place.close()

    def run_one(self, place: Place, control: Control, on_word: OnWord) -> None:
        """All of it elsewhere, in one run."""
        with scratch() as folder, Journal(folder / "journal") as journal:
            job = Job(self.spec.name, str(self.spec.file), self.inputs, self.changes)
            done = run_queue([job], place, journal, control, on_word)
        self.take(done)
        found = done.outcomes[0].report
        self.report.outputs = found.get("outputs", [])
        for key in ("throughput", "links", "hub"):
            setattr(self.report, key, found.get(key, getattr(self.report, key)))

    def run_split(
        self,
        here: Checked,
        target: str,
        place: Place,
        parts: int | None,
        resume: bool,
        control: Control,
        on_word: OnWord,
    ) -> None:
        """Split, run the parts, join them; `here` is the graph with every file on this machine."""
        folder = Path(f"{Path(target).name}.parts") if is_remote(target) else Path(f"{target}.parts")
        folder.mkdir(parents=True, exist_ok=True)
        split = _split(here, parts, place, folder / "split.json", resume)
        names = [f"{at:04}{Path(target).suffix}" for at in range(len(split.ranges))]
        paths = [f"{target}.parts/{name}" if is_remote(target) else str(folder / name) for name in names]
        jobs = [self.job(here, at, path, split) for at, path in enumerate(paths)]
        with Journal(folder / "journal", resume) as journal:
            done = run_queue(jobs, place, journal, control, on_word)
        self.take(done)
        if self.report.status == "done":
            self.join(here, paths, split)
            for path in filter(is_remote, paths):
                remove(path)
            shutil.rmtree(folder)
        elif self.report.status == "failed":
            self.report.notes.append(f"what is done lies in {folder}; --resume goes on with it")

    def job(self, here: Checked, at: int, path: str, split: Split) -> Job:
        """Part `at`, written to a path."""
        sink = joinable_sink(here)
        assert isinstance(sink.stage, Joinable)
        written = here.values.items()
        names = [name for name, value in written if value == sink.params["path"] and name in self.spec.inputs]
        other = {f"{sink.name}.{key}": value for key, value in sink.stage.part(path).items()}
        if names:
            del other[f"{sink.name}.path"]
        return Job(
            f"{self.spec.name} {at + 1}/{len(split.ranges)}",
            str(self.spec.file),
            {**self.inputs, **dict.fromkeys(names, path)},
            {**self.changes, **other},
            split.ranges[at],
        )

    def join(self, here: Checked, paths: Sequence[str], split: Split) -> None:
        sink = joinable_sink(here)
        assert isinstance(sink.stage, Joinable)
        with scratch() as folder:
            local = [str(folder / Path(path).name) if is_remote(path) else path for path in paths]
            for path, copy in zip(paths, local, strict=True):
                if is_remote(path):
                    fetch(path, copy)
                elif not Path(path).exists():
                    text = (
                        f"{path} was written, but not to this machine: the output has to lie on storage that all share"
                    )
                    raise OSError(f"{text}, or at an address such as s3://bucket/name")
            outputs = sink.stage.join(list(zip(local, split.times, strict=True)), split.stream)
        self.report.notes += sink.stage.notes
        self.report.outputs = [
            {
                "path": one.path,
                "stage": sink.name,
                "frames": one.frames,
                "duration_s": one.duration,
                "sha256": digest(one.path),
            }
            for one in outputs
        ]

    def take(self, done: BatchReport) -> None:
        """The reports of all parts in one."""
        report, found = self.report, [one.report for one in done.outcomes]
        report.status = done.status
        wrong = [f"{one.job.name}: {one.error}" for one in done.outcomes if one.error]
        report.error = "; ".join(wrong) or None
        report.packets = sum(one.get("packets") or 0 for one in found)
        report.throughput = round(report.packets / done.wall_s, 3) if done.wall_s else 0.0
        report.stages = merged([one.get("stages") or {} for one in found])
        report.bottleneck = bottleneck(report.stages)
        report.memory = {
            key: max((one.get("memory") or {}).get(key, 0) for one in found)
            for key in ("bound", "arena_peak", "pss_peak")
        }
        report.notes += list(dict.fromkeys(note for one in found for note in one.get("notes") or []))
        report.parts = [
            {
                "name": one.job.name,
                "packets": list(one.job.packets) if one.job.packets else None,
                "status": one.status,
                "kept": one.kept,
                "wall_s": one.report.get("wall_s"),
                "node": one.report.get("node"),
                "error": one.error,
            }
            for one in done.outcomes
        ]


def _split(here: Checked, parts: int | None, place: Place, noted: Path, resume: bool) -> Split:
    """The parts; those of an earlier run if this one goes on with it."""
    opened = Opened(here)
    try:
        if resume and noted.exists():
            bounds = json.loads(noted.read_text())
            if bounds[-1] == opened.packets:
                return opened.at(bounds)
        split = opened.split(parts if parts is not None else parts_for(opened.packets, place.places))
        noted.write_text(json.dumps(split.bounds))
        return split
    finally:
        opened.close()
