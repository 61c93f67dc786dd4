"""Words and the glossary: what :func:`problems` finds wrong between the pages and their glossary.

A word of the glossary that no page uses, a ``{term}`` that the glossary does not have or that a
page uses twice, or one where it cannot stand: in code, a heading, a caption.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import fences

GLOSSARY = "book/glossary"
TERM = re.compile(r"\{term\}`(?:[^`<]*<)?([^`>]+)>?`")
BLOCK = re.compile(r"^```\{glossary\}\n(?::[^\n]*\n)*(?P<body>.*?)^```$", re.M | re.S)
PROSE = re.compile(r"\{(prf:\w+|exercise|solution|admonition|note|warning)\}")
"""Directives whose body is prose."""


def entries(text: str) -> list[tuple[str, ...]]:
    """The terms of each entry, in the order of the glossary with this ``text``."""
    (block,) = BLOCK.finditer(text)
    groups: list[tuple[str, ...]] = []
    above = ""
    for line in block["body"].splitlines():
        if line and not line.startswith(" "):
            follows = above and not above.startswith(" ")
            groups = [*groups[:-1], (*groups[-1], line)] if follows else [*groups, (line,)]
        above = line
    return groups


def sentences(text: str) -> set[int]:
    """Numbers, from 1, of the lines of a page that are sentences: no code, heading, caption."""
    return {
        number
        for number, line, around in fences.lines(text)
        if all(PROSE.match(info) for info in around)
        and not re.match(r" {0,3}(#{1,6} |:\w+:|\{[\w:-]+\}(?!`))", line)
    }


def problems(pages: Mapping[str, str]) -> list[str]:
    """What is wrong between the texts of the pages, by name, and the glossary among them."""
    known = {term.lower(): group for group in entries(pages[GLOSSARY]) for term in group}
    used: set[tuple[str, ...]] = set()
    found = []
    for name, text in pages.items():
        here: set[tuple[str, ...]] = set()
        allowed = sentences(text)
        for match in TERM.finditer(text):
            number, term = text.count("\n", 0, match.start()) + 1, " ".join(match[1].split())
            where, group = f"{name}.md:{number}: {term!r}", known.get(term.lower())
            if group is None:
                found.append(f"{where} is not in the glossary")
            elif number not in allowed:
                found.append(f"{where} does not stand in a sentence")
            elif group in here:
                found.append(f"{where} was explained before on this page")
            else:
                here.add(group)
        used |= here if name != GLOSSARY else set()
    return found + [
        f"{GLOSSARY}.md: no page uses {g[0]!r}" for g in known.values() if g not in used
    ]
