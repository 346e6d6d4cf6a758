"""What graphrun tells people, as lines of text: how a run goes, how it ended, and what a graph comes down to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graph.declared import Checked
    from graph.prepare import Prepared
    from graph.report import Report
    from graph.runner import Progress
    from graph.spec import GraphSpec

#: Packets named when some were lost; the report has all.
ERRORS_SHOWN = 3


class Wrong(Exception):
    """What was asked cannot be served; the message is for the person who asked."""

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


def columns(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table: numbers to the right, the rest to the left, two spaces between, two before."""
    table = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *table, strict=True)]
    right = [bool(table) and all(_is_number(row[at]) for row in table) for at in range(len(head))]
    lines = []
    for row in [list(head), *table]:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines


def _is_number(cell: str) -> bool:
    return not cell or cell == "-" or cell.removesuffix("%").strip().replace(".", "", 1).isdigit()


def duration(seconds: float) -> str:
    """`8.3 s`, `4:05`, `1:02:45`."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    """Bytes in the unit that suits them."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.1f} {unit}" if count < 10 * step else f"{count / step:.0f} {unit}"
    return f"{count:.0f} B"


def number(value: float) -> str:
    """A rate with as many digits as mean something."""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


# ------------------------------------------------------------------------------------------------------ while it runs


def progress_line(now: Progress) -> str:
    """A moment of a run in one line."""
    if all(one.waits == "start" for one in now.stages):
        return f"{now.graph}: starting {plural(sum(one.workers for one in now.stages), 'worker')}"
    total = f" of {now.expected} ({100 * now.packets / now.expected:.0f} %)" if now.expected else ""
    parts = [f"{now.packets}{total} packets", f"{number(now.rate)}/s"]
    if now.real_time is not None:
        parts.append(f"{now.real_time:.2f} × real time")
    if now.left is not None:
        parts.append(f"{duration(now.left)} left")
    if now.bottleneck is not None:
        parts.append(f"bottleneck {now.bottleneck}")
    parts.append(size(now.memory))
    return f"{now.graph}, {duration(now.wall)}: {', '.join(parts)}"


# ---------------------------------------------------------------------------------------------------- how it ended


def ending(report: Report, first: Iterable[str], told: Iterable[str] = (), table: bool = True) -> list[str]:
    """A run that has ended; `first` are the graphs before it, `told` the notes that were shown while it ran."""
    verb = {"done": "done", "failed": "failed", "interrupted": "interrupted"}[report.status]
    parts = [plural(report.packets, "packet"), duration(report.wall_s)]
    if report.throughput:
        parts.append(f"{number(report.throughput)} packets/s")
    if speed := _speed(report):
        parts.append(speed)
    if report.bottleneck is not None:
        parts.append(f"bottleneck {report.bottleneck}")
    if report.memory.get("pss_peak"):
        parts.append(f"peak memory {size(report.memory['pss_peak'])}")
    lines = [f"{report.graph} {verb}: {', '.join(parts)}"]
    if table and report.stages:
        flowed = (report.packets - 1) / report.throughput if report.throughput else report.wall_s
        lines += ["", *stage_table(report.stages, flowed), ""]
    lines += _first_lines(report, first)
    lines += [f"  {note}" for note in dict.fromkeys(report.notes) if note not in set(told)]
    lines += _tallies(report.stages)
    lines += [f"  wrote {_output(one)}" for one in report.outputs]
    return lines


def stage_table(stages: dict[str, dict[str, Any]], flowed: float) -> list[str]:
    """A row a stage; `flowed` is how many seconds packets went through the graph."""
    rows = []
    for name, one in stages.items():
        busy = min(1.0, one["busy_s"] / one["workers"] / max(flowed, 1e-9))
        rows.append(
            (
                name,
                one["packets_in"],
                number(one["latency_ms"]["p50"]),
                number(one["latency_ms"]["p95"]),
                f"{100 * busy:.0f}%",
                number(one["cpu_s"]),
                f"{one['pss_peak'] / 1e6:.0f}",
                one["restarts"] or "-",
            )
        )
    return columns(("stage", "packets", "ms p50", "p95", "busy", "CPU s", "MB", "restarts"), rows)


def _speed(report: Report) -> str:
    """Against real time, of the longest output."""
    longest = max((one.get("duration_s") or 0.0 for one in report.outputs), default=0.0)
    return f"{longest / report.wall_s:.2f} × real time" if longest and report.wall_s else ""


def _first_lines(report: Report, first: Iterable[str]) -> list[str]:
    lines = []
    for name in first:
        made = [one for one in report.first if one == name or one.startswith(f"{name}.")]
        for one in made:
            took, status = duration(report.first[one]["wall_s"]), report.first[one]["status"]
            ended = f"made in {took}, and kept" if status == "done" else f"{status} after {took}"
            lines.append(f"  first '{one}': {ended}")
        there = [one for one, path in report.inputs.items() if path and (one == name or one.startswith(f"{name}."))]
        if there and not made and report.stages:
            lines.append(f"  first '{name}': kept from an earlier run")
    return lines


def _tallies(stages: dict[str, dict[str, Any]]) -> list[str]:
    """What the stages counted, and the packets they lost."""
    lines = []
    for name, one in stages.items():
        if one["counts"]:
            lines.append(f"  {name}: " + ", ".join(f"{what}: {count}" for what, count in sorted(one["counts"].items())))
        for error in one["errors"][:ERRORS_SHOWN]:
            when = f" at {error['time']:.3f} s" if error["time"] is not None else ""
            lines.append(f"  {name}, packet {error['index']}{when}: {error['message']}")
        if len(one["errors"]) > ERRORS_SHOWN:
            lines.append(f"  {name}: and {len(one['errors']) - ERRORS_SHOWN} more (--report names them)")
    return lines


def _output(one: dict[str, Any]) -> str:
    facts = []
    if "frames" in one:
        facts.append(plural(one["frames"], "frame"))
    if "duration_s" in one:
        facts.append(duration(one["duration_s"]))
    if "about" in one:
        facts.append(str(one["about"]))
    return f"{one['path']}" + (f" ({', '.join(facts)})" if facts else "")


# ------------------------------------------------------------------------------------------------ what a graph is


def graph_lines(spec: GraphSpec) -> list[str]:
    """What a graph takes."""
    lines = [f"{spec.name}: {spec.about}" if spec.about else spec.name, ""]
    needed = " ".join(f"{name}=…" for name, one in spec.inputs.items() if one.required)
    lines += [f"  graphrun {spec.file} {needed} [OPTIONS]".replace("  [", " ["), ""]
    defaults = {name: "needed" if one.required else _plain(one.default) for name, one in spec.inputs.items()}
    rows = [(name, one.type, defaults[name], one.about) for name, one in spec.inputs.items()]
    lines += columns(("input", "type", "default", "about"), rows) if rows else ["  It takes no inputs."]
    if spec.first:
        lines += ["", *columns(("first", "graph"), [(name, one.graph) for name, one in spec.first.items()])]
    lines += ["", f"  stages: {', '.join(spec.stages)}", "  graphrun --help tells the options"]
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {one}" for key, one in value.items()) + "}"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def plan_lines(checked: Checked, prepared: Prepared | None) -> list[str]:
    """Nodes, links, arenas and memory of a graph that was checked, and made ready if that was possible."""
    plan = checked.plan
    lines = [f"{checked.spec.name}: {checked.spec.about or 'all is well'}", "", "nodes"]
    lines += columns(
        ("node", "use", "workers", "batch", "window", "credit", "on error"),
        (
            (
                node.name,
                "+".join(str(checked.stages[name].spec.use.value) for name in node.stages),
                node.workers,
                node.batch,
                f"-{node.before}…+{node.after}" if node.before or node.after else "-",
                node.at_hand,
                node.on_error,
            )
            for node in plan.nodes
        ),
    )
    if plan.links:
        lines += ["", "links"]
        lines += columns(("link", "packets"), ((plan.link_name(link), link.capacity) for link in plan.links))
    lines += _arena_lines(checked, prepared)
    if prepared is not None and prepared.failure is None:
        lines += ["", memory_line(prepared)]
    return lines


def _arena_lines(checked: Checked, prepared: Prepared | None) -> list[str]:
    plan, rows = checked.plan, []
    for one in plan.fields:
        if not one.slots:
            continue
        arena = prepared.arenas.get(one.name) if prepared else None
        readers = ", ".join(plan.nodes[at].name for at in one.readers)
        shape = f"{arena.dtype.lstrip('<>|=')} {' × '.join(map(str, arena.shape))}" if arena else ""
        bytes_of = (size(arena.slot_bytes), f"{arena.bytes / 1e6:.1f}") if arena else ("", "")
        rows.append((one.name, f"{plan.nodes[one.writer].name} → {readers}", shape, one.slots, *bytes_of))
    head = ("field", "written → read", "array", "slots", "a slot", "MB")
    return ["", "arenas", *columns(head, rows)] if rows else []


def memory_line(prepared: Prepared) -> str:
    rest = f"{plural(prepared.processes, 'process').replace('processs', 'processes')} at rest"
    return (
        f"memory: arenas {prepared.bound / 1e6:.0f} MB at most, {rest} {prepared.at_rest / 1e6:.0f} MB; "
        "what codecs and networks hold as they work comes on top"
    )
