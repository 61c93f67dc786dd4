"""The site in Firefox too: pages load, formulas and figures are there, nothing is wide.

On a phone, and at a desk those on which every kind of element stands (:mod:`sample`).  Pages made
from sources come from one template each: Firefox sees those of that sample.  What is looked at more
closely, in Chromium, is in :mod:`walk`.
"""

from __future__ import annotations

from collections.abc import Sequence

import firefox
import pytest
import walk
from headless import (
    BROKEN_IMAGES,
    DESKTOP,
    FORMULAS,
    FROM_SOURCES,
    OVERFLOW,
    PAGES,
    PHONE,
    Findings,
)
from sample import CLOSELY

VISITED = sorted({path for path in PAGES if not path.startswith(FROM_SOURCES)} | {*CLOSELY})
# Smaller than any that can be read.
WITHOUT_SIZE = """() => [...document.querySelectorAll(
        'figure img, :is(figure, .moves, .parts) svg[role=img]')]
    .filter((e) => e.checkVisibility())
    .filter((e) => Math.min(...['width', 'height'].map((s) => e.getBoundingClientRect()[s])) < 40)
    .map((e) => e.src ?? e.outerHTML.slice(0, 200))"""


def visit(fox: firefox.Tab, url: str, widths: Sequence[int] = (DESKTOP, PHONE)) -> Findings:
    """Load ``url`` at the first of the ``widths``, go through all, and return what is wrong."""
    fox.resize(widths[0])
    fox.open(url)
    findings = fox.findings
    findings.formulas = fox.evaluate(FORMULAS)
    for width in widths:
        fox.resize(width)
        fox.evaluate(walk.SCROLL_THROUGH)
        findings.images += fox.evaluate(BROKEN_IMAGES) + fox.evaluate(WITHOUT_SIZE)
        findings.overflow = max(findings.overflow, fox.evaluate(OVERFLOW))
    return findings


@pytest.mark.parametrize("path", VISITED)
def test_page_has_no_fault_in_firefox(fox, site, path):
    widths = (DESKTOP, PHONE) if path in CLOSELY else (PHONE,)
    assert visit(fox, f"{site}/{path}", widths) == Findings()


TURN = """async () => {
    const looks = [];
    for (let i = 0; i < 3; i += 1) {
        const button = [...document.querySelectorAll('.theme-switch-button')]
            .find((e) => e.checkVisibility());
        button.click();
        document.getAnimations().forEach((a) => a.finish());
        const { mode, theme } = document.documentElement.dataset;
        looks.push([mode, theme, getComputedStyle(document.body).backgroundColor]);
    }
    return looks;
}"""
"""The button for light and dark, three times."""


def test_the_theme_is_turned_in_firefox(fox, site):
    fox.resize(DESKTOP)
    fox.open(f"{site}/search.html")
    looks = fox.evaluate(TURN)
    assert {mode for mode, _, _ in looks} == {"auto", "light", "dark"}
    colours = {theme: colour for _, theme, colour in looks}
    assert {*colours} == {"light", "dark"} and colours["light"] != colours["dark"]


RUN = """async () => {
    document.querySelector('.playground-run').click();
    const cells = () => [...document.querySelectorAll('.playground-runs tbody td')]
        .map((e) => e.textContent);
    for (let i = 0; i < 2000 && (!cells().length || cells().includes('…')); i += 1)
        await new Promise((done) => setTimeout(done, 10));
    return cells();
}"""
"""A run of the playground; the cells of its row when it has ended."""


def test_the_playground_trains_in_firefox(fox, site):
    fox.resize(DESKTOP)
    fox.open(f"{site}/book/playground.html#d=8&n=60&m=100")
    losses = fox.evaluate(RUN)[:2]
    assert all(0 < float(loss.removeprefix("< ")) < 10 for loss in losses)
    assert fox.findings == Findings()


# --- negative controls: a made page with each fault is found ------------------------------------

FAULTS = {
    "console": "<script>null.gone()</script>",
    "failed": "<script src='gone.js'></script>",
    "foreign": "<link rel='stylesheet' href='http://localhost:4999/a.css'>",
    "formulas": r"<span class='math'>\(x\)</span>",
    "images": "<figure><svg role='img' width='9' height='0'></svg></figure>",
    "overflow": "<div style='width: 400px; height: 1px'></div>",
}


@pytest.mark.parametrize("fault", ["none", *FAULTS])
def test_a_fault_is_found_in_firefox(fox, made, fault):
    inside = FAULTS.get(fault, "<p>Text.</p>")
    found = visit(fox, made(f"<!doctype html><title>t</title><meta charset='utf-8'>{inside}"))
    wrong = {name for name in FAULTS if getattr(found, name)}
    assert wrong - {"failed"} == {fault} - {"none", "failed"}
    assert ("failed" in wrong) == (fault in ("failed", "foreign"))
