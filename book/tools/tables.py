"""Tables made of nodes, for what a build itself knows and no cell can print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from docutils import nodes

Cell = Sequence[nodes.Node]
"""Paragraphs, or other blocks."""


@dataclass(frozen=True)
class Row:
    """Cells of one line; a cell that is None is covered by the one above it."""

    cells: Sequence[Cell | None]
    id: str = ""


def table(header: Sequence[str], rows: Sequence[Row], classes: str) -> nodes.table:
    """A table of these ``classes``; a cell spans the lines below that leave its column to it."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in header), cols=len(header))
    head = nodes.row("", *(nodes.entry("", paragraph(text)) for text in header))
    body = nodes.tbody()
    for number, row in enumerate(rows):
        line = nodes.row(ids=[row.id] if row.id else [])
        for column, cell in enumerate(row.cells):
            if cell is not None:
                more = _covered(rows[number + 1 :], column)
                line += nodes.entry("", *cell, **({"morerows": more} if more else {}))
        body += line
    group += [nodes.thead("", head), body]
    return nodes.table("", group, classes=classes.split())


def paragraph(text: str, *parts: nodes.Node) -> nodes.paragraph:
    """Plain text, then nodes."""
    return nodes.paragraph("", "", *([nodes.Text(text)] if text else []), *parts)


def _covered(below: Sequence[Row], column: int) -> int:
    """How many of the lines ``below`` leave this column to the cell above."""
    covered = [row.cells[column] is None for row in below]
    return covered.index(False) if False in covered else len(covered)
