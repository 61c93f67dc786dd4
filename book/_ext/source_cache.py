"""Sphinx extension: a page is executed anew when the code or the data behind it changes.

The key of jupyter-cache covers the cells of a page and nothing else: after a change in the
package, or in a record that a page draws, the book would keep showing the old outputs.  Here the
cache lives in a folder named by a hash of everything that the cells can read.  A new hash means an
empty cache, and, since the folder is part of Sphinx's configuration, that every page is read again.

Looked at: jupyter-cache, which keeps the outputs, hashes source and chosen metadata of a notebook,
and takes no other file into its key; ``nb_execution_mode: force`` of myst-nb executes always.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

#: Folders and files, relative to the root of the repository, that decide what a cell prints.
INPUTS = ("src", "requirements.txt", "book/records")
#: Written by Python and by the installer, not by people.
GENERATED = ("__pycache__", ".egg-info")


def source_hash(root: Path, inputs: tuple[str, ...] = INPUTS) -> str:
    """Return a hash over names and contents of all ``inputs`` below ``root``."""
    return hash_of(root, files(root, inputs))


def hash_of(root: Path, paths: Iterable[Path]) -> str:
    """Return a hash over names, as seen from ``root``, and contents of ``paths``."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def files(root: Path, inputs: Iterable[str]) -> list[Path]:
    """All files of ``inputs`` below ``root`` that people wrote."""
    found: list[Path] = []
    for name in inputs:
        start = root / name
        found += [start] if start.is_file() else [p for p in start.rglob("*") if p.is_file()]
    return [p for p in found if not any(part.endswith(GENERATED) for part in p.parts)]


def cache_folder(root: Path) -> Path:
    """Where the outputs of the pages below ``root`` are kept, for the sources as they are now."""
    return root / "_build/.jupyter_cache" / source_hash(root)


def _set_cache_path(app, config) -> None:
    config.nb_execution_cache_path = str(cache_folder(Path(app.srcdir)))


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    # Before myst-nb, whose own handler freezes the configuration.
    app.connect("config-inited", _set_cache_path, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
