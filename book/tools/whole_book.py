"""The whole book as one PDF: ``_build/pdf/escape-ntk.pdf``, from the pages that `make book` built.

Called by ``make pdf``.  The articles of all pages, in the order of ``_toc.yml``, become one page
(:func:`whole`), which an installed Chromium prints twice or more: to learn on which leaf each
section begins, then with these numbers in the table of contents, until they are right.  So what
is printed is what the site shows: its numbers of theorems, equations and figures, its verdicts,
its pictures.  Bookmarks are made from the same table: those of the browser say each title twice.
"""

from __future__ import annotations

import html
import json
import logging
import posixpath
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

import browser
import letters
import statements
import yaml
from bs4 import BeautifulSoup, NavigableString, Tag
from matplotlib import get_data_path
from playwright.sync_api import Browser
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Fit

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "book/_ext"))

import address  # noqa: E402
import foot  # noqa: E402

SITE = ROOT / "_build/html"
TARGET = ROOT / "_build/pdf/escape-ntk.pdf"
STYLE = Path(__file__).with_suffix(".css")
PAGE = "whole-book.html"
MOST_PRINTINGS = 4
"""Two, if the numbers in the table of contents move nothing."""
MOST_MINUTES = 10
"""That the browser may take for one printing."""

# What only a screen can use: anchors to click, files to fetch, other looks of a drawing,
# buttons, notes to readers without scripts.
SCREEN_ONLY = (
    "noscript, script, .headerlink, .figure-files, .results > details, .only-dark, .narrow, "
    ".viewcode-link, .claims-filter, .moves-controls, .parts-controls, .d-print-none, .copybtn, "
    "[role=tooltip]"
)
NAMES = ("aria-describedby", "aria-labelledby", "aria-controls", "for", "headers")
"""Attributes that name elements by their ``id``."""
INSIDE = re.compile(r"url\(#([^)]+)\)")
FAULTS = """async () => {
    await MathJax.startup.promise;
    await Promise.allSettled([...document.fonts].map((face) => face.load()));
    const typeset = (e) => e.closest('mjx-container, svg');
    const edge = document.documentElement.clientWidth + 1;
    const cut = [...document.querySelectorAll('main *')].filter((e) => !typeset(e)
        && (e.getBoundingClientRect().right > edge || e.clientWidth > 0
            && getComputedStyle(e).overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1));
    return {
        formula: [...document.querySelectorAll('.math')].filter((e) =>
            !e.querySelector('mjx-container') || e.querySelector('mjx-merror'))
            .map((e) => e.textContent),
        picture: [...document.images].filter((i) => !i.naturalWidth).map((i) => i.src),
        cut: cut.filter((e) => !cut.some((other) => other !== e && e.contains(other)))
            .map((e) => e.textContent.trim().slice(0, 80)),
    };
}"""
"""What must not be printed: formulas not typeset, pictures not there, text beyond the edge."""
FORMULAS = re.compile(r"mathjax/|/formulas\.js")
"""The scripts that set formulas."""
TEXT_WIDTH = round((210 - 2 * 24) / 25.4 * 96)
"""Of a leaf, in CSS pixels: A4 without the margins of the style sheet."""
logging.getLogger("pypdf").setLevel(logging.ERROR)  # the browser counts its objects one short


@dataclass(frozen=True)
class Chapter:
    """An article of the site, ready to stand beside the others."""

    name: str
    part: str
    body: Tag

    @property
    def title(self) -> str:
        """Its heading, in letters."""
        return title(self.body.find("h1"))

    @property
    def sections(self) -> list[tuple[str, Tag]]:
        """Anchor and heading of each section of the first level."""
        return [(h.find_parent("section")["id"], h) for h in self.body.find_all("h2")]


def title(heading: Tag) -> str:
    """The text of a heading, for places that typeset no formula."""
    return " ".join(letters.heading(heading.decode_contents()).split())


# --- one page from many -------------------------------------------------------------------------


def anchor(page: str, name: str = "") -> str:
    """The ``id`` in the whole book of the element ``name`` of ``page``; of its top without one."""
    return f"{page}--{name}" if name else page


def parts(root: Path) -> dict[str, str]:
    """Each page, in the order of the book, with the part that it opens or stands in."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    heads = {
        page["file"].removesuffix(".md"): part["caption"]
        for part in toc["parts"]
        for chapter in part["chapters"]
        for page in (chapter, *chapter.get("sections", ()))
    }
    return {name: heads.get(name, "") for name in statements.order(root)}


def article(text: str) -> Tag:
    """The article of a page of the site, without what only a screen can use."""
    body = BeautifulSoup(text, "html.parser").select_one("article.bd-article")
    for element in body.select(SCREEN_ONLY):
        element.decompose()
    for badge in body.select("details.claims"):  # paper has the scorecard: to the first of them
        summary, first = badge.summary.extract(), badge.a
        summary.name, summary["href"] = "a", first["href"]
        badge.replace_with(summary)
    return body


def moved(body: Tag, page: str, pages: Sequence[str]) -> Tag:
    """``body`` with names of its own, its links and pictures found from the root of the site.

    A link to a page of the book leads to its place in the whole book; one to any other file of
    the site, which paper does not have, becomes plain text.
    """
    for element in body.find_all(True):
        if element.get("id"):
            element["id"] = anchor(page, element["id"])
        for key in NAMES:
            if element.get(key):
                words = element.get_attribute_list(key)
                names = [n for word in words for n in word.split()]
                element[key] = " ".join(anchor(page, name) for name in names)
        for key, value in element.attrs.items():
            if isinstance(value, str) and "url(#" in value:
                element[key] = INSIDE.sub(lambda m: f"url(#{anchor(page, m[1])})", value)
        element.attrs.pop("loading", None)  # printed at once
        if element.name == "img":
            element["src"] = _from_root(page, element["src"])
        if element.name == "details":
            element["open"] = ""
        if element.name == "td":
            _let_names_break(element)
        for key in ("href", "xlink:href"):
            if element.get(key):
                _lead(element, key, page, pages)
    return body


def _let_names_break(cell: Tag) -> None:
    """Let names of code in a narrow column end a line after a dot, a stroke or an underscore."""
    for code in cell.find_all("code"):
        for text in code.find_all(string=True):
            first, *rest = re.split(r"(?<=[._/])(?=\w)", text)
            parts = [NavigableString(first)]
            for part in rest:
                parts += [Tag(name="wbr", can_be_empty_element=True), NavigableString(part)]
            text.replace_with(*parts)


def _from_root(page: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def _lead(element: Tag, key: str, page: str, pages: Sequence[str]) -> None:
    link = urlsplit(element[key])
    if link.scheme or link.netloc:
        return
    path = _from_root(page, unquote(link.path)) if link.path else f"{page}.html"
    there = path.removesuffix(".html")
    if path.endswith(".html") and there in pages:
        element[key] = "#" + anchor(there, unquote(link.fragment))
    elif element.name == "a":
        element.unwrap()
    else:
        element[key] = path


def chapters(site: Path, root: Path) -> list[Chapter]:
    """The pages of the book, read from the built ``site``."""
    heads = parts(root)
    return [
        Chapter(name, part, moved(article((site / f"{name}.html").read_text("utf-8")), name, heads))
        for name, part in heads.items()
    ]


def dangling(book: Sequence[Chapter]) -> list[str]:
    """Links within the book that lead to no element of it."""
    names = {c.name for c in book}
    names |= {element["id"] for c in book for element in c.body.find_all(id=True)}
    links = [a["href"] for c in book for a in c.body.find_all("a", href=True)]
    return [link for link in links if link.startswith("#") and link[1:] not in names]


def whole(book: Sequence[Chapter], head: str, about: Mapping[str, str], leaves=None) -> str:
    """All chapters as one page; ``leaves`` maps an anchor to the number of the leaf it is on."""
    heads, body = [], []
    for i, chapter in enumerate(book):
        # A name for its leaves, so that they carry the chapter's title.
        heads.append(f"@page p{i} {{ @top-right {{ content: {json.dumps(chapter.title)}; }} }}")
        inside = chapter.body.decode_contents()
        body.append(
            f'<article class="bd-article" id="{chapter.name}" style="page: p{i}">{inside}</article>'
        )
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{about["title"]}</title>
{head}<style>{STYLE.read_text("utf-8")}
{"".join(heads)}</style></head><body>
<header class="cover"><p class="cover-title" id="cover">{about["title"]}</p>
<p>{about["subtitle"]}</p><p>{about["author"]}</p>
<p class="cover-state">{about["state"]}</p>{about["cite"]}</header>
<nav class="leaves"><h1>Contents</h1>{contents(book, leaves or {})}</nav>
<main class="bd-main bd-content">{"".join(body)}</main></body></html>"""


def contents(book: Sequence[Chapter], leaves: Mapping[str, int]) -> str:
    """The table of contents."""
    lines, part = [], ""
    for chapter in book:
        if chapter.part != part:
            part = chapter.part
            lines.append(f'<p class="leaves-part">{part}</p>')
        lines.append(_line("leaves-chapter", chapter.name, html.escape(chapter.title), leaves))
        for name, heading in chapter.sections:
            inside = heading.decode_contents()
            lines.append(_line("leaves-section", name, inside, leaves))
    return "\n".join(lines)


def _line(kind: str, name: str, words: str, leaves: Mapping[str, int]) -> str:
    number = leaves.get(name, "")
    return f'<p class="{kind}"><a href="#{name}">{words}</a><span>{number}</span></p>'


# --- from the page to paper ---------------------------------------------------------------------


def styles(site: Path) -> str:
    """The style sheets and the mathematics of the site, found from its root."""
    soup = BeautifulSoup((site / "book/index.html").read_text("utf-8"), "html.parser").head
    found = [e for e in soup.find_all("link", rel="stylesheet")]
    found += [e for e in soup.find_all("script") if "MathJax" in e.text]
    found += [e for e in soup.find_all("script", src=True) if FORMULAS.search(e["src"])]
    for element in found:
        for key in ("href", "src"):
            if element.get(key):
                element[key] = element[key].removeprefix("../")
    return "\n".join(map(str, found))


def print_page(opened: Browser, address: str) -> bytes:
    """The page at ``address`` as a PDF; raises RuntimeError if there are :data:`FAULTS`."""
    with opened.new_page(viewport={"width": TEXT_WIDTH, "height": 900}) as page:
        page.set_default_timeout(MOST_MINUTES * 60_000)
        page.emulate_media(media="print")
        page.goto(address, wait_until="load")
        if faults := {kind: found for kind, found in page.evaluate(FAULTS).items() if found}:
            raise RuntimeError(f"expected a page that can be printed whole; got {faults}")
        return page.pdf(prefer_css_page_size=True, print_background=True, tagged=True)


def places(reader: PdfReader) -> dict[str, tuple[int, float]]:
    """Leaf, counted from 1, and height on it, at which each anchor that is linked to stands."""
    number = {page.indirect_reference.idnum: i for i, page in enumerate(reader.pages, 1)}
    return {
        unquote(name.removeprefix("/")): (number[place.page.idnum], float(place.top or 0))
        for name, place in reader.named_destinations.items()
    }


def leaf_numbers(reader: PdfReader) -> dict[str, int]:
    """The leaf, counted from 1, on which each anchor that is linked to stands."""
    return {name: leaf for name, (leaf, _) in places(reader).items()}


def bookmark(writer: PdfWriter, book: Sequence[Chapter], where: Mapping) -> None:
    """Add the bookmarks: the table of contents, parts, in them chapters, in them sections.

    ``where`` is what :func:`places` says of the anchors.
    """

    def mark(name: str, words: str, parent=None):
        leaf, top = where[name]
        fit = Fit.xyz(left=0, top=top)
        return writer.add_outline_item(
            title=words, page_number=leaf - 1, parent=parent, is_open=False, fit=fit
        )

    writer.add_outline_item(title="Contents", page_number=1)
    part, parent = "", None
    for chapter in book:
        if chapter.part != part:
            part, parent = chapter.part, mark(chapter.name, chapter.part)
        own = mark(chapter.name, chapter.title, parent)
        for name, heading in chapter.sections:
            mark(name, title(heading), own)


def about(root: Path) -> dict[str, str]:
    """What the cover says."""
    config = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    known, url = foot.facts(root), address.book(root)
    commit = [f"commit {known['commit']}"] if known["commit"] else []
    state = [f"Version {known['version']}", known["date"], *commit, f"{known['licence']} licence"]
    entries = (foot.entry(root, "", url), foot.paper(root))
    boxes = "".join(f"<pre>{html.escape(text)}</pre>" for text in entries)
    return {
        "title": config["title"],
        "subtitle": "A book that runs, on the paper by Eshaan Nichani, Yu Bai and Jason D. Lee",
        "author": config["author"],
        "state": " · ".join([*state, *([url] if url else [])]),
        "cite": f'<div class="cover-cite"><p>To cite this book, and the paper:</p>{boxes}</div>',
    }


def staged(site: Path, folder: Path) -> Path:
    """A folder that holds, by links, all that the one page shows."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("_static", "_images"):
        (folder / name).symlink_to(site / name)
    (folder / "fonts").symlink_to(Path(get_data_path()) / "fonts/ttf")
    return folder


def make(book: Sequence[Chapter], site: Path, target: Path, opened: Browser) -> int:
    """Print ``book``, read from the built ``site``, to ``target``; return its number of leaves.

    ``opened`` is the browser that prints.

    Raises RuntimeError, and leaves ``target`` as it was, when a formula is not typeset, a picture
    is missing, or something is cut at the edge of a leaf.
    """
    head, words = styles(site), about(ROOT)
    folder = staged(site, target.parent / "stage")
    leaves: dict[str, int] = {}
    with browser.served(folder) as address:
        for _ in range(MOST_PRINTINGS):
            (folder / PAGE).write_text(whole(book, head, words, leaves), "utf-8")
            reader = PdfReader(BytesIO(print_page(opened, f"{address}/{PAGE}")))
            before, leaves = leaves, leaf_numbers(reader)
            if before == leaves:
                break
        else:
            raise RuntimeError(f"expected sections to keep their leaves; got {before}, {leaves}")
    writer = PdfWriter(clone_from=reader)
    bookmark(writer, book, places(reader))
    writer.add_metadata({"/Title": words["title"], "/Author": words["author"]})
    writer.write(target)
    shutil.rmtree(folder)
    return len(reader.pages)


def main() -> None:
    """Check what is needed, print, say what was made."""
    if browser.find_browser() is None:
        raise SystemExit(f"{browser.NO_BROWSER}; install one of them, then run `make pdf` again")
    if not (SITE / "book/index.html").is_file():
        raise SystemExit(f"expected a built book in {SITE}; got none; run `make book`")
    start = time.perf_counter()
    book = chapters(SITE, ROOT)
    if loose := dangling(book):
        raise SystemExit(f"expected links that lead somewhere; got {loose}; run `make book` again")
    with browser.chromium() as opened:
        count = make(book, SITE, TARGET, opened)
    size = TARGET.stat().st_size / 2**20
    where = TARGET.relative_to(ROOT)
    print(f"{where}: {count} leaves, {size:.1f} MiB, {time.perf_counter() - start:.0f} s")
    print("the next `make book` offers it at the foot of every page")


if __name__ == "__main__":
    main()
