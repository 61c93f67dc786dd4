"""The search finds what people type: eighteen queries, each with what has to come first.

Thirteen are those of a review that tried the site and found too little, the theorem by the number
that it has now; the others were added with this test.  A page made from sources, or one that
repeats every statement, never comes first.
"""

from __future__ import annotations

import importlib
import json
import re
from urllib.parse import quote

import pytest
from headless import SITE

FIRST = {
    "good directions": "book/directions.html",
    "regularizer": "book/regularizer.html",
    "regulariser": "book/regularizer.html",
    "sample complexity": "book/sample-complexity.html",
    "theorem 2.1": "book/ntk-limits.html#thm-eigenvalues",
    "how to cite": "book/index.html#how-to-cite",
    "ReLU": "book/mlp.html",
    "lazy training": "book/glossary.html#term-lazy-training",
    "random signs": "book/glossary.html#term-random-signs",
    "leak": "book/glossary.html#term-leak",
    "QuadNTK": "book/glossary.html#term-QuadNTK",
    "spectral gap": "book/glossary.html#term-spectral-gap",
    "low-degree plus sparse": "book/glossary.html#term-low-degree-plus-sparse",
    "saddle": "book/glossary.html#term-saddle",
    "neural tangent kernel": "book/ntk-limits.html",
    "published figure": "book/published-figure.html",
    "bibtex": "book/index.html#cite",
    "memorizing": "book/directions.html",
}
RESULTS = "#search-results > ul > li"
FOUND = f"""() => [...document.querySelectorAll('{RESULTS}')].slice(0, 5).map((item) => ({{
    place: item.querySelector('a').getAttribute('href'), text: item.innerText }}))"""
TEX = re.compile(r"\\[A-Za-z([]|\$")


@pytest.fixture(scope="module")
def search(browser, site):
    """The first five findings of a query, with the words they are shown with."""
    page = browser.new_page()

    def ask(query: str) -> list[dict[str, str]]:
        page.goto(f"{site}/search.html?q={quote(query)}")
        page.wait_for_selector(RESULTS)
        page.wait_for_load_state("networkidle")  # the pages behind the findings have come
        return page.evaluate(FOUND)

    yield ask
    page.close()


@pytest.mark.parametrize("query, place", FIRST.items())
def test_what_people_type_is_found_first(search, query, place):
    found = search(query)
    assert found[0]["place"] == place
    for result in found:
        assert not TEX.search(result["text"]), result
        assert not re.search(r"typeset by JavaScript|Contents|¶", result["text"]), result
        assert not result["place"].startswith(("book/concordance", "book/execution")), result


def test_both_spellings_find_the_same_pages(search):
    words = ("initialisation", "initialization")
    british, american = ({result["place"] for result in search(word)} for word in words)
    assert british == american != set()


@pytest.fixture(scope="module")
def find():
    pytest.importorskip("sphinx")
    import sys

    sys.path.append(str(SITE.parents[1] / "book/_ext"))
    return importlib.import_module("find")


WORDS = (
    "regulariser regularizer memorising memorizing behaviour behavior generalisation centre "
    "labelled analyse noise four hour exercise metre kernel"
).split()


def test_the_page_spells_as_the_index_does(browser, site, find):
    """One list of endings, applied by Python and by JavaScript."""
    page = browser.new_page()
    page.goto(f"{site}/search.html")
    theirs = page.evaluate("(words) => words.map((w) => new Stemmer().stemWord(w))", WORDS)
    page.close()
    language = find.TwoSpellings({})
    assert theirs == [language.stem(word) for word in WORDS]
    assert len(set(theirs)) == len(WORDS) - 3


def test_every_numbered_statement_is_a_title_of_the_index():
    text = (SITE / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    names = re.findall(
        r'class="caption-number">(?:Theorem|Proposition|Lemma|Corollary|Observation) [\d.]+',
        "".join(path.read_text("utf-8") for path in SITE.glob("book/*.html")),
    )
    wanted = {name.removeprefix('class="caption-number">') for name in names}
    assert len(wanted) > 80 and wanted <= set(index["alltitles"])
