"""The claims ledger: what is stated, how it is checked, and proof that the check can fail.

A claim gathers values from records, judges them, and judges a *negative control* (the same
measurement with one hypothesis broken) by the same rule: the control must do worse.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from escape_ntk import checks
from escape_ntk.experiments import sweep
from escape_ntk.records import Record, RecordStore
from escape_ntk.stats import Interval, Numbers, log_slope, mean_interval

SOURCES = ("A", "C", "L", "D", "M", "R")
"""Source tags: abstract, public code, literature, derived here, measured, recalled."""


V = TypeVar("V")
"""What a claim gathers and judges."""


class Verdict(enum.StrEnum):
    """What the evidence says of a claim."""

    REPRODUCED = "reproduced"
    PARTLY = "partly"
    NOT_REPRODUCED = "not_reproduced"
    NOT_TESTABLE = "not_testable"


class Fate(enum.StrEnum):
    """What a negative control says of its check."""

    FAILS = "fails"
    UNDECIDED = "undecided"
    PASSES = "passes"


RISING = (Verdict.NOT_REPRODUCED, Verdict.PARTLY, Verdict.REPRODUCED)


def fate(claim: Verdict, control: Verdict) -> Fate:
    """Fails when the control's verdict is worse than the claim's; passes when it is reproduced.

    Undecided otherwise: broken or not, the check says the same, or the claim does not hold itself.
    """
    if control == Verdict.REPRODUCED:
        return Fate.PASSES
    if {claim, control} <= {*RISING} and RISING.index(control) < RISING.index(claim):
        return Fate.FAILS
    return Fate.UNDECIDED


@dataclass(frozen=True)
class Finding:
    """A verdict and the numbers behind it (JSON values)."""

    verdict: Verdict
    measured: Mapping[str, object]


@dataclass(frozen=True)
class Evidence(Generic[V]):
    """Values gathered from records, and which records."""

    values: V
    records: tuple[str, ...]


class MissingRecordError(checks.EscapeNTKError, LookupError):
    """A claim rests on a record that is not there."""


@dataclass(frozen=True)
class Claim(Generic[V]):
    """One entry of the ledger; ``gather(store, broken)`` collects the evidence or its control."""

    id: str
    chapter: str
    statement: str
    source: str
    target: str
    tolerance: str
    broken: str
    gather: Callable[[RecordStore, bool], Evidence[V]]
    judge: Callable[[V], Finding]

    def __post_init__(self):
        for letter in self.source.split("+"):
            checks.one_of("source tag", letter, SOURCES)

    def evaluate(self, store: RecordStore) -> dict:
        """The ledger's row: verdict, measured values, and the fate of the negative control."""
        evidence, control = self.gather(store, False), self.gather(store, True)
        finding, twin = self.judge(evidence.values), self.judge(control.values)
        end = fate(finding.verdict, twin.verdict)
        return {
            "id": self.id,
            "chapter": self.chapter,
            "statement": self.statement,
            "source": self.source,
            "verdict": str(finding.verdict),
            "measured": dict(finding.measured),
            "target": self.target,
            "tolerance": self.tolerance,
            "negative_control": {
                "broken": self.broken,
                "fate": str(end),
                "failed": end == Fate.FAILS,
                "verdict": str(twin.verdict),
                "measured": dict(twin.measured),
            },
            "record": sorted({*evidence.records, *control.records}),
        }


def require(points: Sequence[sweep.Point], store: RecordStore, command: str) -> list[Record]:
    """Records of ``points``; raises :class:`MissingRecordError` naming the command to run."""
    looked_up = [sweep.lookup(point, store) for point in points]
    found = [record for record in looked_up if record is not None]
    missing = [p for p, record in zip(points, looked_up, strict=True) if record is None]
    if missing:
        raise MissingRecordError(
            checks.message(
                expected=f"{len(points)} records below {store.root}",
                got=f"{len(missing)} missing, the first {missing[0]}",
                remedy=f"run `{command}`",
            )
        )
    return found


Value = Callable[[Record, bool], V]
"""A number of one record; with ``True``, of its negative control."""


def over_draws(
    points: Sequence[sweep.Point], value: Value[V], command: str
) -> Callable[[RecordStore, bool], Evidence[list[V]]]:
    """A claim's ``gather``: ``value(record, broken)`` of every point."""

    def gather(store: RecordStore, broken: bool) -> Evidence[list[V]]:
        records = require(points, store, command)
        return Evidence([value(record, broken) for record in records], names(records))

    return gather


def summary_value(right: str, broken: str) -> Value[float]:
    """The summary entry ``right``; ``broken`` for the control."""
    return lambda record, control: float(record.summary[broken if control else right])


def largest_value(right: str, broken: str) -> Value[float]:
    """The largest entry of the array ``right``; of ``broken`` for the control."""
    return lambda record, control: float(record.arrays[broken if control else right].max())


def slope_value(x: str, right: str, broken: str) -> Value[float]:
    """The log-log slope of the array ``right`` on ``x``; of ``broken`` for the control."""

    def value(record: Record, control: bool) -> float:
        return log_slope(record.arrays[x], record.arrays[broken if control else right])

    return value


def name(record: Record) -> str:
    """``experiment/key16``: how the ledger refers to a record."""
    return f"{record.experiment}/{record.key[:16]}"


def names(records: Sequence[Record]) -> tuple[str, ...]:
    """The names of several records."""
    return tuple(name(record) for record in records)


def plus_minus(values: Numbers, form: str = ".3f") -> str:
    """Mean ± half of its 95 % interval, for a table."""
    got = mean_interval(values)
    return f"{got.value:{form}} ± {got.high - got.value:{form}}"


# ------------------------------------------------------------------ judges


def at_most(limit: float) -> Callable[[Numbers], Finding]:
    """Reproduced when every value is ≤ ``limit``."""

    def judge(values: Numbers) -> Finding:
        worst = float(max(values))
        verdict = Verdict.REPRODUCED if worst <= limit else Verdict.NOT_REPRODUCED
        return Finding(verdict, {"largest": worst, "runs": len(values)})

    return judge


def at_least(limit: float) -> Callable[[Numbers], Finding]:
    """Reproduced when every value is ≥ ``limit``."""

    def judge(values: Numbers) -> Finding:
        least, most = float(min(values)), float(max(values))
        verdict = Verdict.REPRODUCED if least >= limit else Verdict.NOT_REPRODUCED
        return Finding(verdict, {"least": least, "most": most, "runs": len(values)})

    return judge


def slope_near(target: float, tolerance: float) -> Callable[[Numbers], Finding]:
    """Reproduced when the 95 % interval of the mean slope lies within target ± tolerance.

    Partly when it only meets that band.
    """

    def judge(slopes: Numbers) -> Finding:
        return judge_slope(mean_interval(slopes), target, tolerance, len(slopes))

    return judge


def judge_slope(got: Interval, target: float, tolerance: float, runs: int) -> Finding:
    """Reproduced when the interval lies within target ± tolerance, partly when it meets that."""
    inside = target - tolerance <= got.low and got.high <= target + tolerance
    meets = got.low <= target + tolerance and target - tolerance <= got.high
    verdict = Verdict.REPRODUCED if inside else Verdict.PARTLY if meets else None
    measured = {"slope": got.value, "low": got.low, "high": got.high, "runs": runs}
    return Finding(verdict or Verdict.NOT_REPRODUCED, measured)


def ratio_one(low: float, high: float, *, held: bool = False) -> Callable[..., Finding]:
    """Reproduced when the 95 % interval of the mean ratio lies in [low, high].

    With ``held`` it must also hold 1.
    """

    def judge(ratios: Numbers) -> Finding:
        got = mean_interval(ratios)
        ok = low <= got.low and got.high <= high and (1.0 in got or not held)
        measured = {"ratio": got.value, "low": got.low, "high": got.high, "runs": len(ratios)}
        return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)

    return judge


def ratio_below_one(ratios: Numbers) -> Finding:
    """Reproduced when the 95 % interval of the mean ratio lies below 1; partly when the mean does.

    ``below`` counts the runs.
    """
    got = mean_interval(ratios)
    verdict = Verdict.PARTLY if got.value < 1 else Verdict.NOT_REPRODUCED
    if got.high < 1:
        verdict = Verdict.REPRODUCED
    below = sum(bool(ratio < 1) for ratio in ratios)
    measured = {"ratio": got.value, "low": got.low, "high": got.high, "runs": len(ratios)}
    return Finding(verdict, measured | {"below": below})


def inside_intervals(rows: Sequence[tuple[str, float, Interval]]) -> Finding:
    """Reproduced when every published value lies in its interval; partly when most do."""
    hits = [published in interval for _, published, interval in rows]
    measured: dict[str, object] = {
        label: {"published": value, "own": i.value, "low": i.low, "high": i.high, "inside": hit}
        for (label, value, i), hit in zip(rows, hits, strict=True)
    }
    measured["inside"] = sum(hits)
    measured["of"] = len(hits)
    verdict = Verdict.NOT_REPRODUCED
    if all(hits):
        verdict = Verdict.REPRODUCED
    elif sum(hits) > len(hits) / 2:
        verdict = Verdict.PARTLY
    return Finding(verdict, measured)
