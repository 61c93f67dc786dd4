"""Sphinx extension: a page that has not changed, on the same ground, is neither read nor written.

Whether it has, ``state`` among the tools says, by contents; a page that names another one as what
it depends on changes with it.  All pages are written where anything has changed that one page may
say of another (``across``), a test, a notebook, the commit or the print.  What is not read and not
written is kept by Sphinx.

Looked at: ``note_dependency`` of Sphinx, for files that a page names; what claims, verdicts and
tables rest on is most of the package, and half of it is read by Python and not by Sphinx.
"""

from __future__ import annotations

from pathlib import Path

import across
import state


class Afresh:
    """One build: the state it begins in, and that of the last one that went well."""

    def begin(self, app) -> None:
        """Look, before anything is read."""
        self.folder = Path(app.doctreedir)
        before = state.kept(self.folder)
        self.now, self.before = state.state(Path(app.srcdir)), before and before["sources"]
        self.across = before and before["across"]
        state.forget(self.folder)

    def outdated(self, app, env, added, changed, removed) -> list[str]:
        """Pages to read again, besides those of which Sphinx knows."""
        pages = state.to_read(self.before, self.now, env.found_docs)
        files = {f"{page}.md" for page in pages}
        rest_on = {page for page, named in env.dependencies.items() if files & {*named}}
        return sorted(pages | (rest_on & env.found_docs))

    def written(self, app, env) -> list[str]:
        """Pages to write besides those that were read: all, or none."""
        self.across, before = across.digest(env), self.across
        if before == self.across and self.before and self.before["around"] == self.now["around"]:
            return []
        for listing in Path(app.outdir, "_modules").rglob("*.html"):  # written only where missing
            listing.unlink()
        return sorted(env.found_docs)

    def end(self, app, error: Exception | None) -> None:
        """Keep the state, if all went well."""
        if error is None and not app._warncount:  # it has no public name
            state.keep(self.folder, {"sources": self.now, "across": self.across})


def _complete(app) -> list:
    """Complete the index of the search: entries of pages that are not written, no words of none.

    Sphinx reads back all of the index that it had written before, but for the entries.
    """
    builder = app.builder
    index, place = getattr(builder, "indexer", None), Path(app.outdir, builder.searchindex_filename)
    if index is None or not place.is_file():
        return []
    with place.open(encoding="utf-8") as file:
        before = builder.indexer_format.load(file)
    entries = index._index_entries  # none of this has a public name
    old = {page: [] for page in before["docnames"] if page in index._titles.keys() - entries.keys()}
    for entry, places in before["indexentries"].items():
        for number, anchor, main in places:
            if (page := before["docnames"][number]) in old:
                old[page].append((entry, anchor, "main" if main else ""))
    index._index_entries = dict(sorted({**entries, **old}.items()))
    for words in (index._mapping, index._title_mapping):
        for word in [word for word, pages in words.items() if not pages]:
            del words[word]
    return []


def _attend(app) -> None:
    if app.builder.name != "html":
        return
    build = Afresh()
    build.begin(app)
    app.connect("env-get-outdated", build.outdated)
    app.connect("env-get-updated", build.written, priority=900)  # numbers have been given
    app.connect("html-collect-pages", _complete)
    app.connect("build-finished", build.end, priority=900)  # others may still warn


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("builder-inited", _attend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
