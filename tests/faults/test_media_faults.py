"""What happens to files when disks, inputs and processes fail: what was written is valid, and a run goes on with it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
from conftest import Fault, recoveries
from left_behind import surroundings

from graph.display.timeline import Recorder
from graph.report import Report
from graph.runner import Graph

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]
TRANSCODE = ROOT / "pipelines" / "transcode.yaml"
LIPSYNC = ROOT / "pipelines" / "lipsync.yaml"
SAMPLES = ROOT / "pipelines" / "samples"
RATE = Fraction(30000, 1001)


def write_clip(path: Path, frames: int, width: int = 160, height: int = 128) -> Path:
    """Noise that is another in every frame, so that no two are taken for each other, with a sound."""
    rng = np.random.default_rng(5)
    seconds = frames / float(RATE)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=RATE, options={"crf": "10", "preset": "ultrafast", "g": "15"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        sound: Any = container.add_stream("aac", rate=48_000, layout="mono")
        for index in range(frames):
            small = rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8)
            image = np.ascontiguousarray(small.repeat(16, axis=0).repeat(16, axis=1))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, 1 / RATE
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for begin in range(0, round(seconds * 48_000), 1024):
            wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(begin, begin + 1024) / 48_000)
            block = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
            block.sample_rate, block.time_base, block.pts = 48_000, Fraction(1, 48_000), begin
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    return path


def frames_of(path: Path) -> list[tuple[float | None, bytes]]:
    """When each picture of a file is shown, and what it is."""
    import hashlib

    with av.open(str(path)) as container:
        return [
            (frame.time, hashlib.sha256(frame.to_ndarray(format="rgb24").tobytes()).digest())
            for frame in container.decode(video=0)
        ]


def sound_of(path: Path) -> int:
    """How many samples of sound a file has."""
    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


def compare(fault: Fault, found: list[Any], wanted: list[Any]) -> None:
    """Take one try into the table, frame for frame."""
    number = {frame: at for at, frame in enumerate(wanted)}
    assert len(number) == len(wanted), "the frames of the test are not all different"
    fault.count(list(range(len(wanted))), [number.get(frame, -1) for frame in found])
    assert found == wanted


def journal(output: Path) -> list[str]:
    try:
        return Path(f"{output}.segments/journal.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []


def wait_for(output: Path, segments: int, alive: Callable[[], bool] = lambda: True) -> None:
    """Until an output has so many whole segments."""
    wait_until(lambda: len(journal(output)) >= segments, alive)


def wait_until(due: Callable[[], bool], alive: Callable[[], bool] = lambda: True) -> None:
    until = time.monotonic() + 120
    while not due():
        assert alive() and time.monotonic() < until, "what was waited for did not come"
        time.sleep(0.002)


@contextlib.contextmanager
def when(due: Callable[[], bool], act: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread as soon as it is due."""
    failed: list[BaseException] = []

    def watch() -> None:
        try:
            wait_until(due)
            act()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield
    thread.join(130)
    assert not failed, failed


def when_whole(output: Path, segments: int, act: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
    """Do something as soon as there are so many whole segments."""
    return when(lambda: len(journal(output)) >= segments, act)


def kill_worker(stage: str) -> None:
    workers = psutil.Process().children()
    next(one for one in workers if one.cmdline()[-1].startswith(f"{stage}.")).kill()


def transcode(source: Path, output: Path, segment: float = 1.0, resume: bool = False, **changes: Any) -> Report:
    values = {"video": str(source), "output": str(output), "codec": "ffv1"}
    return Graph.load(TRANSCODE).run(values, changes={"encode.segment": segment, **changes}, resume=resume)


def command(graph: Path, *arguments: str) -> subprocess.Popen[str]:
    code = "import sys; from graph.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, str(graph), *arguments]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def arguments(source: Path, output: Path) -> list[str]:
    return [f"video={source}", f"output={output}", "codec=ffv1", "--set", "encode.segment=1"]


def kill_everything(runner: subprocess.Popen[str]) -> None:
    """As when the power goes: all processes of a run at once, the runner among them."""
    processes = [psutil.Process(runner.pid), *psutil.Process(runner.pid).children(recursive=True)]
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    runner.communicate()
    psutil.wait_procs(processes, timeout=5)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", 300)


@pytest.fixture
def wanted(clip: Path, tmp_path: Path) -> list[Any]:
    """The frames of an undisturbed run in one piece."""
    assert transcode(clip, tmp_path / "wanted.mkv", segment=0.0).status == "done"
    return frames_of(tmp_path / "wanted.mkv")


def test_encode_is_killed(clip: Path, wanted: list[Any], tmp_path: Path, fault: Fault) -> None:
    """encode is killed: the run goes on by itself."""
    before = surroundings()
    output = tmp_path / "out.mkv"
    for segments in (0, 3, 8):
        due = (lambda n=segments: len(journal(output)) >= n) if segments else (lambda: _begun(output))
        with when(due, lambda: _kill_encode(output, fault)):
            report = transcode(clip, output, 1.0 if segments else 100.0)
        assert (report.status, report.exit_code) == ("done", 0), report.error
        assert report.stages["encode"]["restarts"] == 1
        assert report.stages["encode"]["counts"].get("kept_packets", 0) >= 29 * segments
        compare(fault, frames_of(output), wanted)
        assert sound_of(output) == sound_of(tmp_path / "wanted.mkv")
        assert not list(tmp_path.glob("out.*mkv?*")) and not list(tmp_path.glob("*partial*"))
    fault.look_around(before)
    assert fault.left_behind == 0


def _kill_encode(output: Path, fault: Fault) -> None:
    """Kill encode, and wait until another one writes."""
    kill_worker("encode")
    died = time.time()
    while not any(one.stat().st_mtime > died for one in Path(f"{output}.segments").glob("*.mkv")):
        assert time.time() < died + 60
        time.sleep(0.01)
    fault.recovery.append(time.time() - died)


def _begun(output: Path) -> bool:
    """Whether something of the first segment is on the disk."""
    place = Path(f"{output}.segments/000000.partial.mkv")
    return place.exists() and place.stat().st_size > 100_000


def test_the_runner_is_killed_then_resumed(clip: Path, wanted: list[Any], tmp_path: Path, fault: Fault) -> None:
    """The runner is killed, then --resume."""
    before = surroundings()
    output = tmp_path / "out.mkv"
    runner = command(TRANSCODE, *arguments(clip, output))
    wait_for(output, 3, lambda: runner.poll() is None)
    children = psutil.Process(runner.pid).children(recursive=True)
    runner.kill()
    runner.communicate()
    psutil.wait_procs(children, timeout=5)
    whole = len(journal(output))
    again = command(TRANSCODE, *arguments(clip, output), "--resume")
    said, wrong = again.communicate(timeout=120)
    assert again.returncode == 0, wrong
    assert f"{300 - 30 * whole} packets" in said, "nothing that was whole is encoded again"
    compare(fault, frames_of(output), wanted)
    assert not Path(f"{output}.segments").exists()
    fault.look_around(before)
    assert fault.left_behind == 0


def test_ctrl_c_then_resumed(clip: Path, wanted: list[Any], tmp_path: Path, fault: Fault) -> None:
    """Ctrl-C, then --resume."""
    before = surroundings()
    output = tmp_path / "out.mkv"
    runner = command(TRANSCODE, *arguments(clip, output))
    wait_for(output, 3, lambda: runner.poll() is None)
    runner.send_signal(signal.SIGINT)
    said, wrong = runner.communicate(timeout=120)
    assert runner.returncode == 130, wrong
    drained = frames_of(output)
    assert 90 <= len(drained) < 300 and drained == wanted[: len(drained)], "valid as far as it goes"
    assert f"{len(drained)} packets" in said and "--resume goes on" in said + wrong
    again = command(TRANSCODE, *arguments(clip, output), "--resume")
    said, wrong = again.communicate(timeout=120)
    assert again.returncode == 0, wrong
    assert f"{300 - len(drained)} packets" in said, "nothing is encoded again"
    compare(fault, frames_of(output), wanted)
    assert sound_of(output) == sound_of(tmp_path / "wanted.mkv")
    assert not Path(f"{output}.segments").exists()
    fault.look_around(before)
    assert fault.left_behind == 0


def test_without_segments_nobody_is_told_to_resume(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    runner = command(TRANSCODE, *arguments(clip, output)[:-1], "encode.segment=0")
    wait_until(lambda: (tmp_path / "out.partial.mkv").exists(), lambda: runner.poll() is None)
    runner.send_signal(signal.SIGINT)
    said, wrong = runner.communicate(timeout=120)
    assert runner.returncode == 130, wrong
    assert "--resume" not in said + wrong


def test_everything_is_killed_three_times(clip: Path, wanted: list[Any], tmp_path: Path, fault: Fault) -> None:
    """Everything dies, three times, then --resume."""
    before = surroundings()
    output, rng = tmp_path / "out.mkv", random.Random(11)
    resume: list[str] = []
    for _ in range(3):
        runner = command(TRANSCODE, *arguments(clip, output), *resume)
        wait_for(output, len(journal(output)) + rng.choice((1, 2)), lambda one=runner: one.poll() is None)
        time.sleep(rng.uniform(0, 0.05))
        kill_everything(runner)
        resume = ["--resume"]
        for segment in Path(f"{output}.segments").glob("??????.mkv"):
            assert frames_of(segment), "what is left can be played"
    last = command(TRANSCODE, *arguments(clip, output), *resume)
    _, wrong = last.communicate(timeout=120)
    assert last.returncode == 0, wrong
    compare(fault, frames_of(output), wanted)
    assert sound_of(output) == sound_of(tmp_path / "wanted.mkv")
    fault.look_around(before)
    assert fault.left_behind == 0


def test_going_on_with_another_run_is_refused(clip: Path, wanted: list[Any], tmp_path: Path, fault: Fault) -> None:
    """--resume of another run is refused."""
    output = tmp_path / "out.mkv"
    runner = command(TRANSCODE, *arguments(clip, output))
    wait_for(output, 3, lambda: runner.poll() is None)
    kill_everything(runner)
    other = shutil.copy(clip, tmp_path / "other.mp4")
    again = command(TRANSCODE, *arguments(Path(other), output), "--resume")
    _, wrong = again.communicate(timeout=120)
    assert again.returncode == 1
    (line,) = [line for line in wrong.splitlines() if line.startswith("graphrun: ")]
    assert f"video: {other}, was {clip}" in line
    assert transcode(clip, output, segment=1, resume=True).status == "done"
    compare(fault, frames_of(output), wanted)


# ------------------------------------------------------------------------------------------------------------- disks


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: float) -> Iterator[None]:
    """A file system with little room, or (without the right to mount one) files that may not become long."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={round(megabytes * 1024)}k", "tmpfs", folder]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (round(megabytes * 2**20 / 3), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_disk_is_full(clip: Path, wanted: list[Any], tmp_path: Path, fault: Fault) -> None:
    """The disk is full, then --resume with more room."""
    before = surroundings()
    folder = tmp_path / "small"
    room = (tmp_path / "wanted.mkv").stat().st_size / 2**20
    with small_disk(folder, 0.7 * room):
        report = transcode(clip, folder / "out.mkv")
        assert report.status == "failed"
        assert report.error is not None and len(report.error.splitlines()) == 1
        assert "stage 'encode'" in report.error
        assert "No space left on device" in report.error or "File too large" in report.error
        whole = len(journal(folder / "out.mkv"))
        if whole:
            assert "are whole in" in report.error and "--resume" in report.error
        left = tmp_path / "left"
        shutil.copytree(folder, left)
    segments = sorted((left / "out.mkv.segments").glob("??????.mkv"))[:whole]
    found = [picture for path in segments for _, picture in frames_of(path)]
    assert found == [picture for _, picture in wanted[: len(found)]]
    with_room = folder / "out.mkv"
    shutil.copytree(left, folder, dirs_exist_ok=True)
    report = transcode(clip, with_room, resume=True)
    assert report.status == "done", report.error
    assert report.packets == 300 - len(found)
    compare(fault, frames_of(with_room), wanted)
    fault.look_around(before)
    assert fault.left_behind == 0


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder that takes no file, of root neither: a mount, or (for others) a folder without the right to write."""
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield
        return
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("root may write everywhere, and may mount nothing here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_the_output_folder_is_read_only(clip: Path, tmp_path: Path, fault: Fault) -> None:
    """The output's folder is read-only."""
    before = surroundings()
    folder = tmp_path / "fixed"
    with read_only(folder):
        runner = command(TRANSCODE, *arguments(clip, folder / "out.mkv"))
        _, wrong = runner.communicate(timeout=120)
        assert runner.returncode == 2
        (line,) = wrong.splitlines()
        assert f"stage 'encode': {folder / 'out.mkv'} cannot be written: " in line
        assert "Read-only file system" in line or "Permission denied" in line
        assert not list(folder.iterdir())
    fault.tried += 1
    fault.look_around(before)
    assert fault.left_behind == 0


def test_the_output_folder_vanishes(clip: Path, tmp_path: Path, fault: Fault) -> None:
    """The output's folder vanishes."""
    before = surroundings()
    folder = tmp_path / "gone"
    folder.mkdir()
    output = folder / "out.mkv"
    # Under another name first: where somebody makes files meanwhile, a folder cannot be removed in one go.
    with when_whole(output, 2, lambda: shutil.rmtree(folder.rename(tmp_path / "going"))):
        report = transcode(clip, output)
    assert report.status == "failed"
    assert report.error is not None
    assert f"{output} cannot be written: the folder {output}.segments is gone" in report.error
    fault.tried += 1
    fault.look_around(before)
    assert fault.left_behind == 0 and not folder.exists()


# ------------------------------------------------------------------------------------------------------------ inputs


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_input_is_truncated(tmp_path: Path, fault: Fault, suffix: str) -> None:
    """The input is truncated."""
    before = surroundings()
    source = write_clip(tmp_path / f"whole{suffix}", 200)
    if suffix == ".mp4":
        source = _index_first(source, tmp_path / "first.mp4")
    assert transcode(source, tmp_path / "wanted.mkv").status == "done"
    wanted = frames_of(tmp_path / "wanted.mkv")
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(source.read_bytes()[: source.stat().st_size * 6 // 10])
    report = transcode(cut, tmp_path / "out.mkv")
    assert report.status == "done", report.error
    found = frames_of(tmp_path / "out.mkv")
    # The picture at the cut may be half there; what was decoded before it is as it should be.
    assert 80 < len(found) < 160
    fault.count(list(range(len(found) - 2)), [at for at, one in enumerate(found[:-2]) if one == wanted[at]])
    assert found[:-2] == wanted[: len(found) - 2]
    assert [note for note in report.notes if "not whole" in note and str(cut) in note]
    fault.look_around(before)
    assert fault.left_behind == 0


def _index_first(source: Path, target: Path) -> Path:
    with av.open(str(source)) as one, av.open(str(target), "w", options={"movflags": "faststart"}) as other:
        streams = {stream.index: other.add_stream_from_template(stream, opaque=True) for stream in one.streams}
        for packet in one.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                other.mux(packet)
    return target


def test_the_input_shrinks_while_it_is_read(tmp_path: Path, fault: Fault) -> None:
    """The input shrinks while it is read."""
    before = surroundings()
    source = write_clip(tmp_path / "clip.mkv", 400, 320, 256)
    output = tmp_path / "out.mkv"
    with when_whole(output, 1, lambda: os.truncate(source, source.stat().st_size // 2)):
        report = transcode(source, output)
    assert report.status == "done", report.error
    assert [note for note in report.notes if "has changed while it was read" in note]
    found = frames_of(output)
    fault.count(list(range(400)), list(range(len(found))))
    assert len(found) == 400
    fault.look_around(before)
    assert fault.left_behind == 0


def test_the_input_grows_while_it_is_read(tmp_path: Path, fault: Fault) -> None:
    """The input grows while it is read."""
    before = surroundings()
    whole = write_clip(tmp_path / "whole.mkv", 300)
    assert transcode(whole, tmp_path / "wanted.mkv").status == "done"
    wanted = frames_of(tmp_path / "wanted.mkv")
    source, data = tmp_path / "grows.mkv", whole.read_bytes()
    source.write_bytes(data[: len(data) * 7 // 10])
    output = tmp_path / "out.mkv"

    def grow() -> None:
        with source.open("ab") as file:
            file.write(data[len(data) * 7 // 10 :])

    with when_whole(output, 1, grow):
        report = transcode(source, output)
    assert report.status == "done", report.error
    assert [note for note in report.notes if "has changed while it was read" in note]
    found = frames_of(output)
    assert 150 < len(found) < 300
    fault.count(list(range(len(found) - 2)), [at for at, one in enumerate(found[:-2]) if one == wanted[at]])
    assert found[:-2] == wanted[: len(found) - 2]
    fault.look_around(before)
    assert fault.left_behind == 0


# ------------------------------------------------------------------------------------------------------- the lip-sync


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Callable[..., Report]]]:
    """The frames' file of an undisturbed lip-sync of the samples, and how to run another."""
    folder = tmp_path_factory.mktemp("spoken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHRUN_HOME", str(folder / "home"))

        def run(output: Path, segment: float, **options: Any) -> Report:
            return Graph.load(LIPSYNC).run(
                {"output": str(output), "codec": "ffv1"}, changes={"encode.segment": segment}, **options
            )

        report = run(folder / "wanted.mkv", 0.0)
        assert report.status == "done", report.error
        yield folder / "wanted.mkv", run


@pytest.mark.parametrize("process", ["decode+landmarks", "crop", "diffuse", "composite+encode"])
def test_a_worker_of_the_lipsync_is_killed(
    process: str, spoken: tuple[Path, Callable[..., Report]], tmp_path: Path, fault: Fault
) -> None:
    """{process} of the lip-sync is killed."""
    before = surroundings()
    wanted, run = spoken
    output = tmp_path / "out.mkv"
    recorder = Recorder()
    with when_whole(output, 2, lambda: kill_worker(process)):
        report = run(output, 0.4, recorder=recorder)
    fault.recovery += recoveries(recorder)
    assert (report.status, report.exit_code) == ("done", 0), report.error
    killed = [one["restarts"] for one in report.stages.values() if one["process"] == [f"{process}-0"]]
    assert killed in ([1], [1, 1])
    compare(fault, frames_of(output), frames_of(wanted))
    assert sound_of(output) == sound_of(wanted)
    fault.look_around(before)
    assert fault.left_behind == 0


def test_the_lipsync_is_killed_then_resumed(
    spoken: tuple[Path, Callable[..., Report]], tmp_path: Path, fault: Fault
) -> None:
    """All of the lip-sync is killed, then --resume."""
    before = surroundings()
    wanted, run = spoken
    output = tmp_path / "out.mkv"
    runner = command(LIPSYNC, f"output={output}", "codec=ffv1", "--set", "encode.segment=0.4")
    wait_for(output, 3, lambda: runner.poll() is None)
    kill_everything(runner)
    whole = sum(json.loads(line)["packets"] for line in journal(output))
    report = run(output, 0.4, resume=True)
    assert report.status == "done", report.error
    assert report.stages["encode"]["counts"]["kept_packets"] == whole
    compare(fault, frames_of(output), frames_of(wanted))
    assert sound_of(output) == sound_of(wanted)
    fault.look_around(before)
    assert fault.left_behind == 0
