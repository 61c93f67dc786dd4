"""The threads of the concordance: statement → claim → record → code → test, and what dangles.

Pages, ledger, records and sources are gathered into one :class:`Evidence`; :func:`problems` says
in words which thread is not tied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import code_map
import imports
import statements

from escape_ntk import chapters

BOOK = "book"


@dataclass(frozen=True)
class Evidence:
    """All that the concordance is made from."""

    root: Path
    pages: Mapping[str, statements.Page]
    ledger: Mapping[str, Mapping]
    modules: Mapping[str, code_map.Module]
    tests: Mapping[str, code_map.Exercise]
    assumed: Collection[str]
    """Labels of the statements whose hypotheses are registered."""
    experiments: Mapping[str, code_map.Name]
    """Experiment → the class that computes its records."""

    @cached_property
    def statements(self) -> list[statements.Statement]:
        """All statements, in the order of the book."""
        return [statement for page in self.pages.values() for statement in page.statements]

    @cached_property
    def functions(self) -> list[code_map.Name]:
        """What the experiments use of the package, sorted."""
        classes = self.experiments.values()
        return sorted({used for name in classes for used in code_map.uses(name, self.modules)})

    def folders(self, claim: str) -> list[str]:
        """Folders of the records that a claim, or its control, rests on."""
        return sorted({record.split("/")[0] for record in self.ledger[claim]["record"]})


def gather(root: Path, ledger: Mapping[str, Mapping]) -> Evidence:
    """The evidence in the checkout ``root`` with an evaluated ``ledger``, rows by their id."""
    found = code_map.modules(root / "src" / imports.NAME)
    return Evidence(
        root=root,
        pages=statements.pages(root),
        ledger=ledger,
        modules=found,
        tests=code_map.exercises(root / "tests", found),
        assumed=tuple(chapters.theorems()),
        experiments={name: place(kind) for name, kind in chapters.kinds().items()},
    )


def place(kind: type) -> code_map.Name:
    """A class by its module inside the package, and its name."""
    return kind.__module__.removeprefix(f"{imports.NAME}."), kind.__name__


def home(row: Mapping) -> str:
    """The page on which a claim has to stand."""
    return f"{BOOK}/{row['chapter']}"


def problems(evidence: Evidence) -> list[str]:
    """What dangles, in words; empty when every thread is tied."""
    loose = (_loose_statements, _loose_hypotheses, _loose_claims, _loose_code)
    return [problem for find in loose for problem in find(evidence)]


def _loose_statements(evidence: Evidence) -> Iterator[str]:
    for statement in evidence.statements:
        where = f"{statement.page}.md:{statement.line}: {statement.kind} {statement.title!r}"
        if statement.label is None:
            yield f"{where} has no :label:"
        if not statement.claims and statement.reason is None:
            yield f"{where} has neither a claim nor a source tag [D] or [L] that stands for one"
        for claim in {*statement.claims, *statement.beside} - set(evidence.ledger):
            yield f"{where} names the claim {claim!r}, which the ledger does not have"


def _loose_hypotheses(evidence: Evidence) -> Iterator[str]:
    formal = {s.label: s for s in evidence.statements if s.formal and s.label}
    for label in formal.keys() - {*evidence.assumed}:
        where = f"{formal[label].page}.md:{formal[label].line}"
        yield f"{where}: no chapter says what {label} assumes (theorems.py)"
    for label in {*evidence.assumed} - formal.keys():
        yield f"a chapter says what {label} assumes (theorems.py), which stands on no page"


def _loose_claims(evidence: Evidence) -> Iterator[str]:
    for name, row in evidence.ledger.items():
        page = evidence.pages.get(home(row))
        if page is None or name not in page.claims:
            yield f"claim {name} does not stand on its page {home(row)}.md"
        if not row["record"]:
            yield f"claim {name} rests on no record"
        for folder in evidence.folders(name):
            if folder not in evidence.experiments:
                yield f"claim {name}: no class computes the record {folder}"


def _loose_code(evidence: Evidence) -> Iterator[str]:
    classes = evidence.experiments.values()
    for name in classes:
        if not any(name in exercise.names for exercise in evidence.tests.values()):
            yield f"experiment {'.'.join(name)} is named by no test"
    for module in sorted({module for module, _ in (*classes, *evidence.functions)}):
        if not any(module in exercise.modules for exercise in evidence.tests.values()):
            yield f"module {module} is exercised by no test"


# ---------------------------------------------------------------- what a theorem has to answer


FATES = {"fails": "fails", "undecided": "undecided", "passes": "PASSES"}
"""Fates of a negative control, from good to bad, and how the table writes them."""


def broken(statement: statements.Statement, ledger: Mapping[str, Mapping]) -> str:
    """What the negative controls of a statement break, and what then becomes of the check."""
    controls = [ledger[claim]["negative_control"] for claim in statement.claims]
    worst: dict[str, str] = {}
    for control in controls:
        known = worst.get(control["broken"], "fails")
        worst[control["broken"]] = max(known, control["fate"], key=list(FATES).index)
    return "; ".join(f"{what}: {FATES[fate]}" for what, fate in worst.items()) or "–"
