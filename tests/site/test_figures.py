"""Each figure says what it shows, where it comes from, and gives its drawing and its data."""

from __future__ import annotations

import csv
import io
from urllib.parse import urljoin

import pytest
import walk
from headless import DESKTOP, PAGES, PHONE, SITE

MOST_BYTES = 1_500_000
"""Of a page, as a reader loads it, without the scripts and styles that all pages share."""


def lacks(figure: dict) -> list[str]:
    """What a figure lacks."""
    names = [url.rsplit("/", 1)[-1] for url in figure["files"]]
    parts = {
        "alt text": figure["alts"] and all(len(alt) > 20 for alt in figure["alts"]),
        "provenance": figure["provenance"],
        "drawing": figure["made"] or any(name.endswith(".svg") for name in names),
        "data": figure["made"] or any(name.endswith(".csv") for name in names),
    }
    return [part for part, there in parts.items() if not there]


@walk.pages()
def test_figures_are_complete(visited, path):
    found = visited(path, DESKTOP).looks["light"].figures
    assert {f["id"]: lacks(f) for f in found if lacks(f)} == {}


def test_the_book_has_figures():
    pages = [p for p in PAGES if 'class="figure-files' in (SITE / p).read_text("utf-8")]
    assert len(pages) >= 10


@pytest.mark.parametrize("theme", walk.THEMES)
@pytest.mark.parametrize(("width", "shape"), [(DESKTOP, "wide"), (PHONE, "narrow")])
@walk.pages("book/joint.html")
def test_one_look_is_shown(visited, path, theme, width, shape):
    found = visited(path, width).looks[theme].figures
    assert found
    for figure in found:
        (look,) = figure["shown"]
        assert {f"only-{theme}", shape} <= set(look.split())


@walk.pages("book/joint.html")
def test_files_hold_what_is_drawn(browser, site, visited, path):
    """The table of a figure has numbers; its drawing carries the same table."""
    (figure, *_) = visited(path, DESKTOP).looks["light"].figures
    context = browser.new_context()
    drawing, data = (context.request.get(urljoin(site, url)).text() for url in figure["files"])
    context.close()
    rows = list(csv.DictReader(io.StringIO(data)))
    assert len(rows) > 50 and all(float(row["y"] or row["low"]) for row in rows)
    assert "<svg" in drawing and data.splitlines()[-1] in drawing


@walk.pages()
def test_page_is_light(visited, path):
    """All that a phone loads for one page, scrolled to its end."""
    assert visited(path, PHONE).own_bytes + (SITE / path).stat().st_size < MOST_BYTES


# --- negative controls -------------------------------------------------------------------------

ALT = "alt='A curve that falls with the width'"
WHOLE = {
    "alt text": f"<figure id=f><img src=favicon.ico {ALT}></figure>",
    "provenance": "<div class=provenance>Recorded.</div>",
    "drawing": "<div class=figure-files><a href=a.svg>drawing</a>",
    "data": "<a href=a.csv>data</a></div>",
}
BROKEN = {"alt text": "<figure id=f><img src=favicon.ico></figure>"}


def complete(parts: dict[str, str]) -> str:
    return f"<!doctype html><title>t</title><div class=bd-article>{''.join(parts.values())}</div>"


def figures(browser, url: str) -> list[dict]:
    return walk.visit(browser, url, DESKTOP).looks["light"].figures


def test_complete_figure_passes(browser, made):
    assert [lacks(f) for f in figures(browser, made(complete(WHOLE)))] == [[]]


@pytest.mark.parametrize("part", WHOLE)
def test_what_a_figure_lacks_is_found(browser, made, part):
    parts = WHOLE | {part: BROKEN.get(part, "")}
    if part == "drawing":
        parts[part] = "<div class=figure-files>"
    assert [lacks(f) for f in figures(browser, made(complete(parts)))] == [[part]]


def test_the_next_figures_strip_does_not_count(browser, made):
    page = complete({"first": WHOLE["alt text"]} | WHOLE)
    first, second = map(lacks, figures(browser, made(page)))
    assert (first, second) == (["provenance", "drawing", "data"], [])
