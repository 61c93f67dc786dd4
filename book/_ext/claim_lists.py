"""Sphinx extension: one badge for the claims of a sentence or a statement, which opens their list.

``{claim}`` leaves a :class:`Claims` in the text.  Those that follow one another become one, and all
those of a theorem the badge of its conclusion (``hypotheses``).  What is behind it, for each claim
its statement, what was measured, the target and the negative control, opens without scripts and by
keyboard, and stands open on paper under a theorem.

A list cannot stand in a paragraph of HTML: a paragraph with a badge is written as a block.

Looked at: the dropdown of sphinx-design and sphinx-togglebutton fold blocks, and stand between
paragraphs; the tips of sphinx-tippy and sphinx-hoverxref need a script, and hold no links.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import claims_roles
from claims_roles import Claims
from docutils import nodes

from escape_ntk.display.html import WORDS, badge, distance, evidence, typeset

WORST_FIRST = ("not_reproduced", "partly", "not_testable", "reproduced")


class Passage(nodes.paragraph):
    """A paragraph in which something opens."""


def summary(verdicts: Sequence[str]) -> str:
    """What several claims came to: "11 of 12 reproduced, 1 partly"."""
    found = Counter(verdicts)
    kept = f"{found.pop('reproduced', 0)} of {len(verdicts)} reproduced"
    return ", ".join([kept, *(f"{count} {WORDS[verdict]}" for verdict, count in found.items())])


def worst(verdicts: Sequence[str]) -> str:
    """The verdict that a badge for several has: the worst of them."""
    return min(verdicts, key=WORST_FIRST.index)


def together(paragraph: nodes.paragraph) -> None:
    """Make one badge of those between which nothing is said."""
    for node in list(paragraph.findall(Claims)):
        siblings, at = node.parent.children, node.parent.index(node)
        last = next((n for n in reversed(siblings[:at]) if n.astext().strip() or _is(n)), None)
        if _is(last):
            for key in ("claims", "anchors"):
                last[key] = [*last[key], *node[key]]
            del siblings[siblings.index(last) + 1 : at + 1]


def _is(node: nodes.Node | None) -> bool:
    return isinstance(node, Claims)


def taken(statement: nodes.Element) -> list[str]:
    """Take the badges out of a statement; return the anchors that they stood for."""
    anchors: list[str] = []
    for node in list(statement.findall(Claims)):
        anchors += node["anchors"]
        parent, at = node.parent, node.parent.index(node)
        before, after = parent[at - 1 : at], parent[at + 1 : at + 2]
        if [type(n) for n in (*before, *after)] == [nodes.Text, nodes.Text]:
            text = re.sub(r"\s+(?=[\s,.;:)])", "", before[0].astext() + after[0].astext())
            parent[at - 1 : at + 2] = [nodes.Text(text)]
        else:
            parent.remove(node)
    return anchors


def item(row: Mapping, scorecard: str) -> str:
    """A claim of the list."""
    name = row["id"]
    link = f'<a class="reference internal" href="{scorecard}#{name}">scorecard</a>'
    said = f"{badge(row['verdict'])} {typeset(row['statement'])} [{row['source']}] {link}"
    return f"<li><p>{said}</p>{evidence(row)}</li>"


def written(node: Mapping, ledger: Mapping[str, Mapping]) -> str:
    """The badge and its list as HTML."""
    rows = [ledger[name] for name in node["claims"]]
    verdicts = [row["verdict"] for row in rows]
    one = len(rows) == 1
    said = node.get("words") or (WORDS[verdicts[0]] if one else summary(verdicts))
    about = rows[0]["statement"] if one else ", ".join(row["id"] for row in rows)
    label = html.escape(f"{said}: {about}")
    anchors = "".join(f'<span id="{name}"></span>' for name in node["anchors"])
    far = distance(rows[0]["measured"]) if one else ""
    beside = f' <span class="distance">({far})</span>' if far else ""
    items = "".join(item(row, node["scorecard"]) for row in rows)
    return (
        f'{anchors}<details class="claims"><summary class="claim-badge {worst(verdicts)}" '
        f'aria-label="{label}">{said}</summary>'
        f'<div class="claims-list"><ul>{items}</ul>{node.get("link", "")}</div></details>{beside}'
    )


def _gather(app, doctree: nodes.document) -> None:
    for paragraph in list(doctree.findall(nodes.paragraph)):
        together(paragraph)
        if next(paragraph.findall(Claims), None) is not None:
            passage = Passage(paragraph.rawsource, "", *paragraph.children, **paragraph.attributes)
            paragraph.replace_self(passage)


def _write(self, node: Claims) -> None:
    self.body.append(written(node, claims_roles.ledger()))


def _open(self, node: Passage) -> None:
    self.body.append(self.starttag(node, "div", "", CLASS="passage"))


def _close(self, node: Passage) -> None:
    self.body.append("</div>\n")


def _nothing(self, node: nodes.Node) -> None:
    pass


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_node(Claims, html=(_write, _nothing))
    app.add_node(Passage, html=(_open, _close))
    app.connect("doctree-read", _gather, priority=600)  # theorems have taken theirs
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
