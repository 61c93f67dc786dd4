"""What was recorded, folder by folder: runs, code, machine, time; all from the records themselves.

Each record is verified as it is read, so the inventory also says that nothing is damaged.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from escape_ntk import chapters
from escape_ntk.display import html as page
from escape_ntk.records.store import Record, RecordStore
from escape_ntk.study.plans import SCALES

HEADER = ("folder", "made by", "runs", "machine", "wall time", "written", "commit")
FACTS = ("commit", "dirty", "cpu", "accelerator", "threads", "torch", "wall_seconds", "written_utc")
"""What a row is made of."""


@dataclass(frozen=True)
class Recorded:
    """One folder of records and the experiments of the catalogue that write into it."""

    folder: str
    experiments: tuple[str, ...]
    records: tuple[Record, ...]

    @property
    def seconds(self) -> float:
        """Wall time of all runs."""
        return sum(r.provenance["wall_seconds"] for r in self.records)

    def cells(self) -> list[object]:
        """The row of the table, see :data:`HEADER`."""
        runs = [r.provenance for r in self.records]
        days = sorted({p["written_utc"][:10] for p in runs})
        return [
            self.folder,
            ", ".join(self.experiments),
            len(runs),
            _each((f"{p['accelerator'] or p['cpu']}, {_threads(p)}" for p in runs), "; "),
            page.duration(self.seconds),
            days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}",
            _each(f"{str(p['commit'])[:10]}{'+' if p['dirty'] else ''}" for p in runs),
        ]


def writers() -> dict[str, tuple[str, ...]]:
    """Record folder → the experiments of the catalogue that write into it."""
    found: dict[str, dict[str, None]] = {}
    for experiment in chapters.experiments():
        for scale in SCALES:
            for point in experiment.points(scale):
                found.setdefault(point.experiment, {})[experiment.name] = None
    return {folder: tuple(names) for folder, names in found.items()}


def inventory(store: RecordStore) -> list[Recorded]:
    """Every folder of the ``store`` that holds a record, in the order of the catalogue."""
    known = writers()
    strange = [name for name in store.experiments() if name not in known]
    rows = [
        Recorded(folder, known.get(folder, ()), tuple(store.find(folder)))
        for folder in [*known, *strange]
    ]
    return [row for row in rows if row.records]


def gaps(store: RecordStore) -> list[str]:
    """What the inventory would miss; empty when it is whole.

    Damaged records, databases that no experiment writes, provenance without a fact.
    """
    found, rows = [], {row.folder: row for row in inventory(store)}
    for folder in store.experiments():
        row, stored = rows.get(folder, Recorded(folder, (), ())), len(store.keys(folder))
        if unread := stored - len(row.records):
            found.append(f"{folder}: {unread} of {stored} records are damaged")
        if row.records and not row.experiments:
            found.append(f"{folder}: no experiment of the catalogue writes it")
        silent = {fact for r in row.records for fact in FACTS if fact not in r.provenance}
        found += [f"{folder}: a record does not say its {fact}" for fact in sorted(silent)]
    return found


def table(rows: Sequence[Recorded]) -> page.Html:
    """The inventory as a table, with a last row for all of it."""
    facts = [record.provenance for row in rows for record in row.records]
    seconds = page.duration(sum(row.seconds for row in rows))
    torch = f"torch {_each(str(p['torch']) for p in facts)}"
    commits = f"{len({p['commit'] for p in facts})} commits"
    total = ["all", "", len(facts), torch, seconds, "", commits]
    return page.table(HEADER, [*(row.cells() for row in rows), total])


def versions(root: Path) -> list[list[str]]:
    """Package, version that runs, pinned version, for what ``root/requirements.in`` asks for."""
    asked = (root / "requirements.in").read_text("utf-8")
    names = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", asked, re.MULTILINE)
    locked = (root / "requirements.txt").read_text("utf-8")
    pins = dict(re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)", locked, re.MULTILINE))
    return [[name, _installed(name), pins.get(name, "not pinned")] for name in names]


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _threads(facts: Mapping) -> str:
    return f"{facts['threads']} thread" + ("" if facts["threads"] == 1 else "s")


def _each(values: Iterable[str], between: str = ", ") -> str:
    return between.join(sorted(set(values)))
