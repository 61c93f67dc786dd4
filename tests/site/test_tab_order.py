"""Formulas are no stops on the way of the tabulator: a page has hundreds of them."""

from __future__ import annotations

import headless
import pytest

STOPS = """() => {
    const all = [...document.querySelectorAll('mjx-container')];
    return [all.length, all.filter((e) => e.tabIndex >= 0).length];
}"""


def stops(browser, site: str, path: str, script: str = "") -> list[int]:
    """How many formulas there are, and how many the tabulator stops at."""
    page = browser.new_page()
    if script:
        page.add_init_script(script)
    page.goto(f"{site}/{path}")
    page.evaluate(headless.FORMULAS)
    found = page.evaluate(STOPS)
    page.close()
    return found


@pytest.mark.parametrize("path", ["book/setup.html", "book/joint.html"])
def test_the_tabulator_passes_formulas(browser, site, path):
    formulas, stopped = stops(browser, site, path)
    assert formulas > 100 and stopped == 0


def test_control_without_the_setting_it_stops_at_each(browser, site):
    """The setting, which stands in the page, is written over before MathJax reads it."""
    script = """let kept; Object.defineProperty(window, 'MathJax', {
        get: () => kept, configurable: true,
        set: (value) => { delete value?.options?.menuOptions; kept = value; },
    });"""
    formulas, stopped = stops(browser, site, "book/joint.html", script)
    assert formulas == stopped > 100
