"""Every page against WCAG 2.1 AA and axe-core's best practices; what a keyboard can reach.

axe-core comes with the package axe-playwright-python; nothing is fetched.
"""

from __future__ import annotations

import importlib.resources

import headless
import pytest
from headless import DESKTOP, PAGES, PHONE

AXE = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")
UNFOLD = "document.querySelectorAll('.conditions details').forEach((d) => { d.open = true })"
"""Hypotheses of theorems are folded, and looked at all the same."""
RUN = """async (rules) => (await axe.run(document, {runOnly: rules})).violations.flatMap((v) =>
    v.nodes.map((n) => ({rule: v.id, where: n.target.join(' '), html: n.html.slice(0, 160),
        why: n.any.concat(n.all, n.none).map((check) => check.message).join('; ')})))"""
SETTLED = 600
"""Milliseconds after which the scripts of the theme have followed a change of width."""
LOOKS = [(width, theme) for width in (DESKTOP, PHONE) for theme in ("light", "dark")]

EXCUSED: dict[tuple[str, str], str] = {
    ("empty-table-header", '<th class="head" scope="col">'): (
        "its text is a formula, which axe-core does not count; heads that say nothing are cells"
    ),
}
"""(rule, start of the element's HTML): why it stays; for what only the theme could mend."""


def violations(browser, url: str) -> list[dict]:
    """What axe-core finds on a page at both widths, light and dark, and is not excused."""
    found = []
    with browser.new_context(reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(url, wait_until="load")
        page.evaluate(headless.FORMULAS)  # waits for the mathematics
        page.evaluate(AXE)
        page.evaluate(UNFOLD)
        for width, theme in LOOKS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=theme)
            page.wait_for_timeout(SETTLED)
            found += [x | {"look": (width, theme)} for x in page.evaluate(RUN, list(RULES))]
    return [x for x in found if not is_excused(x)]


def is_excused(violation: dict) -> bool:
    """Whether a violation is on the list above."""
    rule, html = violation["rule"], violation["html"]
    return any(rule == r and html.startswith(start) for r, start in EXCUSED)


@pytest.mark.parametrize("path", PAGES)
def test_page_is_accessible(browser, site, path):
    assert violations(browser, f"{site}/{path}") == []


def test_the_first_stop_of_the_keyboard_skips_to_the_text(browser, site):
    page = browser.new_page(viewport={"width": DESKTOP, "height": 900})
    page.goto(f"{site}/book/index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("!!document.activeElement.closest('#main-content')")
    page.close()


def test_excuses_have_reasons():
    assert all(reason.strip() for reason in EXCUSED.values())


# --- negative controls: a made page with each fault is found -----------------------------------

SOUND = """<!doctype html><html lang=en><title>t</title><main><h1>h</h1>{}</main></html>"""
FAULTS = {
    "image-alt": "<img src=favicon.ico>",
    "color-contrast": "<p style='color: #888; background: #fff'>text</p>",
    "link-name": "<a href=page.html></a>",
    "heading-order": "<h4>deep</h4>",
    "empty-table-header": "<table><tr><th></th><th>b</th></tr>"
    "<tr><td>1</td><td>2</td></tr></table>",
    "scrollable-region-focusable": "<pre tabindex=-1 style='width: 90px; overflow-x: auto'>"
    f"{'a long line ' * 20}</pre>",
    "label": "<input type=text>",
    "definition-list": "<dl><dd>a description of nothing</dd></dl>",
}


def test_sound_page_passes(browser, made):
    assert violations(browser, made(SOUND.format("<p>text</p>"))) == []


@pytest.mark.parametrize("rule", FAULTS)
def test_fault_is_found(browser, made, rule):
    found = violations(browser, made(SOUND.format(FAULTS[rule])))
    assert {x["look"] for x in found if x["rule"] == rule} == set(LOOKS)
