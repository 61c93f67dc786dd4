"""What stands on the pages: their order, their labelled statements, and where claims are named.

A *statement* is a ``{prf:…}`` directive.  Its claims are those named in its body by ``{claim}``,
or, if there are none, those whose numbers it reads by ``{measured}``; *beside* it are the claims
named after it, before the next statement, heading or cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

DIRECTIVE = re.compile(r"(?P<fence>:{3,}|`{3,})\{prf:(?P<kind>\w+)\} *(?P<title>.*)")
FENCE = re.compile(r"(:{3,}|`{3,})\{[\w:-]+\}")
HEADING = re.compile(r"#{1,6} +(.+)")
LABEL = re.compile(r":label: *(\S+)")
TAG = re.compile(r"\[([ACLDMR])\]")
CLAIM = re.compile(r"\{claim\}`([^`]+)`")
MEASURED = re.compile(r"\{measured\}`([^`/]+)/")
FORMAL = ("axiom", "corollary", "lemma", "proposition", "theorem")
"""Kinds that have hypotheses and a conclusion; an observation has neither."""


@dataclass(frozen=True)
class Statement:
    """A directive of a page; ``line`` counts from 1."""

    page: str
    kind: str
    title: str
    label: str | None
    line: int
    body: str
    beside: tuple[str, ...]

    @property
    def tags(self) -> tuple[str, ...]:
        """Source tags in the body, each once."""
        return tuple(dict.fromkeys(TAG.findall(self.body)))

    @property
    def claims(self) -> tuple[str, ...]:
        """Claims that the body names, or else reads numbers of."""
        named = CLAIM.findall(self.body) or MEASURED.findall(self.body)
        return tuple(dict.fromkeys(named))

    @property
    def formal(self) -> bool:
        """Whether it has hypotheses and a conclusion."""
        return self.kind in FORMAL

    @property
    def reason(self) -> str | None:
        """Why it may stand without a claim; None when nothing says so."""
        if "D" in self.tags:
            return "derived on its page [D]"
        return "proved in the work cited [L]" if "L" in self.tags else None


@dataclass(frozen=True)
class Page:
    """A page of the book: its statements, and for each claim the heading under which it stands."""

    name: str
    title: str
    statements: tuple[Statement, ...]
    claims: dict[str, str]


def order(root: Path) -> list[str]:
    """Pages in the order of ``_toc.yml``: ``"book/setup"``."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    files = [entry["file"] for c in chapters for entry in (c, *c.get("sections", ()))]
    return [name.removesuffix(".md") for name in (toc["root"], *files)]


def pages(root: Path) -> dict[str, Page]:
    """Every page of the book by its name, in its order."""
    return {name: read(name, (root / f"{name}.md").read_text("utf-8")) for name in order(root)}


def read(name: str, text: str) -> Page:
    """What stands on the page ``name`` of this ``text``."""
    lines = text.splitlines()
    found = tuple(_statements(name, lines))
    claims: dict[str, str] = {}
    title = heading = ""
    for line in lines:
        if match := HEADING.fullmatch(line):
            heading = match[1]
            title = title or heading
        for claim in CLAIM.findall(line):
            claims.setdefault(claim, heading)
    return Page(name, title, found, claims)


def _statements(name: str, lines: list[str]) -> Iterator[Statement]:
    for start, line in enumerate(lines):
        if not (match := DIRECTIVE.fullmatch(line.rstrip())):
            continue
        end = next(i for i in range(start + 1, len(lines)) if lines[i].rstrip() == match["fence"])
        body, rest = "\n".join(lines[start + 1 : end]), lines[end + 1 :]
        near = "\n".join(_until(rest, lambda x: FENCE.match(x) or HEADING.fullmatch(x)))
        label = LABEL.search(body)
        yield Statement(
            page=name,
            kind=match["kind"],
            title=match["title"],
            label=label[1] if label else None,
            line=start + 1,
            body=body,
            beside=tuple(dict.fromkeys(CLAIM.findall(near))),
        )


def _until(lines: list[str], stop) -> list[str]:
    end = next((i for i, line in enumerate(lines) if stop(line)), len(lines))
    return lines[:end]
