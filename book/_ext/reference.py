"""Sphinx extension: the package reference, read from the docstrings by ``sphinx.ext.autodoc``.

On their way to the page the docstrings become reStructuredText (``docstrings`` among the tools),
and indices and exponents are set as such: f with a small L below.

Looked at: sphinx.ext.autodoc and sphinx.ext.viewcode do the work.  sphinx.ext.napoleon and numpydoc
read sections with headings, and these docstrings have none; sphinx-autodoc-typehints would move
the shapes out of the signatures; none sets scripts.  sphinx.ext.linkcode wants a public address.
"""

from __future__ import annotations

import re

from docstrings import SCRIPT, WIDTH, restructured, split_scripts
from docutils import nodes
from sphinx.ext.autodoc import DataDocumenter

PAGES = "book/reference/"
INDENT = {"module": 0, "data": 0, "method": 8, "property": 8, "attribute": 4}
"""Indentation of a docstring; 4 for functions, classes and exceptions."""


def process_docstring(app, what, name, obj, options, lines: list[str]) -> None:
    """Called by autodoc with the lines of each docstring, which it then parses."""
    lines[:] = restructured(lines, WIDTH - INDENT.get(what, 4))


def process_signature(app, what, name, obj, options, signature, returns):
    """Shapes without the blank that linters want; protocols, enums and errors take no arguments."""
    if what in ("class", "exception") and (
        getattr(obj, "_is_protocol", False) or issubclass(obj, (str, Exception))
    ):
        return "", None
    return tuple(part and re.sub(r"'\s+(\S*')", r"'\1", part) for part in (signature, returns))


class Constant(DataDocumenter):
    """A constant with its value where that is short: numbers, names, and tuples of them."""

    priority = DataDocumenter.priority + 1

    def should_suppress_value_header(self) -> bool:
        """Whether the value says less than the docstring."""
        simple = (int, float, str)
        parts = self.object if isinstance(self.object, tuple) else (self.object,)
        return not all(isinstance(part, simple) for part in parts)


def scripted(text: str) -> list[nodes.Node]:
    """Nodes of a text with its indices and exponents set as such, nested ones included."""
    out: list[nodes.Node] = []
    for kind, part in split_scripts(text):
        if kind:
            node = nodes.subscript() if kind == "_" else nodes.superscript()
            out.append(node)
            node += scripted(part)
        elif part:
            out.append(nodes.Text(part))
    return out


VERBATIM = (nodes.literal, nodes.literal_block, nodes.doctest_block, nodes.math, nodes.math_block)


def set_scripts(app, doctree: nodes.document) -> None:
    """Set indices and exponents in the texts of the reference."""
    if not app.env.docname.startswith(PAGES):
        return
    for text in list(doctree.findall(nodes.Text)):
        above = []
        node = text.parent
        while node is not None:
            above.append(node)
            node = node.parent
        verbatim = any(isinstance(n, VERBATIM) or n.tagname.startswith("desc_sig") for n in above)
        if not verbatim and SCRIPT.search(text):
            text.parent.replace(text, scripted(text.astext()))


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.add_autodocumenter(Constant, override=True)
    app.connect("autodoc-process-docstring", process_docstring)
    app.connect("autodoc-process-signature", process_signature)
    app.connect("doctree-read", set_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
