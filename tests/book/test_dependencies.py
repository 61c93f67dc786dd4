"""Which statement rests on which: read off the pages as they are; each check has a twin."""

import importlib
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("extensions")

TEXT = """# A chapter

:::{prf:theorem} Small $n_1$
:label: thm-small
$$
x=1
$$ (eq-small)
:::

:::{prf:lemma} Large
:label: lem-large
Of {prf:ref}`thm-none`, with

| {prf:ref}`thm-last` | in a table |
:::

```{margin} Beside
{prf:ref}`thm-last` is not used.
```

*Proof.* By {eq}`eq-small`. ∎

After it {prf:ref}`thm-last` is only named.

:::{prf:theorem} Last
:label: thm-last
Under the hypotheses of {prf:ref}`lem-large`.
:::

## Next

*Proof.* Of something else, with {prf:ref}`thm-small`. ∎
"""


@pytest.fixture(scope="module")
def dependence(extensions):
    return importlib.import_module("dependence")


@pytest.fixture(scope="module")
def statements(extensions):
    return importlib.import_module("statements")


@pytest.fixture(scope="module")
def book(statements):
    pages = statements.pages(ROOT)
    return pages, {name: (ROOT / f"{name}.md").read_text("utf-8") for name in pages}


def of(statements, dependence, text: str):
    pages = {"book/a": statements.read("book/a", text)}
    return pages, dependence.uses(pages, {"book/a": text})


def test_proofs_and_hypotheses_are_read_and_nothing_else(dependence, statements):
    _, edges = of(statements, dependence, TEXT)
    assert edges == {"thm-small": [], "lem-large": ["thm-small"], "thm-last": ["lem-large"]}
    back = dependence.used_by(edges)
    assert back == {"thm-small": ["lem-large"], "lem-large": ["thm-last"], "thm-last": []}


def test_control_a_new_reference_is_a_new_arrow(dependence, statements):
    _, edges = of(statements, dependence, TEXT.replace("By {eq}", "By {prf:ref}`thm-last`, {eq}"))
    assert edges["lem-large"] == ["thm-small", "thm-last"]
    with pytest.raises(CycleError):
        TopologicalSorter(edges).prepare()


def test_the_book_has_no_circle_and_its_last_corollary_rests_on_the_chapters_before(
    dependence, book
):
    edges = dependence.uses(*book)
    TopologicalSorter(edges).prepare()
    assert len(edges) > 30
    assert {"thm-advance", "thm-bound", "prop-rademacher"} <= set(edges["cor-samples"])
    assert "thm-construction" in edges["thm-joint"] and "thm-signs" in edges["cor-signs"]


def test_every_joined_statement_is_a_link_and_every_use_an_arrow(dependence, book):
    pages, _ = book
    edges = dependence.uses(*book)
    svg = ElementTree.fromstring(dependence.drawn(pages, edges, lambda s: f"{s.page}#{s.label}"))
    at = {n.tag.split("}")[-1] for n in svg.iter()}
    assert at == {"svg", "title", "desc", "text", "a", "path"}
    links = [n.get("href").split("#")[1] for n in svg.iter() if n.tag.endswith("}a")]
    assert links == dependence.joined(edges)
    heads = [n for n in svg.iter() if n.get("class") == "head"]
    assert len(heads) == sum(map(len, edges.values()))
    described = next(n.text for n in svg.iter() if n.tag.endswith("}desc"))
    assert described.count(" uses ") == sum(bool(below) for below in edges.values())


def test_names_fit_into_the_picture(dependence, book):
    """At 14 px a letter is at most 8 wide; what is left of the width takes them."""
    pages, _ = book
    kept = set(dependence.joined(dependence.uses(*book)))
    names = [
        f"{s.kind}. {dependence.plain(s.title)}"
        for page in pages.values()
        for s in page.statements
        if s.label in kept
    ]
    room = dependence.WIDE - dependence.LEFT - dependence.INDENT
    assert max(map(len, names)) * 8 <= room
    assert not any(re.search(r"[$\\{}]", name) for name in names)
