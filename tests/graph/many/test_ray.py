"""Runs on a real Ray cluster of two nodes on this machine: placed, lost, begun again, and refused where none fits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import many
import pytest

from graph import Graph
from graph.many.batch import run_queue
from graph.many.job import Job
from graph.many.journal import Journal
from graph.many.needs import Needs, needs_of
from graph.many.ranges import run_parts
from graph.report import Report
from graph.spec import GraphMistakes

MEMORY = 200_000_000
SAMPLES = Path(__file__).parents[3] / "pipelines" / "samples"


def test_without_ray_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from graph.many.ray import RayPlace

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(GraphMistakes, match=r"Ray is not installed \(pip install 'graphrun\[ray\]'\)"):
        RayPlace(Needs(1))


def test_nothing_of_ray_is_imported_unless_it_is_asked_for() -> None:
    code = "import sys, graph.cli, graph.many.batch, graph.many.ranges, graph.many.ray; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that only the driver is on, and two nodes of one core each."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'graphrun[ray]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    cluster.workers = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(2)]
    cluster.wait_for_nodes()
    yield cluster
    import ray

    ray.shutdown()
    cluster.shutdown()


def place(cluster: Any) -> Any:
    from graph.many.ray import RayPlace

    return lambda checked, carried: RayPlace(needs_of(checked), cluster.address, carried, checked.spec.name)


def on_ray(cluster: Any, graph: Path, output: Path, parts: int | None, delay: float, **more: Any) -> Report:
    return run_parts(Graph.load(graph), {"output": str(output), "delay": delay}, place(cluster), parts=parts, **more)


@pytest.mark.slow
def test_parts_on_two_nodes_make_what_one_machine_makes(cluster: Any, tmp_path: Path) -> None:
    graph = many.write_graph(tmp_path)
    report = on_ray(cluster, graph, tmp_path / "out.txt", 4, delay=0.02)
    assert report.status == "done", report.error
    assert (tmp_path / "out.txt").read_text().splitlines() == many.expected(60)
    assert (tmp_path / "first").read_text().splitlines() == ["first"]
    assert len({one["node"] for one in report.parts}) == 2

    codec = {"codec": "ffv1", "video": str(SAMPLES / "portrait.mp4"), "audio": str(SAMPLES / "speech.wav")}
    transcode = Graph.load(SAMPLES.parent / "transcode.yaml")
    assert transcode.run({**codec, "output": str(tmp_path / "one.mkv")}).status == "done"
    report = run_parts(transcode, {**codec, "output": str(tmp_path / "parts.mkv")}, place(cluster), parts=3)
    assert report.status == "done", report.error
    assert frames(tmp_path / "parts.mkv") == frames(tmp_path / "one.mkv")


def frames(path: Path) -> list[Any]:
    """Time and content of every picture, and of all sound."""
    import av

    with av.open(str(path)) as container:
        found = [(frame.time, frame.to_ndarray(format="rgb24").tobytes()) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        return [*found, *((frame.time, frame.to_ndarray().tobytes()) for frame in container.decode(audio=0))]


@pytest.mark.slow
def test_what_runs_first_goes_along_to_nodes_that_do_not_have_it(cluster: Any, tmp_path: Path) -> None:
    from graph.many.ray import RayPlace

    graph = many.write_graph(tmp_path)
    offset = tmp_path / "offset"
    offset.mkdir()
    (offset / "value").write_text("5")
    carrying = RayPlace(Needs(1), cluster.address, {"offset": str(offset)})
    (offset / "value").unlink()
    offset.rmdir()
    text = graph.read_text().replace('use: "many:Around"', 'use: "./inside.py:Inside"')
    graph.write_text(text)
    (tmp_path / "inside.py").write_text(
        "import many\n\n\nclass Inside(many.Around):\n    def __init__(self, offset: str) -> None:\n"
        "        self.offset = offset + '/value'\n"
    )
    job = Job("a", str(graph), {"output": str(tmp_path / "out.txt"), "offset": str(offset)})
    with Journal(tmp_path / "journal") as journal:
        report = run_queue([job], carrying, journal)
    assert report.status == "done", report.outcomes[0].error
    assert (tmp_path / "out.txt").read_text().startswith("0 0 11\n")


@pytest.mark.slow
def test_a_node_is_lost_and_its_parts_run_elsewhere(cluster: Any, tmp_path: Path) -> None:
    graph = many.write_graph(tmp_path)
    lost: list[str] = []

    def lose(number: int, job: Job, word: dict[str, Any]) -> None:
        told = word.get("progress", {})
        if not lost and told.get("packets", 0) >= 1:
            lost.append(told["node"])
            node = next(one for one in cluster.workers if told["node"].endswith(one.node_id[:6]))
            # Not on this thread: it is the one that has to go on listening.
            threading.Thread(target=cluster.remove_node, args=(node, False)).start()

    report = on_ray(cluster, graph, tmp_path / "out.txt", 4, delay=0.4, on_word=lose)
    assert report.status == "done", report.error
    assert lost and (tmp_path / "out.txt").read_text().splitlines() == many.expected(60)
    assert report.packets == 60
    assert sum(one["node"] == lost[0] for one in report.parts) < 4


@pytest.mark.slow
def test_the_driver_is_killed_and_resumed(cluster: Any, tmp_path: Path) -> None:
    graph = many.write_graph(tmp_path)
    script = tmp_path / "drive.py"
    script.write_text(
        f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "import test_ray as t, types\nfrom pathlib import Path\n"
        f"cluster = types.SimpleNamespace(address={cluster.address!r})\n"
        f"t.on_ray(cluster, Path({str(graph)!r}), Path({str(tmp_path / 'out.txt')!r}), 6, delay=0.1)\n"
    )
    driver = subprocess.Popen([sys.executable, script])
    journal = tmp_path / "out.txt.parts" / "journal"
    deadline = time.monotonic() + 90
    while not (journal.exists() and journal.read_text().count("\n") >= 2):
        assert time.monotonic() < deadline and driver.poll() is None
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    done = len([line for line in journal.read_text().splitlines() if line.endswith("}")])
    report = on_ray(cluster, graph, tmp_path / "out.txt", None, delay=0.1, resume=True)
    assert report.status == "done", report.error
    assert sum(one["kept"] for one in report.parts) == done and len(report.parts) == 6
    assert (tmp_path / "out.txt").read_text().splitlines() == many.expected(60)


@pytest.mark.slow
def test_what_no_node_can_meet_is_refused_at_once(cluster: Any) -> None:
    from graph.many.ray import RayPlace

    began = time.monotonic()
    with pytest.raises(GraphMistakes, match=r"what a run of 'big' needs: 1 GPU \(the nodes have none\), 900 GB of mem"):
        RayPlace(Needs(1, memory=900_000_000_000, gpus=1), cluster.address, name="big")
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_a_broken_job_is_named_with_its_node_and_the_rest_is_done(cluster: Any, tmp_path: Path) -> None:
    from graph.many.ray import RayPlace

    graph = many.write_graph(tmp_path)
    (tmp_path / "given").write_text("1000")
    given = {"offset": str(tmp_path / "given"), "packets": 5}
    jobs = [Job(str(at), str(graph), {**given, "output": str(tmp_path / f"{at}.txt")}) for at in range(5)]
    jobs[2] = Job("2", str(graph), {**jobs[2].inputs, "offset": str(tmp_path / "not there")})
    with Journal(tmp_path / "journal") as journal:
        report = run_queue(jobs, RayPlace(Needs(1), cluster.address), journal)
    assert [one.status for one in report.outcomes] == ["done", "done", "failed", "done", "done"]
    error = str(report.outcomes[2].error)
    assert "stage 'around'" in error and "not there" in error and f"(on {os.uname().nodename}/" in error
    assert all((tmp_path / f"{at}.txt").read_text().splitlines() == many.expected(5) for at in (0, 1, 3, 4))


@pytest.mark.slow
def test_the_next_runs_ask_for_as_many_cores_as_the_first_kept_busy(cluster: Any, tmp_path: Path) -> None:
    from graph.many.ray import RayPlace

    cluster.add_node(num_cpus=4, object_store_memory=MEMORY)
    cluster.wait_for_nodes()
    graph = many.write_graph(tmp_path)
    (tmp_path / "given").write_text("1000")
    given = {"offset": str(tmp_path / "given"), "packets": 20, "delay": 0.1}
    jobs = [Job(str(at), str(graph), {**given, "output": str(tmp_path / f"{at}.txt")}) for at in range(6)]
    place, places = RayPlace(Needs(4), cluster.address), []
    with Journal(tmp_path / "journal") as journal:
        report = run_queue(jobs, place, journal, on_word=lambda number, job, word: places.append(place.places))
    assert report.status == "done"
    assert (places[0], places[-1] > 1) == (1, True)


@pytest.mark.timed
@pytest.mark.timeout(400)
def test_two_nodes_are_almost_twice_as_fast_where_no_core_is_needed_as_simulated(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "tools"))
    from scale_simulation import two_nodes

    from graph.many.ray import RayPlace

    graph = many.write_graph(tmp_path)
    (tmp_path / "given").write_text("1000")
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")

    def timed(name: str, delay: float) -> float:
        """How long two parts of 400 packets take."""
        given = {"offset": str(tmp_path / "given"), "packets": 800, "delay": delay}
        jobs = [
            Job(f"{name}/{at}", str(graph), {**given, "output": str(tmp_path / f"{name}-{at}")}, {}, packets)
            for at, packets in enumerate([(0, 400), (400, 800)])
        ]
        with Journal(tmp_path / f"journal-{name}") as journal:
            report = run_queue(jobs, RayPlace(Needs(1), cluster.address), journal)
        assert report.status == "done"
        return report.wall_s

    timed("warm", 0.0)
    start = timed("start", 0.0)
    two = timed("two", 0.15)
    cluster.remove_node(cluster.workers[1])
    one = timed("one", 0.15)
    assert one / two >= 1.9, (one, two)
    assert (one, two) == pytest.approx(two_nodes(800, 0.15, start), rel=0.1)


def graphrun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from graph.cli import main; raise SystemExit(main())", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def clips(folder: Path, count: int, broken: tuple[int, ...] = ()) -> None:
    """The sample's first bytes under many names; of the broken ones not even a header."""
    whole = (SAMPLES / "portrait.mp4").read_bytes()
    (folder / "in").mkdir()
    for at in range(count):
        (folder / f"in/{at:02}.mp4").write_bytes(b"no video" if at in broken else whole)


@pytest.mark.slow
def test_of_twenty_clips_on_the_cluster_two_are_broken(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    clips(tmp_path, 20, broken=(4, 15))
    words = ["batch", str(SAMPLES.parent / "transcode.yaml"), "video=in/*.mp4", "output=out/{stem}.mp4"]
    ended = graphrun(tmp_path, *words, "--set", "decode.end=0.2", "--on", "ray")
    assert ended.returncode == 1, ended.stderr
    assert "18 done, 2 failed" in ended.stdout
    assert len([line for line in ended.stdout.splitlines() if "in/04.mp4" in line or "in/15.mp4" in line]) == 2
    assert sorted(int(one.stem) for one in (tmp_path / "out").iterdir()) == [
        at for at in range(20) if at not in (4, 15)
    ]


@pytest.mark.slow
def test_a_batch_goes_through_rays_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'graphrun[ray]'")
    from ray.cluster_utils import Cluster

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    head = {"num_cpus": 1, "object_store_memory": MEMORY, "ray_client_server_port": port}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        clips(tmp_path, 2)
        words = ["batch", str(SAMPLES.parent / "transcode.yaml"), "video=in/*.mp4", "output=out/{stem}.mp4"]
        for _ in range(3):
            ended = graphrun(tmp_path, *words, "--set", "decode.end=0.2", "--on", f"ray://127.0.0.1:{port}")
            if "Starting Ray client server failed" not in ended.stderr:
                break
        else:
            pytest.skip("Ray's own server for clients did not start, three times")
        assert ended.returncode == 0, ended.stderr
        assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["00.mp4", "01.mp4"]
    finally:
        cluster.shutdown()
