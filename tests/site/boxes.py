"""Boxes of a page that show a part of what is in them: on a phone they say so, on paper none may.

One that scrolls can be scrolled by the keyboard too: it, or something in it, is a stop of the Tab
key.

A box that scrolls sideways says that it goes on by the bar of :data:`formulas.HINT`; listings need
none, their lines are seen to be cut.  One that hides what is too large, and on paper one that
scrolls, is at fault in any case.
"""

from __future__ import annotations

from formulas import HINT
from playwright.sync_api import Page

FAULTS = """async ({hint, paper}) => {
    const stop = ['a[href]', 'button', 'input', 'select', 'summary', '[tabindex]']
        .map((e) => `${e}:not([tabindex^="-"], :disabled)`).join();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const fault = (e) => {
        if (e.scrollWidth <= e.clientWidth + 1 || !e.checkVisibility()) return '';
        const style = getComputedStyle(e);
        if (style.overflowX === 'visible' || style.display === 'inline') return '';
        if (paper || style.overflowX === 'hidden') return 'cut';
        const said = e.localName === 'pre'
            || e.classList.contains(hint) && style.backgroundImage !== 'none';
        if (!said) return 'goes on unsaid';
        return e.matches(stop) || e.querySelector(stop) ? '' : 'out of reach of the keyboard';
    };
    const inside = 'article :not(mjx-container *, [role=tooltip] *)';
    const faults = () => [...document.querySelectorAll(inside)].flatMap((e) => {
        const why = fault(e);
        const what = `${e.localName}.${e.className} ${e.textContent.trim().slice(0, 40)}`;
        return why ? [`${why}: ${what}`] : [];
    });
    // The theme makes boxes stops of the Tab key some time after the window has a new width.
    let found = faults();
    for (let i = 0; i < 20 && found.some((f) => f.startsWith('out of reach')); i += 1) {
        await new Promise((done) => setTimeout(done, 50));
        found = faults();
    }
    return found;
}"""


def half_shown(page: Page, paper: bool = False) -> list[str]:
    """Boxes of the loaded ``page``, as it is set now, that are at fault."""
    return page.evaluate(FAULTS, {"hint": HINT, "paper": paper})
