"""Two badges at the foot of every theorem: are its hypotheses met, and does its conclusion hold?

Nothing is typed on the pages.  Each formal statement, found by its label, gets what its chapter's
``theorems.py`` says that it assumes, each hypothesis with its answer, folded under a line that sums
them up, and what its claims came to, each of them folded likewise (``claim_lists``), with a link to
its row of the concordance.  The lists open without scripts.

Looked at: sphinx-proof makes the box of a theorem, and nothing in it; the dropdown of sphinx-design
and sphinx-togglebutton fold what an author has written, and their titles are cards or buttons, no
badges.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import claim_lists
import claims_roles
import statements
from docutils import nodes

from escape_ntk import chapters
from escape_ntk.records.store import RecordStore, default_root
from escape_ntk.study import theorems
from escape_ntk.study.hypotheses import Answer, Hypothesis, Outcome

CONCORDANCE = "book/concordance"
OUTCOMES = {
    Outcome.MET: ("met", "reproduced"),
    Outcome.LIMIT: ("a limit", "partly"),
    Outcome.NOT_MET: ("not met", "not_reproduced"),
    Outcome.NOT_CHECKED: ("not checked", "not_testable"),
}
"""Each outcome's word, and the badge whose sign and colour it shares."""
LINK = '<p><a class="reference internal" href="{uri}">Code and tests of these claims</a></p>'
Found = Sequence[tuple[Hypothesis, Answer]]


@functools.cache
def answers(label: str, claims: tuple[str, ...]) -> Found:
    """What the records say of a statement's hypotheses; nothing where none are written down."""
    entry = chapters.theorems().get(label)
    if entry is None:
        return ()
    rests_on = [chapters.claim(name) for name in (*claims, *entry.claims)]
    return theorems.answers(entry, rests_on, RecordStore(default_root()))


def anchor(label: str) -> str:
    """Where a statement's row stands in the concordance."""
    return nodes.make_id(f"concordance-{label}")


def conclusion(statement: statements.Statement, ledger: Mapping[str, Mapping]) -> str:
    """What the claims of a statement came to; without a claim, why it stands."""
    if not statement.claims:
        return f"no claim: {statement.reason}"
    return claim_lists.summary([ledger[claim]["verdict"] for claim in statement.claims])


def kind_of(found: Found) -> str:
    """The badge of a list of answers: the worst of them, limits and unchecked ones between."""
    outcomes = {answer.outcome for _, answer in found}
    if Outcome.NOT_MET in outcomes:
        return "not_reproduced"
    return "reproduced" if outcomes == {Outcome.MET} else "partly"


def kind_of_conclusion(statement: statements.Statement, ledger: Mapping[str, Mapping]) -> str:
    """The badge of a conclusion: the worst verdict of its claims."""
    verdicts = [ledger[claim]["verdict"] for claim in statement.claims]
    return claim_lists.worst(verdicts) if verdicts else "not_testable"


def words(text: str) -> list[nodes.Node]:
    """Text with ``$…$`` as formulas."""
    parts = text.split("$")
    made = [nodes.math(t, t) if i % 2 else nodes.Text(t) for i, t in enumerate(parts)]
    return [part for part in made if part.astext()]


def foot(
    statement: statements.Statement,
    target: str,
    ledger: Mapping[str, Mapping],
    anchors: Sequence[str] = (),
) -> nodes.Node:
    """The block with both badges, for a statement of the concordance at ``target``.

    ``anchors``: those of its claims that the badge of the conclusion stands for.
    """
    uri = f"{target}#{anchor(statement.label)}"
    found = answers(statement.label, statement.claims)
    block = nodes.container(classes=["conditions"])
    if found:
        line = nodes.inline(classes=["claim-badge", kind_of(found)])
        line += words(f"Hypotheses: {theorems.summary(found)}")
        block += nodes.raw("", "<details><summary>", format="html")
        block += line
        block += nodes.raw("", "</summary>", format="html")
        block += nodes.bullet_list("", *(_item(*pair) for pair in found))
        block += nodes.raw("", "</details>", format="html")
    text = conclusion(statement, ledger).removeprefix("no claim: ").replace("its page", "this page")
    text = f"Conclusion: {text}"
    if statement.claims:
        block += claims_roles.Claims(
            claims=list(statement.claims),
            anchors=list(anchors),
            scorecard=target.replace("concordance", "scorecard"),
            words=text,
            link=LINK.format(uri=uri),
        )
        return block
    link = nodes.reference("", text, refuri=uri, internal=True)
    link["classes"] += ["claim-badge", kind_of_conclusion(statement, ledger)]
    block += nodes.paragraph("", "", link)
    return block


def _item(hypothesis: Hypothesis, answer: Answer) -> nodes.Node:
    word, kind = OUTCOMES[answer.outcome]
    mark = nodes.inline("", word, classes=["claim-badge", kind])
    text = [*words(hypothesis.words), nodes.Text(" "), mark, *words(f" {answer.detail}")]
    return nodes.list_item("", nodes.paragraph("", "", *text))


def _add_badges(app, doctree) -> None:
    """Every formal statement of a page that was read gets its foot."""
    name = app.env.docname
    boxes = [node for node in doctree.findall(nodes.Admonition) if _formal(node)]
    if not boxes:
        return
    text = (Path(app.srcdir) / f"{name}.md").read_text("utf-8")
    known = {s.label: s for s in statements.read(name, text).statements}
    target = app.builder.get_relative_uri(name, CONCORDANCE)
    for box in boxes:
        anchors = claim_lists.taken(box)
        box[-1] += foot(known[box["label"]], target, claims_roles.ledger(), anchors)


def _formal(node: nodes.Node) -> bool:
    return node.get("realtype") in statements.FORMAL


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("doctree-read", _add_badges)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
