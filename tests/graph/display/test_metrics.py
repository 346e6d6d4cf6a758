"""What Prometheus sees of a run."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from recorded_run import write

from graph.display.metrics import Metrics, address
from graph.runner import Graph, Progress

pytest.importorskip("prometheus_client", reason="graphrun[metrics] is not installed")


def scrape(metrics: Metrics) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {key: float(value) for key, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_a_run_can_be_watched(tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    with Metrics() as metrics:
        assert scrape(metrics) == {}

        def watch(now: Progress) -> None:
            metrics.progress(now)
            seen.append(scrape(metrics))

        report = Graph.load(write(tmp_path)).run(on_progress=watch)
    assert report.status == "done"
    counts = [one['graphrun_packets_total{graph="forked"}'] for one in seen]
    assert counts == sorted(counts)
    last = seen[-1]
    assert 30 < counts[-1] <= 100
    assert last['graphrun_packets_expected{graph="forked"}'] == 100
    assert last['graphrun_stage_busy_ratio{graph="forked",stage="copy"}'] > 0.5
    assert last['graphrun_link_capacity_packets{graph="forked",link="source -> copy"}'] >= 2
    assert last['graphrun_stage_restarts_total{graph="forked",stage="copy"}'] == 0


def test_nobody_is_left_listening() -> None:
    with Metrics() as metrics:
        pass
    with pytest.raises(OSError):
        scrape(metrics)


def test_only_this_machine_may_ask_unless_told() -> None:
    assert address(":9090") == address("9090") == ("127.0.0.1", 9090)
    assert address("0.0.0.0:9090") == ("0.0.0.0", 9090)
    assert address("[::1]:9090") == ("::1", 9090)
    for wrong in ("", "host", ":99999", ":http"):
        with pytest.raises(ValueError, match="such as :9090"):
            address(wrong)
    with Metrics() as metrics:
        assert metrics.host == "127.0.0.1"
