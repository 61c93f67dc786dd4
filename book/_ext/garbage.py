"""Sphinx extension: what no longer serves is looked for less often while pages are built.

The trees of the pages are millions of objects, each of which holds its parent.  Python's collector
goes through all of them again and again as they are made and as they are loaded, which happens four
times a build, and took three quarters of that time.  What was there before the pages stays anyway.

Looked at: no setting of Sphinx does it.
"""

from __future__ import annotations

import gc

SELDOM = (50_000, 20, 100)
"""New objects until the youngest are looked through, and how often that until older ones are."""


def _seldom(app) -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*SELDOM)


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("builder-inited", _seldom, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
