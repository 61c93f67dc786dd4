"""Few pages on which every kind of element of the site stands: they are looked at most closely.

Colours come from the style sheets, by the kind of an element: its tag and its classes.  So they are
judged, by light and in the dark, on the pages of :data:`CLOSELY`; a page with a kind of its own is
one of them from the day on that it has it.  What the text itself can break, on whichever page
(formulas, pictures, widths, headings, names of links), is looked at on each (:mod:`walk`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from headless import PAGES, SITE

ELEMENT = re.compile(r"<([a-z][a-z0-9]*)((?:\s[^>]*)?)>")
CLASSES = re.compile(r'\sclass="([^"]*)"')
BASE = 50_000
"""What every page costs, be it ever so short, in bytes."""

Kind = tuple[str, ...]


def kinds(text: str) -> set[Kind]:
    """Tag and classes of each element of a page."""
    found = set()
    for tag, attributes in ELEMENT.findall(text):
        classes = CLASSES.search(attributes)
        found.add((tag, *sorted(classes[1].split() if classes else [])))
    return found


def cover(pages: Mapping[str, str]) -> list[str]:
    """Names of pages on which every kind of element stands: the greedy choice, by new kinds a byte.

    ``pages``: name → HTML.
    """
    own = {name: kinds(text) for name, text in pages.items()}
    left, chosen = set().union(*own.values()), []
    while left:
        best = max(own, key=lambda name: len(own[name] & left) / (len(pages[name]) + BASE))
        left -= own[best]
        chosen.append(best)
    return chosen


CLOSELY = sorted(cover({path: (SITE / path).read_text("utf-8") for path in PAGES}))
