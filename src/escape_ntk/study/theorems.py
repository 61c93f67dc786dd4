"""What each theorem, proposition and corollary of the book assumes, and whether its records do.

One :class:`Entry` a statement, by its label: hypotheses in words, each with a check on the records
that the statement's claims rest on.  What a statement only defines is no hypothesis.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from escape_ntk.records.store import Record, RecordStore
from escape_ntk.study.claims import Claim, Runs
from escape_ntk.study.hypotheses import Answer, Hypothesis, Outcome, Run, Setting, drawn


@dataclass(frozen=True)
class Entry:
    """The hypotheses of one statement.

    ``claims``: whose records to look at besides those of the statement's own claims; ``runs``:
    configurations to look at where there are no records.
    """

    label: str
    hypotheses: tuple[Hypothesis, ...]
    claims: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()


def setting_of(entry: Entry, claims: Sequence[Claim], store: RecordStore) -> Setting:
    """Records and configurations of a statement's ``claims``, each once."""
    names = dict.fromkeys(n for claim in claims for n in _evidence(claim, store.root))
    records = tuple(_records(store.root, name.split("/")[0])[name] for name in names)
    runs: dict[str, Run] = {}
    for record in records:
        config = {key: value for key, value in record.config.items() if key != "seed"}
        found = drawn(record.experiment, record.config)
        run = {**config, "experiment": record.experiment, **found}
        runs.setdefault(str(sorted(run.items(), key=lambda item: item[0])), run)
    return Setting((*entry.runs, *runs.values()), records)


@functools.cache
def _evidence(claim: Claim, root: Path) -> tuple[str, ...]:
    """Records that a claim rests on, those of its control alone left out."""
    runs = Runs(RecordStore(root))
    claim.measure(runs, False)
    return runs.names


@functools.cache
def _records(root: Path, folder: str) -> dict[str, Record]:
    return {f"{folder}/{r.key[:16]}": r for r in RecordStore(root).find(folder)}


def answers(
    entry: Entry, claims: Sequence[Claim], store: RecordStore
) -> list[tuple[Hypothesis, Answer]]:
    """Each hypothesis of a statement with what its check says of the records of its claims."""
    setting = setting_of(entry, claims, store)
    return [(h, h.check(setting)) for h in entry.hypotheses]


def summary(found: Sequence[tuple[Hypothesis, Answer]]) -> str:
    """``"3 of 5 met, 1 a limit (m up to 8 192); not met: …"``: how a list of answers reads."""
    by = {outcome: [pair for pair in found if pair[1].outcome == outcome] for outcome in Outcome}
    words = f"{len(by[Outcome.MET])} of {len(found)} met"
    if limits := by[Outcome.LIMIT]:
        kind = "1 a limit" if len(limits) == 1 else f"{len(limits)} limits"
        words += f", {kind} ({'; '.join(answer.detail for _, answer in limits)})"
    if rest := by[Outcome.NOT_CHECKED]:
        words += f", {len(rest)} not checked"
    if failing := by[Outcome.NOT_MET]:
        words += f"; not met: {', '.join(h.words.split(': ')[0] for h, _ in failing)}"
    return words
