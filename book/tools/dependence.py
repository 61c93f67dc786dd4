"""Which statement rests on which: read off the pages, and drawn as arcs beside their list.

A theorem, proposition, lemma or corollary *uses* another one if its proof refers to it, by
``{prf:ref}`` or by the name of an equation that stands in it; or if its own words do, outside
tables.  Proofs are what begins with *Proof*, *Sketch* or *Heuristic* after the statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape

import statements
from statements import Page, Statement

Uses = dict[str, list[str]]
"""Label → labels of what the statement uses, in the order of the book."""
REFERENCE = re.compile(r"\{(?P<role>prf:ref|eq)\}`(?:[^`<]*<)?(?P<label>[\w-]+)>?`")
EQUATION = re.compile(r"^\$\$ *\((?P<label>[\w-]+)\)", re.MULTILINE)
PROOF = re.compile(r"\*(Proof|Sketch|Heuristic)\b")
END = "∎"

ROW, TOP = 24, 16
"""Height of a row, and where the first one's text stands."""
LEFT, INDENT, WIDE = 150, 12, 640
"""Width left of the list, for arcs; of its indent below a chapter; of the whole."""
HEAD = 4
"""Half the width of the head of an arrow."""


def proof(statement: Statement, lines: Sequence[str]) -> str:
    """The lines after a statement that prove it, without what stands in the margin."""
    fence = statements.FENCE.match(lines[statement.line - 1])
    place = lines.index(fence[1] if fence else "", statement.line) + 1
    found: list[str] = []
    until = None
    for line in lines[place:]:
        if until is not None:
            until = None if line.rstrip() == until else until
        elif begins := statements.FENCE.match(line):
            if "{margin}" not in line:
                break
            until = begins[1]
        elif statements.HEADING.fullmatch(line):
            break
        elif found or PROOF.match(line):
            found.append(line)
            if END in line:
                break
    return "\n".join(found)


def uses(pages: Mapping[str, Page], texts: Mapping[str, str]) -> Uses:
    """What each formal statement of the ``pages`` uses; ``texts``: their sources, by name."""
    formal = [s for page in pages.values() for s in page.statements if s.formal and s.label]
    proofs = {s.label: proof(s, texts[s.page].splitlines()) for s in formal}
    owner = {
        e["label"]: s.label
        for s in formal
        for e in EQUATION.finditer(f"{s.body}\n{proofs[s.label]}")
    }
    known = [s.label for s in formal]
    out: Uses = {}
    for s in formal:
        own = "\n".join(line for line in s.body.splitlines() if not line.startswith("|"))
        words = f"{own}\n{proofs[s.label]}"
        named = {owner.get(m["label"], m["label"]) for m in REFERENCE.finditer(words)}
        out[s.label] = [label for label in known if label in named - {s.label}]
    return out


def used_by(edges: Uses) -> Uses:
    """The same arrows the other way."""
    return {label: [other for other, below in edges.items() if label in below] for label in edges}


def joined(edges: Uses) -> list[str]:
    """Labels with an arrow at either end, in the order of the book."""
    ends = {label for label, below in edges.items() if below}
    return [label for label in edges if label in ends.union(*edges.values())]


def drawn(pages: Mapping[str, Page], edges: Uses, link: Callable[[Statement], str]) -> str:
    """SVG: the statements that are joined, chapter by chapter, and an arc to each that one uses.

    Each is a link, to where ``link`` says it stands.
    """
    kept, places, parts = set(joined(edges)), {}, []
    y = 0
    for page in pages.values():
        here = [s for s in page.statements if s.label in kept]
        if not here:
            continue
        title = escape(plain(page.title.split(":")[0]))
        parts.append(f'<text class="chapter" x="{LEFT}" y="{y + TOP}">{title}</text>')
        for s in here:
            y += ROW
            places[s.label] = y + TOP - 4
            words = f"{s.kind.capitalize()}. {plain(s.title)}"
            parts.append(
                f'<a href="{escape(link(s))}"><text x="{LEFT + INDENT}" y="{y + TOP}">'
                f"{escape(words)}</text></a>"
            )
        y += ROW + ROW // 2
    most = max((abs(places[a] - places[b]) for a in edges for b in edges[a]), default=1)
    for label, below in edges.items():
        for other in below:
            parts.append(_arc(places[label], places[other], most))
    return (
        f'<svg class="plan uses" role="group" viewBox="0 0 {WIDE} {y}" '
        f'xmlns="http://www.w3.org/2000/svg">{_words(pages, edges)}{"".join(parts)}</svg>'
    )


def plain(title: str) -> str:
    """A title without the marks of formulas."""
    return re.sub(r"[$\\{}]|_(?=\d)", "", title)


def _arc(start: float, end: float, most: float) -> str:
    """From a user down to what it uses; the wider, the further apart."""
    x, bulge = LEFT + INDENT - 8, (LEFT - 16) * abs(start - end) / most
    tip, out = x - HEAD, max(bulge, 14) * 4 / 3
    curve = f"M{x} {start:g}C{x - out:g} {start:g} {x - out:g} {end:g} {tip} {end:g}"
    head = f"M{x} {end:g}l{-2 * HEAD} {-HEAD}v{2 * HEAD}z"
    return f'<path class="way" d="{curve}"/><path class="head" d="{head}"/>'


def _words(pages: Mapping[str, Page], edges: Uses) -> str:
    """Title and description: every arrow in words."""
    names = {s.label: plain(s.title) for page in pages.values() for s in page.statements}
    every = ". ".join(
        f"{names[label]} uses {', '.join(names[other] for other in below)}"
        for label, below in edges.items()
        if below
    )
    return f"<title>Which statement rests on which</title><desc>{escape(every)}.</desc>"
