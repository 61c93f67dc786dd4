"""Compute the golden numbers, or the ledger, anew and store them; print what changed.

    python tests/golden/remake.py [golden] [ledger]

Both without an argument.  Tolerances in golden.json are kept as they are.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden import points, stored
from golden.stored import GOLDEN, LEDGER, Moved, Tolerance

from escape_ntk import chapters
from escape_ntk.records.store import RecordStore, default_root

EXACT = Tolerance(0.0)
FRESH = {"tolerance": {"here": 1e-9, "elsewhere": 1e-6, "exceptions": []}, "plans": {}, "runs": {}}


def golden() -> Iterable[Moved]:
    """Every tiny run and every plan."""
    old = stored.load(GOLDEN) if GOLDEN.exists() else FRESH
    runs = {label: stored.entry(point, points.run(point)) for label, point in points.POINTS.items()}
    new = {
        "machine": stored.machine(),
        "tolerance": old["tolerance"],
        "plans": stored.plans(),
        "runs": runs,
    }
    stored.save(GOLDEN, new)
    yield from stored.moved("machine", old.get("machine", {}), new["machine"], EXACT)
    for part in ("plans", "runs"):
        for label in dict.fromkeys((*old[part], *new[part])):
            pair = (tree[part].get(label, stored.ABSENT) for tree in (old, new))
            yield from stored.moved(label, *pair, EXACT)


def ledger() -> Iterable[Moved]:
    """Every row."""
    old = stored.load(LEDGER) if LEDGER.exists() else []
    new = json.loads(json.dumps(chapters.evaluate_all(RecordStore(default_root()))))
    stored.save(LEDGER, new)
    return stored.moved_rows(old, new, EXACT)


def main(asked: list[str]) -> None:
    """Remake what is asked for, or both."""
    parts = {"golden": golden, "ledger": ledger}
    for name in asked or parts:
        changes = list(parts[name]())
        print(*changes, f"{name}: {len(changes)} values changed", sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
