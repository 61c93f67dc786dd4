"""External links of the built site are those of the list, and the list's page shows them all."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

from headless import PAGES, SITE

LIST = Path(__file__).parents[2] / "book" / "links.json"


class External(HTMLParser):
    """Links of a page to other hosts, without the buttons that start it elsewhere."""

    def __init__(self, text: str):
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a link leads."""
        facts = dict(attrs)
        url = facts.get("href") or ""
        if tag == "a" and url.startswith("http") and "btn" not in (facts.get("class") or ""):
            self.found.add(url)


def external(paths) -> set[str]:
    """Where links of these files lead, outside the site."""
    return set().union(*(External(path.read_text("utf-8")).found for path in paths))


def test_links_of_the_site_are_on_the_list():
    """The second route: the list is made from sources, this set from what was built of them."""
    known = set(json.loads(LIST.read_text("utf-8")))
    assert external(SITE / path for path in PAGES) == known
    assert external([SITE / "book/execution.html"]) == known


def test_control_a_new_link_is_found_and_a_button_is_none(tmp_path):
    page = tmp_path / "a.html"
    page.write_text(
        '<a href="https://new.org/x">new</a><a class="btn btn-sm" href="https://run.org">run</a>'
        '<a href="other.html">here</a>',
        "utf-8",
    )
    assert external([page]) == {"https://new.org/x"}
