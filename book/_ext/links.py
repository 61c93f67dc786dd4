"""External addresses: where the book shows them, and what came of asking each one.

The directive ``{external-links}`` tabulates every address outside the book that a reader can meet:
on pages, in the cited works, in the package (its source is part of the site), in README.md and in
CITATION.cff.  When each was asked, and what it answered, stands in ``book/links.json``, which
``make links`` writes (check_links.py); the table says so where one was never asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import statements
import tables
from docutils import nodes
from pybtex.database import parse_file
from sphinx.util.docutils import SphinxDirective

LIST = "book/links.json"
BIBLIOGRAPHY = "book/bibliography"
HEADER = ("address", "stands in", "last checked (UTC)", "outcome")
NEVER = "not checked yet"
ADDRESS = re.compile(r"https?://[^\s<>\"'`{}|\\^]+")
CITED = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
BRACKETS = {")": "(", "]": "["}
HERE = {"localhost", "127.0.0.1"}
"""Hosts that are the reader's own machine."""
NAMES = ("http://www.w3.org/",)
"""Names of formats that look like addresses; no reader follows them."""


def addresses(text: str) -> list[str]:
    """External addresses in a text, as far as each goes: not the stop after it, nor its bracket."""
    found = []
    for match in ADDRESS.findall(text):
        url = match.rstrip(".,;:!?*_")
        while url.endswith(tuple(BRACKETS)) and url.count(url[-1]) > url.count(BRACKETS[url[-1]]):
            url = url[:-1].rstrip(".,;:!?*_")
        if urlsplit(url).hostname not in HERE and not url.startswith(NAMES):
            found.append(url)
    return found


def of_entry(fields: Mapping[str, str]) -> list[str]:
    """Addresses that the bibliography's style makes of the fields of one work."""
    made = [f"https://arxiv.org/abs/{fields['eprint']}"] if fields.get("eprint") else []
    made += [f"https://doi.org/{fields['doi']}"] if fields.get("doi") else []
    return made + [url for value in fields.values() for url in addresses(value)]


def _of_citation(text: str) -> list[str]:
    """Of CITATION.cff: addresses, and identifiers that lead to one."""
    made = [f"https://arxiv.org/abs/{i}" for i in re.findall(r"\barXiv:([\w.]+)", text)]
    return (
        addresses(text) + made + [f"https://doi.org/{i}" for i in re.findall(r"doi: (\S+)", text)]
    )


def found(root: Path) -> dict[str, list[str]]:
    """Every external address, and where it stands: pages by name, files by path."""
    places: dict[str, list[str]] = {}

    def note(urls: Iterable[str], place: str) -> None:
        for url in urls:
            if place not in (stands := places.setdefault(url, [])):
                stands.append(place)

    cited: set[str] = set()
    for page in statements.order(root):
        text = (root / f"{page}.md").read_text("utf-8")
        note(addresses(text), page)
        cited |= {key.strip() for keys in CITED.findall(text) for key in keys.split(",")}
    for key, entry in parse_file(str(root / "book/references.bib")).entries.items():
        if key in cited:
            note(of_entry(entry.fields), BIBLIOGRAPHY)
    for path in sorted((root / "src").rglob("*.py")):
        note(addresses(path.read_text("utf-8")), path.relative_to(root).as_posix())
    note(addresses((root / "README.md").read_text("utf-8")), "README.md")
    note(_of_citation((root / "CITATION.cff").read_text("utf-8")), "CITATION.cff")
    return dict(sorted(places.items()))


def listed(root: Path) -> dict[str, dict | None]:
    """What is known of each address: ``{"checked": day, "outcome": words}``, or None."""
    return json.loads((root / LIST).read_text("utf-8"))


def disagreements(places: Iterable[str], known: Iterable[str]) -> list[str]:
    """Addresses that stand somewhere and not on the list, and the other way round."""
    here, there = set(places), set(known)
    return [f"{url}: not on the list" for url in sorted(here - there)] + [
        f"{url}: stands nowhere" for url in sorted(there - here)
    ]


class ExternalLinks(SphinxDirective):
    """``{external-links}``"""

    def run(self) -> list[nodes.Node]:
        """The table."""
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / LIST))
        known, rows = listed(root), []
        for url, places in found(root).items():
            facts = known.get(url) or {}
            link = nodes.reference("", url, refuri=url, internal=False)
            cells = [
                tables.paragraph("", link),
                tables.paragraph("", *self._places(places)),
                tables.paragraph(facts.get("checked", "–")),
                tables.paragraph(facts.get("outcome", NEVER)),
            ]
            rows.append(tables.Row([[cell] for cell in cells]))
        return [tables.table(HEADER, rows, "links")]

    def _places(self, places: list[str]) -> list[nodes.Node]:
        out: list[nodes.Node] = []
        for place in places:
            out += [nodes.Text(", ")] if out else []
            if place.startswith("book/"):
                uri = self.env.app.builder.get_relative_uri(self.env.docname, place)
                out.append(nodes.reference("", place.removeprefix("book/"), refuri=uri))
            else:
                out.append(nodes.literal("", place))
        return out


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_directive("external-links", ExternalLinks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
