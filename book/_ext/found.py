"""Sphinx extension: what others see of a page before they open it, and the pages at the edges.

Every page says in its head what it is about: its first paragraph, formulas in letters.  With a
public address (``address``) it also says where it lives, and what a link to it shows in a message:
title, description, the first figure of its chapter.  The root of the site is the home page, an
address that leads nowhere says so and leads on, and ``sitemap.xml`` lists the pages.

Looked at: sphinxext-opengraph takes the first words of a page with formulas in TeX, and writes
addresses that lead nowhere where there is no public one; sphinx-sitemap warns there, and brings a
second process and the dates of git with it; sphinx-notfound-page is one tag (``base``) here.
"""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import address
import editions
import letters
import nbformat
from docutils import nodes

from escape_ntk.study.reading import KEY

HOME = "book/index"
CARDS = "_cards"
"""Folder of the pictures that links show."""
MOST = 200
"""Letters of a description."""
KIND = "An executable book"
LISTS = {
    "genindex": "Index of names",
    "prf-prf": "Index of statements",
    "py-modindex": "Index of modules",
    "search": "Search",
}
"""Pages that Sphinx makes and gives no title."""
NO_PAGE = """\
<h1>There is no page here</h1>
<p>It may have moved, or its address has a slip. The whole book is listed at the left, the
<a href="{home}">home page</a> says where to begin, and the <a href="{search}">search</a> finds
statements, words and functions.</p>
"""


def description(doctree: nodes.document | None, title: str, project: str) -> str:
    """What a page is about: its first paragraph; of a list that Sphinx makes, its title."""
    if doctree is not None:
        for paragraph in doctree.findall(nodes.paragraph):
            if text := letters.words(paragraph).strip():
                return letters.shortened(text, MOST)
    return f"{title}: part of the executable book “{project}”."


def tags(facts: dict[str, str], kind: str) -> str:
    """Facts as elements of a head."""
    return "".join(
        f'<meta {kind}="{name}" content="{html.escape(value)}" />\n'
        for name, value in facts.items()
        if value
    )


def card(page: str, root: Path) -> bytes | None:
    """The first figure of a chapter in pixels, as its reader's edition has it."""
    if (edition := editions.of(page, root)) is None:
        return None
    for cell in nbformat.read(root / edition, 4).cells:
        for output in cell.get("outputs", []) if KEY in cell.metadata else []:
            return base64.b64decode(output["data"]["image/png"])
    return None


def _picture(app, pagename: str, place: str) -> str:
    """The address of the picture of a page; that of the home page is the book's own card."""
    root, folder = Path(app.srcdir), Path(app.outdir) / CARDS
    if (png := card(pagename, root)) is None:
        return f"{place}_static/card.png"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{pagename.rpartition('/')[2]}.png"
    (folder / name).write_bytes(png)
    return f"{place}{CARDS}/{name}"


def _describe(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Write the head of a page."""
    project = app.config.html_title
    title = letters.heading(context.get("title") or LISTS.get(pagename, project))
    about = description(doctree, title, project)
    head = re.sub(r'<meta name="viewport"[^>]*>\s*', "", context.get("metatags") or "")  # a second
    head += tags({"description": about}, "name")
    if pagename == HOME:
        context["title"] = KIND  # the book's own title stands behind it
    if (place := app.config.html_baseurl) and doctree is not None:
        facts = {
            "og:type": "website" if pagename == HOME else "article",
            "og:site_name": project,
            "og:title": title,
            "og:description": about,
            "og:url": f"{place}{app.builder.get_target_uri(pagename)}",
            "og:image": _picture(app, pagename, place),
        }
        head += tags(facts, "property") + tags({"twitter:card": "summary_large_image"}, "name")
    context["metatags"] = head


def _lost(app) -> list[tuple[str, dict, str]]:
    """The page for addresses that lead nowhere."""
    home, search = app.builder.get_target_uri(HOME), app.builder.get_target_uri("search")
    body = NO_PAGE.format(home=home, search=search)
    return [("404", {"title": "Not found", "body": body}, "page.html")]


def based(text: str, base: str, own: str) -> str:
    """A page whose links are taken from ``base``; those to a place in itself lead to ``own``."""
    text = re.sub(r'href="#', f'href="{own}#', text)
    return text.replace("<head>", f'<head>\n    <base href="{base}" />', 1)


def sitemap(addresses: list[str]) -> str:
    """The list of pages that searching machines read."""
    lines = "".join(f"<url><loc>{escape(a)}</loc></url>\n" for a in addresses)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{space}">\n{lines}</urlset>\n'


def _edges(app, exception) -> None:
    """Write the root of the site, and mend the page for lost readers."""
    if exception or app.builder.format != "html":
        return
    out, place = Path(app.outdir), app.config.html_baseurl
    home = app.builder.get_target_uri(HOME)
    text = (out / home).read_text("utf-8")
    folder, _, name = home.rpartition("/")
    (out / "index.html").write_text(based(text, f"{folder}/", name), "utf-8")
    if place:
        lost = out / "404.html"
        base = urlsplit(place).path
        lost.write_text(based(lost.read_text("utf-8"), base, "404.html"), "utf-8")
        pages = [place + app.builder.get_target_uri(name) for name in sorted(app.env.found_docs)]
        (out / "sitemap.xml").write_text(sitemap(pages), "utf-8")


def _configure(app, config) -> None:
    config.html_baseurl = address.book(Path(app.srcdir))


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("config-inited", _configure)
    app.connect("html-page-context", _describe, priority=600)
    app.connect("html-collect-pages", _lost)
    app.connect("build-finished", _edges, priority=100)  # before a redirect is written
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
