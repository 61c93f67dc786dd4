"""Execute pages and write each beside itself as a notebook: ``page.md`` -> ``page.ipynb``.

One direction only.  The Markdown is what a person edits; the notebook, with its outputs, is made
from it, for Jupyter, for readers of the repository and for the notebook tests.  A page whose cell
fails leaves its old notebook as it was.

Called by ``make notebooks``, or by hand: ``python book/tools/pair_notebooks.py book/setup.md``.
With ``--text`` first, a page whose cells of code are those of its notebook gives it its new text
alone: nothing is executed, and every stored output stays.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import jupytext
import launch
from nbclient import NotebookClient
from nbformat import NotebookNode

CELL_TIMEOUT = 600  # seconds, as in _config.yml


def executed(page: Path) -> NotebookNode:
    """Return ``page`` as a notebook, run from its own folder in a fresh kernel."""
    notebook = jupytext.read(page)
    for index, cell in enumerate(notebook.cells):
        cell.id = f"{page.stem}-{index:02d}"  # no random ids: a diff shows what changed
    NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(page.parent)}},
    ).execute()
    notebook.metadata.get("language_info", {}).pop("version", None)
    return notebook


def without_copies(notebook: NotebookNode) -> NotebookNode:
    """The notebook with one form of each figure, the drawing: its picture in pixels goes."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in [k for k in data if k.endswith("image/svg+xml")]:
                data.pop(kind.replace("svg+xml", "png"), None)
    return notebook


def retold(page: Path) -> NotebookNode:
    """The notebook beside ``page`` with the page's text; raises ValueError where code differs."""
    notebook, new = jupytext.read(page.with_suffix(".ipynb")), jupytext.read(page).cells
    old = [cell for cell in notebook.cells if not launch.is_setup(cell)]
    same = len(old) == len(new) and all(
        a.cell_type == b.cell_type and (a.cell_type == "markdown" or a.source == b.source)
        for a, b in zip(old, new, strict=True)
    )
    if not same:
        raise ValueError(
            f"expected {page} to differ from its notebook in text alone; got other cells; "
            "remedy: execute it, without --text"
        )
    for a, b in zip(old, new, strict=True):
        a.source = b.source
    return notebook


def main(names: list[str]) -> None:
    """Execute the pages ``names`` one after the other; after ``--text``, give them their text."""
    text_alone = names[:1] == ["--text"]
    names = names[text_alone:]
    if not names:
        raise SystemExit("expected at least one page; got none; for example book/setup.md")
    if text_alone:
        for page in map(Path, names):
            jupytext.write(retold(page), page.with_suffix(".ipynb"))
        return
    setting = launch.configured(launch.ROOT)
    for page in map(Path, names):
        start = time.perf_counter()
        notebook = launch.prepared(without_copies(executed(page)), setting)
        jupytext.write(notebook, page.with_suffix(".ipynb"))
        print(f"{page.with_suffix('.ipynb')}: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
