"""Test error by part for three methods: the reader picks dimension and number of inputs.

book/_static/parts.js gives the frame its controls.
"""

import html
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from escape_ntk.chapters.sample_complexity.cells import Cell, Grid, cells_of
from escape_ntk.chapters.sample_complexity.figures import METHODS
from escape_ntk.display.html import Html, limited, numbers
from escape_ntk.display.style import COLOURS, Run

PARTS = {
    "dense": ("missed of dense", ""),
    "sparse": ("missed of sparse", ' stroke-dasharray="2.5 2.5"'),
    "rest": ("rest", ' stroke-opacity="0.3"'),
}
"""Parts from below: their words, and what tells them apart without colour: full, striped, pale."""
FRAME = {"left": 46, "right": 334, "top": 46, "bottom": 246, "half": 26}
"""Edges of the axes in the drawing, and half the width of a bar."""
DOT = "m-1.5 0a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0-3 0z"
"""The mean test error, as a path from its centre."""
NOT_RUN = "not run"
ALT = f"Test error by part, stacked from below: {', '.join(words for words, _ in PARTS.values())}."
PARTS_LIMIT = 20_000  # bytes


def parts(runs: Mapping[str, Sequence[Run]]) -> Html:
    """Bars of what is missed of dense, missed of sparse, and the rest: the reader picks d and n.

    ``runs``: records of one k by method, ``ntk``, ``quadntk`` and ``joint``, in any order.  Bars
    are means over seeds, brackets the range of the test error over seeds.  What was not run says
    so.  A mean rest below 0, which its cross term allows, is printed and not drawn.  Without
    JavaScript, and in print, the place nearest to d = 24, n = 3 n_k is seen.  Raises InputError,
    see :func:`~escape_ntk.chapters.sample_complexity.cells.cells_of`.
    """
    grid = cells_of(runs)
    d, factor = grid.first()
    data = {
        "k": grid.k,
        "methods": {method: name for method, (name, _) in METHODS.items()},
        "parts": {part: words for part, (words, _) in PARTS.items()},
        "dims": grid.dims,
        "factors": grid.factors,
        "n": [[grid.n(d, f) for f in grid.factors] for d in grid.dims],
        "first": [grid.dims.index(d), grid.factors.index(factor)],
        "frame": FRAME | {"limit": _scale(grid)[0]},
        "dot": DOT,
        "alt": ALT,
        "notRun": NOT_RUN,
        "cells": [[grid.at(d, f) for f in grid.factors] for d in grid.dims],
    }
    text = (
        f'<div class="parts">{numbers(data)}<div class="parts-panels">'
        f"{_drawing(grid, d, factor)}{_table(grid, d, factor)}</div>"
        f"{_sentence(grid, d, factor)}"
        '<p class="parts-caption">Bars: means over seeds. Dot and bracket: test error, mean and '
        "range over seeds. A rest below 0 is not drawn.</p></div>"
    )
    return limited(text, PARTS_LIMIT, f"pass fewer than {len(grid.dims)} dimensions")


def _drawing(grid: Grid, d: int, factor: float) -> str:
    """The drawing at one place; parts.js draws the same for others."""
    shown = grid.at(d, factor)
    limit, step = _scale(grid)
    bars = "".join(_bar(method, cell, limit) for method, cell in shown.items())
    where = f"d = {d}, n = {grid.n(d, factor)} ({factor:g} n_{grid.k})."
    label = " ".join([ALT, where, *(_said(method, cell) for method, cell in shown.items())])
    return (
        f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 340 272" width="340" '
        f'fill="currentColor" font-size="13">{_key()}{_axes(limit, step)}{bars}</svg>'
    )


def _said(method: str, cell: Cell | None) -> str:
    """One bar in words."""
    name = METHODS[method][0]
    if cell is None:
        return f"{name}: {NOT_RUN}."
    pairs = zip(PARTS.values(), cell[:3], strict=True)
    shown = ", ".join(f"{words} {_three(v)}" for (words, _), v in pairs)
    low, high = _three(cell.low), _three(cell.high)
    error = f"test error {_three(cell.error)} ({low} to {high}, seeds: {cell.seeds})"
    return f"{name}: {shown}; {error}."


def _key() -> str:
    """What the three patterns mean."""
    drawn = []
    for x, (words, style) in zip((6, 136, 274), PARTS.values(), strict=True):
        drawn.append(
            f'<path stroke="currentColor" stroke-width="14"{style} d="M{x + 7} 17V5"/>'
            f'<path fill="none" stroke="currentColor" d="M{x} 5h14v12h-14z"/>'
            f'<text x="{x + 19}" y="15.5" font-size="12">{words}</text>'
        )
    return f'<g class="parts-key">{"".join(drawn)}</g>'


def _scale(grid: Grid) -> tuple[float, float]:
    """End of the axis of errors and the distance of its ticks: one scale for all cells."""
    every = grid.cells.values()
    largest = round(max(max(c.high, sum(max(0.0, v) for v in c[:3])) for c in every), 3)
    steps = (m * 10.0**e for e in range(-3, 300) for m in (1, 2, 5))
    step = next(s for s in steps if largest <= 6 * s)
    end = step * max(1, math.ceil(largest / step))
    return float(f"{end:.6g}"), float(f"{step:.6g}")


def _axes(limit: float, step: float) -> str:
    """Lines and ticks of the axis of errors."""
    left, right, top, bottom = (FRAME[edge] for edge in ("left", "right", "top", "bottom"))
    ticks = [step * i for i in range(round(limit / step) + 1)]
    lines = "".join(f"M{left} {_place(v, limit)}H{right}" for v in ticks)
    labels = "".join(
        f'<text x="{left - 7}" y="{_place(v, limit)}" dy=".35em" text-anchor="end">{v:g}</text>'
        for v in ticks
    )
    return (
        f'<path class="parts-frame" fill="none" stroke="#c9c9c9" d="{lines}"/>{labels}'
        f'<text transform="translate(12 {(top + bottom) / 2:g})rotate(-90)" text-anchor="middle">'
        "test error</text>"
    )


def _place(value: float, limit: float) -> str:
    """Height of ``value`` in the drawing."""
    bottom, top = FRAME["bottom"], FRAME["top"]
    return f"{bottom - value / limit * (bottom - top):.2f}"


def _bar(method: str, cell: Cell | None, limit: float) -> str:
    """One method's bar, the bracket on it, and its name and error."""
    x, bottom, half = _middle(method), FRAME["bottom"], FRAME["half"]
    segments, edge, bracket, label, y = [""] * len(PARTS), "", "", NOT_RUN, f"{bottom - 8:.2f}"
    if cell is not None:
        ends = [0.0]
        for value in cell[:3]:
            ends.append(ends[-1] + max(0.0, value))
        at = [_place(v, limit) for v in ends]
        pairs = list(pairwise(at))
        segments = [f"M{x} {a}V{b}" for a, b in pairs]
        edge = "".join(f"M{x - half} {a}V{b}h{2 * half}V{a}z" for a, b in pairs)
        low, mean, high = (_place(v, limit) for v in (cell.low, cell.error, cell.high))
        bracket = f"M{x - 5} {low}h10M{x} {low}V{high}M{x - 5} {high}h10M{x} {mean}{DOT}"
        label, y = _three(cell.error), f"{min(float(high), float(at[-1])) - 7:.2f}"
    drawn = "".join(
        f'<path class="parts-part" stroke-width="{2 * half}"{style} d="{d}"/>'
        for (_, style), d in zip(PARTS.values(), segments, strict=True)
    )
    return (
        f'<g class="parts-bar" data-method="{method}"><g class="parts-fill" fill="none" '
        f'stroke="{COLOURS[method]}">{drawn}<path class="parts-edge" d="{edge}"/></g>'
        f'<path class="parts-halo" stroke="#fff" stroke-width="5" d="{bracket}"/>'
        f'<path class="parts-range" stroke="currentColor" stroke-width="1.5" d="{bracket}"/>'
        f'<text class="parts-error" x="{x}" y="{y}" text-anchor="middle">{label}</text>'
        f'<text x="{x}" y="{bottom + 19}" text-anchor="middle">{METHODS[method][0]}</text></g>'
    )


def _middle(method: str) -> int:
    """Where the middle of a method's bar lies."""
    left, width = FRAME["left"], FRAME["right"] - FRAME["left"]
    return left + width * (2 * list(METHODS).index(method) + 1) // (2 * len(METHODS))


def _table(grid: Grid, d: int, factor: float) -> str:
    """The numbers of the drawing: one column a method."""
    columns = [_column(cell) for cell in grid.at(d, factor).values()]
    head = "".join(f'<th scope="col">{name}</th>' for name, _ in METHODS.values())
    missed = (words for words, _ in PARTS.values())
    names = ("test error", "lowest seed", "highest seed", *missed, "seeds")
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{v}</td>" for v in row)}</tr>'
        for name, *row in zip(names, *columns, strict=True)
    )
    return (
        f'<div class="results parts-numbers"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _column(cell: Cell | None) -> list[str]:
    """One method's numbers, from above."""
    if cell is None:
        return [NOT_RUN, *["–"] * (2 + len(PARTS)), "0"]
    values = (cell.error, cell.low, cell.high, cell.dense, cell.sparse, cell.rest)
    return [*map(_three, values), str(cell.seeds)]


def _sentence(grid: Grid, d: int, factor: float) -> str:
    """Where the drawing is, and the test errors: read aloud after every choice."""
    errors = [
        f"{METHODS[method][0]} <b>{NOT_RUN if cell is None else _three(cell.error)}</b>"
        for method, cell in grid.at(d, factor).items()
    ]
    return (
        f'<p aria-live="polite" aria-atomic="true"><i>d</i> = <b>{d}</b>, <i>n</i> = '
        f"<b>{grid.n(d, factor)}</b> (<b>{factor:g}</b> <i>n</i><sub>{grid.k}</sub>). "
        f"Test error: {', '.join(errors)}.</p>"
    )


def _three(value: float) -> str:
    """Three decimals, as in the cells."""
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")
