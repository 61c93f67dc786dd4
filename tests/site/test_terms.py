"""Definitions of terms in a real browser: by pointer, by keyboard, by touch, on paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser

import headless
import pytest
from headless import DESKTOP, PAGES, PHONE, SITE
from playwright.sync_api import Browser, Locator, Page

PAGE = "book/joint.html"
"""With definitions in sentences, statements and lists, and formulas in some."""
WITH_SYMBOLS = "book/idea.html"
"""A page whose displayed formulas say what their symbols mean."""
SOON = 400
"""Milliseconds after which a definition is there: it waits a little for a passing pointer."""
GLOSSARY = "book/glossary.html"
WITH_TERMS = [
    path for path in PAGES if 'role="tooltip"' in (SITE / path).read_text(encoding="utf-8")
]
BOX = "[role=tooltip]"
TEXT_BLOCKS = {"p", "li", "dd", "td", "figcaption"}
BLOCKS = {"p", "div", "ul", "ol", "li", "dl", "table", "pre", "section", "figure"}


def seen(definition: Locator) -> bool:
    """Whether a definition can be read."""
    return definition.evaluate("(e) => e.checkVisibility({visibilityProperty: true})")


def faults(page: Page, term: Locator) -> list[str]:
    """What is wrong with the definition of a term when it is pointed at and reached by keyboard."""
    link, definition = term.locator("> a"), term.locator(f"> {BOX}")
    found = [] if not seen(definition) else ["is there unasked"]
    for how in ("pointer", "keyboard"):
        link.scroll_into_view_if_needed()
        link.hover() if how == "pointer" else link.focus()
        page.wait_for_timeout(SOON)
        if not seen(definition):
            found.append(f"{how}: is not shown")
            continue
        found += [f"{how}: {fault}" for fault in misplaced(page, definition)]
        if how == "pointer" and not follows(page, definition):
            found.append("pointer: goes before the pointer reaches it")
        page.keyboard.press("Escape")
        if seen(definition):
            found.append(f"{how}: Escape does not put it away")
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
    label = link.get_attribute("aria-describedby")
    return found + ([] if label == definition.get_attribute("id") else ["does not describe it"])


def misplaced(page: Page, definition: Locator) -> list[str]:
    """Where a definition that is shown sticks out of the window, or widens the page."""
    box, view = definition.bounding_box(), page.viewport_size
    inside = 0 <= box["x"] and box["x"] + box["width"] <= view["width"]
    inside &= 0 <= box["y"] and box["y"] + box["height"] <= view["height"]
    wide = definition.evaluate("(e) => e.scrollWidth - e.clientWidth")
    return (
        ([] if inside else [f"outside the window: {box}"])
        + ([] if page.evaluate(headless.OVERFLOW) <= 0 else ["the page overflows"])
        + ([] if wide <= 0 else [f"its text is {wide} px too wide"])
    )


def follows(page: Page, definition: Locator) -> bool:
    """Whether it stays while the pointer goes from its word straight into it, and rests there."""
    box = definition.bounding_box()
    word = definition.locator("xpath=preceding-sibling::a").bounding_box()
    across = word["x"] + word["width"] / 2
    down = box["y"] > word["y"]
    page.mouse.move(across, box["y"] + (8 if down else box["height"] - 8), steps=25)
    page.wait_for_timeout(SOON)
    return seen(definition)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_definitions_are_shown_and_put_away(browser, site, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(f"{site}/{PAGE}")
    page.evaluate(headless.FORMULAS)  # waits for the mathematics
    terms = page.locator(".term:not(.tag)").all()
    assert len(terms) > 5
    # Of many that are alike some, on the whole length of the page.
    terms = [*terms[:: max(1, len(terms) // 8)], page.locator(".term.tag").first]
    assert {i: f for i, term in enumerate(terms) if (f := faults(page, term))} == {}
    page.close()


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_symbols_of_a_formula_are_explained(browser, site, width):
    """Beside its link as a term is, and where the formula itself is pointed at."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(f"{site}/{WITH_SYMBOLS}")
    page.evaluate(headless.FORMULAS)
    found = page.locator(".term.symbols").all()
    assert len(found) == page.locator("article div.math").count() >= 3
    assert {i: f for i, term in enumerate(found) if (f := faults(page, term))} == {}
    for term in found:
        formula, box = term.locator("> div.math"), term.locator(f"> {BOX}")
        assert box.locator(".symbol").count() >= 3
        formula.scroll_into_view_if_needed()
        formula.hover()
        page.wait_for_timeout(SOON)
        assert seen(box) and misplaced(page, box) == []
        above, below = formula.bounding_box(), box.bounding_box()
        apart = above["y"] + above["height"] <= below["y"] + 1
        assert apart or below["y"] + below["height"] <= above["y"] + 1
        page.mouse.move(0, 0)
    page.close()


def test_formulas_in_a_definition_are_typeset(browser, site):
    page = browser.new_page(viewport={"width": DESKTOP, "height": 800})
    page.goto(f"{site}/{PAGE}")
    page.evaluate(headless.FORMULAS)
    term = page.locator(".term", has=page.locator(f"{BOX} .math")).first
    term.locator("> a").hover()
    page.wait_for_timeout(SOON)
    formula = term.locator(f"{BOX} mjx-container").first
    height = formula.bounding_box()["height"]
    assert 5 < height < 60
    assert "\\(" not in term.locator(BOX).inner_text()
    page.close()


def test_a_definition_stands_above_where_there_is_no_room_below(browser, site):
    page = browser.new_page(viewport={"width": PHONE, "height": 800})
    page.goto(f"{site}/{PAGE}")
    page.evaluate(headless.FORMULAS)
    term = page.locator(".term").nth(5)
    word = term.locator("> a")
    word.evaluate("(e) => scrollBy(0, e.getBoundingClientRect().bottom - innerHeight + 10)")
    word.evaluate("(e) => e.focus({preventScroll: true})")
    page.wait_for_timeout(SOON)
    box = term.locator(BOX).bounding_box()
    assert seen(term.locator(BOX)) and box["y"] + box["height"] <= word.bounding_box()["y"] + 1
    assert misplaced(page, term.locator(BOX)) == []
    page.close()


def test_definitions_need_no_script(browser, site):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site}/{PAGE}")
        term = page.locator(".term").first
        term.locator("> a").hover()
        page.wait_for_timeout(SOON)
        assert seen(term.locator(BOX))
        assert "glossary.html#term-" in term.locator("> a").get_attribute("href")


def test_a_first_tap_shows_and_a_second_follows(browser, site):
    view = {"width": PHONE, "height": 800}
    with browser.new_context(viewport=view, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        page.goto(f"{site}/{PAGE}")
        page.evaluate(headless.FORMULAS)
        term = page.locator(".term").first
        term.locator("> a").tap()
        page.wait_for_timeout(SOON)
        assert page.url.endswith(PAGE) and seen(term.locator(BOX))
        term.locator("> a").tap()
        page.wait_for_url("**/glossary.html#term-*")


def test_definitions_are_not_printed(browser, site):
    page = browser.new_page()
    page.goto(f"{site}/{PAGE}")
    page.locator(".term > a").first.focus()
    page.wait_for_timeout(SOON)
    assert seen(page.locator(BOX).first)
    page.emulate_media(media="print")
    assert not any(seen(definition) for definition in page.locator(BOX).all())
    page.close()


# --- what is written ----------------------------------------------------------------------------


class Written(HTMLParser):
    """The ids of a page, and elements that may not stand within a definition."""

    def __init__(self, text: str):
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.unsound: list[str] = []
        self.depth = 0  # of spans within a definition, itself included
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count ids; note blocks and links within a definition."""
        found = dict(attrs)
        self.ids.update([found["id"]] if found.get("id") else [])
        if self.depth and (tag in BLOCKS or tag == "a"):
            self.unsound.append(tag)
        if tag == "span" and (self.depth or found.get("role") == "tooltip"):
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        """Leave a span."""
        self.depth -= bool(self.depth and tag == "span")


def test_definitions_are_phrases_with_names_of_their_own():
    everywhere: Counter[str] = Counter()
    for path in WITH_TERMS:
        written = Written((SITE / path).read_text("utf-8"))
        assert written.unsound == [], path
        assert [name for name, count in written.ids.items() if count > 1] == [], path
        everywhere.update({name for name in written.ids if "-term-" in name})
    assert len(WITH_TERMS) > 15 and len(everywhere) > 80
    assert set(everywhere.values()) == {1}


def test_definitions_are_not_searched_twice():
    """The index of the search has a word of the glossary for its own page, not for each use."""
    index = (SITE / "searchindex.js").read_text("utf-8")
    assert '"antisymmetr":' in index.replace("antisymmetr:", '"antisymmetr":')
    words = index.replace('"', "")
    assert words.split("antisymmetr:")[1].split(",")[0].strip().isdigit()


# --- negative controls --------------------------------------------------------------------------

TERM = (
    "<p>In a text {style}<span class=term><a href=# aria-describedby=x>a word</a>"
    "<span role=tooltip id=x>What it means.</span></span> and more</p>"
)
BREAK = {
    "is not shown": ".term > [role=tooltip] { display: none !important }",
    "is there unasked": ".term > [role=tooltip] { display: block !important }",
    "outside the window": ".term > [role=tooltip] { left: 60vw !important; width: 60vw }",
    "before the pointer": ".term > [role=tooltip] { margin-top: 60px }",
    "px too wide": ".term > [role=tooltip] { white-space: nowrap; max-width: 20px }",
    "Escape": "",
}


def page_with(browser: Browser, made, css: str, script: bool = True) -> Iterator[list[str]]:
    """Faults of a made page with the book's own style and script, and more style."""
    static = SITE.parents[1] / "book" / "_static"
    style = (static / "book.css").read_text("utf-8") + css
    code = (static / "terms.js").read_text("utf-8") if script else ""
    text = TERM.format(style="")
    html = f"<!doctype html><title>t</title><style>{style}</style><script>{code}</script>"
    page = browser.new_page(viewport={"width": PHONE, "height": 800})
    page.goto(made(f"{html}<article class=bd-article>{text}</article>"))
    found = faults(page, page.locator(".term"))
    page.close()
    return found


def test_a_sound_definition_passes(browser, made):
    assert page_with(browser, made, "") == []


@pytest.mark.parametrize("fault", BREAK)
def test_control_a_broken_definition_is_found(browser, made, fault):
    found = page_with(browser, made, BREAK[fault], script=fault != "Escape")
    assert any(fault in said for said in found), found


def test_control_blocks_links_and_doubled_names_are_found():
    box = "<span role=tooltip id=a>{}</span>"
    assert Written(box.format("<p>no</p>")).unsound == ["p"]
    assert Written(box.format("<span><a href=#>no</a></span>")).unsound == ["a"]
    assert Written(box.format("yes") + "<p>yes</p>").unsound == []
    assert Written(box.format("") * 2).ids == {"a": 2}
