"""The chapters of the book, one folder each; what all of them run and claim.

A folder in here is a chapter: nothing lists them.
"""

import importlib
import importlib.util
import pkgutil

from escape_ntk import checks
from escape_ntk.records.store import RecordStore
from escape_ntk.study.chapter import Chapter
from escape_ntk.study.claims import Claim
from escape_ntk.study.plans import Experiment
from escape_ntk.study.point import KINDS, Point
from escape_ntk.study.theorems import Entry


def load(part: str) -> list[Chapter]:
    """Import the module ``part`` of every chapter that has one; all chapters, in their order."""
    found = []
    for info in pkgutil.iter_modules(__path__, f"{__name__}."):
        if info.ispkg:
            if importlib.util.find_spec(f"{info.name}.{part}"):
                importlib.import_module(f"{info.name}.{part}")
            found.append(importlib.import_module(info.name).chapter)
    return sorted(found, key=lambda chapter: chapter.number)


def with_runs() -> list[Chapter]:
    """All chapters, their ``runs`` imported, and ``more_runs`` of those that have two files."""
    load("runs")
    return load("more_runs")


def experiments() -> list[Experiment]:
    """Every experiment, in the order of the chapters."""
    return [experiment for chapter in with_runs() for experiment in chapter.experiments]


def experiment(name: str) -> Experiment:
    """The experiment of this name; :class:`~escape_ntk.checks.UnknownNameError` otherwise."""
    known = {e.name: e for e in experiments()}
    return known[checks.one_of("experiment", name, tuple(known))]


def kinds() -> dict[str, type[Point]]:
    """Every class of runs, by the experiment that it names."""
    with_runs()
    return {name: kind for name, kind in KINDS.items() if kind.__module__.startswith("escape_ntk.")}


def claims() -> list[Claim]:
    """Every claim, in the order of the chapters; ``more_claims`` of those that have two files."""
    load("claims")
    return [claim for chapter in load("more_claims") for claim in chapter.claims]


def claim(name: str) -> Claim:
    """The claim of this id; :class:`~escape_ntk.checks.UnknownNameError` otherwise."""
    known = {c.id: c for c in claims()}
    return known[checks.one_of("claim", name, tuple(known))]


def evaluate_all(store: RecordStore) -> list[dict]:
    """The ledger: one row for each claim, see :meth:`~escape_ntk.study.claims.Claim.evaluate`."""
    return [claim.evaluate(store) for claim in claims()]


def theorems() -> dict[str, Entry]:
    """What each statement of the book assumes, by its label."""
    return {entry.label: entry for chapter in load("theorems") for entry in chapter.theorems}
