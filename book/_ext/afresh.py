"""Sphinx extension: a page that has not changed, on ground that has not, is not read again.

Whether it has, ``state`` among the tools says, by contents.  What is read is kept by Sphinx; every
page is written anew at every build, since numbers, titles, links and definitions in it may be those
of others.

Looked at: ``note_dependency`` of Sphinx, for files that a page names; what claims, verdicts and
tables rest on is most of the package, and half of it is read by Python and not by Sphinx.
"""

from __future__ import annotations

from pathlib import Path

import state


class Afresh:
    """One build: the state it begins in, and that of the last one that went well."""

    def begin(self, app) -> None:
        """Look, before anything is read."""
        self.folder = Path(app.doctreedir)
        self.now, self.before = state.state(Path(app.srcdir)), state.kept(self.folder)
        state.forget(self.folder)

    def outdated(self, app, env, added, changed, removed) -> list[str]:
        """Pages to read again, besides those of which Sphinx knows."""
        return sorted(state.to_read(self.before, self.now, env.found_docs))

    def written(self, app, env) -> list[str]:
        """Pages to write: all."""
        return sorted(env.found_docs)

    def end(self, app, error: Exception | None) -> None:
        """Keep the state, if all went well."""
        if error is None and not app._warncount:  # it has no public name
            state.keep(self.folder, self.now)


def _attend(app) -> None:
    if app.builder.name != "html":
        return
    build = Afresh()
    build.begin(app)
    app.connect("env-get-outdated", build.outdated)
    app.connect("env-updated", build.written)
    app.connect("build-finished", build.end, priority=900)  # others may still warn


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("builder-inited", _attend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
