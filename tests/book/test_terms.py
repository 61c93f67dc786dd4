"""Words and the glossary: each is known, explained once a page, in a sentence, and needed."""

import importlib
from pathlib import Path

import pytest
from docutils import nodes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def terms():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "book/_ext")
        yield importlib.import_module("terms")


@pytest.fixture(scope="module")
def pages():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "book/_ext")
        order = importlib.import_module("statements").order(ROOT)
    return {name: (ROOT / f"{name}.md").read_text("utf-8") for name in order}


def test_pages_and_glossary_agree(terms, pages):
    assert terms.problems(pages) == []


def test_the_glossary_says_what_it_should(terms, pages):
    """Every word once, every entry with its sentences and then the place that defines it."""
    text = pages[terms.GLOSSARY]
    groups = terms.entries(text)
    words = [word.lower() for group in groups for word in group]
    assert 25 <= len(groups) <= 60 and len(set(words)) == len(words)
    (block,) = terms.BLOCK.finditer(text)
    bodies = block["body"].split("\n\n")
    assert len(bodies) == 2 * len(groups)
    assert all("](" in place for place in bodies[1::2])
    assert not any("](" in says or "{prf" in says for says in bodies[::2])


GLOSSARY = """# Glossary

```{glossary}
:sorted:

leak
  What is lost.

  See [here](a.md).

draw
seed
  A choice.
```
"""
PAGE = """# A page

The {term}`leak` of a
{term}`chosen
draw <seed>`.
"""


def found(terms, page: str) -> list[str]:
    return terms.problems({"a": page, terms.GLOSSARY: GLOSSARY})


def test_a_sound_page_passes(terms):
    assert terms.entries(GLOSSARY) == [("leak",), ("draw", "seed")]
    assert found(terms, PAGE) == []


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (PAGE.replace("`leak`", "`leek`"), "'leek' is not in the glossary"),
        (PAGE + "A {term}`leak`.", "a.md:6: 'leak' was explained before"),
        (PAGE + "A {term}`draw`.", "'draw' was explained before"),  # by its other name
        (PAGE.replace("The {term}`leak`", "## The {term}`leak`"), "'leak' does not stand in"),
        (PAGE.replace("The {term}`leak`", ":alt: {term}`leak`"), "'leak' does not stand in"),
        (PAGE.replace("{term}`leak`", "leak"), "no page uses 'leak'"),
    ],
)
def test_control_a_loose_term_is_found(terms, page, said):
    problems = found(terms, page)
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("opening", "stands"),
    [
        ("{prf:theorem} A title", True),
        ("{exercise} A title", True),
        ("{glue:figure} fig-x", False),
        ("{code-cell} python", False),
        ("python", False),
    ],
)
def test_terms_stand_in_sentences(terms, opening, stands):
    page = PAGE.replace("The {term}`leak` of a\n", f"```{opening}\nThe {{term}}`leak` of a\n```\n")
    assert (found(terms, page) == []) == stands


def test_a_definition_has_plain_text_for_its_links(terms):
    link = nodes.reference("", "", nodes.inline("", "Setup"), refuri="setup.html")
    strong = nodes.strong("", "", link, nodes.Text("!"))
    paragraph = nodes.paragraph("", "", nodes.Text("See "), strong, nodes.math("", "x^2"))
    parts = terms.unlinked(paragraph)
    assert [type(part).__name__ for part in parts] == ["Text", "strong", "math"]
    assert "".join(part.astext() for part in parts) == "See Setup!x^2"
    assert not [n for part in parts for n in part.findall(nodes.reference)]
