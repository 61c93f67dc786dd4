"""The claims ledger: what is stated, how it is checked, and proof that the check can fail.

A claim measures values on records, judges them, and judges a *negative control* (the same
measurement with one hypothesis broken) by the same rule: the control must do worse.  It stands as
a decorator on its measurement::

    @chapter.claim(
        "regularizer-weak",
        "A weak R_1 lowers the test loss.",
        source="M",
        target="a fall",
        tolerance="in each of three pairs",
        broken="λ_1 = 1",
        judge=at_most(0.0),
    )
    def weak(runs: Runs, broken: bool) -> list[float]:
        without, with_r1 = runs(points(0.0)), runs(points(1.0 if broken else 1e-3))
        return [b.summary["test"] - a.summary["test"] for a, b in zip(without, with_r1)]
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from escape_ntk import checks
from escape_ntk.numerics.stats import (
    LEVEL,
    Distance,
    Interval,
    Numbers,
    log_slope,
    mean_interval,
)
from escape_ntk.records.store import Record, RecordStore, default_root
from escape_ntk.study import sweep
from escape_ntk.study.plans import commands
from escape_ntk.study.point import Point

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


class MissingRecordError(checks.EscapeNTKError, LookupError):
    """A claim rests on a record that is not there."""


class Runs:
    """The records of a store, as claims, tables and figures ask for them: by their points.

    ``runs(points)`` reads; what was read stays on the list ``runs.read``.  A point without a record
    raises :class:`MissingRecordError`, which names the command that makes it.
    """

    def __init__(self, store: RecordStore | None = None):
        self.store = RecordStore(default_root()) if store is None else store
        self._read: dict[str, tuple[Point, Record]] = {}

    def __call__(self, points: Iterable[Point]) -> list[Record]:
        """The records of these points, in their order."""
        asked = list(points)
        found = [sweep.lookup(point, self.store) for point in asked]
        missing = [point for point, record in zip(asked, found, strict=True) if record is None]
        if missing:
            raise MissingRecordError(
                checks.message(
                    expected=f"{len(asked)} records below {self.store.root}",
                    got=f"{len(missing)} missing, the first {missing[0]}",
                    remedy=" or ".join(f"run `{c}`" for c in commands(missing[:1])) or "none",
                )
            )
        records = [record for record in found if record is not None]
        self._read |= {name(r): (point, r) for point, r in zip(asked, records, strict=True)}
        return records

    @property
    def read(self) -> tuple[Record, ...]:
        """Every record that was handed out, once, in the order of reading."""
        return tuple(record for _, record in self._read.values())

    @property
    def points(self) -> tuple[Point, ...]:
        """What was asked for, once, in the same order."""
        return tuple(point for point, _ in self._read.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that was read."""
        return tuple(self._read)


Measure = Callable[[Runs, bool], V]
"""What a claim measures; with ``True``, on its negative control."""


@dataclass(frozen=True)
class Claim(Generic[V]):
    """One entry of the ledger; ``measure(runs, broken)`` reads records and computes values.

    ``after``: what was set after looking at results, the bar or further seeds; empty if nothing.
    ``identity``: exact by algebra, so the check tests the code and no number of the world.
    """

    id: str
    chapter: str
    statement: str
    source: str
    target: str
    tolerance: str
    broken: str
    measure: Measure[V]
    judge: Callable[[V], Finding]
    after: str = ""
    identity: bool = False

    def __post_init__(self):
        for letter in self.source.split("+"):
            checks.one_of("source tag", letter, SOURCES)

    def evaluate(self, store: RecordStore) -> dict:
        """The ledger's row: verdict, measured values, and the fate of the negative control."""
        runs, others = Runs(store), Runs(store)
        finding = self.judge(self.measure(runs, False))
        twin = self.judge(self.measure(others, True))
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
            "after": self.after,
            "identity": self.identity,
            "negative_control": {
                "broken": self.broken,
                "fate": str(end),
                "failed": end == Fate.FAILS,
                "verdict": str(twin.verdict),
                "measured": dict(twin.measured),
            },
            "record": sorted({*runs.names, *others.names}),
        }


Value = Callable[[Record, bool], V]
"""A number of one record; with ``True``, of its negative control."""


def each(points: Sequence[Point], value: Value[V]) -> Measure[list[V]]:
    """Measures ``value(record, broken)`` of every point."""
    return lambda runs, broken: [value(record, broken) for record in runs(points)]


def over_seeds(
    point: Callable[[int], Point], seeds: Iterable[int], value: Value[V]
) -> Measure[list[V]]:
    """Measures ``value`` in one run of ``point`` for each seed."""
    return each([point(seed) for seed in seeds], value)


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


def slopes_by_seed(records: Sequence[Record], x: str, key: str) -> list[float]:
    """Log-log slope of the summary entry ``key`` in the size ``x``, seed by seed."""
    seeds: dict[int, list[tuple[float, float]]] = {}
    for r in records:
        seeds.setdefault(r.config["seed"], []).append((r.config[x], r.summary[key]))
    return [log_slope(*zip(*sorted(pairs), strict=True)) for pairs in seeds.values()]


def name(record: Record) -> str:
    """``experiment/key16``: how the ledger refers to a record."""
    return f"{record.experiment}/{record.key[:16]}"


def plus_minus(values: Numbers, form: str = ".3f") -> str:
    """Mean ± half of its 95 % interval, for a table."""
    got = mean_interval(values)
    return f"{got.value:{form}} ± {got.high - got.value:{form}}"


# ------------------------------------------------------------------ judges


def found(ok: object, *, partly: object = False, **measured: object) -> Finding:
    """Reproduced when ``ok``, partly reproduced when ``partly``, and the numbers behind it.

    Of an :class:`~escape_ntk.numerics.stats.Interval` the value and both ends are told: the first
    one's as ``low`` and ``high``, those of any other with its name before them.
    """
    verdict = Verdict.REPRODUCED if ok else Verdict.PARTLY if partly else Verdict.NOT_REPRODUCED
    told: dict[str, object] = {}
    for key, value in measured.items():
        if isinstance(value, Interval):
            before = f"{key}_" if "low" in told else ""
            told |= {key: value.value, f"{before}low": value.low, f"{before}high": value.high}
        else:
            told[key] = value
    return Finding(verdict, told)


def ends(word: str, interval: Interval) -> dict[str, float]:
    """An interval among several, as JSON: its value under ``word``, and both ends."""
    return {word: interval.value, "low": interval.low, "high": interval.high}


def at_most(limit: float) -> Callable[[Numbers], Finding]:
    """Reproduced when every value is ≤ ``limit``."""

    def judge(values: Numbers) -> Finding:
        worst = float(max(values))
        return found(worst <= limit, largest=worst, runs=len(values))

    return judge


def at_least(limit: float) -> Callable[[Numbers], Finding]:
    """Reproduced when every value is ≥ ``limit``."""

    def judge(values: Numbers) -> Finding:
        least, most = float(min(values)), float(max(values))
        return found(least >= limit, least=least, most=most, runs=len(values))

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
    return found(inside, partly=meets, slope=got, runs=runs)


def slopes_near(target: float, tolerance: float) -> Callable[..., Finding]:
    """As :func:`slope_near`, of groups of slopes by name, each for itself: the worst group judges.

    The slope told first is that of the group farthest from the target.
    """

    def judge(groups: Mapping[str, Numbers]) -> Finding:
        got = {name: mean_interval(slopes) for name, slopes in groups.items()}
        found = {name: judge_slope(got[name], target, tolerance, len(groups[name])) for name in got}
        verdict = min((f.verdict for f in found.values()), key=RISING.index)
        farthest = max(got, key=lambda name: abs(got[name].value - target))
        told = {name: ends("slope", interval) for name, interval in got.items()}
        runs = sum(len(slopes) for slopes in groups.values())
        return Finding(verdict, {**ends("slope", got[farthest]), "runs": runs, **told})

    return judge


def ratio_one(low: float, high: float, *, held: bool = False) -> Callable[..., Finding]:
    """Reproduced when the 95 % interval of the mean ratio lies in [low, high].

    With ``held`` it must also hold 1.
    """

    def judge(ratios: Numbers) -> Finding:
        got = mean_interval(ratios)
        ok = low <= got.low and got.high <= high and (1.0 in got or not held)
        return found(ok, ratio=got, runs=len(ratios))

    return judge


def ratio_below_one(ratios: Numbers) -> Finding:
    """Reproduced when the 95 % interval of the mean ratio lies below 1; partly when the mean does.

    ``below`` counts the runs.
    """
    got = mean_interval(ratios)
    below = sum(bool(ratio < 1) for ratio in ratios)
    return found(got.high < 1, partly=got.value < 1, ratio=got, runs=len(ratios), below=below)


@dataclass(frozen=True)
class Predicted:
    """A published number beside its prediction: 95 % interval, standard error and two-sided p.

    ``counted`` is False for what follows from others of the same list, such as a difference of two:
    it is judged with them, and it is no further number.
    """

    label: str
    published: float
    interval: Interval
    error: float
    p: float
    counted: bool = True

    @property
    def z(self) -> float:
        """(published − own)/error."""
        return (self.published - self.interval.value) / self.error

    @property
    def inside(self) -> bool:
        """Whether the published number lies in the interval."""
        return self.published in self.interval

    def told(self) -> dict[str, object]:
        """As JSON."""
        own = ends("own", self.interval)
        seen = {"inside": self.inside, "z": self.z, "p": self.p}
        return {"published": self.published, **own, **seen}


@dataclass(frozen=True)
class Apart:
    """A published curve beside a predicted one: their :class:`~escape_ntk.numerics.stats.Distance`.

    ``inside``: as far as that one in twenty comes by chance, or nearer.
    """

    label: str
    distance: Distance
    counted: bool = True

    @property
    def z(self) -> float:
        """In standard errors, root mean square over the time."""
        return self.distance.z

    @property
    def p(self) -> float:
        """Chance of a curve as far off."""
        return self.distance.p

    @property
    def inside(self) -> bool:
        """Whether that chance is .05 or more."""
        return self.p >= 1 - LEVEL

    def told(self) -> dict[str, object]:
        """As JSON."""
        off = {"rms": self.distance.rms, "outside": self.distance.outside}
        return {**off, "inside": self.inside, "z": self.z, "p": self.p}


def worst_miss(rows: Sequence[Predicted] | Sequence[Apart], among: int = 0) -> Finding:
    """Reproduced when every published number lies in its 95 % interval; else the worst miss judges.

    Partly when a miss like that is to be expected of one among so many: Bonferroni's
    k·p ≥ .05 for the k numbers compared, or the k ``among`` which these were chosen.  One miss
    beyond that sinks the hypothesis, however many others are hit.
    """
    worst = min(rows, key=lambda row: row.p)
    corrected = min(1.0, max(among, len(rows)) * worst.p)
    counted = [row for row in rows if row.counted] or rows
    return found(
        all(row.inside for row in rows),
        partly=corrected >= 1 - LEVEL,
        **{row.label: row.told() for row in rows},
        inside=sum(row.inside for row in counted),
        of=len(counted),
        z=worst.z,
        farthest=worst.label,
        p_corrected=corrected,
    )
