"""Claims of the chapter *Joint learning*."""

from collections.abc import Mapping, Sequence

import numpy as np

from escape_ntk.claims.ledger import (
    Claim,
    Evidence,
    Finding,
    Verdict,
    at_most,
    names,
    require,
    slope_near,
)
from escape_ntk.experiments import joint as e
from escape_ntk.records import Record, RecordStore
from escape_ntk.stats import Numbers, log_slope, mean_interval

CHAPTER = "joint"
COMMAND = "escape-ntk run joint"
SEEDS = e.SEEDS
WIDE = 10_000
"""Widths from here on show the order of the error: below, the next order in m is seen."""
LARGE = 64
"""Dimensions from here on show the order of the norms."""
TERMS = ("population_leak", "empirical_leak", "linear", "quadratic", "chance")


def solutions(store: RecordStore, k: int) -> list[Record]:
    """W* over the width."""
    records = require(e.solution_points(SEEDS), store, COMMAND)
    return [r for r in records if r.config["k"] == k]


def budgets(store: RecordStore, k: int) -> list[Record]:
    """Leaks and norms of W* over the width."""
    records = require(e.budget_points((*SEEDS, *e.MORE_SEEDS)), store, COMMAND)
    return [r for r in records if r.config["k"] == k]


def norms(store: RecordStore, k: int) -> list[Record]:
    """Norms of W* over the dimension."""
    records = require(e.norm_points(SEEDS), store, COMMAND)
    return [r for r in records if r.config["k"] == k]


def gaps(store: RecordStore, k: int) -> list[Record]:
    """Trained joint models over n."""
    records = require(e.gap_points(SEEDS), store, COMMAND)
    return [r for r in records if r.config["k"] == k]


def _slope_beyond(record: Record, x: str, y: str, least: float) -> float:
    at = record.arrays[x] >= least
    return log_slope(record.arrays[x][at], record.arrays[y][at])


def _error(k: int):
    """Slope of the mean square error in m, draw by draw; control: equal signs."""

    def gather(store: RecordStore, broken: bool) -> Evidence:
        records = solutions(store, k)
        key = "equal" if broken else "mean_square"
        return Evidence([_slope_beyond(r, "width", key, WIDE) for r in records], names(records))

    return gather


def _leak(k: int, name: str):
    """Slope of a leak of W* in m, seed by seed; control: f_L makes the sparse part."""

    def gather(store: RecordStore, broken: bool) -> Evidence:
        records = budgets(store, k)
        key = f"{name}_linear" if broken else name
        slopes = []
        for seed in (*SEEDS, *e.MORE_SEEDS):
            pairs = sorted(
                (r.config["m"], r.summary[key]) for r in records if r.config["seed"] == seed
            )
            slopes.append(log_slope(*zip(*pairs, strict=True)))
        return Evidence(slopes, names(records))

    return gather


def _norm(k: int, name: str):
    """Slope of a norm of W* in d, draw by draw; control: f_L makes the sparse part."""

    def gather(store: RecordStore, broken: bool) -> Evidence:
        records = norms(store, k)
        key = "linear_alone" if broken else name
        return Evidence([_slope_beyond(r, "d", key, LARGE) for r in records], names(records))

    return gather


def _gather_gap(store: RecordStore, broken: bool) -> Evidence:
    """Gap over bound, every run; the control keeps what chance adds and drops all else."""
    records = require(e.gap_points(SEEDS), store, COMMAND)
    key = "bound_chance" if broken else "bound"
    return Evidence([r.summary["gap"] / r.summary[key] for r in records], names(records))


def gap_slopes(records: Sequence[Record], key: str) -> list[float]:
    """Slope of ``key`` in n, seed by seed, over the sizes that all seeds were run at."""
    sizes = {r.config["n"]: 0 for r in records}
    for r in records:
        sizes[r.config["n"]] += 1
    kept = [r for r in records if sizes[r.config["n"]] == len(SEEDS)]
    return [
        log_slope(*zip(*sorted((r.config["n"], r.summary[key]) for r in own), strict=True))
        for own in ([r for r in kept if r.config["seed"] == s] for s in SEEDS)
    ]


def _gather_gap_slope(store: RecordStore, broken: bool) -> Evidence:
    """Slope of the gap in n, k = 1, and that of the bound; control: the training error's."""
    records = gaps(store, 1)
    keys = ("train" if broken else "gap", "bound")
    slopes = dict(zip(("gap", "bound"), (gap_slopes(records, key) for key in keys), strict=True))
    return Evidence(slopes, names(records))


def _judge_gap_slope(slopes: Mapping[str, Numbers]) -> Finding:
    """Reproduced when the gap falls at least as fast: its interval ends below the bound's mean."""
    got, bound = mean_interval(slopes["gap"]), mean_interval(slopes["bound"])
    measured = {"slope": got.value, "low": got.low, "high": got.high, "bound": bound.value}
    measured |= {"bound_low": bound.low, "bound_high": bound.high}
    ok = got.high < bound.value
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _gather_norm_helps(store: RecordStore, broken: bool) -> Evidence:
    """The bound with R_4 on over that with R_4 off, same seeds and n; control: the gap's ratio."""
    free = require(e.free_points(SEEDS), store, COMMAND)
    where = e.GAP_FREE.n
    on = {r.config["seed"]: r for r in gaps(store, 1) if r.config["n"] == where}
    key = "gap" if broken else "bound"
    ratios = [on[r.config["seed"]].summary[key] / r.summary[key] for r in free]
    return Evidence(ratios, names([*free, *on.values()]))


def budget_rows(store: RecordStore) -> list[list[str]]:
    """Leaks and norms of W* at each width: means over seeds."""
    rows = []
    for k in (1, 2):
        for m in e.BUDGET_WIDTHS:
            own = [r.summary for r in budgets(store, k) if r.config["m"] == m]
            mean = {key: float(np.mean([s[key] for s in own])) for key in own[0]}
            rows.append(
                [
                    str(k),
                    str(m),
                    f"{mean['population']:.4f}",
                    f"{mean['empirical']:.4f}",
                    f"{mean['training_population']:.3f}",
                    f"{mean['low_degree']:.2f}",
                    f"{mean['linear_norm']:.2f}",
                    f"{mean['norm_fourth']:.1f}",
                ]
            )
    return rows


def gap_rows(store: RecordStore) -> list[list[str]]:
    """Gap, bound and its terms by n: means over seeds."""
    rows = []
    for k in (1, 2):
        records = gaps(store, k)
        for n in sorted({r.config["n"] for r in records}):
            own = [r.summary for r in records if r.config["n"] == n]
            cells = [f"{np.mean([s[f'bound_{term}'] for s in own]):.3f}" for term in TERMS]
            mean = {key: np.mean([s[key] for s in own]) for key in ("gap", "bound", "zero")}
            values = [f"{mean[key]:.3f}" for key in ("gap", "bound")]
            rows.append([str(k), str(n), *values, *cells, f"{mean['zero']:.2f}"])
    return rows


def _tail(k: int) -> str:
    return "" if k == 2 else "-k1"


def _claims_of(k: int) -> list[Claim]:
    """The budgets of W*, for one k."""
    five, ten = (f"95 % interval of the mean slope over {n} draws within ±" for n in ("5", "10"))
    low = {"low-degree": ("linear", "‖W_L‖_F²"), "norm": ("norm_fourth", "‖W*‖_{2,4}^4")}
    leaks = {"population": "population leak", "empirical": "leak on 3n_k inputs"}
    width, dims = e.BUDGET_WIDTHS, (LARGE, e.Norms.dims[-1])
    return [
        Claim(
            id=f"joint-error{_tail(k)}",
            chapter=CHAPTER,
            statement=f"k = {k}: the error of f_L + f_Q at W* = W_L + S W_Q falls with the width: "
            "mean square like m^(−1/2), m from 16 384 to 1 048 576.",
            source="D+M",
            target="slope −1/2",
            tolerance=f"{five}.05",
            broken="equal signs",
            gather=_error(k),
            judge=slope_near(-0.5, 0.05),
        ),
        *(
            Claim(
                id=f"joint-{name}{_tail(k)}",
                chapter=CHAPTER,
                statement=f"k = {k}: the {words} of W* (mean square of f_L outside the good "
                f"directions of the population) falls like m^(−1/2), {width[0]} ≤ m ≤ {width[-1]}.",
                source="A+D+M",
                target="slope −1/2",
                tolerance=f"{ten}.05",
                broken="f_L makes the sparse part",
                gather=_leak(k, name),
                judge=slope_near(-0.5, 0.05),
            )
            for name, words in leaks.items()
        ),
        *(
            Claim(
                id=f"joint-{name}{_tail(k)}",
                chapter=CHAPTER,
                statement=f"k = {k}: {words} grows like d^{k - 1}, d from {dims[0]} to {dims[1]}.",
                source="A+D+M",
                target=f"slope {k - 1}",
                tolerance=f"{five}.1",
                broken="f_L makes the sparse part: ‖W‖_F²",
                gather=_norm(k, key),
                judge=slope_near(k - 1, 0.1),
            )
            for name, (key, words) in low.items()
        ),
    ]


CLAIMS: Sequence[Claim] = (
    *_claims_of(2),
    *_claims_of(1),
    Claim(
        id="joint-gap",
        chapter=CHAPTER,
        statement="The gap between test and training error of a trained joint model lies within "
        "the bound with one term for each R_j.",
        source="D+M",
        target="gap over bound below 1",
        tolerance="every run: k = 1 and 2, all n, all seeds",
        broken="the bound for a predictor fixed in advance: chance alone",
        gather=_gather_gap,
        judge=at_most(1.0),
    ),
    Claim(
        id="joint-gap-slope",
        chapter=CHAPTER,
        statement="k = 1: the gap falls with n faster than its bound.",
        source="M",
        target="slope below the bound's",
        tolerance="95 % interval over five seeds below the bound's mean slope",
        broken="the training error in the place of the gap",
        gather=_gather_gap_slope,
        judge=_judge_gap_slope,
    ),
    Claim(
        id="joint-gap-norm",
        chapter=CHAPTER,
        statement="k = 1, n = 256 n_1: R_4 lowers the bound to at most 9/10.",
        source="D+M",
        target="ratio ≤ 0.9",
        tolerance="each of five seeds",
        broken="the gap itself",
        gather=_gather_norm_helps,
        judge=at_most(0.9),
    ),
)
