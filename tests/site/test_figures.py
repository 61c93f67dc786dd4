"""Each figure says what it shows, where it comes from, and gives its drawing and its data."""

from __future__ import annotations

import csv
import io
from urllib.parse import urljoin

import pytest
import walk
from figures import lacks
from headless import DESKTOP, PAGES, PHONE, SITE

SHAPES = {PHONE: "narrow", DESKTOP: "wide"}


def test_the_book_has_figures():
    pages = [p for p in PAGES if 'class="figure-files' in (SITE / p).read_text("utf-8")]
    assert len(pages) >= 10


def test_one_look_is_shown_and_its_files_hold_it(browser, site, visited):
    """The table of a figure has numbers; its drawing carries the same table."""
    looks = visited("book/joint.html").looks
    for (width, theme), look in looks.items():
        assert look.figures
        for figure in look.figures:
            (shown,) = figure["shown"]
            assert {f"only-{theme}", SHAPES[width]} <= set(shown.split())
    figure = looks[DESKTOP, "light"].figures[0]
    context = browser.new_context()
    drawing, data = (context.request.get(urljoin(site, url)).text() for url in figure["files"])
    context.close()
    rows = list(csv.DictReader(io.StringIO(data)))
    assert len(rows) > 50 and all(float(row["y"] or row["low"]) for row in rows)
    assert "<svg" in drawing and data.splitlines()[-1] in drawing


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


def figures_of(browser, url: str) -> list[dict]:
    return walk.visit(browser, url).looks[DESKTOP, "light"].figures


def test_complete_figure_passes(browser, made):
    assert [lacks(f) for f in figures_of(browser, made(complete(WHOLE)))] == [[]]


@pytest.mark.parametrize("part", WHOLE)
def test_what_a_figure_lacks_is_found(browser, made, part):
    parts = WHOLE | {part: BROKEN.get(part, "")}
    if part == "drawing":
        parts[part] = "<div class=figure-files>"
    assert [lacks(f) for f in figures_of(browser, made(complete(parts)))] == [[part]]


def test_the_next_figures_strip_does_not_count(browser, made):
    page = complete({"first": WHOLE["alt text"]} | WHOLE)
    first, second = map(lacks, figures_of(browser, made(page)))
    assert (first, second) == (["provenance", "drawing", "data"], [])
