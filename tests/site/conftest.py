"""Shared by the tests of the site: one browser of each kind, one server."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import firefox
import headless
import pytest
import walk
from sample import CLOSELY


@pytest.fixture(scope="session")
def browser():
    """The installed Chromium, without a window."""
    if headless.find_browser() is None:
        pytest.skip(headless.NO_BROWSER)
    with headless.chromium() as started:
        yield started


@pytest.fixture(scope="session")
def fox():
    """The tab of the installed Firefox, without a window."""
    if firefox.find_firefox() is None:
        pytest.skip(firefox.NO_FIREFOX)
    with firefox.firefox() as tab:
        yield tab


@pytest.fixture(scope="session")
def site():
    """Address of the built site."""
    with headless.served(headless.SITE) as address:
        yield address


@pytest.fixture(scope="session")
def visited(browser, site) -> Callable[[str], walk.Visit]:
    """A page of the site, visited when it is first asked for and no more."""
    good: set[str] = set()
    return cache(lambda path: walk.visit(browser, f"{site}/{path}", good, path in CLOSELY))


@pytest.fixture
def made(tmp_path: Path):
    """Return a function from the text of a page to its address."""
    (tmp_path / "favicon.ico").write_bytes(b"")
    with headless.served(tmp_path) as address:

        def write(html: str) -> str:
            (tmp_path / "page.html").write_text(html, "utf-8")
            return f"{address}/page.html"

        yield write
