"""Sphinx extension: the house of the package, drawn and listed from its sources.

``{house-plan}`` draws the packages and the imports between them (``plan`` among the tools);
``.. house:: NAMES`` lists modules, each with the first sentence of its docstring.

Looked at: sphinx.ext.graphviz and sphinx.ext.inheritance_diagram want the program ``dot`` of
everybody who builds the book, sphinxcontrib-mermaid a script of everybody who reads it; pydeps
draws with ``dot`` too.  sphinx.ext.autosummary lists the names that somebody has typed; here a new
chapter is found by itself.
"""

from __future__ import annotations

import ast

import imports
import plan
from docstrings import escaped, paragraphs
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

MACHINERY = ("records", "display", "study", "chapters", "__main__")
"""Parts of the package that make the book, from the ground up; all others are the library."""


def first_lines(inside: str) -> dict[str, str]:
    """What a module, or each module of a package, says of itself first, by its name."""
    docs = {
        name: ast.get_docstring(ast.parse(source))
        for name, source in imports.sources().items()
        if f"{name}.".startswith(f"{inside}.")
    }
    return {n: " ".join(next(paragraphs(doc.splitlines()))) for n, doc in docs.items() if doc}


class House(SphinxDirective):
    """``.. house:: data network``: a list of these modules, with their first sentences."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """The list; modules of the library are links to their place in the reference."""
        lines = []
        for inside in self.arguments[0].split():
            for name, doc in first_lines(inside).items():
                linked = f":mod:`{name} <escape_ntk.{name}>`"
                shown = f"``{name}``" if inside in MACHINERY else linked
                lines.append(f"* {shown}: {escaped(doc)}")
        return self.parse_text_to_nodes("\n".join(lines))


class HousePlan(SphinxDirective):
    """``{house-plan}``: the plan, as the imports are now."""

    def run(self) -> list[nodes.Node]:
        """The picture, in the page itself, so that it has the colour of the text."""
        sources = imports.sources()
        packages = imports.between_packages(imports.graph(sources))
        return [nodes.raw("", plan.drawn(packages, imports.sizes(sources)), format="html")]


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_directive("house", House)
    app.add_directive("house-plan", HousePlan)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
