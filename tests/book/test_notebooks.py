"""Each executable page and its paired notebook say the same, and checked cells can be checked.

Every check is a function that returns what is wrong; its twin below breaks a copy, and fails.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import jupytext
import pytest
from front_matter import HEAD
from jupytext.compare import NotebookDifference, compare_notebooks
from nbformat.v4 import new_output

BOOK = Path(__file__).parents[2] / "book"
CHECKED = "nbval-check-output"
COLAB = "colab"  # tag of the cell that only the notebook has (book/tools/launch.py)

PAGE = (
    HEAD
    + """\
# A page

```{code-cell} python
:tags: [nbval-check-output]

print(1 + 1)
```
"""
)


def executable_pages(folder: Path) -> list[Path]:
    """Return the Markdown pages of ``folder`` that have code cells."""
    return [p for p in sorted(folder.glob("*.md")) if "\n```{code-cell" in p.read_text("utf-8")]


def unpaired(folder: Path) -> list[str]:
    """Return names of pages without a notebook, and of notebooks without a page."""
    pages = {p.stem for p in executable_pages(folder)}
    notebooks = {p.stem for p in folder.glob("*.ipynb")}
    return sorted(pages ^ notebooks)


def drift(page: Path) -> str:
    """Return how the notebook beside ``page`` differs from it; empty when it does not."""
    try:
        notebook = jupytext.read(page.with_suffix(".ipynb"))
        notebook.cells = [c for c in notebook.cells if COLAB not in c.metadata.get("tags", [])]
        compare_notebooks(
            notebook,
            jupytext.read(page),
            "md:myst",
            allow_expected_differences=True,
            raise_on_first_difference=True,
        )
    except NotebookDifference as difference:
        return str(difference)
    return ""


def uncheckable(page: Path) -> list[str]:
    """Return the checked cells that nbval would pass unseen: no stored output, or never run."""
    cells = jupytext.read(page.with_suffix(".ipynb")).cells
    checked = [c for c in cells if CHECKED in c.metadata.get("tags", [])]
    return [c.source for c in checked if not c.outputs or not c.execution_count]


REMEDY = (
    "run `make notebooks PAGES=book/<page>.md`; after a change of prose alone, in seconds, "
    "`.venv/bin/python book/tools/pair_notebooks.py --text book/<page>.md`"
)
PAGES = pytest.mark.parametrize("page", executable_pages(BOOK), ids=lambda page: page.stem)


def test_pages_are_paired():
    assert executable_pages(BOOK), f"expected executable pages in {BOOK}; got none"
    assert unpaired(BOOK) == [], f"expected a page and a notebook of each name; {REMEDY}"


@PAGES
def test_pairs_do_not_drift(page):
    assert drift(page) == "", f"expected {page.stem}.ipynb to hold the cells of its page; {REMEDY}"


@PAGES
def test_checked_cells_have_output(page):
    assert uncheckable(page) == [], f"expected stored output in every checked cell; {REMEDY}"


# --- negative controls: each check fails on a copy with its condition broken -------------------


@pytest.fixture
def page(tmp_path) -> Path:
    """A sound page and its notebook, as if executed."""
    path = tmp_path / "page.md"
    path.write_text(PAGE, "utf-8")
    notebook = jupytext.read(path)
    cell = notebook.cells[-1]
    cell.execution_count = 1
    cell.outputs = [new_output("stream", text="2\n")]
    jupytext.write(notebook, path.with_suffix(".ipynb"))
    return path


def edit_notebook(page: Path, edit) -> None:
    """Apply ``edit`` to the checked cell of the notebook beside ``page``."""
    notebook = jupytext.read(page.with_suffix(".ipynb"))
    edit(notebook.cells[-1])
    jupytext.write(notebook, page.with_suffix(".ipynb"))


def test_sound_pair_passes(page):
    assert unpaired(page.parent) == [] and drift(page) == "" and uncheckable(page) == []


def test_missing_notebook_is_found(page):
    page.with_suffix(".ipynb").unlink()
    assert unpaired(page.parent) == ["page"]


def test_missing_page_is_found(page):
    page.unlink()
    assert unpaired(page.parent) == ["page"]


@pytest.mark.parametrize("old, new", [("1 + 1", "1 + 2"), ("# A page", "# Another page")])
def test_drift_is_found(page, old, new):
    page.write_text(PAGE.replace(old, new), "utf-8")
    assert drift(page)


def test_drift_in_tags_is_found(page):
    page.write_text(PAGE.replace(":tags: [nbval-check-output]\n", ""), "utf-8")
    assert drift(page)


@pytest.fixture
def pair_notebooks(extensions):
    return importlib.import_module("pair_notebooks")


def test_new_text_alone_needs_no_execution(page, pair_notebooks):
    page.write_text(PAGE.replace("# A page", "# Another page"), "utf-8")
    before = jupytext.read(page.with_suffix(".ipynb")).cells[-1]
    pair_notebooks.main(["--text", str(page)])
    assert drift(page) == "" and uncheckable(page) == []
    assert jupytext.read(page.with_suffix(".ipynb")).cells[-1] == before


def test_new_code_is_not_taken_for_new_text(page, pair_notebooks):
    kept = page.with_suffix(".ipynb").read_bytes()
    page.write_text(PAGE.replace("1 + 1", "1 + 2"), "utf-8")
    with pytest.raises(ValueError, match=r"expected .* in text alone; .* without --text"):
        pair_notebooks.main(["--text", str(page)])
    assert page.with_suffix(".ipynb").read_bytes() == kept


def test_missing_output_is_found(page):
    edit_notebook(page, lambda cell: cell.update(outputs=[]))
    assert uncheckable(page) == ["print(1 + 1)"]


def test_missing_execution_count_is_found(page):
    edit_notebook(page, lambda cell: cell.update(execution_count=None))
    assert uncheckable(page) == ["print(1 + 1)"]
