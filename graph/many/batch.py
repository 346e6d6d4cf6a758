"""Many runs: a list of jobs, a queue that works it off, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from graph.control import Control
from graph.display.text import columns, duration, number, plural
from graph.many.job import Job
from graph.many.journal import Journal
from graph.many.local import Place
from graph.report import EXIT_CODES

#: Seconds between looks at whether the queue was told to stop.
LOOK_EVERY = 0.25


@dataclass
class Outcome:
    """What came of a job. `status`: done, failed or interrupted; `kept`: it had been done before."""

    job: Job
    status: str
    error: str | None = None
    kept: bool = False
    report: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values: the figures of the report, and all of it."""
        return {
            "name": self.job.name,
            "status": self.status,
            "error": self.error,
            "kept": self.kept,
            "inputs": dict(self.job.inputs),
            **{key: self.report.get(key) for key in ("wall_s", "packets", "throughput", "node")},
            "outputs": self.report.get("outputs", []),
            "report": self.report,
        }


@dataclass
class BatchReport:
    """What came of all jobs, in their order. Times in seconds."""

    outcomes: list[Outcome]
    wall_s: float

    @property
    def status(self) -> str:
        found = {one.status for one in self.outcomes}
        return next((status for status in ("interrupted", "failed") if status in found), "done")

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "status": self.status,
            "exit_code": self.exit_code,
            "wall_s": self.wall_s,
            "jobs": [one.as_dict() for one in self.outcomes],
        }


#: Told of every word about a job: its number, the job, and {"progress": …}, {"report": …} or {"kept": …}.
OnWord = Callable[[int, Job, dict[str, Any]], None]


def run_queue(
    jobs: Sequence[Job],
    place: Place,
    journal: Journal,
    control: Control | None = None,
    on_word: OnWord = lambda number, job, word: None,
) -> BatchReport:
    """Work off jobs, as many at once as the place takes; what the journal knows to be done is not done again.

    When the control drains, what runs is finished and nothing is begun; when it aborts, what runs is ended.
    """
    queue = _Queue(list(jobs), place, journal, on_word)
    began = time.monotonic()
    try:
        while queue.left:
            if control is not None and control.aborting:
                break
            if control is None or not control.draining:
                queue.begin()
            elif not queue.running:
                break
            queue.listen()
    finally:
        place.close()
    return BatchReport(queue.outcomes(), round(time.monotonic() - began, 3))


class _Queue:
    """The state of a queue: what waits, what runs, what has ended."""

    def __init__(self, jobs: list[Job], place: Place, journal: Journal, on_word: OnWord) -> None:
        self.jobs, self.place, self.journal, self.on_word = jobs, place, journal, on_word
        self.ended: dict[int, Outcome] = {}
        self.running: set[int] = set()
        for at, job in enumerate(jobs):
            entry = journal.done(job.key)
            if entry is not None:
                self.ended[at] = Outcome(job, "done", kept=True, report=entry)
                on_word(at, job, {"kept": entry})
        self.waiting = [at for at in range(len(jobs)) if at not in self.ended]

    @property
    def left(self) -> bool:
        return bool(self.waiting or self.running)

    def begin(self) -> None:
        """Start as many as there is room for."""
        while self.waiting and self.place.room():
            at = self.waiting.pop(0)
            self.place.start(at, self.jobs[at])
            self.running.add(at)

    def listen(self) -> None:
        """Take in what is said of those that run."""
        for at, word in self.place.wait(LOOK_EVERY):
            if "report" in word:
                self.end(at, word["report"])
            self.on_word(at, self.jobs[at], word)

    def end(self, at: int, report: dict[str, Any]) -> None:
        job = self.jobs[at]
        self.running.discard(at)
        outcome = self.ended[at] = Outcome(job, report["status"], report.get("error"), report=report)
        figures = {key: report.get(key) for key in ("wall_s", "packets", "throughput", "outputs", "node", "stages")}
        self.journal.write(job.key, {"name": job.name, "status": outcome.status, "error": outcome.error, **figures})

    def outcomes(self) -> list[Outcome]:
        return [self.ended.get(at) or Outcome(job, "interrupted") for at, job in enumerate(self.jobs)]


# ------------------------------------------------------------------------------------------------- for people to read


def job_line(ended: int, jobs: int, outcome: Outcome) -> str:
    """The one line that is shown when a job has ended."""
    report, how = outcome.report, "done before" if outcome.kept else outcome.status
    facts = [] if outcome.kept else [duration(report.get("wall_s") or 0.0)]
    if report.get("throughput") and not outcome.kept:
        facts.append(f"{number(report['throughput'])} packets/s")
    if report.get("node"):
        facts.append(f"on {report['node']}")
    line = f"[{ended}/{jobs}] {outcome.job.name}: {', '.join([how, *facts])}"
    return f"{line}: {outcome.error}" if outcome.error else line


def table(report: BatchReport) -> list[str]:
    """What came of all jobs: a row each, then the messages of those that failed, then the sum."""
    rows = []
    for one in report.outcomes:
        outputs = ", ".join(output["path"] for output in one.report.get("outputs") or [])
        wall = number(one.report["wall_s"]) if one.report.get("wall_s") is not None else "-"
        status = "done before" if one.kept else one.status
        rows.append((one.job.name, status, one.report.get("packets") or "-", wall, outputs or "-"))
    lines = columns(("job", "status", "packets", "s", "wrote"), rows)
    failed = [one for one in report.outcomes if one.status == "failed"]
    lines += ["", *(f"  {one.job.name}: {one.error}" for one in failed)] if failed else []
    return [*lines, "", _sum(report.outcomes, report.wall_s)]


def _sum(outcomes: Iterable[Outcome], wall: float) -> str:
    counts = {"done": 0, "failed": 0, "interrupted": 0}
    for one in outcomes:
        counts[one.status] += 1
    parts = [f"{counts['done']} done", *(f"{counts[one]} {one}" for one in ("failed", "interrupted") if counts[one])]
    return f"{plural(sum(counts.values()), 'job')} in {duration(wall)}: {', '.join(parts)}"
