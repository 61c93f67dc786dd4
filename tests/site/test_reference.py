"""The pages made from the package's sources: its reference, and the listings."""

from __future__ import annotations

import pytest
from headless import FROM_SOURCES, PAGES
from test_site import check

LISTED = [path for path in PAGES if path.startswith(FROM_SOURCES)]


def test_there_are_such_pages():
    assert len(LISTED) > 20


@pytest.mark.parametrize("path", LISTED)
def test_page_has_no_fault(visited, path):
    check(visited(path), path)
