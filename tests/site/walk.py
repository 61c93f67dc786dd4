"""One visit to a page: all that is looked at there, as data for the tests.

A page is loaded once, in a window as narrow as a phone's, which then is made wide; formulas come
last.  A page that is looked at closely (:mod:`sample`) is also seen in the dark, as when a reader's
system goes over to its night, and axe-core is asked about its colours.  Whatever is new to be
looked at belongs here: a field of :class:`Look` if it depends on the width or the colours, of
:class:`Visit` if not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import barriers
import boxes
import formulas
from headless import (
    BROKEN_IMAGES,
    DESKTOP,
    FORMULAS,
    OVERFLOW,
    PHONE,
    Findings,
)
from playwright.sync_api import Browser, Page

WIDTHS = (PHONE, DESKTOP)
THEMES = ("light", "dark")
RULES = {(DESKTOP, "light"): barriers.RULES, (DESKTOP, "dark"): barriers.RULES_OF_COLOURS}
"""What axe-core is asked at each look: everything at a desk, where nothing is hidden, and in the
dark what can differ there.  On a phone :mod:`boxes` asks of every page whether a keyboard can
scroll what scrolls, and test_access.py everything, of some pages."""

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
# The scripts of the theme, where there is one, have followed; what fades is at its end.
TURNED = """(theme) => {
    if ((document.documentElement.dataset.theme ?? theme) !== theme) return false;
    document.getAnimations().forEach((a) => { if (a instanceof CSSTransition) a.finish(); });
    return true;
}"""
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
            looks: seen.map((e) => e.className),
            shown: seen.filter((e) => e.checkVisibility()).map((e) => e.className),
            provenance: own('.provenance').length,
            files: [...links].map((a) => a.href),
        };
    });
}"""


@dataclass(frozen=True)
class Look:
    """A page at one width and in one of its colours."""

    figures: list[dict]
    violations: list[dict] = field(default_factory=list)
    """What axe-core finds."""


@dataclass(frozen=True)
class Visit:
    """A page, loaded once."""

    findings: Findings
    own_bytes: int
    """Of what a phone loads of its own, scrolled to the end."""
    clipped: list[str] = field(default_factory=list)
    """Formulas cut, where they have least room and on paper."""
    half_shown: list[str] = field(default_factory=list)
    """Boxes that show a part and do not say so, on a small phone; cut ones, there and on paper."""
    looks: dict[tuple[int, str], Look] = field(default_factory=dict)
    """(width, theme) → what is seen there."""

    def violations(self) -> list[dict]:
        """What axe-core finds, and where."""
        return [
            violation | {"width": width, "theme": theme}
            for (width, theme), look in self.looks.items()
            for violation in look.violations
        ]


def visit(browser: Browser, url: str, good: set[str] | None = None, closely: bool = True) -> Visit:
    """Load ``url``, and look at everything; if not ``closely``, not at its colours.

    ``good``: looks of text known to be read well, as for :func:`barriers.violations`.
    """
    findings = Findings()
    view = {"width": PHONE, "height": 900}
    with browser.new_context(viewport=view, reduced_motion="reduce") as context:
        page = context.new_page()
        findings.watch(page, urlsplit(url).netloc)
        page.goto(url, wait_until="load")
        findings.formulas = page.evaluate(FORMULAS)
        page.evaluate(SCROLL_THROUGH)
        visited = Visit(findings, page.evaluate(OWN_BYTES))
        with barriers.boxes_for_glyphs(page):
            for width in WIDTHS:
                page.set_viewport_size(view | {"width": width})
                look_around(page, width, visited, good, closely)
        # With the glyphs what can end a line may do so; formulas are fitted anew in another width.
        for width in reversed(formulas.HARDEST):
            visited.clipped.extend(formulas.clipped_at(page, width))
            if width < formulas.TABLET:
                visited.half_shown.extend(boxes.half_shown(page))
            findings.overflow = max(findings.overflow, page.evaluate(OVERFLOW))
        visited.clipped.extend(formulas.clipped_on_paper(page))
        visited.half_shown.extend(boxes.half_shown(page, paper=True))
    return visited


def look_around(
    page: Page, width: int, visited: Visit, good: set[str] | None, closely: bool
) -> None:
    """All that is seen of a page at one width; only by light if not ``closely``."""
    # Dark first where the page is dark already: to change the colours is to draw it anew.
    themes = THEMES if closely else THEMES[:1]
    for theme in themes if width == PHONE else reversed(themes):
        look(page, width, theme, visited)
        rules = RULES.get((width, theme))
        if rules:
            rules = rules if closely else barriers.ALL_BUT_COLOURS
            with visited.findings.look_away():  # axe-core loads imported styles by a wrong address
                found = barriers.violations(page, rules, good)
            visited.looks[width, theme].violations.extend(found)


def look(page: Page, width: int, theme: str, visited: Visit) -> None:
    """What is seen of a page at one width and in one of its colours, by anyone."""
    turn(page, theme)
    visited.findings.images += page.evaluate(BROKEN_IMAGES)
    visited.findings.overflow = max(visited.findings.overflow, page.evaluate(OVERFLOW))
    visited.looks[width, theme] = Look(page.evaluate(FIGURES))


def turn(page: Page, theme: str) -> None:
    """Show a page light or dark, with its pictures."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(TURNED, arg=theme)
    page.evaluate(SCROLL_THROUGH)
