"""The pages that are looked at most closely: every kind of element stands on one of them."""

from __future__ import annotations

import pytest
from headless import PAGES, SITE
from sample import CLOSELY, cover, kinds


def test_every_kind_of_element_is_looked_at_closely():
    """Control: without one of these pages, for most of them, some kind is not."""
    every = {path: kinds((SITE / path).read_text("utf-8")) for path in PAGES}
    whole = set().union(*every.values())
    assert len(whole) > 300 and set().union(*(every[path] for path in CLOSELY)) == whole
    assert len(CLOSELY) < len(PAGES) / 2
    without = [set().union(*(every[p] for p in CLOSELY if p != path)) for path in CLOSELY]
    assert sum(some < whole for some in without) > len(CLOSELY) / 2


@pytest.mark.parametrize(
    "new", ['<p class="b a">', "<mark>", '<a href="x"\n class="c">'], ids=["class", "tag", "lines"]
)
def test_a_page_with_a_kind_of_its_own_is_chosen(new):
    pages = {"long": "<p>" * 100, "short": "<p>", "same": "<p>"}
    assert cover(pages) == ["short"]
    assert cover(pages | {"long": pages["long"] + new}) in (["long"], ["short", "long"])


def test_a_kind_is_a_tag_with_its_classes_in_any_order():
    assert kinds('<p class="b a"><p class="a b" id=x><br>') == {("p", "a", "b"), ("br",)}
