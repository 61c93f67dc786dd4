"""Sphinx extension: the search finds what people type.

* One word in two spellings is one word: *regularizer* finds *regulariser*.
* A chapter stands before what is made from sources; tables that repeat every statement stand in no
  list of findings.
* *Theorem 2.1* finds the first theorem of that chapter, *how to cite* the citation.
* What a page is shown with is its text, formulas in letters (``find.js``).

Looked at: the index and the search are Sphinx's own; pagefind searches finished pages as a program
for each system, and knows neither numbers of statements nor spellings.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path

from sphinx.search import languages
from sphinx.search.en import SearchEnglish
from sphinx_proof.nodes import NODE_TYPES

UNSEARCHED = "book/concordance", "book/execution"
"""Pages that repeat what other pages say."""
SPELLINGS = (
    (r"is(e|es|ed|er|ers|ing|able|ation|ations)$", "iz$1"),
    (r"yse(s|d)?$", "yze$1"),
    (r"(\w{3})our(s|ed|ing|al|hood|hoods)?$", "$1or$2"),
    (r"(mode|labe|leve|trave|cance)ll(ed|er|ing)$", "$1l$2"),
    (r"(\w{3})tre(s)?$", "$1ter$2"),
)
"""Endings of British words and their American ones, as JavaScript writes them; both programs, the
one that makes the index and the one that asks it, apply them to every word."""
CITE = ("How to cite this book", "Cite", "Citation", "BibTeX")
"""Titles under which the citation at the foot of the home page is found."""


@functools.cache
def american(word: str) -> str:
    """``word`` with an American ending, if it has a British one."""
    for ending, other in SPELLINGS:
        word = re.sub(ending, re.sub(r"\$(\d)", r"\\g<\1>", other), word)
    return word


class TwoSpellings(SearchEnglish):
    """English, with *-ise* and *-ize*, *-our* and *-or* as one ending."""

    js_stemmer_code = SearchEnglish.js_stemmer_code + (
        "\nconst PlainStemmer = Stemmer;\n"
        f"const SPELLINGS = {json.dumps(SPELLINGS)}"
        ".map(([ending, other]) => [new RegExp(ending), other]);\n"
        "Stemmer = function () {\n"
        "  const plain = new PlainStemmer();\n"
        "  this.stemWord = (word) => plain.stemWord(\n"
        "    SPELLINGS.reduce((w, [ending, other]) => w.replace(ending, other), word));\n"
        "};\n"
    )

    def init(self, options: dict) -> None:
        """Begin with no stem known: every page has most words of the others."""
        super().init(options)
        self._stem = functools.cache(super().stem)

    def stem(self, word: str) -> str:
        """The stem of the word in its American spelling."""
        return self._stem(american(word.lower()))


NUMBERED = tuple(NODE_TYPES.values())
"""Kinds of statements that sphinx-proof numbers."""


def statements(doctree, numbers: Mapping[str, Mapping]) -> list[tuple[str, str]]:
    """Kind and number of each numbered statement of a page, with its anchor.

    ``numbers``: those of the page, by kind and anchor, as Sphinx keeps them.
    """
    found = []
    for node in doctree.findall(lambda n: type(n) in NUMBERED):
        kind = node.get("countertype") or node.get("realtype")
        number = numbers.get(kind, {}).get(node["ids"][0])
        if number:
            name = f"{node['realtype'].title()} {'.'.join(map(str, number))}"
            found.append((name, node["ids"][0]))
    return found


def _name_statements(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Put statements and the citation among the titles of the index, as a page is written."""
    index = getattr(app.builder, "indexer", None)
    if doctree is None or index is None or pagename not in index._all_titles:
        return
    named = statements(doctree, app.env.toc_fignumbers.get(pagename, {}))
    named += [(title, "cite") for title in CITE if pagename == app.config.root_doc]
    titles = index._all_titles[pagename]  # it has no public way in
    index._all_titles[pagename] = list(dict.fromkeys([*titles, *named]))


def _leave_out(app, env) -> None:
    for page in UNSEARCHED:
        if page in env.metadata:
            env.metadata[page]["nosearch"] = True


def _configure(app, config) -> None:
    languages[TwoSpellings.lang] = TwoSpellings
    config.html_search_scorer = str(Path(__file__).with_suffix(".js"))


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("config-inited", _configure)
    app.connect("env-updated", _leave_out)
    app.connect("html-page-context", _name_statements)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
