"""No formula of the built site is cut, at any width, at 200 % and on paper."""

from __future__ import annotations

import formulas
import headless
import pytest
from formulas import HARDEST, HINT, PAPER, PHONE, WIDTHS
from headless import DESKTOP, SITE

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


@pytest.mark.parametrize("path", ["book/idea", "book/reference/taylor"])
def test_no_formula_is_cut_at_the_widths_between(opened, site, path):
    """Every page is seen at the hardest ones; here all, and then the window is as before."""
    page = opened(f"{site}/{path}.html")
    assert formulas.clipped_formulas(page) == []
    assert page.viewport_size["width"] == DESKTOP
    assert page.evaluate("matchMedia('screen').matches && innerWidth") == DESKTOP


NARROW = (*range(320, 768, 128), 390, 767)
BROAD = (*range(768, 1408, 128), 991, 992, 1199, 1280, 1920, 2560)
"""Windows, in pixels."""
# What the narrowest paragraph of the text and the narrowest note beside it leave for a formula.
ROOM = """() => ['article p', 'aside.margin'].map((what) => Math.min(
    ...[...document.querySelectorAll(`.bd-article-container ${what}`)]
        .map((e) => e.getBoundingClientRect().width).filter((width) => width)))"""


@pytest.mark.parametrize(("widths", "hardest"), [(BROAD, HARDEST[0]), (NARROW, HARDEST[1])])
def test_nowhere_is_less_room_than_at_the_hardest_widths(opened, site, widths, hardest):
    page, rooms = opened(f"{site}/book/joint.html"), {}
    page.evaluate(headless.FORMULAS)
    for width in (hardest, *widths):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("document.getAnimations().forEach((a) => a.finish())")
        rooms[width] = page.evaluate(ROOM)
    least = [min(room) for room in zip(*rooms.values(), strict=True)]
    assert rooms[hardest] == pytest.approx(least, abs=1)
    assert rooms[1280 if hardest > 768 else 390][1] > least[1] + 1  # control


def test_at_200_percent_a_page_has_half_the_room(opened, site):
    """And twice the dots for each pixel; afterwards neither."""
    page, seen = opened(f"{site}/book/notation.html"), "[innerWidth, devicePixelRatio]"
    page.evaluate(f"addEventListener('resize', () => {{ window.seen ??= {seen}; }})")
    assert formulas.clipped_zoomed(page) == []
    assert page.evaluate("window.seen") == [formulas.ZOOMED, 2]
    assert page.evaluate(seen) == [DESKTOP, 1]


def test_long_formulas_may_end_a_line(opened, site):
    """After a relation or an operation: no piece of one is wider than a phone."""
    page = opened(f"{site}/book/setup.html")
    page.evaluate(headless.FORMULAS)
    assert page.locator("p .may-break wbr").count() > 20
    assert page.locator("mjx-math:not(.may-break) wbr").count() == 0


LARGE = ((390, 24), (360, 24), (360, 32), (1280, 32))
"""Width of the window, and size of the letters, in pixels."""


@pytest.mark.parametrize(("path", "sizes"), [("setup", LARGE), ("regularizer", LARGE[2:3])])
def test_in_large_text_no_formula_is_cut(opened, site, path, sizes):
    """In theorems and exercises too; control: they are where none may end a line or scroll."""
    page = opened(f"{site}/book/{path}.html")
    for width, letters in sizes:
        assert formulas.clipped_at(page, width, letters) == []
        assert page.locator("mjx-container wbr").count() > 20
    assert formulas.clipped_at(page, DESKTOP, 16) == []
    assert page.locator(".boxed").count() == 0  # what was for large letters only is gone
    page.add_style_tag(content="mjx-container wbr { display: none }")
    page.add_style_tag(content=".boxed { display: inline !important }")
    assert formulas.clipped_at(page, *LARGE[0])


PIECES = {  # of a formula in a block too narrow for it
    "(x + y)": ["(x+y)"],
    "K(x, X) K(X, X)": ["K(x,X)", "K(X,X)"],
    "f(x, y) = |a + b| - c": ["f(x,y)=", "|a+b|−c"],
    r"\|u - v\|^2 \le \tfrac12": ["‖u−v‖2≤", "12"],
}


@pytest.mark.parametrize("tex", PIECES)
def test_a_short_formula_ends_a_line_where_it_has_no_room(opened, site, tex):
    """Never between parentheses or bars where there is another place; with room it is whole."""
    page = opened_with(opened, site, rf"<p><span class='math'>\({tex}\)</span></p>")
    pieces = PIECES[tex]
    for width, due in ((90, pieces), (400, ["".join(pieces)]), (90, pieces)):
        page.evaluate(f"document.querySelector('article p').style.width = '{width}px'")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
        assert page.evaluate(BROKEN) == due, width


@pytest.mark.parametrize("tex", [r"\sqrt{a + b + c + d + e + f}", r"f_{abcdefghijklmnopqrstuvw}"])
def test_what_can_end_no_line_scrolls_in_a_box_that_says_so(opened, site, tex):
    page = opened_with(opened, site, rf"<p><span class='math'>\({tex}\)</span></p>")
    page.evaluate("document.querySelector('article p').style.width = '90px'")
    page.wait_for_selector(f"article p .boxed.{HINT}[tabindex='0']")
    page.evaluate("document.querySelector('article p').style.width = '400px'")
    page.wait_for_selector(f"article p .MathJax:not(.boxed, .{HINT})")


BROKEN = """() => {
    const copy = document.querySelector('article p mjx-math').cloneNode(true);
    copy.querySelectorAll('wbr').forEach((place) => place.replaceWith('/'));
    copy.querySelectorAll('mjx-c').forEach((c) => {
        const code = c.className.match(/mjx-c([0-9A-F]+)/)[1];
        c.textContent = String.fromCodePoint(parseInt(code, 16));
    });
    return copy.textContent.normalize('NFKC').split('/').map((t) => t.replace(/\\s/g, ''));
}"""
"""The pieces between the places where a formula may end a line."""


def opened_with(opened, site, inside: str):
    """A page of the site with something else in its article."""
    page = opened("about:blank")
    address = f"{site}/book/setup.html"
    text = (SITE / "book/setup.html").read_text("utf-8")
    head, rest = text.split('<article class="bd-article">', 1)
    made = f'{head}<article class="bd-article">{inside}</article>{rest.split("</article>", 1)[1]}'
    page.route(address, lambda route: route.fulfill(body=made, content_type="text/html"))
    page.goto(address)
    page.evaluate("MathJax.startup.promise")
    return page


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
    "page": f"<div style='width: {WIDE}px; height: 1px'></div>",
}
NAMED = {"folded": "cut"}


def test_sound_pages_pass(opened, made):
    for name, inside in SOUND.items():
        found = formulas.clipped_formulas(opened(made(made_page(inside))))
        assert found == [], name


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found_at_every_width(opened, made, fault):
    found = formulas.clipped_formulas(opened(made(made_page(FAULTS[fault]))))
    every = {f"{width} px" for width in WIDTHS} | {"200 %", "print"}
    assert {line.split(": ")[0] for line in found} == every
    assert {line.split(": ")[1] for line in found} >= {NAMED.get(fault, fault)}


SCROLLS_ON_PHONES = [f"{width} px: scrolls: " for width in WIDTHS if width <= PHONE]


@pytest.mark.parametrize("mark", [f"class={HINT}", ""], ids=["marked", "unmarked"])
def test_a_wide_formula_may_scroll_on_a_phone_alone_and_says_so(opened, made, mark):
    """One of 500 pixels fits a leaf and a tablet; on a phone it scrolls."""
    box = f"<div {mark} style='overflow-x: auto; padding: 2px'>{formula(500)}</div>"
    found = formulas.clipped_formulas(opened(made(made_page(box))))
    assert found == ([] if mark else SCROLLS_ON_PHONES)
    assert 500 < PAPER


def test_a_box_that_is_marked_but_draws_no_bar_is_found(opened, made):
    box = f"<div class={HINT} style='overflow-x: auto; padding: 2px'>{formula(500)}</div>"
    found = formulas.clipped_formulas(opened(made(f"<!doctype html><title>t</title>{box}")))
    assert found == SCROLLS_ON_PHONES
