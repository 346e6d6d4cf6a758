"""Many runs: jobs from patterns and files, a queue that goes on, a journal, and what is refused before it begins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graph.control import Control
from graph.many.batch import BatchReport, run_queue, table
from graph.many.job import Job, perform
from graph.many.jobs import check_jobs, expand, is_jobs_file, read_jobs
from graph.many.journal import Journal
from graph.many.local import LocalPlace
from graph.many.needs import Machine, Needs, needs_of
from graph.spec import GraphMistakes, load_spec

GRAPH = """
graph: lines
inputs:
  numbers: {type: path}
  output: {type: path}
  pace: {type: float, default: 0.0}
stages:
  read: {use: "./reading.py:Read", with: {path: $numbers, pace: $pace}}
  write: {use: "./reading.py:Keep", from: read, with: {path: $output}}
"""

STAGES = '''
import time
from fractions import Fraction
from pathlib import Path

from graph import Output, Sink, Source, Value


class Read(Source):
    """A number a line."""

    writes = {"number": Value()}

    def __init__(self, path: str, pace: float = 0.0) -> None:
        self.path, self.pace = path, pace

    def open(self) -> None:
        self.lines = Path(self.path).read_text().split()

    def produce(self, packet) -> bool:
        if packet.index >= len(self.lines):
            return False
        time.sleep(self.pace)
        packet.number, packet.time = int(self.lines[packet.index]), Fraction(packet.index, 25)
        return True


class Keep(Sink):
    """Writes them, whole or not at all."""

    reads = {"number": Value()}

    def __init__(self, path: str) -> None:
        self.path, self.found = path, []

    def process(self, packet) -> None:
        self.found.append(str(packet.number))

    def finish(self):
        part = Path(self.path + ".part")
        part.write_text(" ".join(self.found))
        part.replace(self.path)
        return [Output(self.path, len(self.found))]
'''


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    (tmp_path / "reading.py").write_text(STAGES)
    (tmp_path / "lines.yaml").write_text(GRAPH)
    (tmp_path / "in").mkdir()
    return tmp_path / "lines.yaml"


def numbers(graph: Path, count: int, broken: tuple[int, ...] = ()) -> list[Job]:
    """Jobs that copy as many files of numbers, checked; some of the files hold none."""
    for at in range(count):
        (graph.parent / "in" / f"{at:02}.txt").write_text("no number" if at in broken else f"{at} {at + 1}")
    folder = graph.parent
    inputs = {"numbers": str(folder / "in/*.txt"), "output": str(folder / "out/{stem}.txt")}
    jobs = expand(load_spec(graph), inputs)
    check_jobs(jobs)
    return jobs


def work_off(jobs: list[Job], journal: Path, resume: bool = False, at_once: int = 2) -> BatchReport:
    with Journal(journal, resume) as open_journal:
        return run_queue(jobs, LocalPlace(Needs(1), at_once=at_once), open_journal)


def mistakes(error: pytest.ExceptionInfo[GraphMistakes]) -> str:
    return str(error.value)


@pytest.mark.slow
@pytest.mark.slow
def test_of_twenty_jobs_two_are_broken(graph: Path, tmp_path: Path) -> None:
    jobs = numbers(graph, 20, broken=(3, 11))
    report = work_off(jobs, tmp_path / "journal")
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        f"{at:02}.txt" for at in range(20) if at not in (3, 11)
    ]
    assert (tmp_path / "out/07.txt").read_text() == "7 8"
    assert (report.status, report.exit_code) == ("failed", 1)
    failed = {one.job.name: one.error for one in report.outcomes if one.status == "failed"}
    assert failed.keys() == {"03", "11"}
    assert all("stage 'read', packet 0" in str(text) for text in failed.values())
    text = "\n".join(table(report))
    assert "20 jobs" in text and "18 done, 2 failed" in text and "03: stage 'read'" in text
    assert json.loads(json.dumps(report.as_dict()))["jobs"][3]["status"] == "failed"

    (tmp_path / "in/03.txt").write_text("5")
    again = work_off(jobs, tmp_path / "journal", resume=True)
    assert [one.job.name for one in again.outcomes if not one.kept] == ["03", "11"]
    assert [one.job.name for one in again.outcomes if one.status == "failed"] == ["11"]
    assert (tmp_path / "out/03.txt").read_text() == "5"


def test_what_is_gone_or_was_asked_for_otherwise_is_done_again(graph: Path, tmp_path: Path) -> None:
    jobs = numbers(graph, 3)
    work_off(jobs, tmp_path / "journal")
    (tmp_path / "out/01.txt").unlink()
    changed = Job(jobs[2].name, jobs[2].graph, {**jobs[2].inputs, "pace": 0.01})
    again = work_off([*jobs[:2], changed], tmp_path / "journal", resume=True)
    assert [one.kept for one in again.outcomes] == [True, False, False]
    assert all((tmp_path / f"out/{at:02}.txt").exists() for at in range(3))


def test_without_resume_all_is_done_again(graph: Path, tmp_path: Path) -> None:
    jobs = numbers(graph, 2)
    work_off(jobs, tmp_path / "journal")
    assert not any(one.kept for one in work_off(jobs, tmp_path / "journal").outcomes)


def test_a_journal_that_was_cut_off_is_read_as_far_as_it_goes(graph: Path, tmp_path: Path) -> None:
    jobs = numbers(graph, 3)
    work_off(jobs[:2], tmp_path / "journal")
    whole = (tmp_path / "journal").read_bytes()
    (tmp_path / "journal").write_bytes(whole[:-40])
    first = work_off(jobs, tmp_path / "journal", resume=True)
    assert sum(one.kept for one in first.outcomes) == 1
    assert all(one.kept for one in work_off(jobs, tmp_path / "journal", resume=True).outcomes)


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal"), pytest.raises(OSError, match="in use"):
        Journal(tmp_path / "journal")


@pytest.mark.slow
def test_the_driver_is_killed_and_the_queue_goes_on(graph: Path, tmp_path: Path) -> None:
    numbers(graph, 6)
    script = tmp_path / "drive.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nimport test_batch as t\n"
        f"graph = Path({str(graph)!r})\n"
        "jobs = [t.Job(one.name, one.graph, {**one.inputs, 'pace': 0.2}) for one in t.numbers(graph, 6)]\n"
        f"report = t.work_off(jobs, Path({str(tmp_path / 'journal')!r}), resume=True, at_once=2)\n"
        "print(*(one.job.name for one in report.outcomes if one.kept))\n"
    )
    driver = subprocess.Popen([sys.executable, script], process_group=0)
    journal = tmp_path / "journal"
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.read_text().count("\n") >= 2):
        assert time.monotonic() < deadline and driver.poll() is None
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    done = {json.loads(line)["name"] for line in journal.read_text().splitlines()}
    left = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert 2 <= len(done) < 6
    assert set(left.stdout.split()) == done
    assert len(list((tmp_path / "out").glob("*.txt"))) == 6


def test_a_run_whose_process_is_killed_has_failed_and_the_rest_goes_on(graph: Path, tmp_path: Path) -> None:
    jobs = [Job(one.name, one.graph, {**one.inputs, "pace": 0.3}) for one in numbers(graph, 2)]
    place = LocalPlace(Needs(1), at_once=1)
    killed = []

    def kill_first(number: int, job: Job, word: dict[str, object]) -> None:
        if "progress" in word and not killed:
            killed.append(job.name)
            for one in place._running.values():
                os.kill(one.process.pid, signal.SIGKILL)

    with Journal(tmp_path / "journal") as journal:
        report = run_queue(jobs, place, journal, on_word=kill_first)
    assert [one.status for one in report.outcomes] == ["failed", "done"]
    assert "exit code -9" in str(report.outcomes[0].error)


def test_told_to_stop_it_finishes_what_runs(graph: Path, tmp_path: Path) -> None:
    jobs = [Job(one.name, one.graph, {**one.inputs, "pace": 0.3}) for one in numbers(graph, 4)]
    control = Control()
    with Journal(tmp_path / "journal") as journal:
        place = LocalPlace(Needs(1), at_once=1)
        report = run_queue(jobs, place, journal, control, on_word=lambda number, job, word: control.drain())
    control.close()
    assert [one.status for one in report.outcomes] == ["done", "interrupted", "interrupted", "interrupted"]
    assert report.exit_code == 130


def test_told_to_stop_at_once_it_leaves_no_process(graph: Path, tmp_path: Path) -> None:
    jobs = [Job(one.name, one.graph, {**one.inputs, "pace": 30.0}) for one in numbers(graph, 2)]
    control = Control()
    place = LocalPlace(Needs(1), at_once=2)
    seen: list[int] = []

    def stop(number: int, job: Job, word: dict[str, object]) -> None:
        seen.extend(one.process.pid for one in place._running.values())
        control.abort()

    with Journal(tmp_path / "journal") as journal:
        report = run_queue(jobs, place, journal, control, on_word=stop)
    control.close()
    assert report.exit_code == 130 and seen
    assert not any(Path(f"/proc/{pid}").exists() for pid in seen)


# --------------------------------------------------------------------------------------------------- lists of jobs


def test_a_pattern_makes_a_job_of_each_file(graph: Path, tmp_path: Path) -> None:
    jobs = numbers(graph, 3)
    assert [job.name for job in jobs] == ["00", "01", "02"]
    assert jobs[1].inputs == {"numbers": str(tmp_path / "in/01.txt"), "output": str(tmp_path / "out/01.txt")}


def test_a_word_that_there_is_not_is_refused(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "in/one").write_text("1")
    inputs = {"numbers": str(tmp_path / "in/*"), "output": str(tmp_path / "{nosuch}.txt")}
    with pytest.raises(GraphMistakes, match=r"there is no \{nosuch\}; there are \{stem\}, \{name\} and \{folder\}"):
        expand(load_spec(graph), inputs)


def test_two_jobs_with_one_output_are_refused(graph: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in" / name).write_text("1")
    jobs = expand(load_spec(graph), {"numbers": str(tmp_path / "in/*"), "output": str(tmp_path / "one.txt")})
    with pytest.raises(GraphMistakes, match=r"jobs 'a' and 'b' both write .*one\.txt"):
        check_jobs(jobs)


def test_a_job_may_not_write_what_another_reads(graph: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in" / name).write_text("1")
    first = Job("first", str(graph), {"numbers": str(tmp_path / "in/a"), "output": str(tmp_path / "in/b")})
    second = Job("second", str(graph), {"numbers": str(tmp_path / "in/b"), "output": str(tmp_path / "c")})
    with pytest.raises(GraphMistakes, match=r"job 'first' writes .*b, which job 'second' reads"):
        check_jobs([first, second])


def test_a_pattern_that_names_nothing_and_two_patterns_are_refused(graph: Path, tmp_path: Path) -> None:
    spec = load_spec(graph)
    with pytest.raises(GraphMistakes, match="no file is named so"):
        expand(spec, {"numbers": str(tmp_path / "none/*"), "output": "x"})
    with pytest.raises(GraphMistakes, match="only one input can have a pattern"):
        expand(spec, {"numbers": "*.txt", "output": "*.out"})


def test_a_file_of_jobs(graph: Path, tmp_path: Path) -> None:
    numbers(graph, 2)
    path = tmp_path / "night.yaml"
    path.write_text(
        "graph: lines.yaml\nwith: {pace: 0.5}\nset: {read.pace: 0.0}\njobs:\n"
        "  - {numbers: in/*.txt, output: 'all/{stem}.txt'}\n  - {numbers: in/00.txt, output: one.txt, pace: 0.1}\n"
    )
    assert is_jobs_file(path) and not is_jobs_file(graph)
    jobs = read_jobs(path)
    check_jobs(jobs)
    assert [Path(job.inputs["output"]).relative_to(tmp_path).as_posix() for job in jobs] == [
        "all/00.txt",
        "all/01.txt",
        "one.txt",
    ]
    assert [job.inputs["pace"] for job in jobs] == [0.5, 0.5, 0.1]
    assert jobs[0].changes == {"read.pace": 0.0}


def test_what_is_wrong_with_a_file_of_jobs_is_said_with_its_place(graph: Path, tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    path.write_text("graph: lines.yaml\nwiht: {}\njobs:\n  - {numbers: in/*.txt, output: x}\n")
    with pytest.raises(GraphMistakes) as error:
        read_jobs(path)
    assert "night.yaml:2:1: a file of jobs has no key 'wiht' (did you mean 'with'?)" in mistakes(error)
    assert "night.yaml:4:5: numbers=" in mistakes(error)


def test_a_job_that_cannot_run_is_refused_with_the_rest(graph: Path) -> None:
    with pytest.raises(GraphMistakes, match="job 'a': input 'numbers' is needed"):
        check_jobs([Job("a", str(graph), {"output": "x"})])


# ------------------------------------------------------------------------------------------------ what a machine takes


def test_as_many_at_once_as_cores_and_memory_allow(graph: Path, tmp_path: Path) -> None:
    machine = Machine(cores=16, memory=10_000, gpus=())
    assert machine.takes(Needs(cores=4)) == 4
    assert machine.takes(Needs(cores=4, memory=4_000)) == 2
    assert machine.takes(Needs(cores=100, memory=40_000)) == 1
    assert Machine(16, 10_000, (0, 1)).takes(Needs(cores=1, likes_gpu=True)) == 2
    needs = Needs(cores=8, memory=10)
    report = {"stages": {"a": {"cpu_s": 3.0}, "b": {"cpu_s": 3.0}}, "wall_s": 3.0, "memory": {"pss_peak": 99}}
    assert needs.learned(report) == Needs(cores=2.0, memory=99)
    first = {"stages": {"c": {"cpu_s": 1.5}}, "wall_s": 1.0, "memory": {"pss_peak": 120}}
    assert needs.learned({**report, "first": {"survey": first}}) == Needs(cores=2.5, memory=120)


def test_what_a_run_needs_is_what_the_check_tells(graph: Path, tmp_path: Path) -> None:
    job = numbers(graph, 1)[0]
    control = Control()
    needs = needs_of(job.check(), control)
    control.close()
    assert needs.cores == 2
    assert 10_000_000 < needs.memory < 1_000_000_000


# ------------------------------------------------------------------------------------------------- files elsewhere


def test_files_elsewhere_are_fetched_and_results_put_there(graph: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.pipe("/clips/a.txt", b"1 2 3")
    jobs = expand(load_spec(graph), {"numbers": "memory://clips/*.txt", "output": "memory://out/{stem}.txt"})
    assert [job.name for job in jobs] == ["a"]
    report = perform(jobs[0], lambda word: None)
    assert report["status"] == "done", report["error"]
    assert [one["path"] for one in report["outputs"]] == ["memory://out/a.txt"]
    assert store.cat("/out/a.txt") == b"1 2 3"
    assert store.ls("/out", detail=False) == ["/out/a.txt"]


def test_what_cannot_be_fetched_or_written_is_said(graph: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    missing = perform(Job("a", str(graph), {"numbers": "memory://none.txt", "output": str(tmp_path / "x")}), print)
    assert missing["status"] == "failed" and "memory://none.txt cannot be fetched" in missing["error"]
    (tmp_path / "in/1").write_text("1")
    inputs = {"numbers": str(tmp_path / "in/1"), "output": "https://example.org/x"}
    assert "cannot be written to" in perform(Job("a", str(graph), inputs), print)["error"]


# --------------------------------------------------------------------------------------------------- the command


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    graphrun = [sys.executable, "-c", "import sys; from graph.cli import main; sys.exit(main())"]
    return subprocess.run([*graphrun, *words], cwd=cwd, capture_output=True, text=True, timeout=100, check=False)


def test_the_command_works_a_list_off_and_goes_on(graph: Path, tmp_path: Path) -> None:
    numbers(graph, 3, broken=(1,))
    words = ["batch", "lines.yaml", "numbers=in/*.txt", "output=out/{stem}.txt", "--report", "report.json"]
    ended = command(*words, cwd=tmp_path)
    assert ended.returncode == 1
    assert "3 jobs in" in ended.stdout and "2 done, 1 failed" in ended.stdout and "01: stage 'read'" in ended.stdout
    assert ended.stderr.count("[3/3]") == 1
    assert [one["status"] for one in json.loads((tmp_path / "report.json").read_text())["jobs"]].count("done") == 2
    (tmp_path / "in/01.txt").write_text("1 2")
    again = command(*words, "--resume", cwd=tmp_path)
    assert again.returncode == 0 and "[1/3] 00: done before" in again.stderr


def test_the_command_says_what_is_wrong_before_anything_runs(graph: Path, tmp_path: Path) -> None:
    numbers(graph, 2)
    one_output = command("batch", "lines.yaml", "numbers=in/*.txt", "output=one.txt", cwd=tmp_path)
    assert one_output.returncode == 2 and "both write" in one_output.stderr
    elsewhere = ["lines.yaml", "numbers=in/00.txt", "output=x", "--on", "mars"]
    assert "--on takes ray" in command(*elsewhere, cwd=tmp_path).stderr
    assert "cannot join" in command(*elsewhere[:3], "--parts", "2", cwd=tmp_path).stderr
    assert not (tmp_path / "journal").exists() and not (tmp_path / "x").exists()
