"""Pytest plugin: what a notebook printed when nbval ran it is what the book shows.

``pytest -p tests.book_outputs --nbval-lax … book/*.ipynb``.  nbval executes each cell and compares
its output with the stored one, as without this plugin, which only listens.  When all cells of a
notebook have passed, their outputs go into the cache of the book's build, under the key that
jupyter-cache makes of the cells.  The build then executes nothing a second time.

A notebook is not kept when one of its cells fails or is left out, or when a file that cells can
read (``book/_ext/source_cache.py``) changes meanwhile: the build executes its page itself.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell

sys.path.append(str(Path(__file__).parents[1] / "book/_ext"))

from source_cache import cache_folder


@dataclass
class Run:
    """One execution of a notebook: a copy with the new outputs, and what became of its cells."""

    notebook: NotebookNode
    folder: Path
    """Of the cache, as the sources stood at the start."""
    client: NotebookClient
    """Turns messages of the kernel into outputs, as it does when the book executes a page."""
    passed: list[bool] = field(default_factory=list)
    seconds: float = 0.0

    def cells(self) -> list[tuple[int, NotebookNode]]:
        """The cells that run, and where in the notebook they stand."""
        every = enumerate(self.notebook.cells)
        return [(index, cell) for index, cell in every if cell.cell_type == "code"]


RUN = pytest.StashKey[Run]()


def begun(item: IPyNbCell) -> Run:
    """The execution that a cell belongs to; the first cell begins it."""
    file = item.parent
    if RUN not in file.stash:
        notebook = copy.deepcopy(file.nb)
        client = NotebookClient(notebook, record_timing=False)
        client.reset_execution_trackers()
        file.stash[RUN] = Run(notebook, cache_folder(item.config.rootpath), client)
    return file.stash[RUN]


def hear(run: Run, number: int, messages: list[dict]) -> None:
    """Give code cell ``number`` the outputs that came with ``messages``; the last says *idle*."""
    index, cell = run.cells()[number]
    cell.outputs, run.client.clear_before_next_output = [], False  # as before each cell
    request = messages[-1]["parent_header"].get("msg_id")
    with suppress(CellExecutionComplete):
        for message in messages:
            if message["parent_header"].get("msg_id") == request:
                run.client.process_message(message, cell, index)
    cell.execution_count = number + 1  # nbval asks the kernel not to count
    for output in cell.outputs:
        if output.output_type == "execute_result":
            output.execution_count = number + 1


def keep(run: Run, notebook: Path, root: Path) -> bool:
    """Put a whole execution into the cache of the build; False if there is none to keep."""
    whole = len(run.passed) == len(run.cells()) and all(run.passed)
    if not whole or run.folder != cache_folder(root):
        return False
    page = str(notebook.with_suffix(".md"))
    bundle = CacheBundleIn(run.notebook, page, data={"execution_seconds": run.seconds})
    get_cache(run.folder).cache_notebook_bundle(bundle, overwrite=True)
    return True


def listening(item: IPyNbCell, heard: list[dict]) -> Callable[..., dict]:
    """The file's own way to get a message, noting each."""
    get_message = type(item.parent).get_kernel_message

    def get(**options) -> dict:
        message = get_message(item.parent, **options)
        heard.append(message)
        return message

    return get


def pytest_configure(config: pytest.Config) -> None:
    """Make the cache before workers would do so at the same time."""
    if not hasattr(config, "workerinput"):
        get_cache(cache_folder(config.rootpath)).db  # noqa: B018


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """Listen while nbval runs a cell."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    heard: list[dict] = []
    item.parent.get_kernel_message = listening(item, heard)
    try:
        result = yield
    finally:
        del item.parent.get_kernel_message
    hear(begun(item), item.cell_num, heard)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Note what became of a cell; after the last, keep the notebook."""
    report = yield
    if isinstance(item, IPyNbCell):
        run = begun(item)
        run.seconds += call.duration
        if report.when == "call":
            run.passed.append(report.passed)
            if len(run.passed) == len(run.cells()):
                keep(run, item.path, item.config.rootpath)
    return report
