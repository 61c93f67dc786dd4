"""Sphinx roles that let prose speak of claims without a number typed by hand.

* ``{claim}`figure-test-loss` `` becomes the verdict's badge, which opens what was measured
  (``claim_lists``), and, the first time on the page of the claim's chapter, the anchor
  ``#claim-figure-test-loss``;
* ``{measured}`figure-flow/test:.2%` `` becomes a measured value of the ledger, formatted:
  the path walks through the claim's ``measured`` mapping.

The ledger is evaluated once for the package and the records as they are, and kept beside the
outputs of the cells.  An unknown claim or path is a warning, hence an error.

Looked at: ``{glue:text}`` of myst-nb formats a number as well, but one that a cell has glued, under
a name for each; every page with a number of the ledger would carry cells that glue it, and pages
without cells could have none.  Substitutions of myst-parser hold what ``_config.yml`` says.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from docutils import nodes
from source_cache import cache_folder
from sphinx.util.docutils import SphinxRole

from escape_ntk.chapters import evaluate_all
from escape_ntk.records.store import RecordStore, default_root

ROOT = Path(__file__).parents[2]
SCORECARD = "book/scorecard"


@functools.cache
def ledger() -> dict[str, dict]:
    """Every claim's row by its id."""
    root = default_root()
    return {row["id"]: row for row in _rows(root, ROOT if root == ROOT / "book/records" else None)}


def _rows(records: Path, checkout: Path | None) -> list[dict]:
    """The ledger of ``records``; kept where these, and all that judges them, are of a checkout."""
    if checkout is None:
        return evaluate_all(RecordStore(records))
    place = cache_folder(checkout) / "ledger.json"
    if place.is_file():
        return json.loads(place.read_text("utf-8"))
    rows = evaluate_all(RecordStore(records))
    if cache_folder(checkout) == place.parent:  # nothing has changed while it was evaluated
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_suffix(".new")
        beside.write_text(json.dumps(rows), "utf-8")
        beside.replace(place)
    return rows


def measured(text: str) -> str:
    """``id/key/key:format`` looked up in the ledger and formatted."""
    path, _, form = text.partition(":")
    claim, *keys = path.split("/")
    value = ledger()[claim]["measured"]
    for key in keys:
        value = value[key]
    return format(value, form)


def anchor(claim: str) -> str:
    """Where a claim stands on the page of its chapter."""
    return f"claim-{claim}"


class Claims(nodes.Inline, nodes.Element):
    """A badge: ``claims`` by their ids, ``anchors`` it stands for, where the ``scorecard`` is.

    ``words`` and ``link``, if any, are what it says, and HTML under its list.
    """


class ClaimRole(SphinxRole):
    """The badge of a claim."""

    def run(self):
        row = ledger().get(self.text)
        if row is None:
            return [], [
                self.inliner.reporter.warning(f"unknown claim {self.text!r}", line=self.lineno)
            ]
        target = self.env.app.builder.get_relative_uri(self.env.docname, SCORECARD)
        seen = self.env.temp_data.setdefault("claims", set())
        first = self.env.docname == f"book/{row['chapter']}" and self.text not in seen
        seen.add(self.text)
        anchors = [anchor(self.text)] if first else []
        return [Claims("", claims=[self.text], anchors=anchors, scorecard=target)], []


class MeasuredRole(SphinxRole):
    """A measured value."""

    def run(self):
        try:
            return [nodes.inline("", measured(self.text), classes=["measured"])], []
        except (KeyError, TypeError, ValueError) as error:
            problem = f"no measured value {self.text!r}: {error}"
            return [], [self.inliner.reporter.warning(problem, line=self.lineno)]


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_role("claim", ClaimRole())
    app.add_role("measured", MeasuredRole())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
