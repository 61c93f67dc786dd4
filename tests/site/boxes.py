"""Boxes of a page that show a part of what is in them: on a phone they say so, on paper none may.

A box that scrolls sideways says that it goes on by the bar of :data:`formulas.HINT`; listings need
none, their lines are seen to be cut.  One that hides what is too large, and on paper one that
scrolls, is at fault in any case.
"""

from __future__ import annotations

from formulas import HINT
from playwright.sync_api import Page

FAULTS = """async ({hint, paper}) => {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const fault = (e) => {
        if (e.scrollWidth <= e.clientWidth + 1 || !e.checkVisibility()) return '';
        const style = getComputedStyle(e);
        if (style.overflowX === 'visible' || style.display === 'inline') return '';
        if (paper || style.overflowX === 'hidden') return 'cut';
        const said = e.localName === 'pre'
            || e.classList.contains(hint) && style.backgroundImage !== 'none';
        return said ? '' : 'goes on unsaid';
    };
    const inside = ':not(mjx-container *, [role=tooltip] *)';
    return [...document.querySelectorAll(`article ${inside}`)].flatMap((e) => {
        const why = fault(e);
        const what = `${e.localName}.${e.className} ${e.textContent.trim().slice(0, 40)}`;
        return why ? [`${why}: ${what}`] : [];
    });
}"""


def half_shown(page: Page, paper: bool = False) -> list[str]:
    """Boxes of the loaded ``page``, as it is set now, that are at fault."""
    return page.evaluate(FAULTS, {"hint": HINT, "paper": paper})
