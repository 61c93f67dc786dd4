"""The last line of a build that a cell stopped says which page, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from myst_nb.core.execute.base import ExecutionError
from nbclient.exceptions import CellExecutionError

EXTENSIONS = Path(__file__).parents[2] / "book" / "_ext"


@pytest.fixture
def cause(monkeypatch):
    monkeypatch.syspath_prepend(EXTENSIONS)
    import failed_cell

    return failed_cell.cause


def test_a_failed_cell_is_named_with_its_error(cause, tmp_path):
    error = ExecutionError(str(tmp_path / "book/x.md"))
    error.__cause__ = CellExecutionError("traceback", "InputError", "expected d ≥ 2; got 1")
    words = "error: a cell of book/x.md failed\n  InputError: expected d ≥ 2; got 1"
    assert cause(error, tmp_path) == words


def test_a_cell_that_ran_too_long_is_named(cause, tmp_path):
    error = ExecutionError(str(tmp_path / "book/x.md"))
    error.__cause__ = TimeoutError("cell timed out")
    assert cause(error, tmp_path).endswith("failed\n  cell timed out")


@pytest.mark.parametrize("other", [None, ValueError("a warning is an error")])
def test_nothing_is_said_of_other_ends(cause, other, tmp_path):
    assert cause(other, tmp_path) is None
