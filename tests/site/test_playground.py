"""The playground's page: runs by one key, compared, shared by an address; tasks; no barrier."""

from __future__ import annotations

import barriers
import headless
import playpage
import pytest
from headless import OVERFLOW, SITE

SMALL = "d: 8, n: 60, m: 100"


@pytest.fixture
def bare(browser, tmp_path):
    """The playground on a page of its own, a file, with a small default case."""
    for name in playpage.SCRIPTS:
        text = (playpage.FOLDER / name).read_text("utf-8")
        if name == "model.js":
            assert "d: 32, n: 300, m: 600" in text
            text = text.replace("d: 32, n: 300, m: 600", SMALL)
        (tmp_path / name).write_text(text, "utf-8")
    file = tmp_path / "page.html"
    file.write_text(playpage.bare_page(playpage.box(None, ""), tmp_path), "utf-8")
    with browser.new_context(viewport={"width": 1000, "height": 900}) as context:
        page = context.new_page()
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.address = file.as_uri()
        yield page
        assert page.faults == []


def rows(page) -> list[list[str]]:
    """The table of runs, cell by cell."""
    return [row.locator("th, td").all_inner_texts() for row in page.locator("tbody tr").all()]


def finished(page, count: int) -> list[list[str]]:
    """The table when ``count`` runs have ended."""
    page.wait_for_function(
        "(n) => document.querySelectorAll('tbody tr').length === n"
        " && ![...document.querySelectorAll('tbody td')].some((e) => e.textContent === '…')",
        arg=count,
    )
    return rows(page)


def test_a_run_by_one_key_from_an_address(bare):
    """One key trains what the address says; its numbers are those of the model alone."""
    bare.goto(f"{bare.address}#n=80&lambda=10&target=sparse&seed=7&m=nonsense&d=1000&model=fool")
    assert bare.locator("#playground-d").input_value() == "40"  # as far as it goes
    bare.locator("#playground-d").fill("12")
    bare.locator("#playground-d").press("r")
    (row,) = finished(bare, 1)
    assert "d = 12, n = 80, target sparse, λ2 = 10, seed 7" in row[0]
    said = bare.locator(".playground-status").inner_text()
    assert "Run 1" in said and "f Q has" in said.replace("fQ", "f Q") and "dense part" not in said
    settings = (
        "{...playgroundModel().defaults, d: 12, n: 80, lambda: 10, target: 'sparse', seed: 7}"
    )
    test = bare.evaluate(
        f"() => {{ let end; playgroundModel().train({settings}, () => {{}},"
        " (t, v) => { end = v.test; }); return end; }"
    )
    assert float(row[1]) == float(f"{test:.2g}")
    link = bare.locator("tbody a").get_attribute("href")
    bare.goto(f"{bare.address}{link}")  # what one sends to a friend
    bare.reload()
    assert bare.locator("#playground-n").input_value() == "80"
    bare.locator("#playground-n").press("r")
    assert finished(bare, 1)[0][1:] == row[1:]  # the same numbers again


def test_runs_are_compared_and_removed(bare):
    bare.goto(bare.address)
    bare.locator("#playground-n").press("r")
    bare.locator("#playground-lambda").press("Home")
    bare.keyboard.press("Enter")
    first, second = finished(bare, 2)
    assert "λ2 = 0" in second[0] and first[1:] != second[1:]
    faint = bare.locator("[data-chart=losses] .curve.faint")
    bold = bare.locator("[data-chart=losses] .curve.test:not(.faint)")
    assert faint.count() == bold.count() == 1
    before = bold.get_attribute("d")
    bare.get_by_label("draw run 1").check()
    assert faint.get_attribute("d") == before != bold.get_attribute("d")
    label = bare.locator("[data-chart=learned]").get_attribute("aria-label")
    assert "Run 1" in label and "f_L has" in label
    bare.get_by_label("remove run 1").click()
    assert len(rows(bare)) == 1 and faint.count() == 0


def test_every_task_is_answered_from_its_runs(bare):
    bare.goto(bare.address)
    status, buttons = bare.locator(".playground-status"), bare.locator(".playground-tasks button")
    answers = []
    for number in range(buttons.count()):
        buttons.nth(number).click()
        assert "Guess" in bare.locator(".playground-question").inner_text() or answers
        bare.wait_for_function(
            "!document.querySelector('.playground-question').textContent.includes('Guess')"
        )
        answers.append(status.inner_text())
    assert len(set(answers)) == 5 and not any("NaN" in a or "undefined" in a for a in answers)
    by_run = {row[0].split(" ", 2)[-1]: row for row in rows(bare)}
    off, default = by_run["λ2 = 0"], by_run["default"]
    ends = f"ends at {off[1]} without and at {default[1]} with it"
    assert ends in answers[0] and f"fL has {off[5]}" in answers[0]
    assert "3 Only" in buttons.nth(2).inner_text() and by_run["fQ alone"][1] in answers[2]


def test_on_a_phone_a_task_shows_what_it_does(bare):
    bare.set_viewport_size({"width": 390, "height": 700})
    bare.emulate_media(reduced_motion="reduce")
    bare.goto(bare.address)
    top = "(q) => document.querySelector(q).getBoundingClientRect().top / innerHeight"
    assert bare.evaluate(top, ".playground-status") > 1
    bare.locator(".playground-tasks button").first.click()
    finished(bare, 2)
    assert 0 <= bare.evaluate(top, ".playground-question") < 0.2
    assert bare.evaluate(top, ".playground-status") < 0.5
    assert bare.evaluate(top, ".playground-chart") < 0.8


def test_a_long_run_is_stopped(bare):
    bare.goto(f"{bare.address}#d=40&n=600&m=2000&lambda=100")
    bare.get_by_role("button", name="Run").click()
    assert bare.get_by_role("progressbar").is_visible()
    bare.get_by_role("button", name="Stop").click()
    assert bare.locator(".playground-status").inner_text() == "Stopped."
    assert not bare.get_by_role("progressbar").is_visible() and len(rows(bare)) == 1


LOOK = """() => {
    window.seen = new Set();
    const look = () => {
        const curve = document.querySelector('[data-chart=losses] .curve.test');
        if (curve) window.seen.add(curve.getAttribute('d'));
        requestAnimationFrame(look);
    };
    look();
}"""
"""Notes what the test loss looks like in each frame."""


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_where_that_is_asked(bare, motion):
    """With reduced motion curves are drawn once, when a run has ended."""
    bare.emulate_media(reduced_motion=motion)
    bare.goto(f"{bare.address}#n=200&m=400&d=16")
    bare.evaluate(LOOK)
    bare.get_by_role("button", name="Run").click()
    finished(bare, 1)
    drawings = bare.evaluate("new Promise((done) => setTimeout(() => done(seen.size), 50))")
    assert drawings <= 1 if motion == "reduce" else drawings > 3


def test_the_built_page_plays_from_a_file(browser):
    """As a reader has it who opened the file: light and dark, desk and small phone, no barrier."""
    with browser.new_context(reduced_motion="reduce") as context:
        page, faults = context.new_page(), []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: m.type == "error" and faults.append(m.text))
        file = SITE / "book/playground.html"
        page.goto(f"{file.as_uri()}#d=8&n=60&m=100")
        page.evaluate(headless.FORMULAS)
        assert page.locator(".playground-story svg").count() == 3
        page.get_by_role("button", name="Run").click()
        finished_on = ".playground-runs tbody td"
        page.wait_for_function(
            f"![...document.querySelectorAll('{finished_on}')].some((e) => e.textContent === '…')"
            f" && document.querySelector('{finished_on}')"
        )
        assert not page.locator(".playground-story").is_visible()
        assert faults == []  # axe-core asks for styles, which a browser denies to files
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")
            for width in (320, 1280):
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate(OVERFLOW) <= 0
                with barriers.boxes_for_glyphs(page):
                    assert barriers.violations(page) == []


def test_the_page_is_light():
    """Its own bytes, scripts and all; shared scripts of the site apart."""
    own = sum(path.stat().st_size for path in playpage.FOLDER.iterdir())
    assert own + (SITE / "book/playground.html").stat().st_size < 1_500_000
    assert "playground/model.js" not in (SITE / "book/notation.html").read_text("utf-8")
