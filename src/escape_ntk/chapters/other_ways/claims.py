"""Claims of the chapter *Other ways*: labels needed by each method, and what was expected of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from escape_ntk.chapters.other_ways import chapter
from escape_ntk.chapters.other_ways import runs as e
from escape_ntk.chapters.other_ways.methods import METHODS
from escape_ntk.chapters.other_ways.predictions import PREDICTIONS
from escape_ntk.numerics.polynomials import cumulative_multiplicity, multiplicity
from escape_ntk.numerics.stats import Interval, Numbers, log_slope, mean_interval
from escape_ntk.records.store import Record
from escape_ntk.study.claims import (
    Finding,
    Runs,
    at_least,
    ends,
    found,
    ratio_below_one,
)

SEEDS = e.SEEDS
LABELS = {
    "ntk": "NTK ridge",
    "rbf": "RBF ridge",
    "quadntk": "QuadNTK",
    "joint": "joint, R₂",
    "network": "network",
    "network-r2": "network, R₂",
    "one-step": "one step",
    "fresh-batches": "fresh batches",
    "reused-batch": "reused batch",
    "mean-field": "mean field",
    "two-stage": "two stages",
    "oracle": "knows β",
}
RIVALS = tuple(m for m in METHODS if m not in ("joint", "network-r2", "oracle"))
"""Methods that neither use R_2 nor know β."""
CHIEF, FINE = e.LEVELS
BAND = 0.25
"""How far a slope may be from what was expected of it."""

Labels = dict[str, dict[int, dict[int, list[float]]]]
"""Labels needed by method, k and d, one number for each seed: see :func:`needed`."""


def needed(runs: Runs, target: str, level: float) -> Labels:
    """Labels at which the test error falls to ``level``.

    ∞ where the largest n does not suffice, −∞ where the smallest does.
    """
    out: Labels = {}
    for point, record in zip(points := e.climbs(target, SEEDS), runs(points), strict=True):
        of_d = out.setdefault(point.method, {}).setdefault(point.k, {})
        of_d.setdefault(point.d, []).append(labels_of(record, level))
    return out


def labels_of(record: Record, level: float) -> float:
    """The entry of :func:`needed` of one climb."""
    value = record.summary[f"n_{level}"]
    if value is not None:
        return float(value)
    return -math.inf if record.arrays["error"][0] <= level else math.inf


def within_climb(labels: Sequence[float], climb: e.Climb) -> np.ndarray:
    """±∞ become the largest and the smallest n of ``climb``."""
    sizes = climb.sizes()
    return np.clip(labels, sizes[0], sizes[-1])


# ---------------------------------------------------------------- what no method can beat


@chapter.claim(
    "other-floor",
    "With a dense part in f*, no method's mean test error is below (1 − n/B(d, k))/2 where the n "
    "labels are at most half of B(d, k), the one that knows β included.",
    source="D+M",
    target="mean error over (1 − n/B)/2, at least 1",
    tolerance="for each of twelve methods: mean over k, d, n and five seeds",
    broken="no dense part in f*",
    judge=at_least(1.0),
)
def over_the_floor(runs: Runs, broken: bool) -> list[float]:
    """Mean over all sizes and seeds of the test error over the floor, one a method."""
    target = "sparse" if broken else "both"
    return [float(np.mean(_over_floor(e.climbs(target, SEEDS, [m]), runs))) for m in METHODS]


def _over_floor(points: Sequence[e.Climb], runs: Runs) -> list[float]:
    """Test error over (1 − n/B)/2 at each n ≤ B/2 of these climbs."""
    ratios = []
    for point, record in zip(points, runs(points), strict=True):
        share = record.arrays["n"] / multiplicity(point.d, point.k)
        few = share <= 0.5
        ratios += (record.arrays["error"][few] / (0.5 * (1 - share[few]))).tolist()
    return ratios


# ---------------------------------------------------------------- the joint model and its rivals


def each_below_one(ratios: Mapping[str, Numbers]) -> Finding:
    """Reproduced when the 95 % interval of each rival's mean ratio lies below 1; partly if most."""
    got = {name: mean_interval(np.asarray(v)) for name, v in ratios.items()}
    below = sum(interval.high < 1 for interval in got.values())
    told = {name.replace("-", "_"): ends("ratio", i) for name, i in got.items()}
    return found(
        below == len(got), partly=below > len(got) / 2, **told, below=below, rivals=len(got)
    )


def ratios_at_largest(labels: Labels, own: str, k: int, others: Sequence[str]) -> dict:
    """Labels of ``own`` over those of each other one, seed by seed, at the largest d.

    A rival that did not get there counts with the largest n that was run.
    """
    d = max(e.DIMS[k])
    climb = e.Climb(1, own, "both", k, d)
    mine = np.array(labels[own][k][d])
    return {name: mine / within_climb(labels[name][k][d], climb) for name in others}


def claim_rivals(k: int) -> None:
    """Claim that the joint model needs fewer labels than every rival, at the largest d."""

    @chapter.claim(
        f"other-rivals-{k}",
        f"k = {k}, dense plus sparse: the joint model with R_2 needs fewer labels for a test error "
        "of 1/4 than every method that neither uses R_2 nor knows β.",
        source="A+M",
        target="ratio below 1",
        tolerance="95 % interval of the mean over five seeds, for each of nine; partly if for most",
        broken="no sparse part in f*",
        judge=each_below_one,
    )
    def rivals(runs: Runs, broken: bool) -> dict[str, Numbers]:
        labels = needed(runs, "dense" if broken else "both", CHIEF)
        return ratios_at_largest(labels, "joint", k, RIVALS)


claim_rivals(1)
claim_rivals(2)


def both_k_below_one(ratios: Mapping[int, Numbers]) -> Finding:
    """:func:`ratio_below_one` of the runs of every k together; each k apart is told too."""
    together = ratio_below_one(np.concatenate([*ratios.values()]))
    apart = {f"k_{k}": ends("ratio", mean_interval(values)) for k, values in ratios.items()}
    return replace(together, measured={**together.measured, **apart})


@chapter.claim(
    "other-network",
    "Dense plus sparse: with R_2 the network itself needs fewer labels for a test error of 1/4 "
    "than without, at the largest d of k = 1 and of k = 2.",
    source="A+M",
    target="ratio below 1",
    tolerance="95 % interval of the mean over ten runs; partly if the mean is",
    broken="no sparse part in f*",
    judge=both_k_below_one,
)
def network_with_over_without(runs: Runs, broken: bool) -> dict[int, Numbers]:
    """Labels of the network with R_2 over those without, five seeds for each k."""
    labels = needed(runs, "dense" if broken else "both", CHIEF)
    return {k: ratios_at_largest(labels, "network-r2", k, ["network"])["network"] for k in e.DIMS}


@chapter.claim(
    "other-two-stage",
    "Dense plus sparse: the joint model needs fewer labels for a test error of 1/4 than ridge on "
    "the degrees ≤ k and then f_Q on what is left.",
    source="M",
    target="ratio below 1",
    tolerance="95 % interval of the mean over ten runs; partly if the mean is",
    broken="no sparse part in f*",
    judge=both_k_below_one,
    after="the control: the first, no dense part, did not fail; there too the joint model needs "
    "fewer",
)
def joint_over_two_stage(runs: Runs, broken: bool) -> dict[int, Numbers]:
    """Labels of the joint model over those of the two stages, five seeds for each k."""
    labels = needed(runs, "dense" if broken else "both", CHIEF)
    return {k: ratios_at_largest(labels, "joint", k, ["two-stage"])["two-stage"] for k in e.DIMS}


# ---------------------------------------------------------------- expected and measured growth


def growth(of_d: Mapping[int, Sequence[float]], power: int) -> list[float] | None:
    """Slope of log n over d in the growth of n_power (in d itself for power 0), one a seed.

    None where a seed of some d is censored.
    """
    dims = sorted(of_d)
    rows = np.array([of_d[d] for d in dims])
    if not np.isfinite(rows).all():
        return None
    size = [float(d) if power == 0 else float(cumulative_multiplicity(d, power)) for d in dims]
    return [log_slope(size, row) for row in rows.T]


def expected_slope(power: int) -> float:
    """What :func:`growth` should be: 1, or 0 where nothing grows."""
    return 0.0 if power == 0 else 1.0


def as_expected(slopes: Mapping[str, Interval | None], powers: Mapping[str, int]) -> dict:
    """By case: whether the mean slope is within :data:`BAND`; None where it could not be read."""
    return {
        name: None if got is None else abs(got.value - expected_slope(powers[name])) <= BAND
        for name, got in slopes.items()
    }


def all_slopes(runs: Runs, swapped: bool) -> tuple[dict[str, Interval | None], dict[str, int]]:
    """(mean slopes, expected powers) of every method, target and k; ``swapped``: k for k + 1."""
    slopes: dict[str, Interval | None] = {}
    powers: dict[str, int] = {}
    for target in e.TARGETS:
        labels = needed(runs, target, CHIEF)
        for method in METHODS:
            for k in e.DIMS:
                power = PREDICTIONS[method].power(target, k)
                if swapped and power in (k, k + 1):
                    power = 2 * k + 1 - power
                name = f"{method}_{target}_{k}".replace("-", "_")
                own = growth(labels[method][k], power)
                slopes[name] = None if own is None else mean_interval(own)
                powers[name] = power
    return slopes, powers


def mostly_expected(values: tuple) -> Finding:
    """Reproduced when three quarters of what could be read is as expected; partly when half is.

    ``telling`` counts what is as expected, and would not be with k and k + 1 exchanged.
    """
    own, other = (as_expected(*half) for half in values)
    verdicts = [v for v in own.values() if v is not None]
    share = sum(verdicts) / len(verdicts)
    telling = sum(v is True and other[name] is False for name, v in own.items())
    counts = {"hits": sum(verdicts), "read": len(verdicts), "of": len(own), "telling": telling}
    return found(share >= 0.75, partly=share > 0.5, share=share, **counts)


@chapter.claim(
    "other-expected",
    "The labels that each method needs for a test error of 1/4 grow over d like the power that was "
    "expected of it, for a dense part, a sparse part, and both.",
    source="L+M",
    target="slope 1 in the growth of n_a, a the expected power; slope 0 for a = 0",
    tolerance="mean slope over five seeds within ±.25, in three quarters of the cases that can be "
    "read; partly if in half",
    broken="k expected for k + 1, and k + 1 for k",
    judge=mostly_expected,
)
def expected_growth(runs: Runs, broken: bool) -> tuple:
    """Slopes and powers of all cases: as expected, and with k and k + 1 exchanged."""
    return all_slopes(runs, broken), all_slopes(runs, not broken)
