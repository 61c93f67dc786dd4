"""Sphinx extension: a source tag, [D] or [M], says what it means, and leads to the page of sources.

Its box is that of a term (``terms``); what is in it is the row of the table on the page of sources.

Looked at: ``{abbr}`` of Sphinx is for what an author marks each time, and browsers show its title
to a pointer alone.
"""

from __future__ import annotations

import functools
import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from terms import Definition, Link, Term, unlinked

SOURCES = "book/sources"
TABLE = "source-tags"
"""The section with the table, one row a tag."""
TAG = re.compile(r"\[([ACDLMR])\]")
WORDS = nodes.paragraph, nodes.caption
"""What tags are explained in."""
SPARED = nodes.reference, nodes.literal, nodes.math, Term, Definition


def meanings(sources: nodes.document) -> dict[str, list[nodes.Node]]:
    """What each tag says: where it comes from, and what a reader may rely on."""
    found = {}
    for row in sources.findall(nodes.row):
        cells = [cell.next_node(nodes.paragraph) for cell in row.children]
        if len(cells) == 4 and (tag := TAG.fullmatch(cells[0].astext())):
            origin, rely = (unlinked(cell) for cell in cells[1:3])
            found[tag[1]] = [nodes.strong("", "", *origin), nodes.Text(". "), *rely]
    return found


def _explained(node: nodes.Text) -> bool:
    above = node.parent
    while above is not None and not isinstance(above, WORDS):
        if isinstance(above, SPARED):
            return False
        above = above.parent
    return above is not None


@functools.cache
def _meanings(app) -> dict[str, list[nodes.Node]]:
    return meanings(app.env.get_and_resolve_doctree(SOURCES, app.builder))


class ExplainTags(SphinxPostTransform):
    """Puts its meaning beside each tag."""

    default_priority = 30  # after words and their definitions
    formats = ("html",)

    def run(self, **kwargs) -> None:
        """Replace the tags on every page but that of the sources."""
        here, count = self.env.docname, 0
        if here == SOURCES:
            return
        target = self.app.builder.get_relative_uri(here, SOURCES)
        for text in list(self.document.findall(nodes.Text)):
            parts = TAG.split(text.astext())
            if len(parts) == 1 or not _explained(text):
                continue
            new: list[nodes.Node] = []
            for i, part in enumerate(parts):
                if i % 2 == 0:
                    new += [nodes.Text(part)] if part else []
                    continue
                label = f"{here.replace('/', '-')}-tag-{count}"
                count += 1
                link = Link("", f"[{part}]", refuri=f"{target}#{TABLE}", definition=label)
                meaning = [node.deepcopy() for node in _meanings(self.app)[part]]
                new.append(Term("", "", link, Definition("", "", *meaning, ids=[label])))
                new[-1]["classes"] += ["term", "tag"]
            text.parent.replace(text, new)


def _depend(app, doctree: nodes.document) -> None:
    if any(TAG.search(text.astext()) for text in doctree.findall(nodes.Text)):
        app.env.note_dependency(f"{SOURCES}.md")


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_post_transform(ExplainTags)
    app.connect("doctree-read", _depend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
