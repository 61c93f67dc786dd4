"""The readers' editions say what the built site says, and the site offers them."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import readers_edition  # conftest has put book/tools on the path
from headless import SITE

ROOT = Path(__file__).parents[2]
PAGES = readers_edition.offered(ROOT)


@pytest.mark.parametrize("page", PAGES)
def test_an_edition_is_what_its_page_says(page):
    stored = nbformat.read(ROOT / readers_edition.PLACE / f"{Path(page).name}.ipynb", 4)
    new = readers_edition.edition(page, SITE, ROOT).notebook
    assert readers_edition.stale(new, stored) == "", readers_edition.REMEDY


@pytest.mark.parametrize("page", PAGES)
def test_the_page_offers_it(page):
    text = (SITE / f"{page}.html").read_text("utf-8")
    name = f"{Path(page).name}.ipynb"
    (offered,) = set(re.findall(rf'href="\.\./(_downloads/\w+/{name})"', text))
    edition = ROOT / readers_edition.PLACE / name
    assert (SITE / offered).read_bytes() == edition.read_bytes()
