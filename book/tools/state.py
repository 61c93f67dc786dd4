"""What the book is built from, as hashes, and those of the last build that went well.

Three parts: each *page*; what lies *around* and changes how pages are written, or the pages that
are made from it (``gathered``); and the *ground*, all else, on which the reading of every page may
rest.  A build goes well if it ends without an error and without a warning: only then is the
state kept in which it began, so that what is wrong is said again by every build until it is mended.

Looked at: Sphinx compares dates of files, and knows nothing of what extensions read; ``make`` does
the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TypedDict, cast

from source_cache import files, hash_of

NAME = "sources.json"
"""Beside the environment of Sphinx, with which it goes."""
PASSED_BY = ("_build", "build", "dist", "venv", "results")
"""Beginnings of names at the root of the repository that no page is made from, besides a dot's."""
PRINTED = "_build/pdf/escape-ntk.pdf"
"""The book as `make pdf` has printed it, to which the foot of every page links (``foot``)."""
RECORDS = "ESCAPE_NTK_RECORDS"
"""``records.database.ROOT_VARIABLE``, from a module that takes a second to import."""


class State(TypedDict):
    """Hashes; the pages by their paths."""

    pages: dict[str, str]
    around: str
    ground: str


class Kept(TypedDict):
    """A build that went well: the state in which it began, and the hash of ``across``."""

    sources: State
    across: str


def state(root: Path) -> State:
    """Of the checkout ``root``, as it is now."""
    pages: dict[str, str] = {}
    around, ground = [], []
    for path in files(root, _inputs(root)):
        name = path.relative_to(root).as_posix()
        if name.startswith("book/") and path.suffix == ".md":
            pages[name] = hash_of(root, [path])
        elif name.startswith("tests/") or (name.startswith("book/") and path.suffix == ".ipynb"):
            around.append(path)
        else:
            ground.append(path)
    return {
        "pages": pages,
        "around": f"{_commit(root)} {_printed(root)} {hash_of(root, around)}",
        "ground": " ".join([hash_of(root, ground), *_elsewhere()]),
    }


def _inputs(root: Path) -> list[str]:
    return [p.name for p in root.iterdir() if not p.name.startswith((".", *PASSED_BY))]


def _commit(root: Path) -> str:
    """What the foot of every page says."""
    run = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(run, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _printed(root: Path) -> str:
    """Which print there is, by size and date: it is large, and its contents need not be read."""
    pdf = root / PRINTED
    return f"{pdf.stat().st_size} {pdf.stat().st_mtime_ns}" if pdf.is_file() else ""


def _elsewhere() -> Iterator[str]:
    """Python, the packages that are installed, and records that are not those of the checkout."""
    yield sys.version.split()[0]
    yield from sorted(f"{found.name}=={found.version}" for found in metadata.distributions())
    if chosen := os.environ.get(RECORDS):
        yield hash_of(Path(chosen), files(Path(chosen), ["."]))


def kept(folder: Path) -> Kept | None:
    """The last build with its environment in ``folder``, if that went well.

    None too where it was another edition of these tools that kept it.
    """
    try:
        told = json.loads((folder / NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(told, dict) and told.keys() == Kept.__annotations__.keys()
    return cast("Kept", told) if same else None


def keep(folder: Path, now: Kept) -> None:
    """Say that a build went well."""
    beside = folder / f"{NAME}.new"
    beside.write_text(json.dumps(now), "utf-8")
    beside.replace(folder / NAME)


def forget(folder: Path) -> None:
    """Before a build: unless it ends well, the next one begins anew."""
    (folder / NAME).unlink(missing_ok=True)


def to_read(before: State | None, now: State, pages: set[str]) -> set[str]:
    """Which of the ``pages`` (``"book/setup"``) to read again: all, or those that have changed."""
    if before is None or before["ground"] != now["ground"]:
        return pages
    old, new = before["pages"], now["pages"]
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    own = {name for name in pages if f"{name}.md" in changed}
    return own if len(own) == len(changed) else pages  # a page may include what is none
