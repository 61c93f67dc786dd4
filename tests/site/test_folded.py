"""What pages keep behind a line: claims behind badges, files of a figure, rows of long tables."""

from __future__ import annotations

import re

import headless
import pytest
from headless import DESKTOP, PAGES, SITE
from playwright.sync_api import Page

PAGE = "book/joint.html"
"""With badges in sentences and under statements, and the statement with most claims."""
LIST = ".passage details.claims"
BOOK = SITE.parents[1] / "book"


BESIDE = re.compile(
    r'</div></details>(?: <span class="distance">[^<]*</span>)?\s*'
    r'(?:<span id="[^"]*"></span>)*<details class="claims">'
)
"""Two badges with nothing said between them."""


def test_no_two_badges_stand_side_by_side():
    texts = {p: (SITE / p).read_text("utf-8") for p in PAGES if p.startswith("book/")}
    assert [p for p, text in texts.items() if BESIDE.search(text)] == []
    assert sum('<details class="claims">' in text for text in texts.values()) > 12


@pytest.mark.parametrize(("between", "found"), [("", True), (" ", True), (" and ", False)])
def test_control_badges_side_by_side_are_found(between, found):
    badge = '<details class="claims"><summary>yes</summary><div>list</div></details>'
    assert bool(BESIDE.search(f"{badge}{between}{badge}")) == found


def faults(page: Page, selector: str) -> list[str]:
    """What is wrong with a badge that is worked by keyboard."""
    badge = page.locator(selector).first
    inside, summary = badge.locator(".claims-list"), badge.locator("summary")
    label = summary.get_attribute("aria-label") or ""
    found = [] if label.startswith(summary.inner_text() + ": ") else ["has no name"]
    found += ["is open unasked"] if inside.is_visible() else []
    summary.focus()
    page.keyboard.press("Enter")
    if not inside.is_visible():
        return [*found, "does not open"]
    box, width = inside.bounding_box(), page.viewport_size["width"]
    found += [] if 0 <= box["x"] and box["x"] + box["width"] <= width else ["sticks out"]
    page.keyboard.press("Tab")
    here = "(e) => e.contains(document.activeElement)"
    found += [] if inside.evaluate(here) else ["its links are not next"]
    page.keyboard.press("Escape")
    found += ["Escape does not put it away"] if inside.is_visible() else []
    return found


@pytest.mark.parametrize("width", [DESKTOP, headless.PHONE])
def test_a_badge_opens_by_keyboard(browser, site, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(f"{site}/{PAGE}", wait_until="domcontentloaded")
    assert faults(page, LIST) == []
    page.close()


def test_without_scripts_all_opens_and_paper_shows_what_is_folded(browser, site):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site}/{PAGE}", wait_until="domcontentloaded")
        papers = {".conditions > .claims": "li", ".provenance": "dt"}
        for fold, inside in {**papers, ".figure-files": "a[download]"}.items():
            one = page.locator(fold).first
            assert not one.locator(inside).first.is_visible()
            one.locator("summary").click()
            assert one.locator(inside).first.is_visible(), fold
        page.emulate_media(media="print")
        for fold, inside in papers.items():
            assert page.locator(fold).nth(1).locator(inside).first.is_visible(), fold


# --- a made page --------------------------------------------------------------------------------

ROWS = "".join(f"<tr><td>{i}</td></tr>" for i in range(13))
BADGE = """<div class=passage>So it is <details class=claims>
    <summary class=claim-badge aria-label="yes: it is">yes</summary>
    <div class=claims-list><a href=#>it is</a></div></details></div>"""
BREAK = {
    "has no name": BADGE.replace("aria-label", "title"),
    "is open unasked": BADGE.replace("class=claims>", "class=claims open>"),
    "does not open": BADGE.replace("claims-list", "claims-list hidden"),
    "sticks out": BADGE.replace("claims-list", "'claims-list wide'"),
    "its links are not next": BADGE.replace("<a href=#>", "<a>"),
    "Escape does not put it away": BADGE,
}


def opened(browser, address: str) -> Page:
    """A page with the style of the book."""
    page = browser.new_page(viewport={"width": DESKTOP, "height": 800})
    page.goto(address)
    return page


def written(inside: str, script: bool = True) -> str:
    """A page of one passage or table."""
    style = (BOOK / "_static/book.css").read_text("utf-8") + ".wide { width: 200vw }"
    code = (BOOK / "_static/terms.js").read_text("utf-8") if script else ""
    head = f"<!doctype html><title>t</title><style>{style}</style><script>{code}</script>"
    return f"{head}<article class=bd-article>{inside}</article>"


def test_a_sound_badge_passes(browser, made):
    page = opened(browser, made(written(BADGE)))
    assert faults(page, LIST) == []
    page.close()


@pytest.mark.parametrize("fault", BREAK)
def test_control_a_broken_badge_is_found(browser, made, fault):
    page = opened(browser, made(written(BREAK[fault], script=not fault.startswith("Escape"))))
    assert fault in faults(page, LIST)
    page.close()


def test_a_long_table_shows_its_first_rows_and_on_paper_all(browser, made):
    """Control: without the line that opens it the table is whole."""
    fold = "<details><summary>All 13 rows</summary></details>"
    for line, first in ((fold, 8), ("", 13)):
        table = f"<div class=results><table><tbody>{ROWS}</tbody></table>{line}</div>"
        page = opened(browser, made(written(table)))
        rows = page.locator("tr:visible")
        assert rows.count() == first
        page.emulate_media(media="print")
        assert rows.count() == 13
        page.emulate_media(media="screen")
        if line:
            page.locator("summary").click()
            assert rows.count() == 13
        page.close()
