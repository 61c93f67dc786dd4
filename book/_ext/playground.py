"""``{playground}`` and ``{playground-seeds}``: the box of the playground, and its ten seeds.

The scripts are loaded by pages that have the box, and by no other.

Looked at: ``html_js_files`` loads a script on every page; JupyterLite and thebe run Python in the
browser, some ten megabytes of it, and refuse to where the page is a file; tfjs has no eigenvectors
and single precision only.
"""

from __future__ import annotations

import playpage
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

HAS_BOX = "playground_pages"


class Playground(SphinxDirective):
    """The box, with the drawings of the recorded run."""

    def run(self) -> list[nodes.Node]:
        """Raw HTML; the page is noted as one that needs the scripts."""
        self.env.metadata[self.env.docname][HAS_BOX] = True
        for name in ("record.json", "story.html"):
            self.env.note_dependency(str(playpage.FOLDER / name))
        return [nodes.raw("", playpage.box(playpage.record(), playpage.story()), format="html")]


class Seeds(SphinxDirective):
    """The table of ten seeds and its strip."""

    def run(self) -> list[nodes.Node]:
        """Raw HTML."""
        self.env.note_dependency(str(playpage.FOLDER / "record.json"))
        return [nodes.raw("", playpage.seeds(playpage.record()), format="html")]


def _load(app, pagename, templatename, context, doctree) -> None:
    if app.env.metadata.get(pagename, {}).get(HAS_BOX):
        for name in playpage.SCRIPTS:
            app.add_js_file(f"playground/{name}")


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_directive("playground", Playground)
    app.add_directive("playground-seeds", Seeds)
    app.connect("html-page-context", _load)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
