"""A page made from what stands on others is read again when that has changed, and only then."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, docutils_namespace

pytestmark = pytest.mark.usefixtures("extensions")
SMALL = ":::{prf:theorem} Small\n:label: small\n**[D]** It is.\n:::\n"
LARGE = ":::{prf:theorem} Large\n:label: large\n**[D]** So is it.\n:::\n"
PAGE = f"# Chapter\n\n{SMALL}\nWords.\n\n{LARGE}\nWords.\n"
CHANGES = {  # of the page, and whether a table of statements may differ
    "words": ("\nWords.", "\nOther words.", False),
    "lines above": ("\n\n:::", "\n\nA paragraph.\n\n:::", False),
    "title": ("} Large", "} Larger", True),
    "body": ("It is.", "It was.", True),
    "claim": ("It is.", "It is. {claim}`one`", True),
    "claim beside": (":::\n\nWords.\n\n:", ":::\n\n{claim}`one`\n\n:", True),
    "proof": (f"{LARGE}\nWords.", f"{LARGE}\n*Proof.* By {{prf:ref}}`small`. ∎", True),
    "chapter": ("# Chapter", "# Another chapter", True),
}


@pytest.fixture
def gathered(extensions):
    module = importlib.import_module("gathered")
    module.ingredients.cache_clear()
    yield module
    module.ingredients.cache_clear()


@pytest.fixture
def root(tmp_path) -> Path:
    """A checkout of two pages, of which *table* is made from *chapter*, and a test."""
    parts = [{"chapters": [{"file": "book/chapter.md"}]}]
    toc = json.dumps({"root": "book/table.md", "parts": parts})
    for name, text in {
        "_toc.yml": toc,
        "book/table.md": "# Table\n\n```{table-of-all}\n```\n\n```{toctree}\nchapter\n```\n",
        "book/chapter.md": PAGE,
        "tests/test_it.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def now(gathered, root: Path) -> str:
    gathered.ingredients.cache_clear()
    return gathered.ingredients(root)


@pytest.mark.parametrize("name", CHANGES)
def test_statements_claims_proofs_and_titles_count_words_do_not(gathered, root, name):
    before, (old, new, due) = now(gathered, root), CHANGES[name]
    assert old in PAGE
    (root / "book/chapter.md").write_text(PAGE.replace(old, new), "utf-8")
    assert (now(gathered, root) != before) == due


def test_a_test_counts(gathered, root):
    before = now(gathered, root)
    (root / "tests/test_it.py").write_text("changed", "utf-8")
    assert now(gathered, root) != before


class Table(SphinxDirective):
    """A table made from all pages; ``says``: whether it says so."""

    says = True

    def run(self) -> list[nodes.Node]:
        """What is in it does not matter here."""
        if self.says:
            importlib.import_module("gathered").note(self.env)
        return [nodes.paragraph("", "made")]


def read(root: Path) -> list[str]:
    """Build, and say which pages were read."""
    importlib.import_module("gathered").ingredients.cache_clear()
    found: list[str] = []
    config = {
        "extensions": ["myst_parser", "sphinx_proof", "gathered"],
        "myst_enable_extensions": ["colon_fence"],
        "root_doc": "book/table",
        "exclude_patterns": ["_build", "tests"],
    }
    places = (root, None, root / "_build/html", root / "_build/.doctrees", "html", config)
    with docutils_namespace():
        app = Sphinx(*places, status=None, warningiserror=True)
        app.add_directive("table-of-all", Table, override=True)
        app.connect("source-read", lambda app, page, text: found.append(page))
        app.build()
    return found


@pytest.mark.parametrize("says", [True, False])
def test_the_page_is_read_again_where_it_has_to_be(root, monkeypatch, says):
    """Control: a table that does not say what it is made from stays as it is."""
    monkeypatch.setattr(Table, "says", says)
    page = root / "book/chapter.md"
    assert read(root) == ["book/chapter", "book/table"] and read(root) == []
    page.write_text(PAGE.replace("Words.", "Other words."), "utf-8")
    assert read(root) == ["book/chapter"]
    page.write_text(PAGE.replace("# Chapter", "# Another"), "utf-8")
    assert read(root) == ["book/chapter", "book/table"][: 1 + says]
