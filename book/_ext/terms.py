"""Sphinx extension: a ``{term}`` shows its definition where it stands, from the page itself.

A link to the glossary becomes a link with the first paragraph of its entry beside it, formulas and
all; links in that paragraph become plain text.  ``book.css`` hides and shows it, ``terms.js`` lets
Escape put it away.  A displayed formula of a page for beginners has its symbols explained in the
same way, from the tables of the notation, beside a link that leads there.

Looked at: sphinx-tippy shows its tips by a script, tippy.js, and none without it; sphinx-hoverxref
fetches them from the server of Read the Docs.  The link of ``{term}`` itself is Sphinx's own.
"""

from __future__ import annotations

import functools
import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

GLOSSARY = "book/glossary"
NOTATION = "book/notation"
EXPLAINED = ("book/idea",)
"""Pages whose displayed formulas say what their symbols mean."""
SYMBOL = re.compile(r"(?:\\[A-Za-z]+|[A-Za-z])(?:_(?:\{[^{}]*\}|\\[A-Za-z]+|[A-Za-z0-9]))?")
"""In TeX: a letter or a command, with what stands below it."""
PLAIN = (nodes.Text, nodes.math, nodes.literal)
"""What a definition shows as it is; of everything else it shows the content."""
KEPT = (nodes.emphasis, nodes.strong)


class Term(nodes.inline):
    """A word with its definition."""


class Formula(nodes.Element):
    """A displayed formula with the meanings of its symbols."""


class Link(nodes.reference):
    """The word, a link to where it is explained; ``definition`` is the id of its definition."""


class Definition(nodes.comment):
    """The definition: to the index of the search a comment, for it has the glossary already."""


def unlinked(paragraph: nodes.Element) -> list[nodes.Node]:
    """The content of a paragraph in phrases, links as plain text."""
    out: list[nodes.Node] = []
    for child in paragraph.children:
        if isinstance(child, PLAIN):
            out.append(child.deepcopy())
        elif isinstance(child, KEPT):
            out.append(type(child)("", "", *unlinked(child)))
        else:
            out += unlinked(child)
    return out


def definitions(glossary: nodes.document) -> dict[str, list[nodes.Node]]:
    """The first paragraph of each entry, by the ids of its terms."""
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        paragraph = next(item.findall(nodes.paragraph))
        for term in item.findall(nodes.term):
            found |= {name: unlinked(paragraph) for name in term["ids"]}
    return found


def meanings(notation: nodes.document) -> dict[str, list[nodes.Node]]:
    """What the tables say of each symbol, first; that of ``K(x, y)`` is ``K``."""
    found: dict[str, list[nodes.Node]] = {}
    for row in notation.findall(nodes.row):
        for symbol in row[0].findall(nodes.math):
            if match := re.fullmatch(rf"({SYMBOL.pattern})(?:\(.*\))?", symbol.astext()):
                found.setdefault(match[1], unlinked(row[1]))
    return found


def symbols(tex: str) -> list[str]:
    """The symbols of a formula, each once; that of ``x_i`` is ``x``."""
    return list(dict.fromkeys(found[0].removesuffix("_i") for found in SYMBOL.finditer(tex)))


@functools.cache
def _meanings(app) -> dict[str, list[nodes.Node]]:
    return meanings(app.env.get_and_resolve_doctree(NOTATION, app.builder))


@functools.cache
def _definitions(app) -> dict[str, list[nodes.Node]]:
    return definitions(app.env.get_and_resolve_doctree(GLOSSARY, app.builder))


class ShowDefinitions(SphinxPostTransform):
    """Puts each definition beside its word."""

    default_priority = 20  # after references are resolved
    formats = ("html",)

    def run(self, **kwargs) -> None:
        """Replace the links to the glossary on every page but its own."""
        here = self.env.docname
        if here == GLOSSARY:
            return
        for link in list(self.document.findall(nodes.reference)):
            if not any("std-term" in inner["classes"] for inner in link.findall(nodes.inline)):
                continue
            name = link["refuri"].partition("#")[2]
            label = f"{here.replace('/', '-')}-{name}"
            parts = [node.deepcopy() for node in _definitions(self.app)[name]]
            word = Link("", "", *link.children, refuri=link["refuri"], definition=label)
            shown = Definition("", "", *parts, ids=[label])
            link.replace_self(Term("", "", word, shown, classes=["term"]))
        if here in EXPLAINED:
            for number, formula in enumerate(list(self.document.findall(nodes.math_block))):
                self._explain(formula, f"{here.replace('/', '-')}-symbols-{number}")

    def _explain(self, formula: nodes.math_block, label: str) -> None:
        lines = []
        for name in symbols(formula.astext()):
            if parts := [node.deepcopy() for node in _meanings(self.app).get(name, ())]:
                symbol = nodes.math(name, name)
                lines += [
                    nodes.inline("", "", symbol, nodes.Text(": "), *parts, classes=["symbol"])
                ]
        uri = self.app.builder.get_relative_uri(self.env.docname, NOTATION)
        link = Link("", "Symbols", refuri=uri, definition=label, classes=["symbols-link"])
        shown = Definition("", "", *lines, ids=[label])
        parts = [formula.deepcopy(), link, shown]
        formula.replace_self(Formula("", *parts, classes=["term", "symbols"]))


def _depend(app, doctree: nodes.document) -> None:
    uses = doctree.findall(addnodes.pending_xref)
    if any(node.get("reftype") == "term" for node in uses):
        app.env.note_dependency(f"{GLOSSARY}.md")
    if app.env.docname in EXPLAINED:
        app.env.note_dependency(f"{NOTATION}.md")


def _open_term(self, node: Term) -> None:
    self.body.append(self.starttag(node, "span", ""))


def _open_formula(self, node: Formula) -> None:
    self.body.append(self.starttag(node, "div", ""))


def _close_formula(self, node: Formula) -> None:
    self.body.append("</div>\n")


def _open_link(self, node: Link) -> None:
    described = {"aria-describedby": node["definition"]}
    attributes = {"class": "reference internal", "href": node["refuri"]} | described
    self.body.append(self.starttag(node, "a", "", **attributes))


def _open_definition(self, node: Definition) -> None:
    self.body.append(self.starttag(node, "span", "", role="tooltip"))


def _close_span(self, node: nodes.Element) -> None:
    self.body.append("</span>")


def _close_link(self, node: Link) -> None:
    self.body.append("</a>")


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_node(Term, html=(_open_term, _close_span))
    app.add_node(Formula, html=(_open_formula, _close_formula))
    app.add_node(Link, html=(_open_link, _close_link))
    app.add_node(Definition, html=(_open_definition, _close_span))
    app.add_post_transform(ShowDefinitions)
    app.connect("doctree-read", _depend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
