"""Layered drawing of a graph (Sugiyama's method, in small): layers, crossings, coordinates.

Sizes and positions are in pixels; y grows downwards. Layers are longest paths from the sources; long edges
pass through empty places in the layers between; the order in a layer follows the mean of the neighbours, from
above and from below in turn; positions are pulled towards the neighbours and kept apart.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

__all__ = ["Drawing", "Placement", "layered"]

GAP_X, GAP_Y = 26.0, 42.0
SWEEPS = 8
MAX_PASSAGES = 4000
"""A graph with more places for long edges to pass is drawn with its long edges straight."""


@dataclass(slots=True)
class Placement:
    """A box: its size, and where its upper left corner is."""

    width: float
    height: float
    x: float = 0.0
    y: float = 0.0


@dataclass(slots=True)
class Drawing:
    """Boxes by key, edges as lists of points, and the size of the whole."""

    places: dict[str, Placement]
    lines: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0


def layered(sizes: dict[str, tuple[float, float]], edges: list[tuple[str, str]]) -> Drawing:
    """Place boxes of the given sizes; ``edges`` are (from, to). Edges that close a cycle are drawn as they
    are."""
    places = {key: Placement(*size) for key, size in sizes.items()}
    if not places:
        return Drawing({})
    forward = [e for e in _acyclic(list(sizes), edges) if e[0] in places and e[1] in places]
    layer = _layers(list(sizes), forward)
    layers, up, down, chains = _with_passages(places, layer, forward)
    _reduce_crossings(layers, up, down)
    drawing = Drawing(places)
    _assign_y(layers, places)
    _assign_x(layers, places, up, down)
    for index, (source, target) in enumerate(edges):
        chain = chains.get((source, target), [source, target])
        if source in places and target in places:
            drawing.lines[index] = _points(places, chain)
    drawing.width = max(p.x + p.width for p in places.values())
    drawing.height = max(p.y + p.height for p in places.values())
    drawing.places = {key: places[key] for key in sizes}
    return drawing


def _acyclic(keys: list[str], edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Edges without those that lead back."""
    following: dict[str, list[str]] = {key: [] for key in keys}
    for start, end in edges:
        if start in following and end in following and start != end:
            following[start].append(end)
    state: dict[str, int] = {}
    kept: list[tuple[str, str]] = []
    for root in keys:
        if root in state:
            continue
        stack = [(root, iter(following[root]))]
        state[root] = 1
        while stack:
            key, rest = stack[-1]
            target: str | None = next(rest, None)
            if target is None:
                state[key] = 2
                stack.pop()
            elif state.get(target) != 1:
                kept.append((key, target))
                if target not in state:
                    state[target] = 1
                    stack.append((target, iter(following[target])))
    return kept


def _layers(keys: list[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """The longest path to each key; a source that feeds only late layers stands just above them."""
    incoming = dict.fromkeys(keys, 0)
    following: dict[str, list[str]] = {key: [] for key in keys}
    for source, target in edges:
        incoming[target] += 1
        following[source].append(target)
    layer = dict.fromkeys(keys, 0)
    queue = [key for key in keys if not incoming[key]]
    for key in queue:
        for target in following[key]:
            layer[target] = max(layer[target], layer[key] + 1)
            incoming[target] -= 1
            if not incoming[target]:
                queue.append(target)
    has_incoming = {target for _, target in edges}
    for key in reversed(queue):
        if key not in has_incoming and following[key]:
            layer[key] = min(layer[target] for target in following[key]) - 1
    return layer


Neighbours = dict[str, list[str]]


def _with_passages(
    places: dict[str, Placement], layer: dict[str, int], edges: list[tuple[str, str]]
) -> tuple[list[list[str]], Neighbours, Neighbours, dict[tuple[str, str], list[str]]]:
    """Layers with empty places where long edges pass, neighbours above and below, and the chain of each
    edge."""
    layers: list[list[str]] = [[] for _ in range(max(layer.values()) + 1)]
    for key in layer:
        layers[layer[key]].append(key)
    up: Neighbours = {key: [] for key in layer}
    down: Neighbours = {key: [] for key in layer}
    chains: dict[tuple[str, str], list[str]] = {}
    spans = sum(layer[target] - layer[source] - 1 for source, target in edges)
    longest = len(layers) if spans <= MAX_PASSAGES else 8
    for source, target in edges:
        if (source, target) in chains or layer[target] - layer[source] > longest:
            continue
        chain = [source]
        for depth in range(layer[source] + 1, layer[target]):
            passage = f"{source}>{target}@{depth}"
            places[passage] = Placement(8.0, 0.0)
            layers[depth].append(passage)
            up[passage], down[passage] = [], []
            chain.append(passage)
        chain.append(target)
        chains[(source, target)] = chain
        for above, below in itertools.pairwise(chain):
            down[above].append(below)
            up[below].append(above)
    return layers, up, down, chains


def _reduce_crossings(layers: list[list[str]], up: Neighbours, down: Neighbours) -> None:
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        neighbours = up if downwards else down
        rows = layers if downwards else layers[::-1]
        for above, row in itertools.pairwise(rows):
            rank = {key: index for index, key in enumerate(above)}
            own = {key: index for index, key in enumerate(row)}

            def mean(
                key: str,
                rank: dict[str, int] = rank,
                own: dict[str, int] = own,
                near: Neighbours = neighbours,
            ) -> tuple[float, int]:
                found = [rank[n] for n in near[key] if n in rank]
                return (sum(found) / len(found) if found else float(own[key])), own[key]

            row.sort(key=mean)


def _assign_y(layers: list[list[str]], places: dict[str, Placement]) -> None:
    y = 0.0
    for row in layers:
        height = max((places[key].height for key in row), default=0.0)
        for key in row:
            place = places[key]
            if place.height == 0.0:
                place.height = height
            place.y = y
        y += height + GAP_Y


def _assign_x(
    layers: list[list[str]], places: dict[str, Placement], up: Neighbours, down: Neighbours
) -> None:
    centre: dict[str, float] = {}
    for row in layers:
        x = 0.0
        total = sum(places[key].width for key in row) + GAP_X * (len(row) - 1)
        for key in row:
            centre[key] = x + places[key].width / 2 - total / 2
            x += places[key].width + GAP_X
    for sweep in range(SWEEPS * 2):
        downwards = sweep % 2 == 0
        settling = sweep >= SWEEPS  # first spread, then balance between above and below
        for row in layers if downwards else layers[::-1]:
            wished = {}
            for key in row:
                around = up[key] + down[key] if settling else (up if downwards else down)[key]
                near = [centre[n] for n in around]
                wished[key] = sum(near) / len(near) if near else centre[key]
            _keep_apart(row, wished, places, centre)
    left = min(centre[key] - places[key].width / 2 for row in layers for key in row)
    for row in layers:
        for key in row:
            places[key].x = centre[key] - places[key].width / 2 - left


def _keep_apart(
    row: list[str], wished: dict[str, float], places: dict[str, Placement], centre: dict[str, float]
) -> None:
    """Positions in a row, nearest to what is wished without touching: blocks that collide merge at their
    mean."""
    blocks: list[
        tuple[list[str], float, float]
    ] = []  # keys, sum of (wish - offset), width up to the last centre
    for key in row:
        keys, total, width = [key], wished[key], 0.0
        while blocks:
            before, before_total, before_width = blocks[-1]
            gap = (places[before[-1]].width + places[keys[0]].width) / 2 + GAP_X
            if before_total / len(before) + before_width + gap <= total / len(keys):
                break
            blocks.pop()
            shift = before_width + gap
            total = before_total + total - shift * len(keys)
            width = shift + width
            keys = before + keys
        blocks.append((keys, total, width))
    for keys, total, _ in blocks:
        position = total / len(keys)
        for index, key in enumerate(keys):
            if index:
                position += (places[keys[index - 1]].width + places[key].width) / 2 + GAP_X
            centre[key] = position


def _points(places: dict[str, Placement], chain: list[str]) -> list[tuple[float, float]]:
    first, last = places[chain[0]], places[chain[-1]]
    points = [(first.x + first.width / 2, first.y + first.height)]
    for key in chain[1:-1]:
        place = places[key]
        x = place.x + place.width / 2
        points += [(x, place.y), (x, place.y + place.height)]
    points.append((last.x + last.width / 2, last.y))
    return points
