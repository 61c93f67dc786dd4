"""``make book VERBOSE=1``: where the time of a build goes.

Looked at: sphinx.ext.duration, which times the reading of each page, and knows neither what cells
take, which myst-nb does, nor the other phases.  What it notes belongs to Sphinx's environment, so
that every page would be read anew whenever the variable is set or no longer set.
"""

from __future__ import annotations

import os
import time

from sphinx.util import logging

_LONGEST = 5


class Phases:
    """Moments between the phases of a build, and how long the reading of each page takes."""

    def __init__(self):
        self.moments = [("start", time.monotonic())]
        self.began = 0.0
        self.reading: dict[str, float] = {}

    def begins(self, app, page: str, source) -> None:
        """Called before a page is read."""
        self.began = time.monotonic()

    def has_read(self, app, doctree) -> None:
        """Called when it has been."""
        self.reading[app.env.docname] = time.monotonic() - self.began

    def ends(self, name: str):
        """A listener that notes the end of a phase, when it happens first."""

        def note(app, *rest) -> None:
            if all(name != known for known, _ in self.moments):
                self.moments.append((name, time.monotonic()))

        return note

    def report(self, app, error) -> None:
        """Seconds of each phase, then of the pages and of the cells that took longest."""
        self.ends("pages written")(app)
        say = logging.getLogger(__name__).info
        for (_, before), (name, now) in zip(self.moments, self.moments[1:], strict=False):
            say("%7.1f s until %s", now - before, name)
        say("%7.1f s of reading, of %d pages:", sum(self.reading.values()), len(self.reading))
        self._longest(self.reading)
        data = {page: facts.get("exec_data") for page, facts in app.env.nb_metadata.items()}
        cells = {page: found["runtime"] or 0.0 for page, found in data.items() if found}
        say(
            "%7.1f s in cells, of this build or of the one that the cache is of:",
            sum(cells.values()),
        )
        self._longest(cells)

    def _longest(self, seconds: dict[str, float]) -> None:
        for page, taken in sorted(seconds.items(), key=lambda item: -item[1])[:_LONGEST]:
            logging.getLogger(__name__).info("%7.1f s in %s", taken, page)


def setup(app) -> dict[str, object]:
    """Register with Sphinx, if it is asked for."""
    if os.environ.get("VERBOSE"):
        phases = Phases()
        app.connect("source-read", phases.begins)
        app.connect("doctree-read", phases.has_read, priority=900)
        app.connect("env-before-read-docs", phases.ends("sources found"))
        app.connect("env-updated", phases.ends("pages read, cells executed"))
        app.connect("env-check-consistency", phases.ends("references collected"))
        app.connect("build-finished", phases.report)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
