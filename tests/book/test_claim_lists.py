"""One badge for the claims of a sentence or a statement, and the list that it opens."""

from __future__ import annotations

import importlib

import pytest
from docutils import nodes

pytestmark = pytest.mark.usefixtures("extensions")
LEDGER = {
    name: {
        "id": name,
        "chapter": "x",
        "verdict": verdict,
        "statement": f"{name} < 1",
        "source": "D",
        "measured": {"value": 0.5},
        "target": "1",
        "tolerance": "±1",
        "after": "",
        "negative_control": {"broken": "n", "fate": "fails", "measured": {"value": 2.0}},
    }
    for name, verdict in {"a": "reproduced", "b": "partly", "c": "not_reproduced"}.items()
}


@pytest.fixture(scope="module")
def lists(extensions):
    return importlib.import_module("claim_lists")


def text(lists, *parts: str) -> nodes.paragraph:
    """A paragraph; single letters are badges."""
    made = [
        lists.Claims(claims=[part], anchors=[f"claim-{part}"], scorecard="s.html")
        if part in LEDGER
        else nodes.Text(part)
        for part in parts
    ]
    return nodes.paragraph("", "", *made)


def read(lists, paragraph: nodes.paragraph) -> list:
    """Its text, and what each badge stands for."""
    return [
        list(n["claims"]) if isinstance(n, lists.Claims) else n.astext() for n in paragraph.children
    ]


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        (("It is. ", "a", " ", "b", "\n", "c"), ["It is. ", ["a", "b", "c"]]),
        (("a", " and ", "b"), [["a"], " and ", ["b"]]),  # control: something is said between
        (("It is. ", "a", " So."), ["It is. ", ["a"], " So."]),
    ],
)
def test_badges_that_follow_one_another_become_one(lists, parts, left):
    paragraph = text(lists, *parts)
    lists.together(paragraph)
    assert read(lists, paragraph) == left


def test_a_statement_gives_its_badges_to_its_foot(lists):
    paragraph = text(lists, "It falls ", "a", " ", "b", ", and rises ", "c")
    statement = nodes.container("", paragraph)
    assert lists.taken(statement) == ["claim-a", "claim-b", "claim-c"]
    assert paragraph.astext().rstrip() == "It falls, and rises"


@pytest.mark.parametrize(
    ("claims", "said", "verdict", "about"),
    [
        ("a", "reproduced", "reproduced", "a &lt; 1"),
        ("ab", "1 of 2 reproduced, 1 partly", "partly", "a, b"),
        ("abc", "1 of 3 reproduced, 1 partly, 1 not reproduced", "not_reproduced", "a, b, c"),
    ],
)
def test_a_badge_says_the_worst_of_what_and_opens_its_list(lists, claims, said, verdict, about):
    node = lists.Claims(claims=[*claims], anchors=["claim-a"], scorecard="s.html")
    html = lists.written(node, LEDGER)
    head, _, rest = html.partition("</summary>")
    assert head.startswith('<span id="claim-a"></span><details class="claims"><summary')
    assert head.endswith(f'class="claim-badge {verdict}" aria-label="{said}: {about}">{said}')
    assert rest.count("<li>") == rest.count("<dt>control</dt>") == len(claims)
    assert all(f'href="s.html#{name}"' in rest for name in claims)


def test_only_a_paragraph_with_a_badge_is_written_as_a_block(lists):
    document = nodes.container("", text(lists, "It is. ", "a"), text(lists, "It is."))
    lists._gather(None, document)
    assert [type(n).__name__ for n in document.children] == ["Passage", "paragraph"]
