"""Every kind of element against WCAG 2.1 AA and axe-core's best practices; what keys can reach."""

from __future__ import annotations

import barriers
import headless
import pytest
import walk
from headless import DESKTOP, PHONE
from walk import RULES, THEMES, WIDTHS


def test_the_first_stop_of_the_keyboard_skips_to_the_text(browser, site):
    page = browser.new_page(viewport={"width": DESKTOP, "height": 900})
    page.goto(f"{site}/book/index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("!!document.activeElement.closest('#main-content')")
    page.close()


@pytest.mark.parametrize("path", ["index", "joint", "playground", "scorecard"])
def test_a_phone_has_no_barrier_in_light_or_dark(browser, site, path):
    """What is spared on other pages; control: with text made faint in the dark."""
    view = {"width": PHONE, "height": 900}
    page = browser.new_page(viewport=view, reduced_motion="reduce")
    page.goto(f"{site}/book/{path}.html")
    page.evaluate(headless.FORMULAS)
    with barriers.boxes_for_glyphs(page):
        assert barriers.violations(page) == []
        walk.turn(page, "dark")
        assert barriers.violations(page, barriers.RULES_OF_COLOURS) == []
        page.evaluate(FAINT, 20)
        assert barriers.violations(page, barriers.RULES_OF_COLOURS) != []
    page.close()


def test_excuses_have_reasons():
    assert all(reason.strip() for reason in barriers.EXCUSED.values())


# --- negative controls: a made page with each fault is found -----------------------------------

SOUND = """<!doctype html><html lang=en><title>t</title><main><h1>h</h1>{}</main></html>"""
FAULTS = {
    "image-alt": "<img src=favicon.ico>",
    "color-contrast": "<p style='color: #888; background: #fff'>text</p>",
    "link-in-text-block": "<p>words <a href=page.html style='color: #222; text-decoration: none'>"
    "and a link</a> among them</p>",
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
    looks = walk.visit(browser, made(SOUND.format("<p>text</p>"))).looks
    assert looks.keys() == {(width, theme) for width in WIDTHS for theme in THEMES}
    assert not any(look.violations for look in looks.values())


@pytest.mark.parametrize("rule", FAULTS)
def test_fault_is_found(browser, made, rule):
    looks = walk.visit(browser, made(SOUND.format(FAULTS[rule]))).looks
    for (width, theme), look in looks.items():
        found = {violation["rule"] for violation in look.violations}
        asked = (width, theme) == (DESKTOP, "light") or rule in RULES.get((width, theme), ())
        assert (rule in found) == asked, (width, theme)


@pytest.mark.parametrize("rule", FAULTS)
def test_what_a_text_can_break_is_found_on_every_page(browser, made, rule):
    """Where a page is not looked at closely too; colours are not (the control)."""
    looks = walk.visit(browser, made(SOUND.format(FAULTS[rule])), closely=False).looks
    assert looks.keys() == {(width, "light") for width in WIDTHS}
    found = {violation["rule"] for violation in looks[DESKTOP, "light"].violations}
    assert (rule in found) == (rule not in barriers.JUDGED)


# --- what axe-core is spared --------------------------------------------------------------------

FAINT = """(count) => {
    const all = [...document.querySelectorAll('.bd-article :is(p, td, li, a, code, span)')]
        .filter((e) => e.checkVisibility() && e.textContent.trim());
    const change = [(e) => { e.style.color = '#999'; }, (e) => { e.style.opacity = 0.3; },
        (e) => { e.style.background = '#777'; }, (e) => { e.style.fontSize = '8px';
            e.style.color = '#808080'; }];
    for (let i = 0; i < count; i += 1) change[i % 4](all[(i * 7919) % all.length]);
}"""
"""Makes some elements of a page too faint, in four ways."""


@pytest.mark.parametrize("path", ["book/mlp.html", "_modules/escape_ntk/training/descent.html"])
def test_what_axe_is_spared_hides_nothing(browser, site, path):
    """Looks of text and boxes for glyphs, against every text and every glyph."""
    page = browser.new_page(viewport={"width": DESKTOP, "height": 900})
    page.goto(f"{site}/{path}")
    page.evaluate(headless.FORMULAS)
    glyphs = page.locator("mjx-math *").count()
    assert barriers.violations(page, every_text=True) == []
    good: set[str] = set()
    assert barriers.violations(page, good=good) == [] and len(good) > 20
    page.evaluate(FAINT, 60)
    every = {x["why"] for x in barriers.violations(page, every_text=True)}
    with barriers.boxes_for_glyphs(page) as count:
        few, again = ({x["why"] for x in barriers.violations(page, good=good)} for _ in range(2))
    assert page.locator("mjx-math *").count() == glyphs  # they are back
    page.close()
    assert few == again == every and len(every) > 6  # what is found is not taken for good
    assert glyphs >= 5 * count and (count > 100) == path.startswith("book")


ROW = "<tr><td>a <b>word</b></td><td class=c>more</td></tr>"
FAULT_OF_A_ROW = {
    "a kind of its own": "<tr><td>a <b class=faint>word</b></td><td class=c>more</td></tr>",
    "a style": ROW.replace("<b", "<b style='color: #aaa'"),
    "no name": ROW.replace("<b>word</b>", "<a href=page.html></a>"),
    "no alternative": ROW.replace("word", "<img src=favicon.ico>"),
    "an attribute": ROW.replace("<b", "<b aria-pressed=true"),
}


@pytest.mark.parametrize("fault", FAULT_OF_A_ROW)
def test_rows_that_are_spared_hide_nothing(browser, made, fault):
    """A fault in one row of fifty is found as without sparing, and all rows are back."""
    page = browser.new_page()
    for rows, due in (([ROW] * 50, False), ([ROW] * 30 + [FAULT_OF_A_ROW[fault]] * 20, True)):
        style = "<style>.faint { color: #aaa }</style>"
        page.goto(made(SOUND.format(f"{style}<table><tbody>{''.join(rows)}</tbody></table>")))
        every = {(x["rule"], x["why"]) for x in barriers.violations(page, every_text=True)}
        spared = barriers.violations(page)
        assert {(x["rule"], x["why"]) for x in spared} == every and bool(every) == due
        assert page.locator("tr td").count() == 100
        assert page.evaluate(barriers.THIN) == (46 if due else 48)
    page.close()


@pytest.mark.parametrize("inside", ["<a href=page.html>a</a>", "<b tabindex=0></b>", "text"])
def test_a_formula_with_more_than_glyphs_keeps_them(browser, made, inside):
    hidden = f"<mjx-container><mjx-math aria-hidden=true>{inside}</mjx-math></mjx-container>"
    page = browser.new_page()
    page.goto(made(SOUND.format(hidden + hidden.replace(inside, "<mjx-mi></mjx-mi>"))))
    with barriers.boxes_for_glyphs(page) as count:
        assert count == 1 and page.locator("mjx-math > *, mjx-math:text('text')").count() == 1
    assert page.locator("mjx-mi").count() == 1
    page.close()
