"""Docstrings as reStructuredText, and the indices and exponents in them.

The docstrings are prose with formulas in Unicode, written to be read in the source; here

* a formula on a line of its own stays on a line of its own;
* ``*``, ``|`` and ``_`` outside literals are letters, not markup: ``f*``, ``|x|``, ``f_L``;
* scripts are told from underscores in names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

WIDTH = 100
"""Longest line of a source file: a shorter one that could hold the next word ends on purpose."""
SLACK = 2
"""A line that close to full was full."""


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
