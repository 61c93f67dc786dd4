"""Words and the glossary: each is known, explained once a page, in a sentence, and needed."""

import importlib
from pathlib import Path

import glossary
import pytest
from docutils import nodes

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.usefixtures("extensions")


@pytest.fixture(scope="module")
def terms(extensions):
    return importlib.import_module("terms")


@pytest.fixture(scope="module")
def pages(extensions):
    order = importlib.import_module("statements").order(ROOT)
    return {name: (ROOT / f"{name}.md").read_text("utf-8") for name in order}


def test_pages_and_glossary_agree(pages):
    assert glossary.problems(pages) == []


def test_the_glossary_says_what_it_should(pages):
    """Every word once, every entry with its sentences and then the place that defines it."""
    text = pages[glossary.GLOSSARY]
    groups = glossary.entries(text)
    words = [word.lower() for group in groups for word in group]
    assert 25 <= len(groups) <= 60 and len(set(words)) == len(words)
    (block,) = glossary.BLOCK.finditer(text)
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


def found(page: str) -> list[str]:
    return glossary.problems({"a": page, glossary.GLOSSARY: GLOSSARY})


def test_a_sound_page_passes():
    assert glossary.entries(GLOSSARY) == [("leak",), ("draw", "seed")]
    assert found(PAGE) == []


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
def test_control_a_loose_term_is_found(page, said):
    problems = found(page)
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
def test_terms_stand_in_sentences(opening, stands):
    page = PAGE.replace("The {term}`leak` of a\n", f"```{opening}\nThe {{term}}`leak` of a\n```\n")
    assert (found(page) == []) == stands


def test_a_definition_has_plain_text_for_its_links(terms):
    link = nodes.reference("", "", nodes.inline("", "Setup"), refuri="setup.html")
    strong = nodes.strong("", "", link, nodes.Text("!"))
    paragraph = nodes.paragraph("", "", nodes.Text("See "), strong, nodes.math("", "x^2"))
    parts = terms.unlinked(paragraph)
    assert [type(part).__name__ for part in parts] == ["Text", "strong", "math"]
    assert "".join(part.astext() for part in parts) == "See Setup!x^2"
    assert not [n for part in parts for n in part.findall(nodes.reference)]


def test_a_formula_has_symbols(terms):
    tex = r"f_Q(x;W)=\frac1{2\sqrt m}\sum_r a_r\,\sigma''(w_r\cdot x)\,f_L(x_i;P_{>k}W)^2"
    found = [name for name in terms.symbols(tex) if not name.startswith("\\")]
    assert found == ["f_Q", "x", "W", "m", "a_r", "w_r", "f_L", "P_{>k}"]
    assert r"\sigma" in terms.symbols(tex)


def test_a_symbol_means_what_its_table_says_first(terms):
    def row(symbols: str, meaning: str) -> nodes.row:
        cells = [
            nodes.entry("", nodes.paragraph("", "", *part))
            for part in (
                [nodes.math("", symbol) for symbol in symbols.split(", ")],
                [nodes.Text(meaning)],
            )
        ]
        return nodes.row("", *cells)

    rows = [row("x, X", "an input"), row("f(x; W)", "the network"), row("x", "another")]
    table = nodes.tbody("", *rows, row(r"\lVert W\rVert_F", "a norm"))
    found = {name: parts[0].astext() for name, parts in terms.meanings(table).items()}
    assert found == {"x": "an input", "X": "an input", "f": "the network"}
