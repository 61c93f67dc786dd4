"""Sphinx extension: mend, in finished pages, what the writers of HTML leave wrong.

* Every statement, exercise and solution of a page gets one and the same id; none needs it.
* The bibliography is a list of list items; ``doc-biblioentry`` is deprecated (DPUB-ARIA 1.1).
* A head of a table that says nothing is an empty cell; one that says something heads its column.
* No line ends between a formula and what touches it, the stop after it or a parenthesis.
* A name of code in a table may end a line after a dot, a stroke or an underscore.
* A page with formulas says, where no script runs, what it is that the reader sees.

Looked at: the faults are those of sphinx-proof, sphinx-exercise, sphinxcontrib-bibtex and Sphinx as
pinned, and none has a setting against them; sphinx-codeautolink and other writers of finished pages
mend no markup.
"""

from __future__ import annotations

import re

MENDED = (
    (re.compile(r' id="(?:proof|exercise|solution)-content"'), ""),
    (re.compile(r' role="doc-biblioentry"'), ' role="listitem"'),
    (re.compile(r"<th\b[^>]*>\s*(?:<p>\s*</p>)?\s*</th>"), "<td></td>"),
    (re.compile(r'<th class="head([^"]*)">'), r'<th class="head\1" scope="col">'),
)
SIGNATURE = re.compile(r'(<span class="sig-paren">\(</span>\s*)<dl>(.*?)</dl>', re.DOTALL)
"""The lines of a long signature: Sphinx writes them as descriptions of terms that are not there."""
TOUCHED = re.compile(
    r'([^\s<>–—-]*)(<span class="math\b[^>]*>[^<]*</span>)([^\s<–—-]*[–—-]?)', re.DOTALL
)
"""A formula in a line, with what touches it on both sides; a line may end after a dash."""
CELL = re.compile(r"<td\b.*?</td>", re.DOTALL)
CODE = re.compile(r'(?<=<span class="pre">)[^<]+(?=</span>)')
NOTE = (
    '<noscript><p class="no-script">Formulas are typeset by JavaScript. Without it they stand here '
    "as they were written, in LaTeX; text, tables, figures and links are complete.</p></noscript>\n"
)
"""For pages with formulas."""


def _lines(signature: re.Match[str]) -> str:
    lines = signature[2].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
    return f"{signature[1]}{lines}"


def _unbroken(formula: re.Match[str]) -> str:
    touched = formula[1] or formula[3]
    return f'<span class="unbroken">{formula[0]}</span>' if touched else formula[0]


def _let_names_break(cell: re.Match[str]) -> str:
    return CODE.sub(lambda name: re.sub(r"([._/])(?=\w)", r"\1<wbr>", name[0]), cell[0])


def mended(body: str) -> str:
    """The body of a page, mended."""
    for wrong, right in MENDED:
        body = wrong.sub(right, body)
    body = TOUCHED.sub(_unbroken, SIGNATURE.sub(_lines, body))
    body = CELL.sub(_let_names_break, body)
    return NOTE + body if 'class="math' in body else body


def _mend(app, pagename, templatename, context, doctree) -> None:
    if "body" in context:
        context["body"] = mended(context["body"])


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("html-page-context", _mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
