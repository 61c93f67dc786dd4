"""``{speed} products``, ``sizes``, ``peers``, ``kernels``, ``growth``, …: what the benchmarks say.

Read from ``benchmarks/*.json`` at every build, by ``timings``.

Looked at: asv and pytest-benchmark keep and draw times over versions; here are ratios within one
run, to products that a formula cannot do without.
"""

from __future__ import annotations

import tables
import timings
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


class Speed(SphinxDirective):
    """One table."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table, and under it the machine."""
        chosen = directives.choice(self.arguments[0], tuple(timings.TABLES))
        for path in timings.BENCHMARKS.glob("*.json"):
            self.env.note_dependency(str(path))
        header, rows = timings.TABLES[chosen]()
        if not rows:
            return [tables.paragraph("Not run yet.")]
        lines = [tables.Row([[tables.paragraph(cell)] for cell in row]) for row in rows]
        told = tables.paragraph(f"{timings.conditions(chosen)}.")
        return [tables.table(header, lines, "speed"), told]


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_directive("speed", Speed)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
