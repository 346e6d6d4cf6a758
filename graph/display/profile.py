"""The profile of a run: one HTML file that shows what every worker did, what held the graph up, and what would help.

The file holds its data and its drawing; it fetches nothing.
"""

from __future__ import annotations

import html
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from graph.display.layout import Size, lay_out
from graph.display.timeline import REASONS, Life, Look, Recorder, Span
from graph.display.whatif import Change, changes, faster, measure, simulate
from graph.plan import Plan
from graph.report import Report
from graph.shares import cores_of_run
from graph.written import write_whole

TEMPLATE = Path(__file__).with_name("profile.html")
BINS, CLOSE_SPANS, HISTOGRAM_BINS = 240, 200, 40
BOX = Size(98, 98, 92)

Table = dict[str, Any]


def write_profile(recorder: Recorder, report: Report, path: str | Path) -> None:
    """Write the profile of a run that was recorded, whole or not at all; raises Unwritten."""
    write_whole(Path(path), [render(profile(recorder, report))])


def render(data: Table) -> str:
    """The HTML file that shows it. What stands in the data, a file's name say, is never taken for markup."""
    text = json.dumps(data, separators=(",", ":"), default=str).replace("<", "\\u003c")
    template = TEMPLATE.read_text(encoding="utf-8")
    return template.replace("{{title}}", html.escape(f"{data['graph']}: profile")).replace("{{data}}", text)


def profile(recorder: Recorder, report: Report) -> Table:
    """Everything that the file shows, as plain values; times in seconds from when packets began to flow."""
    plan = recorder.plan or Plan((), ())
    origin = min((span.started for span in recorder.spans), default=0) / 1e9
    last = max((span.ended for span in recorder.spans), default=0) / 1e9
    looks = [look for look in recorder.looks if look.at >= origin]
    path = critical_path(plan, recorder.spans)
    helps = what_helps(recorder, report)
    return {
        "graph": report.graph,
        "file": report.file,
        "inputs": report.inputs,
        "status": report.status,
        "error": report.error,
        "started": report.started,
        "seconds": last - origin,
        "wall": report.wall_s,
        "packets": report.packets,
        "throughput": report.throughput,
        "memory": report.memory,
        "cores": cores_of_run(),
        "kept": recorder.stride,
        "sentence": sentence(recorder, report, helps),
        "changes": [{"text": str(one), "throughput": one.throughput} for one in helps],
        "nodes": _nodes(plan, report, path),
        "links": _links(plan, looks, path, origin),
        "workers": _workers(plan, recorder, looks, origin, last),
        "close": _close(plan, recorder.spans, origin),
        "processes": _processes(plan, recorder, looks, origin),
        "histograms": _histograms(plan, recorder.spans),
    }


# ------------------------------------------------------------------------------------------------- what held it up


def critical_path(plan: Plan, spans: Iterable[Span]) -> list[int]:
    """The way that most packets were waited for on, as nodes: from the sink back, always the input that came last."""
    ends = {(span.worker.node, index): span.ended for span in spans for index in span.indices}
    ways: Counter[tuple[int, ...]] = Counter()
    sinks = [at for at, node in enumerate(plan.nodes) if node.sink]
    for index in {index for _, index in ends}:
        way = [max(sinks, key=lambda at: ends.get((at, index), 0))]
        while inputs := [at for at in plan.nodes[way[-1]].inputs if (at, index) in ends]:
            way.append(max(inputs, key=lambda at: ends[at, index]))
        ways[tuple(reversed(way))] += 1
    return list(ways.most_common(1)[0][0]) if ways else []


def what_helps(recorder: Recorder, report: Report) -> list[Change]:
    """What each stage faster, or with more workers, would make of the run; the best first."""
    services = measure(recorder)
    plan = recorder.plan
    if plan is None or any(name not in services for node in plan.nodes for name in node.stages):
        return []
    packets = sum(len(span.indices) for span in recorder.spans if plan.nodes[span.worker.node].sink)
    if packets < 3 or not report.throughput:
        return []
    found = changes(plan, services, cores_of_run(), report.throughput, _hub_s(report))
    return sorted(found, key=lambda one: -one.throughput)


def sentence(recorder: Recorder, report: Report, helps: Sequence[Change]) -> str:
    """What held the run up, and what would be if it did not, for people."""
    name = report.bottleneck
    if name is None or recorder.plan is None or not report.throughput:
        return "Too little flowed to tell what held it up."
    stage = report.stages[name]
    flowed = (report.packets - 1) / report.throughput
    share = min(1.0, stage["busy_s"] / stage["workers"] / flowed)
    who = "it was" if stage["workers"] == 1 else f"its {stage['workers']} workers were"
    text = f"'{name}' held the others up: {who} at work for {share:.0%} of the time."
    computed = sum(one["cpu_s"] for one in report.stages.values()) / max(flowed, 1e-9)
    if computed > 0.85 * cores_of_run():
        text += " All cores were in use, too."
    own = [one for one in helps if one.stage.split("+")[0] == name or name in one.stage.split("+")]
    told = []
    for one in sorted(own, key=lambda change: (change.workers is not None, change.workers or change.faster)):
        gain = one.throughput / report.throughput - 1
        what = f"with {one.workers} workers" if one.workers else f"{one.faster:g} times faster"
        told.append(f"{what} {one.throughput:.1f} packets/s ({gain:+.0%})")
    if told:
        text += f" The graph makes {report.throughput:.1f} packets/s; were it {', '.join(told)}."
    other = _next(recorder, report, name)
    return text + (f" Then '{other}' would be next." if other and other != name else "")


def _next(recorder: Recorder, report: Report, name: str) -> str | None:
    """Who would hold the graph up if the bottleneck were four times faster."""
    services, plan = measure(recorder), recorder.plan
    if plan is None or any(stage not in services for node in plan.nodes for stage in node.stages):
        return None
    outcome = simulate(plan, faster(services, name, 4), cores_of_run(), hub_s=_hub_s(report))
    at = max(range(len(plan.nodes)), key=lambda node: outcome.busy[node])
    return plan.nodes[at].name


def _hub_s(report: Report) -> float:
    return float(report.hub.get("cpu_us_per_task", 50)) / 1e6


# ----------------------------------------------------------------------------------------------------- what is shown


def _nodes(plan: Plan, report: Report, path: Sequence[int]) -> list[Table]:
    if not plan.nodes:
        return []
    names = [node.name for node in plan.nodes]
    sizes = dict.fromkeys(names, BOX)
    layout = lay_out(sizes, [(names[link.producer], names[link.consumer]) for link in plan.links], 56.0)
    flowed = (report.packets - 1) / report.throughput if report.throughput else report.wall_s
    found = []
    for at, node in enumerate(plan.nodes):
        stages = [report.stages[name] for name in node.stages]
        busy = sum(one["busy_s"] for one in stages) / node.workers / max(flowed, 1e-9)
        found.append({
            "name": node.name,
            "x": layout.boxes[node.name].x,
            "y": layout.boxes[node.name].y,
            "workers": node.workers,
            "batch": node.batch,
            "rate": stages[0]["packets_in"] / max(flowed, 1e-9),
            "busy": min(1.0, busy),
            "input": stages[0]["wait_input_s"] / max(flowed, 1e-9),
            "room": stages[0]["wait_credit_s"] / max(flowed, 1e-9),
            "p50": sum(one["latency_ms"]["p50"] for one in stages),
            "p95": sum(one["latency_ms"]["p95"] for one in stages),
            "restarts": stages[0]["restarts"],
            "critical": at in path,
            "bottleneck": report.bottleneck in node.stages,
        })  # fmt: skip
    return found


def _links(plan: Plan, looks: Sequence[Look], path: Sequence[int], origin: float) -> list[Table]:
    steps = set(itertools.pairwise(path))
    return [
        {
            "name": plan.link_name(link),
            "from": link.producer,
            "to": link.consumer,
            "capacity": link.capacity,
            "critical": (link.producer, link.consumer) in steps,
            "times": [round(look.at - origin, 4) for look in looks],
            "queued": [look.queued[at] for look in looks],
        }
        for at, link in enumerate(plan.links)
    ]


def _workers(plan: Plan, recorder: Recorder, looks: Sequence[Look], origin: float, last: float) -> list[Table]:
    """Per worker its lives, and shares of time at work, waiting for input, for room, and for anything else."""
    places = [(at, replica) for at, node in enumerate(plan.nodes) for replica in range(node.workers)]
    count = max(1, min(BINS, len(looks))) if recorder.stride > 1 else BINS
    width = max((last - origin) / count, 1e-9)
    work = _busy_from_looks(looks, origin, width, count)
    if recorder.stride == 1:
        work = _busy_from_spans(recorder.spans, origin, width, count)
    found = []
    for place in places:
        busy = [min(1.0, one) for one in work.get(place, [0.0] * count)]
        waits = _reasons(looks, place[0], origin, width, count)
        bins = [[round(share, 3) for share in _shares(at_work, why)] for at_work, why in zip(busy, waits, strict=True)]
        lives = [_life(life, recorder.spans, origin) for life in recorder.lives if life.worker[:2] == place]
        found.append({"name": f"{plan.nodes[place[0]].name}.{place[1]}", "bins": bins, "lives": lives})
    return found


def _life(life: Life, spans: Iterable[Span], origin: float) -> Table:
    """When a process took up its first task and when it ended, if it did so before the run."""
    first = min((span.started for span in spans if span.worker == life.worker), default=None)
    began = life.began if first is None else first / 1e9
    return {
        "from": began - origin,
        "to": None if life.ended is None else life.ended - origin,
        "died": life.died,
    }


def _shares(busy: float, waits: Sequence[float]) -> tuple[float, float, float, float]:
    """At work, waiting for input, waiting for room, other: what is not at work is shared out as the node waited."""
    rest, total = 1.0 - busy, sum(waits)
    if not total:
        return busy, 0.0, 0.0, rest
    return busy, rest * waits[0] / total, rest * waits[1] / total, rest * waits[2] / total


def _busy_from_spans(
    spans: Iterable[Span], origin: float, width: float, count: int
) -> dict[tuple[int, int], list[float]]:
    found: dict[tuple[int, int], list[float]] = {}
    for span in spans:
        row = found.setdefault((span.worker.node, span.worker.replica), [0.0] * count)
        begin, end = span.started / 1e9 - origin, span.ended / 1e9 - origin
        for at in range(max(0, int(begin / width)), min(count - 1, int(end / width)) + 1):
            row[at] += max(0.0, min(end, (at + 1) * width) - max(begin, at * width)) / width
    return found


def _busy_from_looks(
    looks: Sequence[Look], origin: float, width: float, count: int
) -> dict[tuple[int, int], list[float]]:
    found: dict[tuple[int, int], list[float]] = {}
    for before, look in itertools.pairwise(looks):
        at = min(count - 1, int((look.at - origin) / width))
        for place, total in look.busy.items():
            row = found.setdefault(place, [0.0] * count)
            row[at] += (total - before.busy.get(place, 0)) / 1e9 / width
    return found


def _reasons(looks: Sequence[Look], node: int, origin: float, width: float, count: int) -> list[list[float]]:
    """Per bin, seconds by `REASONS` that a node began nothing; a bin without a look has its neighbour's."""
    found: list[list[float]] = [[0.0] * len(REASONS) for _ in range(count)]
    for before, look in itertools.pairwise(looks):
        begin, end = (max(0, int((one.at - origin) / width)) for one in (before, look))
        for at in range(min(begin, count - 1), min(end, count - 1) + 1):
            for place in range(len(REASONS)):
                found[at][place] += look.waited[node][place] - before.waited[node][place]
    return found


def _close(plan: Plan, spans: Sequence[Span], origin: float) -> Table:
    """The tasks of a short while in the middle of the run, each by itself."""
    ordered = sorted(spans, key=lambda span: span.started)
    middle = max(0, len(ordered) // 2 - CLOSE_SPANS // 2)
    chosen = ordered[middle : middle + CLOSE_SPANS]
    places = [(at, replica) for at, node in enumerate(plan.nodes) for replica in range(node.workers)]
    rows = [
        [
            places.index((span.worker.node, span.worker.replica)),
            round(span.started / 1e9 - origin, 6),
            round(sum(span.busy) / 1e9, 6),
            span.indices[0],
            span.indices[-1],
        ]
        for span in chosen
    ]
    return {"names": [f"{plan.nodes[at].name}.{replica}" for at, replica in places], "tasks": rows}


def _processes(plan: Plan, recorder: Recorder, looks: Sequence[Look], origin: float) -> list[Table]:
    """CPU (cores) and memory (bytes) of each process over time."""
    names = {life.pid: f"{plan.nodes[life.worker.node].name}.{life.worker.replica}" for life in recorder.lives}
    names |= {life.pid: f"{names[life.pid]} again" for life in recorder.lives if life.worker.incarnation}
    found = []
    for pid in dict.fromkeys(pid for look in looks for pid in look.usage):
        times, cpu, memory = [], [], []
        before: Look | None = None
        for look in looks:
            if pid not in look.usage:
                continue
            # CPU time is counted in hundredths of a second.
            if before is not None and look.at - before.at < 0.2 and look is not looks[-1]:
                continue
            if before is not None and look.at > before.at:
                times.append(round(look.at - origin, 3))
                cpu.append(round((look.usage[pid].cpu - before.usage[pid].cpu) / (look.at - before.at), 3))
                memory.append(look.usage[pid].resident)
            before = look
        found.append({"name": names.get(pid, "runner"), "times": times, "cpu": cpu, "memory": memory})
    return found


def _histograms(plan: Plan, spans: Sequence[Span]) -> list[Table]:
    """Of the time that each stage takes for a task, and that a packet takes from its source to its last sink."""
    found = []
    for at, node in enumerate(plan.nodes):
        mine = [span for span in spans if span.worker.node == at]
        for place, name in enumerate(node.stages):
            found.append(_histogram(name, [span.busy[place] / 1e6 for span in mine]))
    begun: dict[int, int] = {}
    ended: dict[int, int] = {}
    for span in spans:
        node = plan.nodes[span.worker.node]
        for index in span.indices if node.source else ():
            begun[index] = min(begun.get(index, span.started), span.started)
        for index in span.indices if node.sink else ():
            ended[index] = max(ended.get(index, 0), span.ended)
    through = [(ended[index] - begun[index]) / 1e6 for index in ended if index in begun]
    return [*found, _histogram("a packet, source to sink", through)]


def _histogram(name: str, values: list[float]) -> Table:
    """Milliseconds in bins of equal ratio."""
    values = [max(value, 1e-4) for value in values]
    if len(values) < 2:
        return {"name": name, "edges": [], "counts": [], "p50": None, "p95": None, "max": None}
    low, high = math.log(min(values)), math.log(max(values) * 1.0001)
    high = max(high, low + 0.1)
    counts = [0] * HISTOGRAM_BINS
    for value in values:
        counts[min(HISTOGRAM_BINS - 1, int((math.log(value) - low) / (high - low) * HISTOGRAM_BINS))] += 1
    edges = [math.exp(low + (high - low) * at / HISTOGRAM_BINS) for at in range(HISTOGRAM_BINS + 1)]
    percents = quantiles(values, n=100, method="inclusive")
    return {
        "name": name,
        "edges": edges,
        "counts": counts,
        "p50": percents[49],
        "p95": percents[94],
        "max": max(values),
    }
