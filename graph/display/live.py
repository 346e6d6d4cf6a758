"""The live view: what runs, as a picture for a terminal, drawn anew from every `Progress`. The CLI shows it."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from graph.display.moments import Moments
from graph.display.text import duration, number, size
from graph.runner import Progress, StageProgress

#: Columns of a bar.
BUSY, FILL, TOTAL = 8, 8, 30
#: columns that a stage's name has at least
NAME = 9
NOTES = 4
WAITS = {
    "start": ("starting", "dim"),
    "busy": ("at work", "green"),
    "input": ("waits for input", "dim"),
    "room": ("waits for room", "yellow"),
}


class LiveView:
    """Renders the latest moment of each graph that runs; `stopping` says that they are being drained."""

    def __init__(self) -> None:
        self.moments = Moments()
        self.stopping = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        graphs = self.moments.latest()
        if not graphs:
            yield Text("graphrun: reading the graph", style="dim")
            return
        blocks = "#-" if options.ascii_only else "━─"
        for now in graphs:
            yield self._head(now, blocks)
            yield self._stages(now, blocks)
            for note in list(dict.fromkeys(now.notes))[-NOTES:]:
                yield Text(f"  {note}", style="dim", no_wrap=True, overflow="ellipsis")
        if self.stopping:
            yield Text("finishing what is in flight (Ctrl-C again stops at once)", style="yellow")

    def _head(self, now: Progress, blocks: str) -> Text:
        line = Text(now.graph, style="bold", no_wrap=True, overflow="ellipsis")
        if all(one.waits == "start" for one in now.stages):
            return line.append("  starting", style="not bold dim")
        line.append("  ")
        if now.expected:
            share = min(1.0, now.packets / now.expected)
            line.append_text(bar(share, TOTAL, blocks, "cyan"))
            line.append(f" {100 * share:.0f} %  {now.packets}/{now.expected} packets", style="not bold")
        else:
            line.append(f"{now.packets} packets", style="not bold")
        facts = [f"{number(now.rate)}/s"]
        if now.real_time is not None:
            facts.append(f"{now.real_time:.2f} × real time")
        facts.append(duration(now.wall))
        if now.left is not None:
            facts.append(f"{duration(now.left)} left")
        return line.append("  " + "  ".join(facts), style="not bold")

    def _stages(self, now: Progress, blocks: str) -> Table:
        table = Table(box=None, padding=(0, 1), pad_edge=True, header_style="dim", expand=False)
        for name in ("stage", "state", "packets", "per second", "busy", "link into it", "restarts"):
            right = name in ("packets", "per second", "restarts")
            # a narrow terminal loses the bars, not whose they are
            least = NAME if name == "stage" else None
            table.add_column(name, justify="right" if right else "left", no_wrap=True, min_width=least)
        for one in now.stages:
            table.add_row(*self._row(one, now, blocks))
        memory = f"memory {size(now.memory)} at its peak"
        table.caption = memory + (f", arenas bounded at {size(now.bound)}" if now.bound else "")
        table.caption_style, table.caption_justify = "dim", "left"
        return table

    def _row(self, one: StageProgress, now: Progress, blocks: str) -> tuple[Text, ...]:
        slowest = one.name == now.bottleneck
        name = Text(one.name, style="bold red" if slowest else "bold")
        if one.workers > 1:
            name.append(f" ×{one.workers}", style="not bold")
        state, style = ("bottleneck", "red") if slowest else WAITS.get(one.waits, (one.waits, ""))
        colour = "red" if slowest else "green"
        busy = bar(one.busy, BUSY, blocks, colour).append(f" {100 * one.busy:3.0f}%")
        restarts = Text(str(one.restarts) if one.restarts else "", style="yellow")
        return (
            name, Text(state, style=style), Text(str(one.packets)), Text(number(one.rate)), busy,
            self._links(one, now, blocks), restarts,
        )  # fmt: skip

    def _links(self, one: StageProgress, now: Progress, blocks: str) -> Text:
        """The links into a stage, a bar each; those of a shared process stand with its first stage."""
        line = Text()
        for name, queued, capacity in now.links:
            if name.partition(" -> ")[2].split("+")[0] == one.name:
                line.append("  " if line else "")
                line.append_text(bar(queued / capacity, FILL, blocks, "blue")).append(f" {queued}/{capacity}")
        return line


def bar(share: float, width: int, blocks: str, colour: str) -> Text:
    """A bar filled to a share of its width."""
    full = round(max(0.0, min(1.0, share)) * width)
    return Text(blocks[0] * full, style=f"not bold {colour}").append(blocks[1] * (width - full), style="not bold dim")
