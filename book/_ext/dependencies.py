"""``{dependencies}``: which statement of the book rests on which, drawn and tabulated.

Read off the pages at every build (``dependence`` among the tools): no line is typed by hand.  A
circle is a warning, hence an error of the build.

Looked at: sphinx-proof knows its statements and links to them, but not who refers to whom;
sphinx.ext.graphviz wants the program ``dot`` of everybody who builds the book.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import dependence
import gathered
import statements
import tables
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective


class Dependencies(SphinxDirective):
    """The picture, then the same as a table that names every statement."""

    def run(self) -> list[nodes.Node]:
        """Both; a circle is a warning."""
        gathered.note(self.env)
        root = Path(self.env.srcdir)
        pages = statements.pages(root)
        texts = {name: (root / f"{name}.md").read_text("utf-8") for name in pages}
        edges = dependence.uses(pages, texts)
        try:
            TopologicalSorter(edges).prepare()
        except CycleError as circle:
            words = f"these statements use each other: {', '.join(circle.args[1])}"
            logging.getLogger(__name__).warning(words, location=self.get_location())
        picture = dependence.drawn(pages, edges, self._uri)
        back = dependence.used_by(edges)
        rows = [
            tables.Row([self._cell([label]), self._cell(below), self._cell(back[label])])
            for label, below in edges.items()
        ]
        header = ("statement", "uses", "is used by")
        table = tables.table(header, rows, "concordance uses")
        return [nodes.raw("", picture, format="html"), table]

    def _uri(self, statement: statements.Statement) -> str:
        builder = self.env.app.builder
        uri = builder.get_relative_uri(self.env.docname, statement.page)
        return f"{uri}#{statement.label}"

    def _cell(self, labels: list[str]) -> list[nodes.Node]:
        """References to these statements, or a dash."""
        words = ", ".join(f"{{prf:ref}}`{label}`" for label in labels) or "–"
        found, messages = self.parse_inline(words)
        return [tables.paragraph("", *found, *messages)]


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_directive("dependencies", Dependencies)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
