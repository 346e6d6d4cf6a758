"""A run in figures for Prometheus, served over HTTP while it lasts; needs the extra `graphrun[metrics]`.

Only this machine may ask unless an address says otherwise: the figures tell what is worked on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from graph.display.moments import Moments

if TYPE_CHECKING:
    from graph.runner import Progress

LOOPBACK = "127.0.0.1"


def address(text: str) -> tuple[str, int]:
    """`:9090`, `9090` or `0.0.0.0:9090`, `[::1]:9090` as host and port; raises ValueError."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"\d{1,5}", port) or int(port) > 65_535:
        raise ValueError(f"{text!r} is no address: a port such as :9090, or an address such as 0.0.0.0:9090")
    return host.removeprefix("[").removesuffix("]") or LOOPBACK, int(port)


class Metrics:
    """Serves what the last Progress of each graph that runs said at `http://host:port/metrics`; a context manager.

    Port 0 takes a free one. Raises RuntimeError if prometheus-client is missing, OSError if the address is taken.
    """

    def __init__(self, host: str = LOOPBACK, port: int = 0) -> None:
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ModuleNotFoundError:
            raise RuntimeError("metrics need prometheus-client: pip install 'graphrun[metrics]'") from None
        self._moments = Moments()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        self._server, self._thread = start_http_server(port, host, registry)
        self.host, self.port = host, int(self._server.server_port)

    def progress(self, now: Progress) -> None:
        """To be called with every Progress of the run."""
        self._moments.add(now)

    def collect(self) -> Iterator[Any]:
        """The figures, as prometheus-client asks for them."""
        graphs = self._moments.latest()
        if not graphs:
            return
        expected = [((now.graph,), now.expected) for now in graphs if now.expected is not None]
        yield _counter("graphrun_packets", "Packets that reached the sinks", ("graph",),
                       [((now.graph,), now.packets) for now in graphs])  # fmt: skip
        yield _gauge("graphrun_packets_expected", "Packets that the sources said they would give, if they did",
                     ("graph",), expected)  # fmt: skip
        yield _gauge("graphrun_run_seconds", "Seconds since packets flow", ("graph",),
                     [((now.graph,), now.wall) for now in graphs])  # fmt: skip
        yield _gauge("graphrun_memory_pss_peak_bytes", "Largest sum of PSS over all processes so far", ("graph",),
                     [((now.graph,), now.memory) for now in graphs])  # fmt: skip
        yield _gauge("graphrun_arenas_bytes", "Bound of the memory of all slots", ("graph",),
                     [((now.graph,), now.bound) for now in graphs])  # fmt: skip
        yield from self._stages(graphs)
        links = [((now.graph, name), queued, capacity) for now in graphs for name, queued, capacity in now.links]
        yield _gauge("graphrun_link_packets", "Packets in a link", ("graph", "link"), [one[:2] for one in links])
        yield _gauge("graphrun_link_capacity_packets", "Packets that a link may hold", ("graph", "link"),
                     [(labels, capacity) for labels, _, capacity in links])  # fmt: skip

    def _stages(self, graphs: Sequence[Progress]) -> Iterator[Any]:
        labels = ("graph", "stage")
        rows = [((now.graph, one.name), one) for now in graphs for one in now.stages]
        yield _counter("graphrun_stage_packets", "Packets that a stage took in", labels,
                       [(key, one.packets) for key, one in rows])  # fmt: skip
        yield _counter("graphrun_stage_restarts", "Workers of a stage that were replaced", labels,
                       [(key, one.restarts) for key, one in rows])  # fmt: skip
        yield _gauge("graphrun_stage_rate", "Packets a second, of late", labels, [(key, one.rate) for key, one in rows])
        yield _gauge("graphrun_stage_busy_ratio", "Share of the time that the workers of a stage are at work, of late",
                     labels, [(key, one.busy) for key, one in rows])  # fmt: skip
        yield _gauge("graphrun_stage_workers", "Workers of a stage", labels, [(key, one.workers) for key, one in rows])
        waiting = [((*key, what), float(one.waits == what)) for key, one in rows for what in ("input", "room")]
        yield _gauge("graphrun_stage_waits", "1 if a stage waits for input, or for room behind it", (*labels, "for"),
                     waiting)  # fmt: skip

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


Rows = Sequence[tuple[tuple[str, ...], float]]


def _gauge(name: str, about: str, labels: tuple[str, ...], rows: Rows) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(name, about, labels=labels), rows)


def _counter(name: str, about: str, labels: tuple[str, ...], rows: Rows) -> Any:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(name, about, labels=labels), rows)


def _filled(family: Any, rows: Rows) -> Any:
    for labels, value in rows:
        family.add_metric(labels, value)
    return family
