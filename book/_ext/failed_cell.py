"""Sphinx extension: when a cell fails, the last line that a reader sees says which, and why.

What stops the build prints three tracebacks, one for each layer above the cell.  The cause is in
the middle of them; here it is said again, at the very end.

Looked at: ``nb_execution_show_tb`` of myst-nb prints one more traceback, before those three.
"""

from __future__ import annotations

import atexit
import sys
from pathlib import Path

from myst_nb.core.execute.base import ExecutionError
from nbclient.exceptions import CellExecutionError


def cause(error: Exception | None, root: Path) -> str | None:
    """Page and error of the cell that failed; None when it was no cell."""
    if not isinstance(error, ExecutionError):
        return None
    path = Path(str(error))
    page = path.relative_to(root) if path.is_relative_to(root) else path
    cell = error.__cause__
    known = isinstance(cell, CellExecutionError)
    why = f"{cell.ename}: {cell.evalue}" if known else str(cell)
    return f"error: a cell of {page} failed\n  {why}"


def _say(app, error: Exception | None) -> None:
    if words := cause(error, Path(app.srcdir)):
        atexit.register(print, words, file=sys.stderr)


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("build-finished", _say)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
