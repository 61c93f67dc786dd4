"""The directive ``{execution-table}``: what ran when the book was built, and for how long.

One row for each page with cells, in the order of the book.  A page whose cells did not run, or
failed, is a warning, hence an error of the build.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import statements
import tables
from docutils import nodes
from myst_nb.ext.execution_tables import METADATA_KEY
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

CELL = "```{code-cell"
HEADER = ("page", "cells", "ran (UTC)", "seconds", "status")


@dataclass(frozen=True)
class Run:
    """How the cells of one page ran; ``seconds`` and ``when`` are None if they did not."""

    page: str
    cells: int
    when: float | None
    seconds: float | None
    succeeded: bool

    @property
    def status(self) -> str:
        """In a word."""
        return "ran" if self.succeeded else "failed" if self.when else "did not run"


def cells(root: Path, pages: Sequence[str]) -> dict[str, int]:
    """Number of code cells of each page that has any."""
    texts = {page: (root / f"{page}.md").read_text("utf-8") for page in pages}
    counts = {p: sum(x.startswith(CELL) for x in t.splitlines()) for p, t in texts.items()}
    return {page: count for page, count in counts.items() if count}


def runs(counts: Mapping[str, int], data: Mapping[str, Mapping]) -> list[Run]:
    """One :class:`Run` a page, from what myst-nb keeps of its execution."""
    out = []
    for page, count in counts.items():
        found = data.get(page) or {}
        when, seconds = found.get("mtime"), found.get("runtime")
        out.append(Run(page, count, when, seconds, found.get("succeeded") is True))
    return out


def problems(found: Sequence[Run]) -> list[str]:
    """Pages whose cells did not run to their end; empty when all did."""
    return [f"{run.page}: {run.cells} cells, {run.status}" for run in found if not run.succeeded]


class Placeholder(nodes.General, nodes.Element):
    """Where the table goes, once every page has run."""


class ExecutionTable(SphinxDirective):
    """``{execution-table}``"""

    def run(self) -> list[nodes.Node]:
        """A placeholder; myst-nb writes its page again whenever a page was executed."""
        NbMetadataCollector.set_doc_data(self.env, self.env.docname, METADATA_KEY, True)
        return [Placeholder()]


class FillTable(SphinxPostTransform):
    """Puts the table in its place."""

    default_priority = 8  # before references are resolved

    def run(self, **kwargs) -> None:
        """Replace the placeholder."""
        for node in list(self.document.findall(Placeholder)):
            root = Path(self.env.srcdir)
            data = NbMetadataCollector.get_doc_data(self.env)
            executed = {page: facts.get("exec_data") for page, facts in data.items()}
            found = runs(cells(root, statements.order(root)), executed)
            for problem in problems(found):
                logging.getLogger(__name__).warning(problem, location=self.env.docname)
            node.replace_self(self._table(found))

    def _table(self, found: Sequence[Run]) -> nodes.table:
        rows = []
        for run in found:
            uri = self.app.builder.get_relative_uri(self.env.docname, run.page)
            link = nodes.reference("", self.env.titles[run.page].astext(), refuri=uri)
            facts = (str(run.cells), _minute(run.when), _seconds(run.seconds), run.status)
            rows.append([tables.paragraph("", link), *map(tables.paragraph, facts)])
        total = sum(run.cells for run in found), sum(run.seconds or 0 for run in found)
        words = (f"{len(found)} pages", str(total[0]), "", _seconds(total[1]), "")
        rows.append([*map(tables.paragraph, words)])
        lines = [tables.Row([[cell] for cell in row]) for row in rows]
        return tables.table(HEADER, lines, "execution")


def _minute(when: float | None) -> str:
    return "" if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_node(Placeholder)
    app.add_directive("execution-table", ExecutionTable)
    app.add_post_transform(FillTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
