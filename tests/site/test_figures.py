"""Each figure says what it shows, where it comes from, and gives its drawing and its data."""

from __future__ import annotations

import csv
import io

import pytest
import walk
from bs4 import BeautifulSoup
from figures import lacks, shown_wrongly
from headless import DESKTOP, PAGES, PHONE, SITE


def test_the_book_has_figures():
    pages = [p for p in PAGES if 'class="figure-files' in (SITE / p).read_text("utf-8")]
    assert len(pages) >= 10


def test_files_of_a_figure_hold_it():
    """The table of a figure has numbers; its drawing carries the same table."""
    path = SITE / "book/joint.html"
    page = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    links = page.select_one("figure + .origin > .figure-files").find_all("a")
    drawing, data, notebook = ((path.parent / a["href"]).read_text("utf-8") for a in links)
    rows = list(csv.DictReader(io.StringIO(data)))
    assert len(rows) > 50 and all(float(row["y"] or row["low"]) for row in rows)
    assert "<svg" in drawing and data.splitlines()[-1] in drawing
    assert '"nbformat"' in notebook


# --- negative controls -------------------------------------------------------------------------

ALT = "alt='A curve that falls with the width'"
DRAWN = "".join(
    f"<img src=favicon.ico class='only-{theme} wide' {ALT}>" for theme in ("light", "dark")
)
WHOLE = {
    "alt text": f"<figure id=f>{DRAWN}</figure>",
    "provenance": "<div class=provenance>Recorded.</div>",
    "drawing": "<div class=figure-files><a href=a.svg>drawing</a>",
    "data": "<a href=a.csv>data</a></div>",
}
BROKEN = {"alt text": WHOLE["alt text"].replace(ALT, "alt=''", 1)}


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


def test_a_figure_without_a_dark_look_is_found(browser, made):
    parts = WHOLE | {"alt text": WHOLE["alt text"].replace("only-dark", "only-light")}
    assert [lacks(f) for f in figures_of(browser, made(complete(parts)))] == [["looks"]]


def test_the_next_figures_strip_does_not_count(browser, made):
    page = complete({"first": WHOLE["alt text"]} | WHOLE)
    first, second = map(lacks, figures_of(browser, made(page)))
    assert (first, second) == (["provenance", "drawing", "data"], [])


LOOKS = "".join(
    f"<img src=favicon.ico class='only-{theme} {shape}'>"
    for theme in ("light", "dark")
    for shape in ("wide", "narrow")
)
SHOWN = """<style>@media (max-width: 800px) { .wide { display: none } }
    @media (min-width: 801px) { .narrow { display: none } }
    @media (prefers-color-scheme: dark) { .only-light { display: none } }
    @media (prefers-color-scheme: light) { .only-dark { display: none } }</style>"""


@pytest.mark.parametrize("style", [SHOWN, ""], ids=["sound", "all at once"])
def test_one_look_of_a_figure_is_shown(browser, made, style):
    page = complete({"style": style, "figure": f"<figure id=f>{LOOKS}</figure>"})
    looks = walk.visit(browser, made(page)).looks
    wrong = {where for where, look in looks.items() if shown_wrongly(*where, look.figures)}
    assert wrong == (set() if style else {*looks}) and len(looks) == 4
    assert shown_wrongly(PHONE, "dark", looks[DESKTOP, "dark"].figures) == ["f"]
