"""Source tags say what they mean, where they are text."""

from __future__ import annotations

import importlib

import pytest
from docutils import nodes

pytestmark = pytest.mark.usefixtures("extensions")


@pytest.fixture(scope="module")
def tags(extensions):
    return importlib.import_module("source_tags")


def row(*cells: str) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in cells))


def test_meanings_are_the_rows_of_the_table(tags):
    table = nodes.tbody("", row("[D]", "a derivation", "The steps.", "x"), row("D", "", "", ""))
    found = tags.meanings(nodes.container("", table))
    assert list(found) == ["D"]
    assert "".join(n.astext() for n in found["D"]) == "a derivation. The steps."


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It is [A][D], so", ["It is ", "A", "", "D", ", so"]),
        ("in [0, 1], [X] or [1]", ["in [0, 1], [X] or [1]"]),  # control: no tags
    ],
)
def test_tags_are_found(tags, text, parts):
    assert tags.TAG.split(text) == parts


def test_tags_in_titles_code_and_links_stay(tags):
    def explained(kind, within):
        node = nodes.Text("[D]")
        within("", "", kind("", "", node)) if kind else within("", "", node)
        return tags._explained(node)

    assert explained(None, nodes.paragraph) and explained(nodes.strong, nodes.paragraph)
    assert not explained(None, nodes.title)
    for kind in (nodes.reference, nodes.literal):
        assert not explained(kind, nodes.paragraph)
