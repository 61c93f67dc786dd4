"""Formulas that a reader cannot see whole: cut by a box, beyond the page, or scrolled out of sight.

A formula is at fault when a part of it

* lies outside what an ancestor shows that hides or scrolls what is too large (``overflow``): to
  the side, or above and below (*shaved*);
* sticks out of the block that it stands in (paragraph, cell, note), into what is beside it;
* lies to the left or to the right of the page;

or when it is *torn* from the stop that follows it, which begins the next line.

So a box that scrolls sideways is at fault on a desk and on a tablet; below :data:`TABLET` it is
excused if the formula can be scrolled to whole (a cell of a table) or, being the formula's own
box, shows that it goes on (the class :data:`HINT`, set by book/_static/access.js, for which
book/_static/book.css draws a bar).  A page that itself scrolls sideways is never excused.  Details
are opened first; what is not displayed (the boxes of terms) is not looked at.
"""

from __future__ import annotations

from playwright.sync_api import Page

PHONE, TABLET = 390, 768
WIDTHS = (2560, 1200, 1024, TABLET, PHONE, 320)
HARDEST = (1200, 320)
"""Of all widths from a tablet's on, and of those of phones, the one where text and notes beside it
are narrowest (a test measures that): 1200 between two side bars."""
ZOOMED = 640
"""What a window of 1280 pixels holds at 200 %, in CSS pixels."""
PAPER = 718
"""A leaf of A4 between the margins that Chromium leaves by itself (1 cm), in CSS pixels."""
HEIGHT = 900
HINT = "goes-on"
SLACK = 1
"""Of a formula over the edge of a box that cuts, in CSS pixels: rounding."""
ROOM = 0.9
"""Above and below a formula in a box that cuts: its edge falls on a whole pixel, within one."""
OVERHANG = 3
"""Of a formula over the edge of a block that does not: hats and slanted capitals reach out."""

FAULTS = """async ({phone, hint, slack, room, overhang}) => {
    document.querySelectorAll('details:not([open])').forEach((fold) => { fold.open = true; });
    // A side bar that is still sliding out of a window made narrower.
    document.getAnimations().forEach((a) => { if (a instanceof CSSTransition) a.finish(); });
    // The boxes that scroll learn of a new width with the next frame.
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const root = document.documentElement, seen = new Map();
    const BLOCK = /^(block|flow-root|list-item|table-cell|table-caption|flex|grid)/;
    // What an element shows of its content, and how.
    const box = (e) => {
        if (!seen.has(e)) {
            const style = getComputedStyle(e), edge = e.getBoundingClientRect();
            seen.set(e, {
                left: edge.left + e.clientLeft, top: edge.top + e.clientTop,
                right: edge.right - (e.offsetWidth - e.clientWidth - e.clientLeft),
                bottom: edge.bottom - (e.offsetHeight - e.clientHeight - e.clientTop),
                block: BLOCK.test(style.display),
                clips: style.overflowX !== 'visible' && style.display !== 'inline',
                sideways: /auto|scroll/.test(style.overflowX),
                // Tall enough to be scrolled on purpose: the side bars.
                upright: /auto|scroll/.test(style.overflowY) && e.clientHeight > 300,
                bar: e.classList.contains(hint) && style.backgroundImage !== 'none',
            });
        }
        return seen.get(e);
    };
    const fault = (formula) => {
        const parts = [...formula.getClientRects()].filter((part) => part.width > 0);
        const shows = {opacityProperty: true, visibilityProperty: true};
        if (!parts.length || !formula.checkVisibility(shows)) return '';
        const left = Math.min(...parts.map((part) => part.left));
        const right = Math.max(...parts.map((part) => part.right));
        const padding = parseFloat(getComputedStyle(formula).paddingTop);
        const top = Math.min(...parts.map((part) => part.top)) + padding;
        const bottom = Math.max(...parts.map((part) => part.bottom)) - padding;
        const out = (b, by) => left < b.left - by || right > b.right + by;
        let free = true;  // no block met yet, and no box that scrolls
        for (let e = formula.parentElement; e && e !== document.body; e = e.parentElement) {
            const b = box(e);
            const high = top < b.top + room || bottom > b.bottom - room;
            if (b.clips && !b.upright && high) return 'shaved';
            if (b.clips && out(b, slack)) {
                if (!b.sideways) return 'cut';
                const whole = right - left <= b.right - b.left + slack;
                return phone && (whole || b.bar) ? '' : 'scrolls';
            }
            if (b.block && free) {
                if (out(b, overhang)) return 'sticks out';
                free = false;
            }
        }
        if (left < -slack || right > root.clientWidth + slack) return 'beyond the page';
        const after = formula.parentElement.parentElement.nextSibling;
        if (after?.nodeType !== Node.TEXT_NODE || /^\\s/.test(after.data)) return '';
        const range = document.createRange();
        range.setStart(after, 0);
        range.setEnd(after, 1);
        const stop = range.getBoundingClientRect();
        return stop.left < parts.at(-1).right - overhang ? 'torn' : '';
    };
    const written = new Map();
    for (const item of window.MathJax?.startup?.document?.math ?? [])
        written.set(item.typesetRoot, item.math);
    const found = [];
    for (const formula of document.querySelectorAll('mjx-container > mjx-math')) {
        const why = fault(formula), tex = written.get(formula.parentElement) ?? '';
        if (why) found.push(`${why}: ${tex.trim().replace(/\\s+/g, ' ').slice(0, 80)}`);
    }
    const beyond = Math.max(root.scrollWidth, document.body.scrollWidth) - root.clientWidth;
    if (beyond > 0) found.push(`page: ${beyond} px wider than the window`);
    return found;
}"""


def clipped_formulas(page: Page) -> list[str]:
    """What of the formulas of the loaded ``page`` cannot be seen whole, and where.

    The window is made as wide as each of :data:`WIDTHS`, the page seen at 200 % and set for
    :data:`PAPER`; at the end it has its size and its medium again.
    """
    before, found = page.viewport_size, []
    for width in WIDTHS:
        found += clipped_at(page, width)
    found += clipped_zoomed(page)
    found += clipped_on_paper(page)
    page.emulate_media(media="screen")
    page.set_viewport_size(before)
    return found


def clipped_at(page: Page, width: int, letters: int = 0) -> list[str]:
    """What cannot be seen whole in a window of ``width`` pixels, which the page keeps.

    With ``letters``, the size of the page's letters in pixels, a formula may scroll as on a phone.
    """
    page.evaluate("window.MathJax?.startup?.promise")
    page.set_viewport_size({"width": width, "height": HEIGHT})
    if letters:
        page.evaluate("(px) => { document.documentElement.style.fontSize = `${px}px`; }", letters)
    return [f"{width} px: {fault}" for fault in faults(page, PHONE if letters else width)]


def clipped_zoomed(page: Page) -> list[str]:
    """What cannot be seen whole at 200 %; the window then has its size again."""
    view = {"width": ZOOMED, "height": HEIGHT // 2, "deviceScaleFactor": 2, "mobile": False}
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setDeviceMetricsOverride", view)
    found = [f"200 %: {fault}" for fault in faults(page, ZOOMED)]
    session.detach()
    return found


def clipped_on_paper(page: Page) -> list[str]:
    """What cannot be seen whole on paper, for which the page is set from then on."""
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER, "height": HEIGHT})
    return [f"print: {fault}" for fault in faults(page, PAPER)]


def faults(page: Page, width: int) -> list[str]:
    """What is wrong with the formulas of ``page`` as it is set now, ``width`` pixels wide."""
    limits = {"slack": SLACK, "room": ROOM, "overhang": OVERHANG}
    return page.evaluate(FAULTS, {"phone": width < TABLET, "hint": HINT, **limits})
