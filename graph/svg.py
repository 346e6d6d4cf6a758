"""A picture of a graph as SVG, readable on light and dark ground; no scripts, no fonts or files from elsewhere."""

from __future__ import annotations

import itertools
import textwrap
from dataclasses import dataclass
from xml.sax.saxutils import escape

from graph.layout import Layout, Size, Spot, lay_out, layers
from graph.view import Box, Line, Picture, key

MARGIN, PAD, BAR = 28.0, 12.0, 5.0
NAME_LINE, FACT_LINE, LABEL_LINE = 19.0, 15.0, 14.0
#: Widths of a character, on the safe side: bold 14 px, plain 11 px, monospaced 11 px.
NAME_WIDE, FACT_WIDE, LABEL_WIDE = 8.8, 6.4, 6.7
LEAST_WIDTH, LEAST_GAP, PORT, ARROW = 110.0, 46.0, 16.0, 7.0
#: Points that stand for a stretch of a link.
STEPS = 33
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

    def holds(self, point: Spot) -> bool:
        return self.left < point.x < self.right and self.top < point.y < self.bottom


def svg(picture: Picture) -> str:
    """Draw it."""
    sizes = {key(box): _size(box) for box in picture.boxes}
    links = [(line.above, line.below) for line in picture.lines]
    layout = lay_out(sizes, links, _gaps(picture, sizes))
    boxes = {name: _around(layout.boxes[name], sizes[name]) for name in sizes}
    labels = _labels(picture, layout, boxes)
    wide = textwrap.wrap(picture.about, 76)
    head = MARGIN + 22 + 16 * len(wide) + 14
    left = min([0.0, *(rect.left for rect in labels.values())])
    right = max([layout.width, *(rect.right for rect in labels.values())])
    titled = max([len(picture.title) * 11.0, *(len(line) * 6.8 for line in wide)])
    width, height = max(right - left, titled) + 2 * MARGIN, head + layout.height + MARGIN
    shift = (width - (right - left)) / 2 - left
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
        f'<g transform="translate({shift:.1f} {head:.1f})">',
        *_processes(picture, boxes),
        *(_link(line, layout, picture) for line in picture.lines),
        *(_box(box, boxes[key(box)]) for box in picture.boxes),
        *(_label(line, labels[line]) for line in picture.lines if line in labels),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _size(box: Box) -> Size:
    widths = [len(box.name) * NAME_WIDE, *(len(line) * FACT_WIDE for line in box.lines)]
    height = NAME_LINE + FACT_LINE * len(box.lines) + 2 * PAD - 6
    return Size(max(LEAST_WIDTH, max(widths) + 2 * PAD + BAR), height)


def _around(middle: Spot, size: Size, by: float = 0.0) -> _Rect:
    wide, tall = size.width / 2 + by, size.height / 2 + by
    return _Rect(middle.x - wide, middle.y - tall, middle.x + wide, middle.y + tall)


def _gaps(picture: Picture, sizes: dict[str, Size]) -> list[float]:
    """Room between layers for the labels of the links that end below."""
    layer = layers(sizes, [(line.above, line.below) for line in picture.lines])
    gaps = [LEAST_GAP] * (max(layer.values(), default=0) + 1)
    for line in picture.lines:
        above = layer[line.below] - 1
        gaps[above] = max(gaps[above], 34 + LABEL_LINE * len(line.label))
    return gaps


# ------------------------------------------------------------------------------------------------------------- links


def _ends(line: Line, layout: Layout, picture: Picture) -> list[Spot]:
    """The points of a link, its ends moved apart from those of the others at the same box."""
    points = [Spot(point.x, point.y) for point in layout.links[line.above, line.below]]
    out = sorted((one for one in picture.lines if one.above == line.above), key=lambda one: _second(one, layout))
    into = sorted((one for one in picture.lines if one.below == line.below), key=lambda one: _last_but_one(one, layout))
    points[0].x += PORT * (out.index(line) - (len(out) - 1) / 2)
    points[-1].x += PORT * (into.index(line) - (len(into) - 1) / 2)
    points[-1].y -= ARROW
    return points


def _second(line: Line, layout: Layout) -> float:
    return layout.links[line.above, line.below][1].x


def _last_but_one(line: Line, layout: Layout) -> float:
    return layout.links[line.above, line.below][-2].x


def _link(line: Line, layout: Layout, picture: Picture) -> str:
    points = _ends(line, layout, picture)
    path = f"M{points[0].x:.1f} {points[0].y:.1f}"
    for one, two in itertools.pairwise(points):
        bend = (two.y - one.y) / 2
        path += f" C{one.x:.1f} {one.y + bend:.1f} {two.x:.1f} {two.y - bend:.1f} {two.x:.1f} {two.y:.1f}"
    end = points[-1]
    arrow = f"M{end.x - 4:.1f} {end.y - 1:.1f}h8l-4 {ARROW + 1:.1f}z"
    made = " made" if line.above.startswith("first ") else ""
    return f'<path class="link{made}" d="{path}"/><path class="arrow" d="{arrow}"/>'


def _labels(picture: Picture, layout: Layout, boxes: dict[str, _Rect]) -> dict[Line, _Rect]:
    """Where the words of each link go: beside its last stretch, on the outer side, and on nothing else if possible."""
    curves = {line: _curve(_ends(line, layout, picture)) for line in picture.lines}
    placed: dict[Line, _Rect] = {}
    for line in picture.lines:
        if line.label:
            places = _places(line, curves[line][-STEPS:], _to_left(line, layout, picture))
            taken = [*boxes.values(), *placed.values()]
            points = [point for curve in curves.values() for point in curve]
            trouble = [sum(map(rect.meets, taken)) + sum(map(rect.holds, points)) for rect in places]
            placed[line] = places[trouble.index(min(trouble))]
    return placed


def _curve(points: list[Spot]) -> list[Spot]:
    """A link as it is drawn, in `STEPS` points a stretch: a cubic whose inner points lie half way down."""
    found = []
    for one, two in itertools.pairwise(points):
        for step in range(STEPS):
            share = step / (STEPS - 1)
            across, down = 3 * share**2 - 2 * share**3, 1.5 * share * (1 - share) + share**3
            found.append(Spot(one.x + (two.x - one.x) * across, one.y + (two.y - one.y) * down))
    return found


def _to_left(line: Line, layout: Layout, picture: Picture) -> bool:
    """On which side of a link there is most room: away from those it meets, or else from those it parts from."""
    start, end = layout.links[line.above, line.below][-2:]
    meeting = sum(one.below == line.below for one in picture.lines) > 1
    return start.x < end.x - 1 if meeting else end.x < start.x - 1


def _places(line: Line, curve: list[Spot], to_left: bool) -> list[_Rect]:
    """Places for a label beside a stretch of a link, the best first."""
    width = max(map(len, line.label)) * LABEL_WIDE
    height = LABEL_LINE * len(line.label)
    found = []
    for share in (0.5, 0.4, 0.6, 0.25, 0.75):
        middle = curve[0].y + (curve[-1].y - curve[0].y) * share
        top, bottom = middle - height / 2, middle + height / 2
        beside = [point.x for point in curve if top - 4 <= point.y <= bottom + 4] or [curve[STEPS // 2].x]
        for left in (to_left, not to_left):
            corner = min(beside) - 9 - width if left else max(beside) + 9
            found.append(_Rect(corner, top, corner + width, bottom))
    return found


def _label(line: Line, rect: _Rect) -> str:
    rows = []
    for at, words in enumerate(line.label):
        kind = "label queue" if words.startswith("queue ") else "label"
        y = rect.top + LABEL_LINE * (at + 0.78)
        rows.append(f'<text class="{kind}" x="{rect.left:.1f}" y="{y:.1f}" xml:space="preserve">{escape(words)}</text>')
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
