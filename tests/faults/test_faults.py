"""Things that go wrong, on purpose: nothing is lost, nothing comes twice, nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import Fault, recoveries
from left_behind import surroundings

from graph.display.timeline import Recorder
from graph.report import Report
from graph.runner import Graph, Progress

pytestmark = pytest.mark.faults

PARTS = Path(__file__).with_name("parts.py")
FIELDS = "fields: {block: passed, key: passed_key}"


def graph(folder: Path, packets: int, *middle: str, source: str = "", sink: str = "") -> Path:
    """source → each of the middle stages in turn → sink, every one with fields of its own."""
    lines = ["stages:", f'  source: {{use: "{PARTS}:Mixed", with: {{packets: {packets}{source}}}}}']
    before, given = "source", ("block", "key")
    for at, options in enumerate(middle):
        wrote = (f"block{at}", f"key{at}")
        names = f"block: {given[0]}, key: {given[1]}, passed: {wrote[0]}, passed_key: {wrote[1]}"
        lines.append(f'  pass{at}: {{use: "{PARTS}:Pass", from: {before}, fields: {{{names}}}{options}}}')
        before, given = f"pass{at}", wrote
    names = f"block: {given[0]}, key: {given[1]}"
    out = folder / "out.txt"
    lines.append(f'  sink: {{use: "{PARTS}:Tell", from: {before}, fields: {{{names}}}, with: {{path: {out}{sink}}}}}')
    path = folder / "graph.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def arrived(folder: Path) -> list[int]:
    return [int(line.split()[0]) for line in (folder / "out.txt").read_text().splitlines()]


def run(path: Path, **options: Any) -> Report:
    return Graph.load(path).run(**options)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "SIGABRT", "segfault", "exit"])
def test_a_worker_dies(how: str, tmp_path: Path, fault: Fault) -> None:
    """A worker dies (SIGKILL, segfault, abort, exit)."""
    before = surroundings()
    for at in (0, 50, 99):
        once = tmp_path / f"once{at}"
        options = f", with: {{how: {how}, at: {at}, once: {once}}}"
        report = run(graph(tmp_path, 100, "", options, source=", pace: 0.002"))
        assert report.status == "done", report.error
        assert report.stages["pass1"]["restarts"] == 1
        fault.count(list(range(100)), arrived(tmp_path))
        assert arrived(tmp_path) == list(range(100))
        fault.recovery.append(_gap(tmp_path, float(once.read_text())))
    fault.look_around(before)
    assert fault.left_behind == 0


@pytest.mark.timed
def test_a_worker_is_replaced_within_half_a_second(tmp_path: Path, fault: Fault) -> None:
    """A worker is replaced, on a machine that does nothing else."""
    for at in range(10, 60, 10):
        options = f", with: {{how: SIGKILL, at: {at}, once: {tmp_path / f'once{at}'}}}"
        recorder = Recorder()
        report = run(graph(tmp_path, 80, "", options), recorder=recorder)
        assert report.status == "done", report.error
        fault.tried += 1
        fault.recovery += recoveries(recorder)
    assert statistics.median(fault.recovery) < 0.5


def _gap(folder: Path, broke: float) -> float:
    """Seconds from the death of a worker to the next packet at the sink that was not there before it."""
    times = [float(line.split()[1]) for line in (folder / "out.txt").read_text().splitlines()]
    gaps = [(after - earlier, after) for earlier, after in zip([broke, *times], times, strict=False) if after > broke]
    return max(gaps, default=(0.0, 0.0))[0]


def test_a_worker_hangs(tmp_path: Path, fault: Fault) -> None:
    """A worker hangs past its timeout."""
    once = tmp_path / "once"
    path = graph(tmp_path, 100, f", timeout: 0.5, with: {{how: hang, at: 40, once: {once}}}")
    report = run(path)
    assert report.status == "done", report.error
    fault.count(list(range(100)), arrived(tmp_path))
    assert arrived(tmp_path) == list(range(100))
    fault.recovery.append(_gap(tmp_path, float(once.read_text())))


@pytest.mark.parametrize("how", ["SIGKILL", "error"])
def test_a_packet_is_poison(how: str, tmp_path: Path, fault: Fault) -> None:
    """A packet kills every worker that takes it, or always fails."""
    once = tmp_path / "once"
    options = f", workers: 2, on_error: skip, with: {{how: {how}, at: 40, once: {once}, every_time: true}}"
    report = run(graph(tmp_path, 100, options))
    assert report.status == "done", report.error
    expected = [index for index in range(100) if index != 40]
    fault.count(expected, arrived(tmp_path))
    assert arrived(tmp_path) == expected
    (error,) = report.stages["pass0"]["errors"]
    assert (error["index"], error["time"]) == (40, 1.6)
    assert error["message"]


def test_a_killer_shoots_at_random(tmp_path: Path, fault: Fault) -> None:
    """100,000 packets, six stages, a random worker shot every second."""
    packets = int(os.environ.get("GRAPHRUN_SOAK", "100000"))
    rng = random.Random(7)
    stop = threading.Event()
    shots: list[str] = []
    pss: list[int] = []

    def killer() -> None:
        while not stop.wait(1.0):
            workers = [one for one in psutil.Process().children() if "pass" in " ".join(one.cmdline()[-1:])]
            pss.append(sum(one.memory_full_info().pss for one in workers if one.is_running()))
            if workers:
                victim = rng.choice(workers)
                shots.append(victim.cmdline()[-1])
                victim.kill()

    before = surroundings()
    path = graph(tmp_path, packets, ", workers: 2", "", "", "", source=", size: 4096")
    thread = threading.Thread(target=killer)
    thread.start()
    try:
        report = run(path)
    finally:
        stop.set()
        thread.join()
    assert report.status == "done", report.error
    fault.count(list(range(packets)), arrived(tmp_path))
    assert arrived(tmp_path) == list(range(packets))
    assert len(shots) >= min(5, packets // 20000)
    assert sum(stage["restarts"] for stage in report.stages.values()) >= len(shots) - 2
    third = max(1, len(pss) // 3)
    assert max(pss[-third:]) < 1.1 * max(pss[: 2 * third]), "memory grows"
    fault.look_around(before)
    assert fault.left_behind == 0


def test_any_worker_is_shot(tmp_path: Path, fault: Fault) -> None:
    """Sources, stages with state and sinks are shot, at their end too."""
    packets, every = 3000, 250
    out, once, path = tmp_path / "out.txt", tmp_path / "once", tmp_path / "graph.yaml"
    path.write_text(
        f'stages:\n  source: {{use: "{PARTS}:Mixed", with: {{packets: {packets}, pace: 0.0005, size: 64}}}}\n'
        f'  pass: {{use: "{PARTS}:Pass", from: source, fields: {{passed: copy, passed_key: copied}}}}\n'
        f'  sum: {{use: "{PARTS}:Sum", from: pass, fields: {{key: copied}}}}\n'
        f'  sink: {{use: "{PARTS}:Keep", from: sum, fields: {{key: copied}}, with: {{path: {out}, once: {once}}}}}\n'
    )
    shots = [stage for stage in ("source", "sum", "sink", "pass") for _ in range(2)]
    random.Random(3).shuffle(shots)
    fired: list[str] = []

    def shoot(progress: Progress) -> None:
        if len(fired) < len(shots) and progress.packets >= every * (len(fired) + 1):
            fired.append(shots[len(fired)])
            found = [one for one in psutil.Process().children() if one.cmdline()[-1].startswith(f"{fired[-1]}.")]
            found[-1].kill()

    before = surroundings()
    recorder = Recorder()
    report = run(path, on_progress=shoot, recorder=recorder)
    assert report.status == "done", report.error
    assert fired == shots
    assert sum(stage["restarts"] for stage in report.stages.values()) == len(shots) + 1
    assert [one["path"] for one in report.outputs] == [str(out)]
    fault.tried += len(shots)
    fault.count(list(range(packets)), arrived(tmp_path))
    assert arrived(tmp_path) == list(range(packets))
    assert report.packets == packets
    fault.recovery += recoveries(recorder)
    fault.look_around(before)
    assert fault.left_behind == 0


def test_the_runner_is_killed(tmp_path: Path, fault: Fault) -> None:
    """The runner is killed: what is left after two seconds."""
    for _ in range(3):
        before = surroundings()
        path = graph(tmp_path, 100_000, "", ", workers: 2")
        (tmp_path / "out.txt").unlink(missing_ok=True)
        runner = _start(path)
        _wait_for(tmp_path, 10)
        children = psutil.Process(runner.pid).children(recursive=True)
        assert len(children) == 5
        killed = time.monotonic()
        runner.kill()
        runner.wait()
        _, alive = psutil.wait_procs(children, timeout=2)
        fault.tried += 1
        fault.left_behind += len(alive) + len(surroundings() - before)
        fault.recovery.append(time.monotonic() - killed)
    assert fault.left_behind == 0


def test_ctrl_c_once_drains(tmp_path: Path, fault: Fault) -> None:
    """Ctrl-C: what was in flight is finished."""
    before = surroundings()
    runner = _start(graph(tmp_path, 100_000, "", source=", pace: 0.001"), "cli")
    _wait_for(tmp_path, 50)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(10) == 130
    found = arrived(tmp_path)
    fault.count(list(range(len(found))), found)
    assert found == list(range(len(found)))
    fault.look_around(before)
    assert fault.left_behind == 0


def test_ctrl_c_twice_goes_at_once(tmp_path: Path, fault: Fault) -> None:
    """Ctrl-C twice: gone within a second."""
    before = surroundings()
    path = graph(tmp_path, 1000, sink=", slow_at: 5, delay: 30")
    runner = _start(path, "cli")
    _wait_for(tmp_path, 5)
    runner.send_signal(signal.SIGINT)
    time.sleep(0.3)
    pressed = time.monotonic()
    runner.send_signal(signal.SIGINT)
    assert runner.wait(5) == 130
    fault.tried += 1
    fault.recovery.append(time.monotonic() - pressed)
    assert fault.recovery[-1] < 1.0
    fault.look_around(before)
    assert fault.left_behind == 0


def test_a_stage_stalls(tmp_path: Path, fault: Fault) -> None:
    """A sink stalls: nothing grows, nothing spins, and it goes on."""
    stall = float(os.environ.get("GRAPHRUN_STALL", "60"))
    path = graph(tmp_path, 400, "", sink=f", slow_at: 200, delay: {stall}")
    runner = _start(path)
    _wait_for(tmp_path, 200)
    time.sleep(1.0)
    processes = [psutil.Process(runner.pid), *psutil.Process(runner.pid).children()]
    first = [(_cpu(one), one.memory_full_info().pss) for one in processes]
    time.sleep(stall - 4.0)
    last = [(_cpu(one), one.memory_full_info().pss) for one in processes]
    busy = sum(after[0] - before[0] for before, after in zip(first, last, strict=True)) / (stall - 4.0)
    assert busy < 0.02, f"{busy:.1%} of a core while everything waits"
    assert sum(one[1] for one in last) < 1.02 * sum(one[1] for one in first)
    assert runner.wait(30) == 0
    fault.count(list(range(400)), arrived(tmp_path))
    assert arrived(tmp_path) == list(range(400))


@pytest.mark.timed
def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path: Path, fault: Fault) -> None:
    """An hour of packets (90,000): memory as after a minute."""
    peaks = []
    for packets in (1500, 90_000):
        report = run(graph(tmp_path, packets, "", source=", size: 16384"))
        assert report.status == "done", report.error
        peaks.append(report.memory["pss_peak"])
        fault.count(list(range(packets)), arrived(tmp_path))
        assert report.memory["arena_peak"] <= report.memory["bound"]
    assert peaks[1] < 1.03 * peaks[0], f"{peaks[0] / 1e6:.1f} MB, then {peaks[1] / 1e6:.1f} MB"


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _start(path: Path, how: str = "api") -> subprocess.Popen[bytes]:
    code = f"import sys; from graph import Graph; sys.exit(Graph.load({str(path)!r}).run().exit_code)"
    if how == "cli":
        code = f"import sys; sys.argv[1:] = [{str(path)!r}, '--quiet']; from graph.cli import main; sys.exit(main())"
    return subprocess.Popen([sys.executable, "-c", code])


def _wait_for(folder: Path, packets: int) -> None:
    out = folder / "out.txt"
    for _ in range(1000):
        if out.exists() and len(out.read_text().splitlines()) >= packets:
            return
        time.sleep(0.02)
    raise AssertionError(f"{packets} packets did not arrive")
