"""The built site, and what a real browser finds wrong with a page of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "book/tools"))  # the tools of the book and its tests share a browser

from browser import NO_BROWSER, chromium, find_browser, served  # noqa: E402, F401

SITE = ROOT / "_build" / "html"
REDIRECT = "index.html"  # the root of the site only leads to the home page
PAGES = [
    path
    for path in sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html"))
    if not path.startswith(("_static/", "_downloads/")) and path != REDIRECT
]
FROM_SOURCES = ("book/reference/", "_modules/")
DESKTOP, PHONE = 1280, 390
# Every element of the page that holds a formula, and whether MathJax has typeset it.
FORMULAS = """async () => {
    if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
    const drawn = (e) => [...e.querySelectorAll('mjx-container')].some(
        (m) => m.getBoundingClientRect().height > 0 || !m.checkVisibility());
    const bad = (e) => !drawn(e) || e.querySelector('mjx-merror, [data-mjx-error]');
    return [...document.querySelectorAll('.math')].filter(bad).map((e) => e.textContent);
}"""
BROKEN_IMAGES = """() => [...document.images]
    .filter((i) => i.complete && !i.naturalWidth).map((i) => i.src)"""
OVERFLOW = """() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)
    - document.documentElement.clientWidth"""
SEARCH_BOXES = """() => [...document.querySelectorAll(
        'input[type=search], .search-button, .search-button-field, .search-button__button')]
    .filter((e) => e.checkVisibility({visibilityProperty: true})
        && e.getBoundingClientRect().width > 0).map((e) => e.outerHTML)"""


@dataclass
class Findings:
    """What is wrong with one page at one width; all empty when nothing is."""

    console: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    formulas: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    overflow: int = 0
    looked_away: bool = field(default=False, compare=False, repr=False)

    def watch(self, page: Page, host: str) -> None:
        """Note what the browser reports about ``page`` while it loads."""
        page.on("console", lambda m: m.type == "error" and self._note(self.console, m.text))
        page.on("pageerror", lambda error: self._note(self.console, str(error)))
        page.on("requestfailed", lambda request: self._note(self.failed, request.url))
        page.on("response", lambda r: r.status >= 400 and self._note(self.failed, r.url))
        page.on("request", lambda request: self.note_host(request.url, host))

    @contextmanager
    def look_away(self) -> Iterator[None]:
        """Note nothing for a while: a tool asks for what the page itself does not."""
        self.looked_away = True
        try:
            yield
        finally:
            self.looked_away = False

    def _note(self, findings: list[str], what: str) -> None:
        findings += [] if self.looked_away else [what]

    def note_host(self, url: str, host: str) -> None:
        """Note a request that goes to another ``host``."""
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.netloc != host:
            self._note(self.foreign, url)
