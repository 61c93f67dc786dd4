"""No formula of the built site is cut, at any width and on paper."""

from __future__ import annotations

import formulas
import headless
import pytest
from formulas import HINT, PAPER, PHONE, WIDTHS
from headless import DESKTOP

WIDE = max(WIDTHS) + 100


@pytest.fixture
def opened(browser):
    """Return a function from an address to the page there, its formulas typeset."""
    with browser.new_context(viewport={"width": DESKTOP, "height": 900}) as context:

        def load(address: str):
            page = context.new_page()
            page.goto(address, wait_until="load")
            return page

        yield load


def test_the_window_and_the_medium_are_as_before(opened, site):
    page = opened(f"{site}/book/notation.html")
    formulas.clipped_formulas(page)
    assert page.viewport_size["width"] == DESKTOP
    assert page.evaluate("matchMedia('screen').matches && innerWidth") == DESKTOP


def test_long_formulas_may_end_a_line(opened, site):
    """After a relation or an operation: no piece of one is wider than a phone."""
    page = opened(f"{site}/book/setup.html")
    page.evaluate(headless.FORMULAS)
    assert page.locator("p .may-break wbr").count() > 20
    assert page.locator("mjx-math:not(.may-break) wbr").count() == 0


# --- negative controls: a made page with each fault is found -----------------------------------


def formula(width: int, style: str = "") -> str:
    """A formula of so many pixels, and what follows it."""
    style = f"display: inline-block; height: 20px; width: {width}px; {style}"
    return f'<span><mjx-container><mjx-math style="{style}"></mjx-math></mjx-container></span>.'


def made_page(inside: str) -> str:
    style = f"body {{ margin: 10px }} .{HINT} {{ background: linear-gradient(#888, #888) }}"
    return f"<!doctype html><title>t</title><style>{style}</style>{inside}"


CUT = f"<div style='overflow: hidden; width: 80px; padding: 2px'>{formula(90)}</div>"
CELL = f"<table><td><p style='width: 600px'>text<td><nobr>{formula(90)}</nobr></table>"
SOUND = {
    "short": f"<p>text {formula(90)}</p>",
    "room": f"<div style='overflow: hidden; padding: 2px'>{formula(90)}</div>",
    "cell": f"<div style='overflow-x: auto; padding: 2px'>{CELL}</div>",
    "hidden": f"<p style='display: none'>{formula(WIDE)}</p>",
}
FAULTS = {
    "cut": CUT,
    "folded": f"<details>{CUT}</details>",
    "scrolls": f"<div style='overflow-x: auto; padding: 2px'>{formula(WIDE)}</div>",
    "shaved": f"<div style='overflow: hidden'>{formula(90, 'vertical-align: top')}</div>",
    "sticks out": f"<p style='width: 80px'>{formula(90)}</p>",
    "beyond the page": f"<p style='position: relative; left: -50px'>{formula(90)}</p>",
    "torn": f"<p style='width: 91px'>{formula(90)}</p>",
    "page": "<div style='width: 1290px; height: 1px'></div>",
}
NAMED = {"folded": "cut"}


def test_sound_pages_pass(opened, made):
    for name, inside in SOUND.items():
        found = formulas.clipped_formulas(opened(made(made_page(inside))))
        assert found == [], name


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found_at_every_width(opened, made, fault):
    found = formulas.clipped_formulas(opened(made(made_page(FAULTS[fault]))))
    every = {f"{width} px" for width in WIDTHS} | {"print"}
    assert {line.split(": ")[0] for line in found} == every
    assert {line.split(": ")[1] for line in found} >= {NAMED.get(fault, fault)}


@pytest.mark.parametrize("mark", [f"class={HINT}", ""], ids=["marked", "unmarked"])
def test_a_wide_formula_may_scroll_on_a_phone_alone_and_says_so(opened, made, mark):
    """One of 500 pixels fits a leaf and a tablet; on a phone it scrolls."""
    box = f"<div {mark} style='overflow-x: auto; padding: 2px'>{formula(500)}</div>"
    found = formulas.clipped_formulas(opened(made(made_page(box))))
    assert found == ([] if mark else [f"{PHONE} px: scrolls: "])
    assert 500 < PAPER


def test_a_box_that_is_marked_but_draws_no_bar_is_found(opened, made):
    box = f"<div class={HINT} style='overflow-x: auto; padding: 2px'>{formula(500)}</div>"
    found = formulas.clipped_formulas(opened(made(f"<!doctype html><title>t</title>{box}")))
    assert found == [f"{PHONE} px: scrolls: "]
