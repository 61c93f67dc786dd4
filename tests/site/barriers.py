"""What axe-core finds on a page that is open: WCAG 2.1 AA and its best practices.

axe-core comes with the package axe-playwright-python; nothing is fetched.  Three things take most
of its time and are spared it, tests compare with what it finds unspared:

* Contrast is the same for all text and all links that look the same: it is judged on the first and
  the last element of each look, until one has been found good, be it on another page.  A look
  is everything that a judgement of contrast rests on: colour, size and weight of the text, the
  backgrounds, opacities and positions of all that it stands in, and what axe-core may give no
  judgement on: text in pieces, in lines, cut off, or without a word; for a link, its style and
  those of what it stands in, up to the block.  Text that is cut off, as in a side bar that
  scrolls, is judged by that of its look that is not, where there is such.
* The glyphs of a formula are many elements, hidden from assistive technology (the MathML beside
  them is not) and without text: a box of their size stands for them while axe-core looks, and one
  element with all its text for the parts of the MathML.
* Rows of a table that hold no kind of element that rows of its stripe above do not hold are empty
  while it looks: a kind is a tag, the names of its attributes, the values of those that are seen
  or say what it is, and whether it and its attributes are empty.
"""

from __future__ import annotations

import importlib.resources
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Page

AXE = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
MARKED = "data-look"
JUDGED = ("color-contrast", "link-in-text-block")
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")
ALL_BUT_COLOURS = "all but colours"
"""What the text of a page can break, whichever kinds of element stand on it."""
RULES_OF_COLOURS = (*JUDGED, "image-alt", "role-img-alt", "svg-img-alt")
"""What another theme of the same page can break: colours, and the pictures that it shows."""
UNFOLD = """() => {
    const folded = '.conditions details, .provenance, .figure-files, .results > details';
    document.querySelectorAll(folded).forEach((d) => { d.open = true; });
    document.querySelector('#pst-back-to-top')?.style.setProperty('display', 'block');
}"""
"""Looked at although hidden: the hypotheses and claims of theorems, what is under figures and long
tables, and what shows to one who scrolls back."""

RUN = """async (options) => {
    const {violations, incomplete} = await axe.run(document, options);
    const looks = (rules) => rules.filter((v) => JUDGED.includes(v.id)).flatMap((v) =>
        v.nodes.map((n) => n.html.match(/MARKED="([0-9]+)"/)?.[1]));
    return {
        violations: violations.flatMap((v) => v.nodes.map((n) => ({rule: v.id,
            where: n.target.join(' '), html: n.html.slice(0, 160),
            why: n.any.concat(n.all, n.none).map((check) => check.message).join('; ')}))),
        bad: looks(violations),
        open: looks(incomplete),
    };
}""".replace("MARKED", MARKED).replace("JUDGED", str([*JUDGED]))
BRIEF = {"resultTypes": ["violations", "incomplete"], "elementRef": False}
"""Say nothing of what passes: to name those elements takes longer than to judge most of them."""

JUDGE = """([text, link]) => axe.configure({rules: [
    {id: 'color-contrast', selector: text}, {id: 'link-in-text-block', selector: link}]})"""
# Marks elements with text of their own: the first and the last of each look not known to be good.
MARK = """(good) => {
    const known = new Map();
    const ground = (e) => {
        if (!e) return '';
        if (!known.has(e)) {
            const s = getComputedStyle(e);
            const own = [s.backgroundColor, s.backgroundImage, s.backgroundClip, s.opacity,
                s.filter, s.mixBlendMode, s.position, s.zIndex, s.visibility, s.clipPath].join();
            known.set(e, ground(e.parentElement) + (own === PLAIN ? '' : own));
        }
        return known.get(e);
    };
    const PLAIN = ['rgba(0, 0, 0, 0)', 'none', 'border-box', '1', 'none', 'normal', 'static',
        'auto', 'visible', 'none'].join();
    const boxes = new Map();  // what clips the content of an element
    const clips = (e) => {
        if (!e || e === document.body) return [];
        if (!boxes.has(e)) {
            const above = clips(e.parentElement);
            const clip = getComputedStyle(e).overflowX !== 'visible';
            boxes.set(e, clip ? [...above, e.getBoundingClientRect()] : above);
        }
        return boxes.get(e);
    };
    const outside = (e) => {
        const r = e.getBoundingClientRect();
        return clips(e).some((b) => r.left < b.left || r.right > b.right || r.top < b.top
            || r.bottom > b.bottom);
    };
    const WORD = /[\\p{L}\\p{N}]{2}/u, looks = new Map(), whole = new Map();
    const meet = (look, e) => looks.set(look, [...(looks.get(look) ?? []).slice(0, 1), e]);
    const styles = new Map();  // by which a link is told from the text around it
    const style = (e) => {
        if (!styles.has(e)) {
            const s = getComputedStyle(e);
            styles.set(e, [s.display, s.color, s.font, s.textDecoration, s.border, s.outline,
                s.background].join());
        }
        return styles.get(e);
    };
    for (const e of document.body.querySelectorAll('a[href]')) {
        if (!e.checkVisibility()) continue;
        const look = ['link', ground(e)];
        for (const side of ['::before', '::after']) look.push(getComputedStyle(e, side).content);
        for (let at = e; at; at = at.parentElement) {
            look.push(style(at));
            if (!look.at(-1).startsWith('inline')) break;
        }
        meet(look.join('|'), e);
    }
    for (const e of document.body.querySelectorAll('*')) {
        const text = [...e.childNodes].map((n) => n.nodeType === 3 ? n.data : '').join(' ').trim();
        if (!(text || e.matches('input, textarea, select')) || !e.checkVisibility()) continue;
        const s = getComputedStyle(e);
        const look = [s.color, s.fontSize, s.fontWeight, s.textShadow, s.webkitTextFillColor,
            s.webkitTextStroke, s.textIndent, e.childElementCount > 0,
            e.getClientRects().length > 1, WORD.test(text),
            e.matches('input, textarea, select, button'),
            !!e.closest('[disabled], [aria-disabled=true]'), ground(e)].join('|');
        if (outside(e)) whole.set(`cut off|${look}`, look);
        meet(outside(e) ? `cut off|${look}` : look, e);
    }
    document.querySelectorAll('[MARKED]').forEach((e) => e.removeAttribute('MARKED'));
    const judged = new Set([...good, ...looks.keys()]);
    for (const [look, uncut] of whole) if (judged.has(uncut)) looks.delete(look);
    for (const look of good) looks.delete(look);
    [...looks.values()].forEach((some, i) => some.forEach((e) => e.setAttribute('MARKED', i)));
    return [...looks].map(([look, some]) => [look, some.length]);
}""".replace("MARKED", MARKED)

THIN = """() => {
    const told = /^(class|role|style|type|lang|dir|scope|tabindex|target)$/;
    const kinds = (row) => [...row.querySelectorAll(':not(mjx-container *)')].map((e) =>
        [e.localName, !e.textContent.trim(), ...[...e.attributes]
            .filter(({name}) => name !== 'MARKED')
            .map(({name, value}) => `${name}=${told.test(name) ? value : !value.trim()}`)]
            .join('|'));
    window.thinned = [];
    for (const body of document.querySelectorAll('tbody')) {
        const stripes = [new Set(), new Set()];
        [...body.rows].forEach((row, i) => {
            const own = kinds(row), met = stripes[i % 2];
            if (own.every((kind) => met.has(kind))) window.thinned.push([row, [...row.childNodes]]);
            own.forEach((kind) => met.add(kind));
        });
    }
    window.thinned.forEach(([row]) => row.replaceChildren());
    return window.thinned.length;
}""".replace("MARKED", MARKED)
THICK = "() => window.thinned.forEach(([row, cells]) => row.replaceChildren(...cells))"

GLYPHS = """() => {
    const reached = 'a, button, input, select, textarea, iframe, img, svg, [tabindex], [role]';
    const spared = (m) => m.matches('[aria-hidden=true]') && !m.textContent.trim()
        && !m.querySelector(reached);
    const all = [...document.querySelectorAll('mjx-container > mjx-math')].filter(spared);
    const sizes = all.map((m) => m.getBoundingClientRect());
    const said = [...document.querySelectorAll('mjx-assistive-mml > math')];
    window.glyphs = [...all, ...said].map((m) => [m, m.style.cssText, [...m.childNodes]]);
    all.forEach((m, i) => {
        m.replaceChildren();
        m.style.cssText += `;display: inline-block; width: ${sizes[i].width}px;`
            + `height: ${sizes[i].height}px`;
    });
    said.forEach((m) => {
        const text = document.createElementNS(m.namespaceURI, 'mtext');
        text.textContent = m.textContent;
        m.replaceChildren(text);
    });
    return all.length;
}"""
GLYPHS_BACK = """() => window.glyphs.forEach(([m, style, nodes]) => {
    m.style.cssText = style;
    m.replaceChildren(...nodes);
})"""

EXCUSED: dict[tuple[str, str], str] = {
    ("empty-table-header", '<th class="head" scope="col">'): (
        "its text is a formula, which axe-core does not count; heads that say nothing are cells"
    ),
}
"""(rule, start of the element's HTML): why it stays; for what only the theme could mend."""


@contextmanager
def boxes_for_glyphs(page: Page) -> Iterator[int]:
    """Boxes in the place of the glyphs of formulas, text in that of MathML; how many formulas."""
    count = page.evaluate(GLYPHS)
    try:
        yield count
    finally:
        page.evaluate(GLYPHS_BACK)


def violations(
    page: Page,
    rules: Sequence[str] | str = RULES,
    good: set[str] | None = None,
    every_text: bool = False,
) -> list[dict]:
    """What is found on a page as it now looks, and is not excused.

    ``good``: looks whose contrast is known to suffice, and is not judged again; those found good
    are added.  With ``every_text`` contrast is judged on each element, of every row, as axe-core
    itself would.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    page.evaluate(UNFOLD)
    if not every_text:
        page.evaluate(THIN)
    looks = page.evaluate(MARK, [*(good or ())]) if rules != ALL_BUT_COLOURS else []
    few = "" if every_text else f"[{MARKED}]"
    page.evaluate(JUDGE, [few or "*", f"a[href]{few}"])
    colours = rules != ALL_BUT_COLOURS
    asked = {"runOnly": list(rules if colours else RULES), **BRIEF}
    if not colours:
        asked["rules"] = {rule: {"enabled": False} for rule in JUDGED}
    found = page.evaluate(RUN, asked)
    if not every_text:
        page.evaluate(THICK)
    if good is not None:
        unjudged = Counter(found["open"])
        good.update(
            look
            for number, (look, some) in enumerate(looks)
            if str(number) not in found["bad"] and unjudged[str(number)] < some
        )
    return [violation for violation in found["violations"] if not is_excused(violation)]


def is_excused(violation: dict) -> bool:
    """Whether a violation is on the list above."""
    rule, html = violation["rule"], violation["html"]
    return any(rule == r and html.startswith(start) for r, start in EXCUSED)
