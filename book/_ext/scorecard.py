"""Sphinx extension: the scorecard's headings are the titles of the chapters.

The package, which writes the claims by chapter (``display.html.claim_blocks``), knows their names.

Looked at: the page's cell shows finished HTML, into which no reference of Sphinx reaches.
"""

from __future__ import annotations

import re

import letters

PAGE = "book/scorecard"
NAMED = re.compile(r'(<a href="(?:([\w-]+)\.html|#claims-([\w-]+))">)([\w-]+)(</a>)')
"""Links of claim_blocks whose words are the name of a chapter."""


def titled(body: str, titles: dict[str, str]) -> str:
    """The body of the page, each chapter by its title, up to the colon in the list of them."""

    def words(link: re.Match[str]) -> str:
        name = link[2] or link[3]
        if link[4] != name or name not in titles:
            return link[0]
        title = titles[name] if link[2] else titles[name].split(":")[0]
        return f"{link[1]}{title}{link[5]}"

    return NAMED.sub(words, body)


def _name_chapters(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    if pagename == PAGE:
        titles = {
            page.rpartition("/")[2]: letters.words(title) for page, title in app.env.titles.items()
        }
        context["body"] = titled(context["body"], titles)


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("html-page-context", _name_chapters)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
