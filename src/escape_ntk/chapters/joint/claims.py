"""Claims of the chapter *Joint learning*."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

from escape_ntk.chapters.joint import chapter
from escape_ntk.chapters.joint import runs as e
from escape_ntk.numerics.stats import Numbers, log_slope, mean_interval
from escape_ntk.records.store import Record
from escape_ntk.study.claims import (
    Finding,
    Measure,
    Runs,
    Value,
    Verdict,
    at_most,
    each,
    found,
    slope_near,
    slope_value,
    slopes_by_seed,
)
from escape_ntk.study.dense_plus_sparse import bound_on_gap
from escape_ntk.study.sweep import LiveResult

SEEDS = e.SEEDS
LARGE = 64
"""Dimensions from here on show the order of the norms."""

Point = e.Solution | e.Budgets | e.Norms | e.Gap


def of(k: int, points: Sequence[Point]) -> list[Point]:
    """Those whose dense part has degree ``k``."""
    return [point for point in points if point.k == k]


# ---------------------------------------------------------------- the budgets of W*


def slope_beyond(x: str, least: float, right: str, broken: str) -> Value[float]:
    """The slope of ``right`` where ``x`` ≥ ``least``; of ``broken`` for the control."""

    def value(record: Record, control: bool) -> float:
        at = record.arrays[x] >= least
        return log_slope(record.arrays[x][at], record.arrays[broken if control else right][at])

    return value


def budgets(runs: Runs, k: int) -> list[Record]:
    """Leaks and norms of W* over the width."""
    return runs(of(k, e.budget_points((*SEEDS, *e.MORE_SEEDS))))


def leak_slopes(k: int, name: str) -> Measure[list[float]]:
    """Slope of a leak of W* in m, seed by seed."""

    def measure(runs: Runs, broken: bool) -> list[float]:
        return slopes_by_seed(budgets(runs, k), "m", f"{name}_linear" if broken else name)

    return measure


def training_slopes(k: int) -> Measure[list[float]]:
    """Slope of R_2 under the training projector in m, seed by seed; the control's: population."""
    return lambda runs, broken: slopes_by_seed(
        budgets(runs, k), "m", "R_2" if broken else "training_R_2"
    )


def all_near(slopes: Mapping[str, Numbers]) -> Finding:
    """Reproduced when each interval of a mean slope lies within −1/2 ± .05; partly if all meet it.

    ``inside``: how many of them lie within.
    """
    judged = {name: slope_near(-0.5, 0.05)(list(values)) for name, values in slopes.items()}
    verdicts = [finding.verdict for finding in judged.values()]
    inside = verdicts.count(Verdict.REPRODUCED)
    meets = Verdict.NOT_REPRODUCED not in verdicts
    told = {name: dict(finding.measured) for name, finding in judged.items()}
    return found(inside == len(verdicts), partly=meets, **told, inside=inside, of=len(verdicts))


@chapter.claim(
    "joint-fresh",
    "Both leaks of W* fall like m^(−1/2), k = 1 and 2, in the five further draws by themselves.",
    source="A+D+M",
    target="slope −1/2, four times",
    tolerance="the clean test: 95 % interval of each mean slope over seeds 6 to 10 within ±.05; "
    "partly if each only meets that band",
    broken="f_L makes the sparse part",
    judge=all_near,
)
def fresh_slopes(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Slopes of seeds 6 to 10, which were run after the first five had been seen."""
    out = {}
    for k in (1, 2):
        records = runs(of(k, e.budget_points(e.MORE_SEEDS)))
        for name in ("R_1", "R_2"):
            key = f"{name}_linear" if broken else name
            out[f"{name}_k{k}"] = slopes_by_seed(records, "m", key)
    return out


FIVE, TEN = (f"95 % interval of the mean slope over {n} draws within ±" for n in ("5", "10"))
WIDTHS, DIMS = e.BUDGET_WIDTHS, (LARGE, e.Norms.dims[-1])

for k, tail in ((2, ""), (1, "-k1")):
    for name, power, words in (
        ("variance", -0.5, "the variance over the signs falls like m^(−1/2)"),
        ("bias", -1.0, "the mean square error of the mean over the signs falls like 1/m"),
    ):
        chapter.claim(
            f"joint-{name}{tail}",
            f"k = {k}, f_L + f_Q at W* = W_L + S W_Q: {words}, m from 256 to 1 048 576.",
            source="D+M",
            target=f"slope {power:g}",
            tolerance=f"{FIVE}.05",
            broken="equal signs: the error",
            judge=slope_near(power, 0.05),
            measure=each(of(k, e.solution_points(SEEDS)), slope_value("width", name, "equal")),
        )
    for name, leak, words in (
        ("population", "R_1", "population leak"),
        ("empirical", "R_2", "leak on 3n_k inputs"),
    ):
        chapter.claim(
            f"joint-{name}{tail}",
            f"k = {k}: the {words} of W* (mean square of f_L outside the learnable directions of "
            f"the population) falls like m^(−1/2), {WIDTHS[0]} ≤ m ≤ {WIDTHS[-1]}.",
            source="A+D+M",
            target="slope −1/2",
            tolerance=f"{TEN}.05",
            broken="f_L makes the sparse part",
            judge=slope_near(-0.5, 0.05),
            measure=leak_slopes(k, leak),
            after="seeds 6 to 10, added after five",
        )
    chapter.claim(
        f"joint-training{tail}",
        f"k = {k}: under the projector of 3n_k training inputs the empirical leak of W* falls with "
        f"m more slowly than m^(−1/2), {WIDTHS[0]} ≤ m ≤ {WIDTHS[-1]}.",
        source="M",
        target="slope between −1/2 and 0",
        tolerance="95 % interval of the mean slope over 10 draws within [−.45, −.05]",
        broken="the population's projector",
        judge=slope_near(-0.25, 0.2),
        measure=training_slopes(k),
        after="the claim and its band",
    )
    for name, key, words in (
        ("low-degree", "linear", "‖W_L‖_F²"),
        ("norm", "norm_fourth", "‖W*‖_{2,4}^4"),
    ):
        chapter.claim(
            f"joint-{name}{tail}",
            f"k = {k}: {words} grows like d^{k - 1}, d from {DIMS[0]} to {DIMS[1]}.",
            source="A+D+M",
            target=f"slope {k - 1}",
            tolerance=f"{FIVE}.1",
            broken="f_L makes the sparse part: ‖W‖_F²",
            judge=slope_near(k - 1, 0.1),
            measure=each(
                of(k, e.norm_points(SEEDS)), slope_beyond("d", LARGE, key, "linear_alone")
            ),
        )


# ---------------------------------------------------------------- gap and bound


R = TypeVar("R", Record, LiveResult)


def with_bounds(records: Sequence[R], classes: Sequence[R]) -> list[R]:
    """Trained joint models with their bound: ``bound_…`` for each term, and ``bound``.

    ``classes``: those of the runs, one for each.  ``bound_largest``: with the complexity of f_Q by
    its largest neuron.  (Older records hold a bound of their own, by that one; it is not read.)
    """
    out = []
    for r, known in zip(records, classes, strict=True):
        n, cap = r.config["n"], r.config["cap"]
        terms = bound_on_gap(r.summary, known.summary, n, cap=cap)
        wider = bound_on_gap(r.summary, known.summary, n, complexity="largest", cap=cap)
        told = {f"bound_{name}": value for name, value in dataclasses.asdict(terms).items()}
        told |= {"bound": terms.total, "bound_largest": wider.total}
        out.append(dataclasses.replace(r, summary={**r.summary, **told}))
    return out


def bounded(runs: Runs, points: Sequence[e.Gap]) -> list[Record]:
    """The records of these points, with their bounds."""
    return with_bounds(runs(points), runs([e.class_of(p) for p in points]))


def within(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every ratio is at most 1; both slopes in n are told, not judged."""
    gap, bound = (mean_interval(values[name]) for name in ("gap", "bound"))
    ratios = values["ratios"]
    largest = float(max(ratios))
    return found(largest <= 1, largest=largest, runs=len(ratios), slope=gap, bound=bound)


def gaps(runs: Runs, k: int) -> list[Record]:
    """Trained joint models over n, with their bounds."""
    return bounded(runs, [p for p in e.gap_points(SEEDS) if p.k == k])


@chapter.claim(
    "joint-gap",
    "The gap between test and training error of a trained joint model lies within the bound with "
    "one term for each R_j.",
    source="D+M",
    target="gap over bound below 1",
    tolerance="every run: k = 1 and 2, all n, all seeds",
    broken="the bound for a predictor fixed in advance: chance alone",
    judge=within,
)
def gap_and_bound(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Gap over bound, every run; for k = 1 the slopes in n of both, seed by seed.

    Slopes over the sizes that all seeds were run at.
    """
    key = "bound_chance" if broken else "bound"
    every, first = bounded(runs, e.gap_points(SEEDS)), gaps(runs, 1)
    sizes = [r.config["n"] for r in first]
    kept = [r for r in first if sizes.count(r.config["n"]) == len(SEEDS)]
    return {
        "ratios": [r.summary["gap"] / r.summary[key] for r in every],
        "gap": slopes_by_seed(kept, "n", "gap"),
        "bound": slopes_by_seed(kept, "n", key),
    }


@chapter.claim(
    "joint-gap-norm",
    "k = 1, n = 256 n_1: R_4 lowers the bound to at most 9/10.",
    source="D+M",
    target="ratio ≤ 0.9",
    tolerance="each of five seeds",
    broken="λ_4 = 0 in both: another seed's bound over this one's",
    after="the bar of 9/10, after one trial run",
    judge=at_most(0.9),
)
def with_norm_over_without(runs: Runs, broken: bool) -> list[float]:
    """The bound with R_4 on over that with R_4 off, seed by seed."""
    off = bounded(runs, e.free_points(SEEDS))
    if broken:
        on = [*off[1:], off[0]]
    else:
        on = bounded(runs, [p for p in e.gap_points(SEEDS) if (p.k, p.n) == (1, e.GAP_FREE.n)])
    return [a.summary["bound"] / b.summary["bound"] for a, b in zip(on, off, strict=True)]
