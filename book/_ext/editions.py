"""Sphinx extension: what a chapter offers as a notebook is its reader's edition, in ``readers/``.

``{nb-download}``, the files of a figure and the buttons for Binder and Colab lead there; on a page
without an edition they lead to the notebook of the page itself.  The editions are made by
``book/tools/readers_edition.py``, after a build.

Looked at: the role is that of myst-nb, which offers the notebook as it was executed, directives
and all; the buttons are those of sphinx-book-theme, which knows no notebook but the one of the
page.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from myst_nb.ext.download import NbDownloadRole

FOLDER = "readers"


def of(page: str, root: Path) -> str | None:
    """The reader's edition of ``page`` (``book/setup``), from the root of the sources."""
    path = f"{FOLDER}/{page.rpartition('/')[2]}.ipynb"
    return path if (root / path).is_file() else None


def offered(env) -> str:
    """What the page that is read offers as a notebook, from the root of the sources.

    Its edition; without one, the notebook as it was executed.
    """
    root = Path(env.srcdir)
    executed = Path(env.mystnb_config.output_folder) / f"{env.docname}.ipynb"
    return f"/{of(env.docname, root) or Path(os.path.relpath(executed, root)).as_posix()}"


class EditionRole(NbDownloadRole):
    """``{nb-download}``, leading to the edition where there is one."""

    def run(self):
        """The link."""
        out, messages = super().run()
        if self.target == f"{self.env.docname.rpartition('/')[2]}.ipynb":
            out[0]["reftarget"] = offered(self.env)
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
