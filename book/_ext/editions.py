"""Sphinx extension: what a chapter offers as a notebook is its reader's edition, in ``readers/``.

``{nb-download}`` and the buttons for Binder and Colab lead there; on a page without an edition they
stay as they are.  The editions are made by ``book/tools/readers_edition.py``, after a build.

Looked at: the role is that of myst-nb, which offers the notebook as it was executed, directives
and all; the buttons are those of sphinx-book-theme, which knows no notebook but the one of the
page.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from myst_nb.ext.download import NbDownloadRole

FOLDER = "readers"


def of(page: str, root: Path) -> str | None:
    """The reader's edition of ``page`` (``book/setup``), from the root of the sources."""
    path = f"{FOLDER}/{page.rpartition('/')[2]}.ipynb"
    return path if (root / path).is_file() else None


class EditionRole(NbDownloadRole):
    """``{nb-download}``, leading to the edition where there is one."""

    def run(self):
        """The link."""
        out, messages = super().run()
        own = self.target == f"{self.env.docname.rpartition('/')[2]}.ipynb"
        if own and (edition := of(self.env.docname, Path(self.env.srcdir))):
            out[0]["reftarget"] = f"/{edition}"
        return out, messages


def _lead(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Let buttons, and the file that the theme offers as source, be those of the edition."""
    root = Path(app.srcdir)
    if (edition := of(pagename, root)) is None:
        return
    for group in context.get("header_buttons", ()):
        for button in group.get("buttons", ()):
            if "url" in button:
                button["url"] = button["url"].replace(f"/{pagename}.ipynb", f"/{edition}")
    if source := context.get("ipynb_source"):
        shutil.copy2(root / edition, Path(app.outdir) / "_sources" / source)


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_role("nb-download", EditionRole(), override=True)
    app.connect("html-page-context", _lead, priority=900)  # after the theme made its buttons
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
