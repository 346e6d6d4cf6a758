"""A picture of a graph as SVG, readable on light and dark ground; no scripts, no fonts or files from elsewhere."""

from __future__ import annotations

import itertools
import textwrap
from dataclasses import dataclass
from xml.sax.saxutils import escape

from graph.display.layout import Layout, Size, Spot, lay_out
from graph.display.view import Box, Line, Picture, key

MARGIN, PAD, BAR = 28.0, 12.0, 5.0
NAME_LINE, FACT_LINE, LABEL_LINE = 19.0, 15.0, 14.0
#: Widths of a character, on the safe side: bold 14 px, plain 11 px, monospaced 11 px.
NAME_WIDE, FACT_WIDE, LABEL_WIDE = 8.8, 6.4, 6.7
#: From a link to its words.
LABEL_LEFT = 9.0
LEAST_WIDTH, PORT, ARROW = 110.0, 16.0, 7.0
COLOURS = {"Source": "#2f8f5b", "Stage": "#3b73c4", "Sink": "#b8562b", "First": "#8a63b8", "Unknown": "#808890"}

STYLE = """
text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; fill: #1d2329; }
.ground { fill: #ffffff; } .title { font-size: 18px; font-weight: 700; } .about { font-size: 12px; fill: #57606a; }
.box { fill: #f6f8fa; stroke: #c4ccd4; } .first { stroke-dasharray: 4 3; } .name { font-size: 14px; font-weight: 700; }
.fact { font-size: 11px; fill: #57606a; } .link { fill: none; stroke: #7d8792; stroke-width: 1.4; }
.made { stroke-dasharray: 4 3; } .arrow { fill: #7d8792; }
.shared { fill: none; stroke: #b59a2c; stroke-dasharray: 6 4; }
.label { font-family: ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 11px;
  fill: #3a424b; paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; }
.queue { fill: #7d8792; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .ground { fill: #0d1117; } .about, .fact { fill: #9aa5b1; }
  .box { fill: #1a2029; stroke: #3d4753; } .link { stroke: #7c8895; } .arrow { fill: #7c8895; }
  .label { fill: #c9d3de; stroke: #0d1117; } .queue { fill: #8b96a3; }
}
"""


@dataclass(frozen=True)
class _Rect:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Rect) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def svg(picture: Picture) -> str:
    """Draw it."""
    sizes = {key(box): _box_size(box) for box in picture.boxes}
    labels = {_label_key(line): _label_size(line) for line in picture.lines}
    halves = [pair for line in picture.lines for pair in itertools.pairwise((line.above, _label_key(line), line.below))]
    layout = lay_out(_ordered(picture, sizes, labels), halves)
    boxes = {name: _around(layout.boxes[name], sizes[name]) for name in sizes}
    wide = textwrap.wrap(picture.about, 76)
    head = MARGIN + 22 + 16 * len(wide) + 18
    titled = max([len(picture.title) * 11.0, *(len(line) * 6.8 for line in wide)])
    width, height = max(layout.width, titled) + 2 * MARGIN, head + layout.height + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{escape(picture.title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{width:.0f}" height="{height:.0f}"/>',
        f'<text class="title" x="{MARGIN:.0f}" y="{MARGIN + 14:.0f}">{escape(picture.title)}</text>',
        *(
            f'<text class="about" x="{MARGIN:.0f}" y="{MARGIN + 36 + 16 * at:.0f}">{escape(line)}</text>'
            for at, line in enumerate(wide)
        ),
        f'<g transform="translate({(width - layout.width) / 2:.1f} {head:.1f})">',
        *_processes(picture, boxes),
        *(_link(line, layout, picture) for line in picture.lines),
        *(_box(box, boxes[key(box)]) for box in picture.boxes),
        *(_label(line, layout.boxes[_label_key(line)]) for line in picture.lines),
        "</g>",
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _ordered(picture: Picture, sizes: dict[str, Size], labels: dict[str, Size]) -> dict[str, Size]:
    """Boxes and labels in topological order: a label stands on a layer between those of its link's boxes."""
    found: dict[str, Size] = {}
    for box in picture.boxes:
        found |= {_label_key(line): labels[_label_key(line)] for line in picture.lines if line.below == key(box)}
        found[key(box)] = sizes[key(box)]
    return found


def _label_key(line: Line) -> str:
    return f"{line.above} to {line.below}"


def _box_size(box: Box) -> Size:
    widths = [len(box.name) * NAME_WIDE, *(len(line) * FACT_WIDE for line in box.lines)]
    half = max(LEAST_WIDTH, max(widths) + 2 * PAD + BAR) / 2
    return Size(half, half, NAME_LINE + FACT_LINE * len(box.lines) + 2 * PAD - 6)


def _label_size(line: Line) -> Size:
    """A label lies to the right of its link."""
    width = max(map(len, line.label), default=0) * LABEL_WIDE
    return Size(4, LABEL_LEFT + width if width else 4, LABEL_LINE * max(1, len(line.label)))


def _around(middle: Spot, size: Size) -> _Rect:
    tall = size.height / 2
    return _Rect(middle.x - size.left, middle.y - tall, middle.x + size.right, middle.y + tall)


# ------------------------------------------------------------------------------------------------------------- links


def _points(line: Line, layout: Layout) -> list[Spot]:
    return layout.links[line.above, _label_key(line)] + layout.links[_label_key(line), line.below]


def _link(line: Line, layout: Layout, picture: Picture) -> str:
    """A link, its ends moved apart from those of the others at the same box."""
    points = [Spot(point.x, point.y) for point in _points(line, layout)]
    out = sorted((one for one in picture.lines if one.above == line.above), key=lambda one: _points(one, layout)[1].x)
    into = sorted((one for one in picture.lines if one.below == line.below), key=lambda one: _points(one, layout)[-2].x)
    points[0].x += PORT * (out.index(line) - (len(out) - 1) / 2)
    points[-1].x += PORT * (into.index(line) - (len(into) - 1) / 2)
    points[-1].y -= ARROW
    path = f"M{points[0].x:.1f} {points[0].y:.1f}"
    for one, two in itertools.pairwise(points):
        bend = (two.y - one.y) / 2
        path += f" C{one.x:.1f} {one.y + bend:.1f} {two.x:.1f} {two.y - bend:.1f} {two.x:.1f} {two.y:.1f}"
    end = points[-1]
    arrow = f"M{end.x - 4:.1f} {end.y - 1:.1f}h8l-4 {ARROW + 1:.1f}z"
    made = " made" if line.above.startswith("first ") else ""
    return f'<path class="link{made}" d="{path}"/><path class="arrow" d="{arrow}"/>'


def _label(line: Line, spot: Spot) -> str:
    rows = []
    top = spot.y - LABEL_LINE * len(line.label) / 2
    for at, words in enumerate(line.label):
        kind, y = "label queue" if words.startswith("queue ") else "label", top + LABEL_LINE * (at + 0.78)
        x = spot.x + LABEL_LEFT
        rows.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" xml:space="preserve">{escape(words)}</text>')
    return "\n".join(rows)


# ------------------------------------------------------------------------------------------------------------- boxes


def _box(box: Box, rect: _Rect) -> str:
    wide, tall = rect.right - rect.left, rect.bottom - rect.top
    first = " first" if box.kind == "First" else ""
    x, y = rect.left + BAR + PAD - 2, rect.top + PAD + 11
    corner, fill = f'x="{rect.left:.1f}" y="{rect.top:.1f}" height="{tall:.1f}"', COLOURS[box.kind]
    parts = [
        f'<rect class="box{first}" {corner} width="{wide:.1f}" rx="5"/>',
        f'<rect {corner} width="{BAR:.0f}" rx="2" fill="{fill}"/>',
        f'<text class="name" x="{x:.1f}" y="{y:.1f}">{escape(box.name)}</text>',
    ]
    for at, fact in enumerate(box.lines):
        parts.append(f'<text class="fact" x="{x:.1f}" y="{y + FACT_LINE * (at + 1) + 2:.1f}">{escape(fact)}</text>')
    return "\n".join(parts)


def _processes(picture: Picture, boxes: dict[str, _Rect]) -> list[str]:
    """A dashed frame around the stages of one process, where no other stands between them; their boxes name it."""
    found = []
    for process in dict.fromkeys(box.process for box in picture.boxes if box.process):
        inside = [boxes[key(box)] for box in picture.boxes if box.process == process]
        left, top = min(rect.left for rect in inside) - 10, min(rect.top for rect in inside) - 10
        right, bottom = max(rect.right for rect in inside) + 10, max(rect.bottom for rect in inside) + 10
        frame = _Rect(left, top, right, bottom)
        if len(inside) > 1 and sum(map(frame.meets, boxes.values())) == len(inside):
            found.append(
                f'<rect class="shared" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
                f'height="{bottom - top:.1f}" rx="9"/>'
            )
    return found
