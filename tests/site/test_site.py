"""The built site, opened page by page in a real browser, at desktop and at phone width."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import headless
import pytest
import walk
from bs4 import BeautifulSoup
from figures import lacks, shown_wrongly
from formulas import HINT
from headless import DESKTOP, FROM_SOURCES, PAGES, PHONE, SITE
from walk import THEMES


def test_site_is_built():
    assert "book/index.html" in PAGES, f"expected a built site in {SITE}; run `make book`"
    assert any('class="math' in (SITE / page).read_text("utf-8") for page in PAGES)


MOST_BYTES = 1_500_000
"""Of a page, as a phone loads it, without the scripts and styles that all pages share."""


def check(page: walk.Visit, path: str) -> None:
    """All that is looked at on every page, which is visited once."""
    figures = page.looks[DESKTOP, "light"].figures
    assert page.findings == headless.Findings()
    assert page.violations() == [], "a barrier (axe-core)"
    assert page.clipped == [], "formulas that cannot be seen whole"
    assert page.half_shown == [], "boxes that cannot be seen whole"
    assert {f["id"]: missing for f in figures if (missing := lacks(f))} == {}
    for where, look in page.looks.items():
        assert shown_wrongly(*where, look.figures) == [], where
    assert page.own_bytes + (SITE / path).stat().st_size < MOST_BYTES


# Those made from sources stand in a file of their own: another worker visits them.
@pytest.mark.parametrize("path", [path for path in PAGES if not path.startswith(FROM_SOURCES)])
def test_page_has_no_fault(visited, path):
    check(visited(path), path)


# Side bars that still slide are first put where they go.
PLACES = """() => {
    document.getAnimations().forEach((a) => a.finish());
    return [...document.querySelectorAll('h1, h2, p, figure, aside, mjx-math')]
        .filter((e) => e.checkVisibility()).map((e) => e.getBoundingClientRect())
        .map((r) => [r.left, r.width, r.height].map(Math.round));
}"""


@pytest.mark.parametrize("path", ["book/mlp.html", "book/reference/taylor.html"])
def test_a_page_made_wide_is_as_one_that_was_loaded_so(browser, site, path):
    """Pages are visited narrow first and then wide; a reader at a desk loads them wide."""
    places = []
    for first in (DESKTOP, PHONE):
        page = browser.new_page(viewport={"width": first, "height": 900})
        page.goto(f"{site}/{path}")
        page.evaluate(headless.FORMULAS)
        before = page.evaluate(PLACES)
        page.set_viewport_size({"width": DESKTOP, "height": 900})
        page.evaluate(walk.SCROLL_THROUGH)
        places.append(page.evaluate(PLACES))
        page.close()
    assert places[0] == places[1] != before and len(before) > 50


def test_the_root_is_the_home_page(browser, site):
    page = browser.new_page()
    page.goto(f"{site}/")
    assert page.title() == "An executable book — Escaping the NTK regime"
    page.wait_for_selector("article figure img:visible")
    page.locator("article a[href='scorecard.html']").first.click()
    page.wait_for_url("**/book/scorecard.html")
    page.close()


def test_one_search_box(browser, site):
    page = browser.new_page(viewport={"width": DESKTOP, "height": 900})
    page.goto(f"{site}/book/index.html")
    boxes = page.evaluate(headless.SEARCH_BOXES)
    page.close()
    assert len(boxes) == 1, boxes


def test_search_finds_a_page(browser, site):
    page = browser.new_page()
    page.goto(f"{site}/search.html?q=regime")
    page.wait_for_selector("#search-results li")
    page.close()


# --- formulas -----------------------------------------------------------------------------------


def raw_formulas(text: str) -> list[str]:
    """Text of a page, outside formulas and code, that looks like LaTeX."""
    page = BeautifulSoup(text, "html.parser").select_one("article")
    for element in page.select(".math, code, pre, script, style, noscript, .sig, [role=tooltip]"):
        element.decompose()
    return [s.strip() for s in page.find_all(string=re.compile(r"\$|\\[a-zA-Z]+|\^\{"))]


@pytest.mark.parametrize("path", [path for path in PAGES if path.startswith("book/")])
def test_no_formula_is_left_as_it_was_written(path):
    assert raw_formulas((SITE / path).read_text("utf-8")) == []


def test_a_formula_cut_by_a_table_is_found():
    sound = r"<p>a <span class='math'>\(x\)</span> <code>$PATH</code></p>"
    broken = r"<td>moves by $2</td><td>h(w)</td><td>^{1/2}$</td>"
    assert raw_formulas(f"<article>{sound}</article>") == []
    found = raw_formulas(f"<article>{sound}{broken}</article>")
    assert found == ["moves by $2", "^{1/2}$"]


# --- links --------------------------------------------------------------------------------------


class Anchors(HTMLParser):
    """The ``id`` of every element of a page, where its links lead, and its pictures."""

    def __init__(self, text: str):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is named and where it leads."""
        found = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := found.get(name))}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "img" and found.get("src"):
            self.links.append(found["src"])


@cache
def anchors(path: Path) -> Anchors:
    return Anchors(path.read_text("utf-8"))


def dangling(page: Path) -> list[str]:
    """Links and pictures of a page that are no file of the site, or lead to no element of it."""
    found = []
    for link in anchors(page).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        name = unquote(parts.fragment)
        sound = target.exists() and (not name or name in anchors(target).ids)
        found += [] if sound else [link]
    return found


@pytest.mark.parametrize("path", [path for path in PAGES if path.startswith("book/")])
def test_links_lead_somewhere(path):
    assert dangling(SITE / path) == []


def test_the_concordance_leads_to_every_claim():
    """The rows of the scorecard that it names are those that the chapters have anchors for."""
    links = map(urlsplit, anchors(SITE / "book/concordance.html").links)
    rows = {f"claim-{link.fragment}" for link in links if link.path == "scorecard.html"}
    named = {i for path in PAGES for i in anchors(SITE / path).ids if i.startswith("claim-")}
    assert len(named) > 100 and rows - {"claim-"} == named


def test_every_page_with_cells_is_listed_as_executed():
    page = BeautifulSoup((SITE / "book/execution.html").read_text("utf-8"), "html.parser")
    listed = [link["href"].removesuffix(".html") for link in page.select(".executed td a")]
    listed = ["execution" if name == "#" else name for name in listed]
    folder = Path(__file__).parents[2] / "book"
    assert sorted(listed) == sorted(path.stem for path in folder.glob("*.ipynb"))


def test_a_dangling_link_is_found(tmp_path):
    (tmp_path / "b.html").write_text("<p id='here'>b</p>", "utf-8")
    page = tmp_path / "a.html"
    sound = "<a href='b.html#here'></a><a href='#own' id='own'></a><a href='https://x.y/#z'></a>"
    sound += "<img src='b.html'>"
    broken = ["b.html#gone", "c.html", "#none"]
    links = "".join(f"<a href='{link}'></a>" for link in broken)
    page.write_text(f"{sound}{links}<img class=only-dark src='dark.png'>", "utf-8")
    assert dangling(page) == [*broken, "dark.png"]


def test_without_scripts_the_page_can_be_read(browser, site):
    """Text, figures and links are there, formulas as they were written, and a note says so."""
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site}/book/joint.html")
        # The browser's switch for scripts leaves noscript as it was parsed, unrendered.
        text = (SITE / "book/joint.html").read_text("utf-8")
        assert '<noscript><p class="no-script">Formulas are typeset by JavaScript' in text
        assert page.locator("figure img.only-light.wide").first.is_visible()
        assert not page.locator("figure img.only-dark").first.is_visible()
        assert page.locator(".math").first.inner_text() == r"\(W^*\)"


def test_paper_is_white_in_the_dark(browser, site):
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        page.goto(f"{site}/book/joint.html")
        page.emulate_media(media="print")
        assert page.locator("figure img.only-light.wide").first.is_visible()
        assert not page.locator("figure img.only-dark").first.is_visible()
        text = page.locator(".bd-article p").first
        dark_grey = page.evaluate("getComputedStyle(document.body).color")
        assert text.evaluate("(e) => getComputedStyle(e).color") == dark_grey == "rgb(34, 40, 50)"


COLOURS = """() => {
    document.getAnimations().forEach((a) => { if (a instanceof CSSTransition) a.finish(); });
    return [...document.querySelectorAll('.bd-article *')].map((e) => {
        const style = getComputedStyle(e);
        return [e.className, style.color, style.backgroundColor, style.borderLeftColor].join();
    });
}"""


@pytest.mark.parametrize("script", [True, False])
def test_paper_has_the_same_colours_from_the_dark(browser, site, script):
    """Code and badges too; control: without paper.js it has not."""
    colours = []
    for theme in THEMES:
        with browser.new_context(color_scheme=theme) as context:
            page = context.new_page()
            if not script:
                page.route("**/paper.js*", lambda route: route.fulfill(body=""))
            page.goto(f"{site}/book/mlp.html")
            page.evaluate(headless.FORMULAS)
            page.emulate_media(media="print")
            page.wait_for_function("matchMedia('print').matches")
            page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
            colours.append(page.evaluate(COLOURS))
            page.emulate_media(media="screen")
            page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")
    assert len(colours[0]) > 1000 and (colours[0] == colours[1]) == script


# --- negative controls: each check fails on a page with its condition broken -------------------

SOUND = "<!doctype html><title>t</title><p>text</p>"
BROKEN = {
    "console": "<script>throw new Error('broken on purpose')</script>",
    "failed": "<link rel=stylesheet href=missing.css>",
    "foreign": "<script src=http://127.0.0.2:9/x.js></script>",
    "formulas": r"<p class=math>\(x^2\)</p>",
    "images": "<img src=missing.png>",
    "overflow": "<div style='width: 2000px; height: 1px'></div>",
}


@pytest.fixture
def inspect(browser, made):
    """Return a function from the text of a page to its findings."""
    return lambda html: walk.visit(browser, made(html)).findings


def test_sound_page_passes(inspect):
    assert inspect(SOUND) == headless.Findings()


@pytest.mark.parametrize("finding", BROKEN)
def test_broken_page_is_found(inspect, finding):
    assert getattr(inspect(SOUND + BROKEN[finding]), finding)


WIDE = "<p style='width: 900px'>text</p>"
HALF = {
    "cut": f"<div style='overflow: hidden'>{WIDE}</div>",
    "goes on unsaid": f"<div style='overflow-x: auto' tabindex=0>{WIDE}</div>",
    "marked, without a bar": f"<div class={HINT} style='overflow-x: auto' tabindex=0>{WIDE}</div>",
}


@pytest.mark.parametrize("fault", HALF)
def test_box_that_is_half_shown_is_found(browser, made, fault):
    found = walk.visit(browser, made(f"{SOUND}<article>{HALF[fault]}</article>")).half_shown
    named = "cut" if fault == "cut" else "goes on unsaid"
    assert [line.split(":")[0] for line in found] == [named, "cut"]  # on a phone, on paper


def test_box_that_no_key_can_scroll_is_found(browser, made):
    listing = "<article><pre style='width: 90px; overflow-x: auto'{}>" + "a long line " * 20
    reached = "tabindex=0", "><a href=page.html>a</a"
    for stop, due in {"": 1, " tabindex=-1": 1, f" {reached[0]}": 0, reached[1]: 0}.items():
        visited = walk.visit(browser, made(SOUND + listing.format(stop)), closely=False)
        said = ["out of reach of the keyboard" in line for line in visited.half_shown]
        assert sum(said) == due, stop
        assert {*visited.looks} == {(width, "light") for width in (PHONE, DESKTOP)}


def test_box_that_says_that_it_goes_on_passes_and_is_whole_on_paper(browser, made):
    style = (
        f".{HINT} {{ overflow-x: auto; background: linear-gradient(#888, #888) }}"
        f"@media print {{ .{HINT} {{ overflow: visible }} }}"
    )
    box = f"<style>{style}</style><article><div class={HINT} tabindex=0>{WIDE}</div></article>"
    assert walk.visit(browser, made(SOUND + box)).half_shown == []
