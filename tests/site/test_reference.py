"""The pages made from the package's sources: its reference, and the listings."""

from __future__ import annotations

import pytest
from headless import FROM_SOURCES, PAGES, SITE
from test_site import check

REFERENCE, LISTINGS = ([p for p in PAGES if p.startswith(folder)] for folder in FROM_SOURCES)
BY_SIZE = sorted(LISTINGS, key=lambda path: (SITE / path).stat().st_size)


def test_there_are_such_pages():
    assert len(REFERENCE) > 5 and len(LISTINGS) > 20


# All listings come from one template and hold one box of code: the shortest, and thus emptiest, and
# the longest of them stand for the others.
@pytest.mark.parametrize("path", [*REFERENCE, BY_SIZE[0], BY_SIZE[-1]])
def test_page_has_no_fault(visited, path):
    check(visited(path), path)
