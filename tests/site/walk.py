"""One visit to a page at one width: all that is looked at there, as data for the tests.

A page is loaded once for each width; light and dark are looked at one after the other on that
load, as when a reader's system goes over to its night.  Whatever is new to be looked at on every
page belongs here: a field of :class:`Look` if it depends on the colours, of :class:`Visit` if not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import barriers
import formulas
import pytest
from headless import (
    BROKEN_IMAGES,
    DESKTOP,
    FORMULAS,
    OVERFLOW,
    PAGES,
    PHONE,
    Findings,
)
from playwright.sync_api import Browser, Page

WIDTHS = (DESKTOP, PHONE)
THEMES = {"light": barriers.RULES, "dark": barriers.RULES_OF_COLOURS}
LOOKS = [(width, theme) for width in WIDTHS for theme in THEMES]

# Every picture that can be seen is scrolled to, and there after at most some seconds.
SCROLL_THROUGH = """async () => {
    const seen = (e) => e.checkVisibility() && e.getBoundingClientRect().width > 0;
    for (const picture of [...document.images].filter(seen)) {
        picture.scrollIntoView({behavior: 'instant'});
        for (let i = 0; i < 500 && !picture.complete; i += 1)
            await new Promise((done) => setTimeout(done, 10));
    }
    window.scrollTo({top: document.body.scrollHeight, behavior: 'instant'});
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
# The scripts of the theme, where there is one, have followed, and nothing fades any more.
TURNED = """(theme) => (document.documentElement.dataset.theme ?? theme) === theme
    && document.getAnimations().every((a) => a.playState !== 'running')"""
# What a page loads of its own, without the scripts and styles that all pages share.
OWN_BYTES = """() => performance.getEntriesByType('resource')
    .filter((r) => !r.name.includes('/_static/'))
    .reduce((sum, r) => sum + r.decodedBodySize, 0)"""
# A figure, and what belongs to it before the next one: in the order of the page.
FIGURES = """() => {
    const all = [...document.querySelectorAll('.bd-article figure, .moves, .parts')];
    const after = (a, b) => a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING;
    return all.map((figure, i) => {
        const own = (what) => [...document.querySelectorAll(what)].filter((e) =>
            after(figure, e) && (i + 1 === all.length || after(e, all[i + 1])));
        const links = own('.figure-files')[0]?.querySelectorAll('a') ?? [];
        const seen = [...figure.querySelectorAll('img, svg[role=img]')];
        return {
            id: figure.id || figure.className,
            made: figure.matches('.moves, .parts'),
            alts: seen.map((e) => e.getAttribute(e.matches('img') ? 'alt' : 'aria-label') ?? ''),
            shown: seen.filter((e) => e.checkVisibility()).map((e) => e.className),
            provenance: own('.provenance').length,
            files: [...links].map((a) => a.href),
        };
    });
}"""


@dataclass(frozen=True)
class Look:
    """A page in one of its colours."""

    figures: list[dict]
    violations: list[dict]


@dataclass(frozen=True)
class Visit:
    """A page at one width."""

    findings: Findings
    own_bytes: int
    clipped: list[str] = field(default_factory=list)
    """Formulas cut at this width; on the load for a desktop, at all between and on paper too."""
    looks: dict[str, Look] = field(default_factory=dict)

    def violations(self) -> list[dict]:
        """What axe-core finds, with the colours in which it finds it."""
        return [
            violation | {"theme": theme}
            for theme, look in self.looks.items()
            for violation in look.violations
        ]


def visit(browser: Browser, url: str, width: int, good: set[str] | None = None) -> Visit:
    """Load ``url`` in a window of ``width`` pixels, and look at everything.

    ``good``: looks of text known to be read well, as for :func:`barriers.violations`.
    """
    findings = Findings()
    view = {"width": width, "height": 900}
    with browser.new_context(viewport=view, reduced_motion="reduce") as context:
        page = context.new_page()
        findings.watch(page, urlsplit(url).netloc)
        page.goto(url, wait_until="load")
        findings.formulas = page.evaluate(FORMULAS)
        page.evaluate(SCROLL_THROUGH)
        findings.overflow = max(0, page.evaluate(OVERFLOW))
        visited = Visit(findings, page.evaluate(OWN_BYTES))
        with barriers.boxes_for_glyphs(page):
            for theme, rules in THEMES.items():
                turn(page, theme)
                findings.images += page.evaluate(BROKEN_IMAGES)
                figures = page.evaluate(FIGURES)
                with findings.look_away():  # axe-core loads imported styles by a wrong address
                    found = barriers.violations(page, rules, good)
                    visited.looks[theme] = Look(figures, found)
        visited.clipped.extend(formulas.clipped_at(page, width))
        if width == DESKTOP:
            for other in sorted({*formulas.WIDTHS} - {DESKTOP, PHONE}, reverse=True):
                visited.clipped.extend(formulas.clipped_at(page, other))
            visited.clipped.extend(formulas.clipped_on_paper(page))
    return visited


def turn(page: Page, theme: str) -> None:
    """Show a page light or dark, with its pictures."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(TURNED, arg=theme)
    page.evaluate(SCROLL_THROUGH)


def every_look(browser: Browser, url: str) -> dict[tuple[int, str], Look]:
    """A page at both widths and in both colours."""
    visits = {width: visit(browser, url, width) for width in WIDTHS}
    return {(w, theme): visits[w].looks[theme] for w, theme in LOOKS}


def pages(*only: str):
    """Mark a test to be run for each page; tests of one page run in one process, on its visits."""
    mark = pytest.mark.xdist_group
    chosen = [pytest.param(path, marks=mark(path)) for path in only or PAGES]
    return pytest.mark.parametrize("path", chosen)
