"""Each figure says what it shows, where it comes from, and gives its drawing and its data."""

from __future__ import annotations

import csv
import io
from urllib.parse import urljoin

import pytest
from headless import DESKTOP, PAGES, PHONE, SITE

MOST_BYTES = 1_500_000
"""Of a page, as a reader loads it, without the scripts and styles that all pages share."""

# A figure, and what belongs to it before the next one: in the order of the page.
FIGURES = """() => {
    const all = [...document.querySelectorAll('.bd-article figure, .moves, .parts')];
    const after = (a, b) => a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING;
    return all.map((figure, i) => {
        const own = (what) => [...document.querySelectorAll(what)].filter((e) =>
            after(figure, e) && (i + 1 === all.length || after(e, all[i + 1])));
        const links = own('.figure-files')[0]?.querySelectorAll('a') ?? [];
        const seen = [...figure.querySelectorAll('img, svg[role=img]')];
        return {
            id: figure.id || figure.className,
            made: figure.matches('.moves, .parts'),
            alts: seen.map((e) => e.getAttribute(e.matches('img') ? 'alt' : 'aria-label') ?? ''),
            shown: seen.filter((e) => e.checkVisibility()).map((e) => e.className),
            provenance: own('.provenance').length,
            files: [...links].map((a) => a.href),
        };
    });
}"""
SIZES = """() => performance.getEntriesByType('resource').map((r) => [r.name, r.decodedBodySize])"""


def figures(browser, url: str, theme: str = "light", width: int = DESKTOP) -> list[dict]:
    """The figures of a page."""
    view = {"width": width, "height": 900}
    with browser.new_context(viewport=view, color_scheme=theme) as context:
        page = context.new_page()
        page.goto(url, wait_until="load")
        return page.evaluate(FIGURES)


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


@pytest.mark.parametrize("path", PAGES)
def test_figures_are_complete(browser, site, path):
    found = figures(browser, f"{site}/{path}")
    assert {f["id"]: lacks(f) for f in found if lacks(f)} == {}


def test_the_book_has_figures():
    pages = [p for p in PAGES if 'class="figure-files' in (SITE / p).read_text("utf-8")]
    assert len(pages) >= 10


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "shape"), [(DESKTOP, "wide"), (PHONE, "narrow")])
def test_one_look_is_shown(browser, site, theme, width, shape):
    for figure in figures(browser, f"{site}/book/joint.html", theme, width):
        (look,) = figure["shown"]
        assert {f"only-{theme}", shape} <= set(look.split())


def test_files_hold_what_is_drawn(browser, site):
    """The table of a figure has numbers; its drawing carries the same table."""
    (figure, *_) = figures(browser, f"{site}/book/joint.html")
    context = browser.new_context()
    drawing, data = (context.request.get(urljoin(site, url)).text() for url in figure["files"])
    context.close()
    rows = list(csv.DictReader(io.StringIO(data)))
    assert len(rows) > 50 and all(float(row["y"] or row["low"]) for row in rows)
    assert "<svg" in drawing and data.splitlines()[-1] in drawing


@pytest.mark.parametrize("path", PAGES)
def test_page_is_light(browser, site, path):
    """All that a phone loads for one page, scrolled to its end."""
    view = {"width": PHONE, "height": 900}
    with browser.new_context(viewport=view) as context:
        page = context.new_page()
        page.goto(f"{site}/{path}", wait_until="load")
        for picture in page.locator("figure img").all():
            if picture.is_visible():
                picture.scroll_into_view_if_needed()
        page.wait_for_load_state("networkidle")
        own = sum(size for url, size in page.evaluate(SIZES) if "/_static/" not in url)
    assert own + (SITE / path).stat().st_size < MOST_BYTES


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
