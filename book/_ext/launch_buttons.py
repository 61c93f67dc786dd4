"""Buttons that open a page on Binder or in Colab, once the repository has a public address.

The setting is read, and notebooks are prepared for Colab, by ``launch`` among the tools.  Without
an address there is no button, and nothing speaks of one: ``{launched}`` is left out.

Looked at: the buttons are those of sphinx-book-theme, which makes them from its own options only
and knows of no cell that fetches the book, without which a page fails in Colab; sphinx-thebe runs
cells on the page, with scripts from other hosts.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from launch import RepositoryError, configured, unprepared
from sphinx.util.docutils import SphinxDirective

BUTTONS = {
    "notebook_interface": "jupyterlab",
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
}


def _configure(app, config) -> None:
    """Ask the theme for buttons where there is an address, and only there."""
    # From the file itself: Jupyter Book hands the key to the theme only where sphinx: config: has
    # no html_theme_options of its own.
    options, root = config.html_theme_options, Path(app.srcdir)
    setting = configured(root)
    wrong = unprepared(root, setting)
    if wrong:
        where = (
            f"in Colab from {setting.url}" if setting else "from nowhere, for want of an address"
        )
        raise RepositoryError(
            f"expected notebooks that fetch the book {where}; got others: {', '.join(wrong)}; "
            "remedy: run `make launch`"
        )
    options.pop("launch_buttons", None)
    if setting:
        options["repository_url"] = setting.url
        options["repository_branch"] = setting.branch
        options["launch_buttons"] = dict(BUTTONS)


class Launched(SphinxDirective):
    """``{launched}``: content for a book with buttons; without them it is left out.

    ``{address}`` and ``{branch}`` in it are those of the repository.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The content, or nothing."""
        options = self.config.html_theme_options
        if not options.get("launch_buttons"):
            return []
        for name, key in {"{address}": "repository_url", "{branch}": "repository_branch"}.items():
            self.content.data = [line.replace(name, options[key]) for line in self.content.data]
        return self.parse_content_to_nodes()


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("config-inited", _configure)
    app.add_directive("launched", Launched)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
