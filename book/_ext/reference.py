"""Sphinx extension: the package reference, read from the docstrings by ``sphinx.ext.autodoc``.

The docstrings are prose with formulas in Unicode, written to be read in the source.  On their way
to the page

* a formula on a line of its own stays on a line of its own;
* ``*``, ``|`` and ``_`` outside literals are letters, not markup: ``f*``, ``|x|``, ``f_L``;
* indices and exponents are set as such: f with a small L below.

``.. house:: NAMES`` lists modules, each with the first sentence of its docstring.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from docutils import nodes
from sphinx.ext.autodoc import DataDocumenter
from sphinx.util.docutils import SphinxDirective

import escape_ntk

PACKAGE = Path(escape_ntk.__file__).parent
PAGES = "book/reference/"
MACHINERY = ("records", "display", "study", "chapters", "__main__")
"""Parts of the package that make the book, from the ground up; all others are the library."""
WIDTH = 100
"""Longest line of a source file: a shorter one that could hold the next word ends on purpose."""
SLACK = 2
"""A line that close to full was full."""
INDENT = {"module": 0, "data": 0, "method": 8, "property": 8, "attribute": 4}
"""Indentation of a docstring; 4 for functions, classes and exceptions."""

# ---------------------------------------------------------------- docstrings

LITERAL = re.compile(
    r"``.+?``"  # ``code``
    r"|:[\w:]+:`[^`]+`"  # :class:`X`
    r"|(?<![\w*])\*[A-Za-z][\w –-]*[A-Za-z]\*(?![\w*])",  # *a word*, not f*
    re.DOTALL,
)


PRIME = re.compile(r"(?<![A-Za-z])([A-Za-z]|[^\W\d_a-z])('+)(?![a-z])")
"""A derivative, σ', not an apostrophe."""


def escaped(text: str) -> str:
    """``text`` with every letter that reStructuredText would take for markup escaped."""
    out, end = [], 0
    for found in LITERAL.finditer(text):
        out += [_escaped_prose(text[end : found.start()]), found.group()]
        end = found.end()
    return "".join([*out, _escaped_prose(text[end:])])


def _escaped_prose(text: str) -> str:
    text = PRIME.sub(lambda found: found[1] + "\N{PRIME}" * len(found[2]), text)
    return re.sub(r"([\\*|_`])", r"\\\1", text)


def paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines between blank ones."""
    run: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            run.append(line)
        elif run:
            yield run
            run = []


def kept_breaks(run: list[str], room: int) -> list[list[str]]:
    """The lines of a paragraph, in groups: a group ends where its author ended the line."""
    groups = [[run[0]]]
    for before, line in pairwise(run):
        if len(before) + 1 + len(line.split()[0]) <= room - SLACK:
            groups.append([])
        groups[-1].append(line)
    return groups


def restructured(lines: list[str], room: int) -> list[str]:
    """A docstring as reStructuredText; ``room`` is the width that its lines had."""
    out: list[str] = []
    for number, run in enumerate(paragraphs(lines)):
        listed = run[0].startswith("* ")
        if run[0].startswith(">>>"):
            out += run
        elif listed:
            text = escaped("\n".join(line.removeprefix("* ").strip() for line in run)).split("\n")
            out += [
                ("* " if line.startswith("* ") else "  ") + part
                for line, part in zip(run, text, strict=True)
            ]
        else:
            quotes = '"""' if number == 0 else ""
            groups = kept_breaks([quotes + run[0], *run[1:]], room)
            groups[0][0] = groups[0][0].removeprefix(quotes)
            texts = [escaped("\n".join(line.strip() for line in group)) for group in groups]
            if len(texts) > 1:
                texts = ["| " + text.replace("\n", "\n  ") for text in texts]
            out += "\n".join(texts).split("\n")
        out.append("")
    return out


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


# ---------------------------------------------------------------- indices and exponents

SCRIPT = re.compile(r"[_^]")
BASES = {"max", "min", "log"}
"""Words that carry an index; of other words, such as ``n_times``, only a last letter does."""


def split_scripts(text: str) -> Iterator[tuple[str, str]]:
    """("", plain), ("_", index) and ("^", exponent) parts of a formula in Unicode.

    As in TeX a script is one letter or {…}; beyond it, a word (λ_min), or two letters (G_rs), but
    not where the second has a script of its own (x_ix_i).
    """
    plain, at = "", 0
    while at < len(text):
        script = script_at(text, at) if SCRIPT.match(text[at]) else ""
        if not script:
            plain += text[at]
            at += 1
            continue
        yield "", plain
        yield text[at], script[1:-1] if script[0] == "{" else script
        plain, at = "", at + 1 + len(script)
    yield "", plain


def script_at(text: str, at: int) -> str:
    """The script after the ``_`` or ``^`` at this place; empty where it is not one."""
    base = re.search(r"[^\W\d_]*$", text[:at]).group()
    rest = text[at + 1 :]
    lone = not text[:at] or text[at - 1].isspace()
    if text[at] == "_" and (lone or (len(base) > 1 and not carries(base))):
        return ""
    if rest.startswith("{"):
        depth = 0
        for end, letter in enumerate(rest):
            depth += (letter == "{") - (letter == "}")
            if not depth:
                return rest[: end + 1]
        return ""
    word = re.match(r"[a-z]+", rest)
    if text[at] == "_" and word:
        return word.group()[:-1] if rest[word.end() :].startswith("_") else word.group()
    return (re.match(r"[−-]?\d+|\S", rest) or re.match("", "")).group()


def carries(base: str) -> bool:
    """Whether a run of letters ends in a symbol: ``max``, ``iε``, not ``load``."""
    return base in BASES or not base.isascii() or (len(base) == 2 and base[0].islower())


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


# ---------------------------------------------------------------- lists of modules


def first_lines(names: Sequence[str]) -> dict[str, str]:
    """What each of these modules says of itself first, by its name; a package lists its modules."""
    out = {}
    for name in names:
        inside = PACKAGE / name.replace(".", "/")
        single = inside.with_suffix(".py")
        for path in [single] if single.is_file() else sorted(inside.rglob("*.py")):
            parts = path.relative_to(PACKAGE).with_suffix("").parts
            doc = ast.get_docstring(ast.parse(path.read_text("utf-8")))
            if doc:
                key = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                out[key] = " ".join(next(paragraphs(doc.splitlines())))
    return out


class House(SphinxDirective):
    """``.. house:: data network``: a list of these modules, with their first sentences."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """The list; modules of the library are links to their place in the reference."""
        lines = []
        for name, doc in first_lines(self.arguments[0].split()).items():
            inside = name.split(".")[0] in MACHINERY
            shown = f"``{name}``" if inside else f":mod:`{name} <escape_ntk.{name}>`"
            lines.append(f"* {shown}: {escaped(doc)}")
            self.env.note_dependency(str(PACKAGE / f"{name.replace('.', '/')}.py"))
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.add_autodocumenter(Constant, override=True)
    app.connect("autodoc-process-docstring", process_docstring)
    app.connect("autodoc-process-signature", process_signature)
    app.connect("doctree-read", set_scripts)
    app.add_directive("house", House)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
