"""Compute the golden numbers, or the ledger, anew; store what moved, print it.

    python tests/golden/remake.py golden [LABEL …] [--all]
    python tests/golden/remake.py ledger [CLAIM …] [--all]

What is within its tolerance stays as it is stored, so that a new run or claim changes its own entry
alone, on whatever machine.  With labels (``mlp``, ``setup-*``) only those are looked at.  ``--all``
stores every number anew.  Tolerances in golden.json are never changed.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden import points, stored
from golden.stored import ABSENT, EVERYWHERE, GOLDEN, LEDGER, Moved, Tolerance

from escape_ntk import chapters
from escape_ntk.records.store import RecordStore, default_root

EXACT = Tolerance(0.0)
SMALL = 1e-12
"""A number below this is perhaps zero, and its digits are rounding."""
ROUNDING = "zero but for rounding? Then name it in the first exception of golden.json: elsewhere \
its digits are others"


def asked_for(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns fits, or there are none."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def kept_or_new(name: str, old: Any, new: Any, tolerance: Tolerance) -> Any:
    """The stored entry where today's is within tolerance of it, else today's."""
    return new if [*stored.moved(name, old, new, tolerance)] else old


def golden(patterns: Sequence[str], everything: bool) -> Iterator[str | Moved]:
    """Tiny runs that are asked for, and every plan."""
    old = stored.load(GOLDEN)
    tolerance = EXACT if everything else Tolerance.of(old)
    runs = {label: old["runs"].get(label, ABSENT) for label in points.POINTS}
    for label in [name for name in runs if asked_for(name, patterns)]:
        today = stored.entry(points.POINTS[label], points.run(points.POINTS[label]))
        runs[label] = kept_or_new(label, runs[label], today, tolerance)
    runs = {label: entry for label, entry in runs.items() if entry != ABSENT}
    new = {**old, "plans": stored.plans(), "runs": runs}
    stored.save(GOLDEN, new)
    for part in ("plans", "runs"):
        for label in dict.fromkeys((*old[part], *new[part])):
            pair = (tree[part].get(label, ABSENT) for tree in (old, new))
            yield from stored.moved(label, *pair, EXACT)
    for label in runs.keys() - old["runs"].keys():
        for name, value in numbers(runs[label]):
            if 0 < abs(value) < SMALL and not tolerance.at(label, name).absolute:
                yield f"{label} {name} = {value:g}: {ROUNDING}"


def numbers(tree: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every float of a JSON tree with its name."""
    if isinstance(tree, dict):
        for key, item in tree.items():
            yield from numbers(item, f"{name}.{key}" if name else key)
    elif isinstance(tree, list):
        for i, item in enumerate(tree):
            yield from numbers(item, f"{name}[{i}]")
    elif isinstance(tree, float):
        yield name, tree


def ledger(patterns: Sequence[str], everything: bool) -> Iterable[str | Moved]:
    """Rows that are asked for; all are evaluated."""
    old = stored.load(LEDGER)
    known = {row["id"]: row for row in old}
    today = json.loads(json.dumps(chapters.evaluate_all(RecordStore(default_root()))))
    tolerance = EXACT if everything else EVERYWHERE
    new = [
        kept_or_new(row["id"], known.get(row["id"], ABSENT), row, tolerance)
        if asked_for(row["id"], patterns)
        else known.get(row["id"], ABSENT)
        for row in today
    ]
    new = [row for row in new if row != ABSENT]
    stored.save(LEDGER, new)
    return stored.moved_rows(old, new, EXACT)


def main() -> None:
    """Remake what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("golden", "ledger"))
    parser.add_argument("names", nargs="*", metavar="LABEL")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    part = {"golden": golden, "ledger": ledger}[options.part]
    changes = list(part(options.names, options.all))
    moved = sum(isinstance(change, Moved) for change in changes)
    print(*changes, f"{options.part}: {moved} values changed", sep="\n")


if __name__ == "__main__":
    main()
