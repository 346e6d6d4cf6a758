"""Boxes and links on layers, from top to bottom (Sugiyama, Tagawa and Toda 1981): where to draw them.

A box lies one layer below the lowest of those before it. Links that cross layers get a bend on each, which takes part
in the ordering; layers are ordered by the mean place of their neighbours, and moved towards it as far as room allows.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SWEEPS = 12
#: Between boxes beside each other, and the width that a bend of a link takes.
BESIDE, BEND = 36.0, 10.0


@dataclass(frozen=True)
class Size:
    """Of a box."""

    width: float
    height: float


@dataclass
class Spot:
    """A point, such as the middle of a box."""

    x: float
    y: float


@dataclass(frozen=True)
class Layout:
    """`boxes`: the middle of each by name; `links`: the points that each passes, from the bottom of the upper box to
    the top of the lower, straight through every layer between them; `width`, `height`: of it all.
    """

    boxes: dict[str, Spot]
    links: dict[tuple[str, str], list[Spot]]
    width: float
    height: float


def lay_out(sizes: Mapping[str, Size], links: Sequence[tuple[str, str]], between: Sequence[float]) -> Layout:
    """Place boxes. `sizes` in topological order; `between`: the room below each layer, as `layers` numbers them."""
    layer = layers(sizes, links)
    paths = {link: _bends(link, layer) for link in links}
    all_sizes = dict(sizes) | {bend: Size(BEND, 0) for path in paths.values() for bend in path[1:-1]}
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
    x = _columns(rows, near, all_sizes)
    y, tall, height = _heights(rows, all_sizes, between)
    left = min((x[name] - all_sizes[name].width / 2 for name in x), default=0.0)
    right = max((x[name] + all_sizes[name].width / 2 for name in x), default=0.0)
    spots = {name: Spot(x[name] - left, y[at]) for at, row in enumerate(rows) for name in row}
    points: dict[tuple[str, str], list[Spot]] = {}
    for (above, below), path in paths.items():
        start, end = spots[above], spots[below]
        points[above, below] = [Spot(start.x, start.y + sizes[above].height / 2)]
        for place, name in enumerate(path[1:-1]):
            half = tall[layer[above] + 1 + place] / 2
            points[above, below] += [Spot(spots[name].x, spots[name].y + side) for side in (-half, half)]
        points[above, below].append(Spot(end.x, end.y - sizes[below].height / 2))
    return Layout({name: spots[name] for name in sizes}, points, right - left, height)


def layers(sizes: Mapping[str, Size], links: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The layer of each box. A box that begins a path is moved down to just above the first that needs it."""
    layer: dict[str, int] = {}
    for name in sizes:
        layer[name] = max((layer[above] + 1 for above, below in links if below == name), default=0)
    for name in reversed(list(sizes)):
        below = [layer[other] for above, other in links if above == name]
        if below and not any(other == name for _, other in links):
            layer[name] = min(below) - 1
    return layer


def _bends(link: tuple[str, str], layer: Mapping[str, int]) -> list[str]:
    above, below = link
    return [above, *(f"{above} {below} {at}" for at in range(layer[above] + 1, layer[below])), below]


def _order(rows: list[list[str]], near: Mapping[str, list[tuple[str, int]]]) -> None:
    """Reorder each row by the mean place of its neighbours above, then below, and so on."""
    for sweep in range(SWEEPS):
        side = -1 if sweep % 2 == 0 else 1
        for row in rows if side < 0 else reversed(rows):
            places = {name: at for one in rows for at, name in enumerate(one)}
            means = {
                name: _mean([places[other] for other, where in near[name] if where == side], places[name])
                for name in row
            }
            row.sort(key=lambda name: means[name])


def _columns(
    rows: list[list[str]], near: Mapping[str, list[tuple[str, int]]], sizes: Mapping[str, Size]
) -> dict[str, float]:
    """The x of each: as near to the mean of all its neighbours as those beside it let it be."""
    x: dict[str, float] = {}
    for row in rows:
        at = 0.0
        for name in row:
            at += sizes[name].width / 2
            x[name] = at
            at += sizes[name].width / 2 + BESIDE
        for name in row:
            x[name] -= (at - BESIDE) / 2
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_mean([x[other] for other, _ in near[name]], x[name]) for name in row]
            x.update(zip(row, _apart(wanted, [sizes[name].width for name in row]), strict=True))
    return x


def _apart(wanted: list[float], widths: list[float]) -> list[float]:
    """The places nearest to those wanted (least squares) at which nothing touches: pool adjacent violators."""
    offsets = [0.0]
    for left, right in itertools.pairwise(widths):
        offsets.append(offsets[-1] + (left + right) / 2 + BESIDE)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            total, count = total + blocks[-1][0], count + blocks[-1][1]
            blocks.pop()
        blocks.append((total, count))
    levels = [total / count for total, count in blocks for _ in range(count)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]


def _heights(
    rows: list[list[str]], sizes: Mapping[str, Size], between: Sequence[float]
) -> tuple[list[float], list[float], float]:
    """Of each layer the y of its middle and its height, and the height of it all."""
    tall = [max((sizes[name].height for name in row), default=0.0) for row in rows]
    middles, at = [], 0.0
    for place, height in enumerate(tall):
        middles.append(at + height / 2)
        at += height + (between[min(place, len(between) - 1)] if place < len(rows) - 1 else 0.0)
    return middles, tall, at


def _mean(places: list[float] | list[int], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise
