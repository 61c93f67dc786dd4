"""Pages come light, and what is on them does not move when the rest arrives."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from headless import DESKTOP, FORMULAS, PHONE, SITE
from playwright.sync_api import Browser

MOST = 0.1
"""Layout shift, as browsers add it up: above, a reader loses the line (web.dev, "good")."""
WATCH = """window.shift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((e) => {
        if (!e.hadRecentInput) window.shift += e.value;
    })).observe({type: 'layout-shift', buffered: true})"""
LETTERS = """async () => {
    await document.fonts.ready;
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 200)));
    return window.shift;
}"""


def shift(
    browser: Browser, url: str, width: int, change: Callable[[str], str] | None = None
) -> float:
    """How far what a reader sees first moves until it is all there."""
    with browser.new_context(viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        if change is not None:

            def changed(route) -> None:
                response = route.fetch()
                route.fulfill(response=response, body=change(response.text()))

            page.route(url, changed)
        page.add_init_script(WATCH)
        page.goto(url, wait_until="load")
        page.evaluate(FORMULAS)
        return page.evaluate(LETTERS)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_nothing_moves_while_a_page_arrives(browser, site, width):
    assert shift(browser, f"{site}/book/joint.html", width) < MOST


def test_control_without_places_that_are_kept_it_moves(browser, site):
    kept = re.compile(
        r' style="--wide[^"]*"| (width|height)="\d+"|<script class="first-fonts">.*?</script>', re.S
    )

    def bare(text: str) -> str:
        return kept.sub("", text)

    assert shift(browser, f"{site}/book/joint.html", PHONE, bare) > MOST


def test_icons_are_drawn_without_a_script(browser, site):
    assert (SITE / "_static/scripts/fontawesome.js").stat().st_size < 1000
    page = browser.new_page(viewport={"width": DESKTOP, "height": 800})
    page.goto(f"{site}/book/index.html")
    icons = page.locator(".bd-header-article i[class*=fa-]:visible, .pst-navbar-icon i:visible")
    drawn = "(all) => all.map((e) => [getComputedStyle(e, '::before').content, e.offsetWidth])"
    found = icons.evaluate_all(drawn)
    page.close()
    assert len(found) >= 2 and all(sign != "none" and width > 5 for sign, width in found)
