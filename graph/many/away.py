"""What the command asks for when a run is not just one run here: where runs go, and what is shown of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graph.control import Control
from graph.declared import Checked
from graph.display.text import Wrong, duration
from graph.many.batch import BatchReport, Outcome, job_line, run_queue
from graph.many.job import Job
from graph.many.jobs import check_jobs, expand, is_jobs_file, read_jobs
from graph.many.journal import Journal
from graph.many.local import LocalPlace, Place
from graph.many.needs import Needs, needs_of
from graph.many.ranges import run_parts
from graph.report import Report
from graph.runner import Graph
from graph.spec import GraphMistakes, Mistake, load_spec

#: Seconds between two lines about what runs just now.
EVERY = 10.0
#: Jobs of a list that are tried for what a run needs, in case the first cannot even be made ready.
TRIED = 3

Say = Callable[[str], None]


class QueueLines:
    """A line for each job that ends, and now and then one about those that run."""

    def __init__(self, jobs: int, say: Say) -> None:
        self._jobs, self._say = jobs, say
        self._ended = 0
        self._now: dict[int, str] = {}
        self._began = self._told = time.monotonic()

    def __call__(self, number: int, job: Job, word: dict[str, Any]) -> None:
        """Take in a word about a job; see `run_queue`."""
        if "progress" in word:
            self._now[number] = _moment(job, word["progress"])
            if time.monotonic() - self._told >= EVERY:
                self._told = time.monotonic()
                self._say(f"{duration(self._told - self._began)}: {', '.join(self._now.values())}")
            return
        report = word.get("kept") or word["report"]
        self._now.pop(number, None)
        self._ended += 1
        outcome = Outcome(job, report["status"], report.get("error"), "kept" in word, report)
        self._say(job_line(self._ended, self._jobs, outcome))


def _moment(job: Job, progress: Mapping[str, Any]) -> str:
    packets, expected = progress.get("packets", 0), progress.get("expected")
    return f"{job.name} {100 * packets / expected:.0f} %" if expected else f"{job.name} {packets}"


def place_for(
    checked: Sequence[Checked], on: str | None, at_once: int | None, control: Control, carried: Mapping[str, str]
) -> Place:
    """Where runs of a graph go; `checked` are some of them. Raises GraphMistakes, or Wrong for a place unknown.

    With `at_once` it is not asked how much memory one takes, which takes as long as its start.
    """
    if on is None:
        return LocalPlace(needs_of(checked[0]) if at_once else _needs(checked, control), at_once=at_once)
    if on != "ray" and not on.startswith("ray://"):
        raise Wrong(f"--on takes ray or ray://HOST:PORT, not {on!r}")
    from graph.many.ray import RayPlace, load_ray

    load_ray()
    needs = needs_of(checked[0]) if at_once else _needs(checked, control)
    return RayPlace(needs, None if on == "ray" else on, carried, checked[0].spec.name)


def _needs(checked: Sequence[Checked], control: Control) -> Needs:
    """What a run needs: with its memory if one of those given can be made ready, which a broken input prevents."""
    for one in checked:
        try:
            return needs_of(one, control)
        except RuntimeError:
            continue
    return needs_of(checked[0])


def in_parts(
    graph: Graph,
    inputs: Mapping[str, Any],
    changes: Mapping[str, Any],
    *,
    on: str | None,
    parts: str | None,
    resume: bool,
    control: Control,
    say: Say,
) -> Report:
    """Run a graph elsewhere, or in parts: `parts` a number or auto; one part if nothing is said."""
    count = _count(parts)
    return run_parts(
        graph,
        inputs,
        lambda checked, carried: place_for([checked], on, 1 if count == 1 else None, control, carried),
        parts=count,
        changes=changes,
        resume=resume,
        control=control,
        on_word=_PartLines(say),
    )


class _PartLines:
    """As QueueLines, where the number of parts is in their names."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._lines: QueueLines | None = None

    def __call__(self, number: int, job: Job, word: dict[str, Any]) -> None:
        if self._lines is None:
            total = job.name.rpartition("/")[2]
            self._lines = QueueLines(int(total) if total.isdigit() else 1, self._say)
        self._lines(number, job, word)


def _count(parts: str | None) -> int | None:
    if parts == "auto":
        return None
    if parts is None:
        return 1
    if not parts.isdigit() or int(parts) < 1:
        raise Wrong(f"--parts takes auto or a number of at least 1, not {parts!r}")
    return int(parts)


def run_batch(
    file: Path,
    inputs: Mapping[str, Any],
    changes: Mapping[str, Any],
    *,
    on: str | None = None,
    at_once: int | None = None,
    resume: bool = False,
    journal: Path | None = None,
    control: Control,
    say: Say,
) -> BatchReport:
    """Work off a file of jobs, or a graph with patterns for its inputs. Raises GraphMistakes before any job begins."""
    jobs = jobs_of(file, inputs, changes)
    check_jobs(jobs)
    with _journal(journal or Path(f"{file.stem}.journal"), resume) as noted:
        left = [job for job in jobs if noted.done(job.key) is None]
        place = place_for([job.check() for job in (left or jobs)[:TRIED]], on, at_once, control, {})
        return run_queue(jobs, place, noted, control, QueueLines(len(jobs), say))


def _journal(path: Path, resume: bool) -> Journal:
    try:
        return Journal(path, resume)
    except OSError as error:
        raise Wrong(str(error)) from None


def jobs_of(file: Path, inputs: Mapping[str, Any], changes: Mapping[str, Any]) -> list[Job]:
    """The jobs that a command line asks for."""
    if not is_jobs_file(file):
        return expand(load_spec(file), inputs, changes)
    if inputs or changes:
        raise GraphMistakes([Mistake(None, f"{file} says the inputs of its jobs itself: give none beside it")])
    return read_jobs(file)
