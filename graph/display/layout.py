"""Boxes and links on layers, from top to bottom (Sugiyama, Tagawa and Toda 1981): where to draw them.

A box lies one layer below the lowest of those before it. Links that cross layers get a bend on each, which takes part
in the ordering; layers are ordered by the mean place of their neighbours, and moved towards it as far as room allows.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Rounds that order the layers.
ORDERINGS = 12
#: Most rounds over all layers, and the way that nothing may have gone in one for it to be the last.
SWEEPS, STILL = 1000, 0.02
#: How much more a link's way aside counts at each end that is a bend or a label, which reaches less than this far left.
STRAIGHT, THIN = 3.0, 8.0
#: Between things beside each other, and between layers.
BESIDE, BELOW = 22.0, 26.0


@dataclass(frozen=True)
class Size:
    """How far a box reaches to the left and right of the line on which its links go, and its height."""

    left: float
    right: float
    height: float


BEND = Size(4, 4, 0)


@dataclass
class Spot:
    """A point, such as the middle of a box."""

    x: float
    y: float


@dataclass(frozen=True)
class Layout:
    """`boxes`: the line and the middle of each by name; `links`: the points that each passes, from the bottom of the
    upper box to the top of the lower, straight through every layer between them; `width`, `height`: of it all.
    """

    boxes: dict[str, Spot]
    links: dict[tuple[str, str], list[Spot]]
    width: float
    height: float


def lay_out(sizes: Mapping[str, Size], links: Sequence[tuple[str, str]], gap: float = BELOW) -> Layout:
    """Place boxes; `sizes` in topological order, `gap` the room between layers."""
    layer = layers(sizes, links)
    paths = {link: _bends(link, layer) for link in links}
    all_sizes = dict(sizes) | {bend: BEND for path in paths.values() for bend in path[1:-1]}
    rows: list[list[str]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for name, at in layer.items():
        rows[at].append(name)
    near: dict[str, list[tuple[str, int]]] = {name: [] for name in all_sizes}
    for path in paths.values():
        for place, name in enumerate(path[1:-1]):
            rows[layer[path[0]] + 1 + place].append(name)
        for above, below in itertools.pairwise(path):
            near[above].append((below, 1))
            near[below].append((above, -1))
    _order(rows, near)
    _uncross(rows, near)
    x = _columns(rows, near, all_sizes)
    y, tall, height = _heights(rows, all_sizes, gap)
    left = min((x[name] - all_sizes[name].left for name in x), default=0.0)
    right = max((x[name] + all_sizes[name].right for name in x), default=0.0)
    spots = {name: Spot(x[name] - left, y[at]) for at, row in enumerate(rows) for name in row}
    points: dict[tuple[str, str], list[Spot]] = {}
    # Past a label, too, a link goes straight through the layer: another's words may reach further down.
    reach = {name: tall[layer[name]] if size.left < THIN else size.height for name, size in sizes.items()}
    for link, path in paths.items():
        above, under = link
        start, end = spots[above], spots[under]
        points[link] = [Spot(start.x, start.y + reach[above] / 2)]
        for place, name in enumerate(path[1:-1]):
            half = tall[layer[above] + 1 + place] / 2
            points[link] += [Spot(spots[name].x, spots[name].y + side) for side in (-half, half)]
        points[link].append(Spot(end.x, end.y - reach[under] / 2))
    return Layout({name: spots[name] for name in sizes}, points, right - left, height)


def layers(sizes: Mapping[str, Size], links: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The layer of each box: as high as it can be, or, with no more links in than out, as low."""
    layer: dict[str, int] = {}
    for name in sizes:
        layer[name] = max((layer[above] + 1 for above, below in links if below == name), default=0)
    for name in reversed(list(sizes)):
        below = [layer[other] for above, other in links if above == name]
        if below and sum(other == name for _, other in links) <= len(below):
            layer[name] = min(below) - 1
    return layer


def _bends(link: tuple[str, str], layer: Mapping[str, int]) -> list[str]:
    above, below = link
    return [above, *(f"{above} {below} {at}" for at in range(layer[above] + 1, layer[below])), below]


def _order(rows: list[list[str]], near: Mapping[str, list[tuple[str, int]]]) -> None:
    """Reorder each row by the mean place of its neighbours above, then below, and so on."""
    for sweep in range(ORDERINGS):
        side = -1 if sweep % 2 == 0 else 1
        for row in rows if side < 0 else reversed(rows):
            places = {name: at for one in rows for at, name in enumerate(one)}
            means = {
                name: _mean([places[other] for other, where in near[name] if where == side], places[name])
                for name in row
            }
            row.sort(key=lambda name: means[name])


def _uncross(rows: list[list[str]], near: Mapping[str, list[tuple[str, int]]]) -> None:
    """Swap neighbours in a row wherever fewer links cross then; each swap leaves fewer, so it ends."""
    places = {name: at for row in rows for at, name in enumerate(row)}

    def crossings(left: str, right: str) -> int:
        sides = [(places[one], places[two]) for one, up in near[left] for two, other in near[right] if up == other]
        return sum(one > two for one, two in sides)

    swapped = True
    while swapped:
        swapped = False
        for row in rows:
            for at in range(len(row) - 1):
                left, right = row[at : at + 2]
                if crossings(left, right) > crossings(right, left):
                    row[at : at + 2] = right, left
                    places[left], places[right] = at + 1, at
                    swapped = True


def _columns(
    rows: list[list[str]], near: Mapping[str, list[tuple[str, int]]], sizes: Mapping[str, Size]
) -> dict[str, float]:
    """The x of each: the links' ways aside, squared and summed, are as small as can be while nothing touches.

    Minimised by one row after the other, which is exact for a row and never makes the sum larger.
    """
    x: dict[str, float] = {}
    for row in rows:
        x.update(zip(row, _apart([0.0] * len(row), [sizes[name] for name in row], [1.0] * len(row)), strict=True))
    thin = {name for name in near if sizes[name].left < THIN}
    pull = {name: [(other, STRAIGHT ** len(thin & {name, other})) for other, _ in near[name]] for name in near}
    for sweep in range(SWEEPS):
        before = dict(x)
        for row in rows if sweep % 2 == 0 else reversed(rows):
            weights = [sum(weight for _, weight in pull[name]) or 1.0 for name in row]
            wanted = [
                sum(x[other] * weight for other, weight in pull[name]) / total if pull[name] else x[name]
                for name, total in zip(row, weights, strict=True)
            ]
            x.update(zip(row, _apart(wanted, [sizes[name] for name in row], weights), strict=True))
        if all(abs(x[name] - before[name]) < STILL for name in x):
            break
    return x


def _apart(wanted: list[float], sizes: list[Size], weights: list[float]) -> list[float]:
    """The places nearest to those wanted (weighted least squares) at which nothing touches: pool adjacent violators."""
    offsets = [0.0]
    for one, two in itertools.pairwise(sizes):
        offsets.append(offsets[-1] + one.right + BESIDE + two.left)
    blocks: list[tuple[float, float, int]] = []
    for want, offset, weight in zip(wanted, offsets, weights, strict=True):
        total, count = (want - offset) * weight, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / weight:
            before = blocks.pop()
            total, weight, count = total + before[0], weight + before[1], count + before[2]
        blocks.append((total, weight, count))
    levels = [total / weight for total, weight, count in blocks for _ in range(count)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]


def _heights(
    rows: list[list[str]], sizes: Mapping[str, Size], gap: float
) -> tuple[list[float], list[float], float]:
    """Of each layer the y of its middle and its height, and the height of it all."""
    tall = [max((sizes[name].height for name in row), default=0.0) for row in rows]
    ends = [end + gap * at for at, end in enumerate(itertools.accumulate(tall))]
    return [end - height / 2 for end, height in zip(ends, tall, strict=True)], tall, max(ends, default=0.0)


def _mean(places: list[float] | list[int], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise
