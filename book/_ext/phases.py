"""``make book VERBOSE=1``: where the time of a build goes.

Looked at: sphinx.ext.duration, which times the reading of each page, is switched on; it knows
neither what cells take, which myst-nb does, nor the other phases.
"""

from __future__ import annotations

import os
import time

from sphinx.util import logging

_LONGEST = 5


class Phases:
    """Moments between the phases of a build."""

    def __init__(self):
        self.moments = [("start", time.monotonic())]

    def ends(self, name: str):
        """A listener that notes the end of a phase, when it happens first."""

        def note(app, *rest) -> None:
            if all(name != known for known, _ in self.moments):
                self.moments.append((name, time.monotonic()))

        return note

    def report(self, app, error) -> None:
        """Seconds of each phase, then of the cells that took longest."""
        self.ends("pages written")(app)
        say = logging.getLogger(__name__).info
        for (_, before), (name, now) in zip(self.moments, self.moments[1:], strict=False):
            say("%7.1f s until %s", now - before, name)
        data = {page: facts.get("exec_data") for page, facts in app.env.nb_metadata.items()}
        cells = {page: found["runtime"] or 0.0 for page, found in data.items() if found}
        say(
            "%7.1f s in cells, of this build or of the one that the cache is of:",
            sum(cells.values()),
        )
        for page, seconds in sorted(cells.items(), key=lambda item: -item[1])[:_LONGEST]:
            say("%7.1f s in %s", seconds, page)


def setup(app) -> dict[str, object]:
    """Register with Sphinx, if it is asked for."""
    if os.environ.get("VERBOSE"):
        app.setup_extension("sphinx.ext.duration")
        phases = Phases()
        app.connect("env-before-read-docs", phases.ends("sources found"))
        app.connect("env-updated", phases.ends("pages read, cells executed"))
        app.connect("env-check-consistency", phases.ends("references collected"))
        app.connect("build-finished", phases.report)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
