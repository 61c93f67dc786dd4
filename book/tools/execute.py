"""Execute the pages that the build has no outputs of, side by side, before it asks for them.

The build executes one page after the other.  Here as many as there are cores run at a time, the
largest first, and what they print goes into the cache of the build.  A page that fails is left to
the build, which says so.

Looked at: the parallel executor of jupyter-cache, which takes notebooks from a list in the cache's
database, where the build keeps its own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "book/_ext"))

from source_cache import cache_folder  # noqa: E402

FIRST = ("mlp", "cnn", "your-network", "published-figure")
"""Pages that take longest: a short one is better last."""


def missing(cache, folder: Path) -> Iterator[tuple[Path, nbformat.NotebookNode]]:
    """Notebooks whose cells the cache does not know."""
    for path in sorted(folder.glob("*.ipynb"), key=lambda path: path.stem not in FIRST):
        notebook = nbformat.read(path, as_version=4)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            yield path, notebook


def executed(path: Path, notebook: nbformat.NotebookNode) -> float:
    """Run all cells beside the page; seconds."""
    start = time.monotonic()
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=900, resources=where, record_timing=False).execute()
    return time.monotonic() - start


def main(root: Path = ROOT) -> None:
    """Execute and keep."""
    folder, workers = cache_folder(root), os.cpu_count() or 1
    cache = get_cache(folder)
    todo = list(missing(cache, root / "book"))
    if len(todo) < 2:
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # more threads than cores wait for one another
    with ThreadPoolExecutor(workers) as pool:
        runs = {pool.submit(executed, *one): one for one in todo}
        for run in as_completed(runs):
            path, notebook = runs[run]
            failed = run.exception()
            if failed is None:
                data = {"execution_seconds": run.result()}
                bundle = CacheBundleIn(notebook, str(path.with_suffix(".md")), data=data)
                if folder == cache_folder(root):
                    cache.cache_notebook_bundle(bundle, overwrite=True)
                    print(f"{run.result():6.1f} s {path.stem}", flush=True)
            elif not isinstance(failed, CellControlSignal):
                raise failed


if __name__ == "__main__":
    main()
