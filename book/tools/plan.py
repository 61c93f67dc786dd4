"""The plan of the house: packages as rooms in storeys, the imports between them as arrows, in SVG.

Drawn in the colour of the text around it, for a light page and a dark one, and as wide as a phone,
so that its letters are as large there as those of the text.
"""

from __future__ import annotations

from html import escape
from itertools import pairwise

from imports import Graph, direct, storeys

ROOM, HIGH = 150, 38
"""Width and height of a room."""
GAP = 30
"""Between two storeys, for arrows."""
CORRIDOR = 24
"""Between two rooms, and between a room and an arrow that passes it."""
HEAD = 4
"""Half the width of the head of an arrow."""
SWEEPS = 8
"""How often the places of every storey are set in order, by those that arrows join them to."""

Place = tuple[str, ...]
"""A room, ``(name,)``, or where an arrow passes a storey, ``(from, to, storey)``."""


def drawn(packages: Graph, modules: dict[str, int]) -> str:
    """The plan as SVG, with the number of ``modules`` in each room.

    An arrow is left out where others lead from its start to its end; the description names all.
    """
    levels = storeys(packages)
    edges = direct(packages)
    arrows = ways(levels, edges)
    rows = arranged(levels, arrows)
    left = min(x - _width(place) / 2 for row in rows for place, x in row.items()) - 1
    across = {place: x - left for row in rows for place, x in row.items()}
    wide = max(x + _width(place) / 2 for place, x in across.items()) + 1
    top = {
        place: 1 + (len(rows) - 1 - number) * (HIGH + GAP)
        for number, row in enumerate(rows)
        for place in row
    }
    starts, ends = _doors(arrows, across, 0), _doors(arrows, across, -1)
    parts = []
    for number, way in enumerate(arrows):
        x, y = starts[number], top[way[0]] + HIGH
        line = f"M{x:g} {y:g}"
        for place in way[1:]:
            last = place == way[-1]
            x, y, above = ends[number] if last else across[place], top[place], (x, y)
            middle = (above[1] + y) / 2
            line += f"C{above[0]:g} {middle:g} {x:g} {middle:g} {x:g} {y - last * HEAD:g}"
            if not last:
                y += HIGH
                line += f"V{y:g}"
        parts.append(f'<path class="way" d="{line}"/>')
        parts.append(f'<path class="head" d="M{x:g} {y:g}l{-HEAD} {-2 * HEAD}h{2 * HEAD}z"/>')
    for (name, *passed), x in across.items():
        if not passed:
            y, count = top[name,], modules[name]
            parts += [
                f'<rect x="{x - ROOM / 2:g}" y="{y:g}" width="{ROOM}" height="{HIGH}" rx="3"/>',
                f'<text class="name" x="{x:g}" y="{y + 16:g}">{escape(name)}</text>',
                f'<text x="{x:g}" y="{y + 32:g}">{count} module{"s" if count > 1 else ""}</text>',
            ]
    high = len(rows) * (HIGH + GAP) - GAP + 2
    return (
        f'<svg class="plan" role="img" viewBox="0 0 {wide:g} {high}" '
        f'xmlns="http://www.w3.org/2000/svg">{words(levels, packages)}{"".join(parts)}</svg>'
    )


def words(levels: list[list[str]], packages: Graph) -> str:
    """Title and description of the plan: the order, and every import."""
    order = "; ".join(" and ".join(names) for names in levels)
    every = ". ".join(
        f"{name} imports {', '.join(sorted(packages[name])) or 'none of the others'}"
        for names in levels
        for name in names
    )
    return f"<title>Packages from the ground up: {order}</title><desc>{every}.</desc>"


def ways(levels: list[list[str]], edges: Graph) -> list[list[Place]]:
    """For each arrow the places on its way down: a room, what it passes, a room."""
    height = {name: number for number, names in enumerate(levels) for name in names}
    return [
        [(a,), *((a, b, str(h)) for h in range(height[a] - 1, height[b], -1)), (b,)]
        for a, targets in sorted(edges.items())
        for b in sorted(targets)
    ]


def arranged(levels: list[list[str]], arrows: list[list[Place]]) -> list[dict[Place, float]]:
    """The middle of each place on each storey, from 0 at the middle; arrows run nearly straight."""
    rows: list[list[Place]] = [[(name,) for name in names] for names in levels]
    for place in (passed for way in arrows for passed in way[1:-1]):
        rows[int(place[2])].append(place)
    near: dict[Place, list[Place]] = {place: [] for row in rows for place in row}
    for upper, lower in (step for way in arrows for step in pairwise(way)):
        near[upper].append(lower)
        near[lower].append(upper)
    across = {place: x for row in rows for place, x in _side_by_side(row).items()}
    for _ in range(SWEEPS):
        for row in rows:
            pull = {p: sum(across[q] for q in near[p]) / max(len(near[p]), 1) for p in row}
            row.sort(key=pull.__getitem__)
            across |= _side_by_side(row)
    return [{place: across[place] for place in row} for row in rows]


def _width(place: Place) -> int:
    return ROOM if len(place) == 1 else 0


def _side_by_side(row: list[Place]) -> dict[Place, float]:
    x = -(sum(map(_width, row)) + CORRIDOR * (len(row) - 1)) / 2
    out = {}
    for place in row:
        out[place] = x + _width(place) / 2
        x += _width(place) + CORRIDOR
    return out


def _doors(arrows: list[list[Place]], across: dict[Place, float], end: int) -> dict[int, float]:
    """Where each arrow leaves its room (end 0) or enters it (-1): side by side, none crossing."""
    out = {}
    for room in {way[end] for way in arrows}:
        here = [number for number, way in enumerate(arrows) if way[end] == room]
        here.sort(key=lambda number: across[arrows[number][-2 if end else 1]])
        for place, number in enumerate(here, 1):
            out[number] = across[room] + ROOM * (place / (len(here) + 1) - 0.5)
    return out
