"""Sphinx extension: a page made from what stands on others is read again when that has changed.

The tables of the concordance are made from the statements of all pages, from what these use, and
from the tests.  Where only the words between statements have changed, they are as they were.

Looked at: ``note_reread`` of Sphinx, which has the page read at every build, and
``note_dependency``, by which every change of any page would count.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path

import dependence
import statements
from source_cache import files, hash_of


@functools.cache
def ingredients(root: Path) -> str:
    """A hash of all that such a page is made from, besides the ground (``state``)."""
    pages = statements.pages(root)
    texts = {name: (root / f"{name}.md").read_text("utf-8") for name in pages}
    told = [
        dataclasses.replace(
            page, statements=tuple(dataclasses.replace(s, line=0) for s in page.statements)
        )
        for page in pages.values()
    ]
    found = f"{told} {dependence.uses(pages, texts)} {hash_of(root, files(root, ['tests']))}"
    return hashlib.sha256(found.encode()).hexdigest()[:16]


def note(env) -> None:
    """The page that is being read is made from what stands on others."""
    vars(env).setdefault("gathered", {})[env.docname] = ingredients(Path(env.srcdir))


def _outdated(app, env, added, changed, removed) -> list[str]:
    noted = getattr(env, "gathered", {})
    return [page for page, then in noted.items() if then != ingredients(Path(env.srcdir))]


def _forget(app, env, page: str) -> None:
    getattr(env, "gathered", {}).pop(page, None)


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("env-get-outdated", _outdated)
    app.connect("env-purge-doc", _forget)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
