"""Sphinx extension: what extensions copy when all is written is there before the first page.

A page names its scripts and style sheets with checksums of the files.  Without this the first build
would find some files missing, name them without, and every page would be another one in the next.

Looked at: ``html_static_path`` copies in time, and these extensions do not use it.
"""

from __future__ import annotations

from pathlib import Path

LATE = ("myst_nb.sphinx_ext", "sphinx-mathjax-offline", "sphinx_exercise", "sphinx_proof")
"""Modules whose listeners at the end of a build copy files, and do nothing else."""


def _copy(app, builder) -> None:
    if builder.format == "html":
        Path(app.outdir, "_static").mkdir(parents=True, exist_ok=True)
        for listener in app.events.listeners["build-finished"]:
            if listener.handler.__module__ in LATE:
                listener.handler(app, None)


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("write-started", _copy)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
