"""A page can be read before its last formula is typeset, and all of them are in the end."""

from __future__ import annotations

import pytest
from headless import DESKTOP, FORMULAS, PHONE

PAGES = ("book/directions", "book/joint")
"""With hundreds of formulas, and with wide ones in boxes that scroll."""
SHOWN = """(e) => {
    const { width, top, bottom } = e.getBoundingClientRect();
    return width && bottom > 0 && top < innerHeight;
}"""
# What is there when formulas have been typeset for the first time, before anything is painted.
WATCH = f"""window.first = new Promise((done) => document.addEventListener('typeset', () => {{
    const all = [...document.querySelectorAll('.math')];
    const bare = all.filter((e) => !e.querySelector('mjx-container'));
    done({{ all: all.length, bare: bare.length, shown: bare.filter({SHOWN}).length }});
}}, {{ once: true }}))"""
IN_ONE_PIECE = "CSS.supports = () => false"
"""As in a browser that does not keep in its place what is read."""
HELD = "window.requestIdleCallback = () => {}"
"""Nothing is ever idle: after the first piece no other is typeset."""


@pytest.fixture
def opened(browser, site):
    """Return a function that opens a page, a script run before its own."""
    with browser.new_context(viewport={"width": DESKTOP, "height": 900}) as context:

        def load(path: str, *scripts: str, width: int = DESKTOP, media: str = "screen"):
            page = context.new_page()
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(media=media)
            for script in (WATCH, *scripts):
                page.add_init_script(script)
            page.goto(f"{site}/{path}", wait_until="load")
            return page

        yield load


@pytest.mark.parametrize(("path", "width"), zip(PAGES, (DESKTOP, PHONE), strict=True))
def test_what_the_window_shows_is_typeset_first_and_all_in_the_end(opened, path, width):
    page = opened(f"{path}.html", width=width)
    first = page.evaluate("first")
    assert first["shown"] == 0 and first["bare"] > first["all"] / 2
    assert page.evaluate(FORMULAS) == []
    assert page.locator(".math:not(.typeset)").count() == 0


@pytest.mark.parametrize(
    ("scripts", "media"), [([IN_ONE_PIECE], "screen"), ([], "print")], ids=["anchors", "paper"]
)
def test_control_in_one_piece_nothing_is_typeset_later(opened, scripts, media):
    page = opened("book/joint.html", *scripts, media=media)
    assert page.evaluate("first")["bare"] == 0


def test_what_is_asked_for_by_its_address_is_there_and_stays_there(opened):
    """The part that the address names, in the middle of a page: before and after all is typeset."""
    page = opened("book/directions.html#four-kinds-of-movement")
    assert page.evaluate("first")["shown"] == 0
    page.evaluate(FORMULAS)
    top = page.locator("#four-kinds-of-movement").evaluate("(e) => e.getBoundingClientRect().top")
    assert 0 <= top < 200


def test_a_reader_who_is_faster_sees_the_next_formulas_first(opened):
    """Scrolled to the end while most is due: what is there is typeset before what was passed."""
    slow = """window.pieces = [];
        window.requestIdleCallback = (go) => { window.pieces.push(go); };"""
    page = opened("book/directions.html", slow)
    page.evaluate("first")
    page.evaluate("window.scrollTo({ top: document.body.scrollHeight, behavior: 'instant' })")
    page.evaluate("""new Promise((done) => {
        document.addEventListener('typeset', done, { once: true });
        window.pieces.shift()();
    })""")
    due = page.locator(".math:not(.typeset)")
    assert due.count() > 0
    assert not any(due.evaluate_all(f"(all) => all.map({SHOWN})"))


@pytest.mark.parametrize("asked", [True, False])
def test_all_is_typeset_before_a_page_is_printed(opened, asked):
    """Control: without the event most is not; nothing waits for what is idle."""
    page = opened("book/directions.html", HELD)
    page.evaluate("first")
    if asked:
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    bare = page.locator(".math:not(:has(mjx-container))").count()
    assert bare == 0 if asked else bare > 100


UNHEARD = """document.dispatchEvent = function (event) {
    return event.type === 'typeset' || EventTarget.prototype.dispatchEvent.call(this, event);
}"""


@pytest.mark.parametrize("heard", [True, False])
def test_a_wide_formula_further_down_says_that_it_goes_on(opened, heard):
    """Control: where nobody hears that it has been typeset, it does not."""
    page = opened("book/end-to-end.html", *[UNHEARD] * (not heard), width=320)
    page.evaluate(FORMULAS)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
    wide = page.locator("mjx-container.goes-on[tabindex='0']")
    below = "(all) => all.filter((e) => e.getBoundingClientRect().top > 3 * innerHeight).length"
    assert (wide.evaluate_all(below) > 3) == heard
