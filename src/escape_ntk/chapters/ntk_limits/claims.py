"""Claims of the chapter *NTK limits*."""

from collections.abc import Mapping, Sequence

import numpy as np

from escape_ntk.chapters.ntk_limits import chapter
from escape_ntk.chapters.ntk_limits import runs as e
from escape_ntk.kernels.spectrum import Spectrum, ntk_spectrum
from escape_ntk.models.network import activation
from escape_ntk.numerics.polynomials import hermite_coefficients
from escape_ntk.numerics.stats import log_slope, mean_interval
from escape_ntk.records.store import Record
from escape_ntk.study.claims import (
    Finding,
    Measure,
    Runs,
    at_most,
    found,
    over_seeds,
    ratio_below_one,
    slope_near,
    slope_value,
)

EXPECTED_SLOPES = (0.0, -1.0, -2.0)
"""Slopes of ζ_1, ζ_2, ζ_3 in the dimension."""
TINY = 1e-9
"""In place of the trace of forgotten degrees: κ must exist when n exceeds those kept."""


# ---------------------------------------------------------------- width

chapter.claim(
    "ntk-width",
    "The kernel of m neurons approaches the infinite-width kernel of the same law of w like "
    "m^(−1/2).",
    source="D",
    target="slope −1/2",
    tolerance="±0.05, 95 % interval over five draws",
    broken="the limit for the other law of w",
    judge=slope_near(-0.5, 0.05),
    measure=over_seeds(e.KernelWidth, e.SEEDS, slope_value("width", "matched", "mismatched")),
)

chapter.claim(
    "ntk-lazy-own",
    "A paired network trained by gradient descent deviates from its own linearisation like m^(−1).",
    source="M",
    target="slope −1",
    tolerance="±0.1, 95 % interval over five draws",
    broken="all outer signs a_r = +1",
    judge=slope_near(-1.0, 0.1),
    measure=over_seeds(e.Lazy, e.SEEDS, slope_value("width", "own", "one_sign")),
)

chapter.claim(
    "ntk-lazy-infinite",
    "The trained network deviates from the infinite-width predictor like m^(−1/2).",
    source="M",
    target="slope −1/2",
    tolerance="±0.1, 95 % interval over five draws",
    broken="the infinite-width predictor of the other law of w",
    judge=slope_near(-0.5, 0.1),
    measure=over_seeds(e.Lazy, e.SEEDS, slope_value("width", "infinite", "other_law")),
)


def flat_deviation(values: Mapping[str, Sequence[float]]) -> Finding:
    """Reproduced when the slope of the deviation in the width is 0 ± 0.1; what moves beside it."""
    finding = slope_near(0.0, 0.1)(values["slopes"])
    beside = {name: float(np.mean(v)) for name, v in values.items() if name != "slopes"}
    return Finding(finding.verdict, {**finding.measured, **beside})


@chapter.claim(
    "ntk-lazy-scale",
    "With m^(−1) in place of m^(−1/2) before the sum, steps chosen so that the linear model is the "
    "same, the trained network deviates from it alike at every width.",
    source="M",
    target="slope 0 of the deviation in the width",
    tolerance="±0.1, 95 % interval over five draws",
    broken="m^(−1/2) before the sum",
    after="the claim: another code's draws had shown a flat deviation",
    judge=flat_deviation,
)
def output_scale(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Slopes; deviation and movement at the largest width, with either scale."""
    records = runs([e.OutputScale(seed) for seed in e.SEEDS])
    slope = slope_value("width", "deviation_full", "deviation_root")
    names = [f"{what}_{scale}" for what in ("deviation", "moved") for scale in ("root", "full")]
    last = {name: [float(r.arrays[name][-1]) for r in records] for name in names}
    return {"slopes": [slope(r, broken) for r in records], **last}


# ---------------------------------------------------------------- eigenvalues


def as_expected(slopes: Mapping[str, Sequence[float]]) -> Finding:
    """Reproduced when every slope is the expected one ± 0.05; those of the first activation."""
    rows = list(slopes.values())
    worst = float(np.abs(np.array(rows) - EXPECTED_SLOPES).max())
    first = {f"degree_{j}": slope for j, slope in enumerate(rows[0], start=1)}
    return found(worst <= 0.05, **first, worst_gap=worst)


@chapter.claim(
    "ntk-eigenvalue-slopes",
    "ζ_1, ζ_2, ζ_3 fall with the dimension like d^0, d^(−1), d^(−2): d = 200 to 2000, two "
    "activations.",
    source="D",
    target="slopes 0, −1, −2",
    tolerance="±0.05 each (exact quadrature, no randomness)",
    broken="ξ_(ℓ−1)(σ') = 0: the second term of ζ_ℓ alone",
    judge=as_expected,
)
def eigenvalue_slopes(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Slopes of ζ_1…ζ_3 by activation."""
    slopes = {}
    for record in runs([e.EigenvalueSlopes(a) for a in (e.SINE, e.SIGMOID)]):
        d = record.arrays["d"]
        lam = record.arrays["second_term" if broken else "eigenvalues"][d >= 200]
        slopes[record.config["activation"]] = [log_slope(d[d >= 200], lam[:, j]) for j in (1, 2, 3)]
    return slopes


@chapter.claim(
    "ntk-eigenvalue-constants",
    "At d = 2000 ζ_1, ζ_2, ζ_3 are ℓ μ_(ℓ−1)² d^(1−ℓ), two activations.",
    source="D",
    target="relative difference 0",
    tolerance="1 % each (exact quadrature, no randomness)",
    broken="the factor ℓ left out",
    judge=at_most(0.01),
)
def eigenvalue_constants(runs: Runs, broken: bool) -> list[float]:
    """|ζ_ℓ d^{ℓ−1}/(ℓ μ_{ℓ−1}²) − 1| at the largest d, ℓ = 1, 2, 3."""
    ell, gaps = np.array([1, 2, 3]), []
    for record in runs([e.EigenvalueSlopes(a) for a in (e.SINE, e.SIGMOID)]):
        d, lam = record.arrays["d"][-1], record.arrays["eigenvalues"][-1, ell]
        function = activation(record.config["activation"]).first
        squares = hermite_coefficients(function, 2) ** 2 * [1, 1, 2]  # μ_j² = j! E[σ' he_j]²
        leading = (1 if broken else ell) * squares * d ** (1 - ell)
        gaps += np.abs(lam / leading - 1).tolist()
    return gaps


def eigenvalue_gap(record: Record, broken: bool) -> float:
    """Largest relative difference of the sampled ζ_0, ζ_1, ζ_2."""
    a, config = record.arrays, record.config
    formula = a["exact"]
    if broken:
        other = ntk_spectrum(activation(config["activation"]), config["d"], weight_law="gaussian")
        formula = other.eigenvalues[: len(a["sampled"])]
    return float(np.abs(formula / a["sampled"] - 1).max())


chapter.claim(
    "ntk-eigenvalues",
    "ζ_ℓ by quadrature is E[K(x, y) P_ℓ(x·y/d)] over fresh inputs and neurons, ℓ = 0, 1, 2.",
    source="D",
    target="relative difference 0",
    tolerance="2 % in each of five draws of 2·10⁷ triples (d = 20)",
    broken="the eigenvalues of Gaussian w",
    judge=at_most(0.02),
    measure=over_seeds(e.EigenvalueSamples, e.SEEDS, eigenvalue_gap),
)


# ---------------------------------------------------------------- what is learned from n samples


def staircase_gaps(records: Sequence[Record], broken: bool = False) -> float:
    """Largest |mean share over draws − prediction| over n and ℓ ≤ 3, at one dimension."""
    learned = np.mean([r.arrays["learned"] for r in records], axis=0)
    predicted = records[0].arrays["predicted"]
    if broken:
        d, count = records[0].config["d"], predicted.shape[1]
        lam = ntk_spectrum(activation(records[0].config["activation"]), d).eigenvalues[:count]
        few = Spectrum(d, lam, TINY)
        predicted = np.array([few.learned(int(n)) for n in records[0].arrays["n"]])
    return float(np.abs(learned - predicted).max())


@chapter.claim(
    "ntk-staircase",
    "The share with which degree ℓ ≤ 3 is learned from n samples is ζ_ℓ/(ζ_ℓ + κ), for every n "
    "and d = 10, 20, 40.",
    source="L",
    target="difference 0",
    tolerance="0.05 at every n (mean over five draws)",
    broken="the degrees above 3 left out of the equation for κ",
    judge=at_most(0.05),
)
def learned_shares(runs: Runs, broken: bool) -> list[float]:
    """The largest gap at each dimension."""
    groups = [runs([e.Staircase(seed, d) for seed in e.SEEDS]) for d in e.STAIRCASE_DIMS]
    return [staircase_gaps(group, broken) for group in groups]


@chapter.claim(
    "ntk-error",
    "The population error, averaged over all targets of degrees 1, 2, 3 with equal power, is the "
    "predicted one for every n ≥ d (d = 40).",
    source="L",
    target="difference 0, where E f*² = 1",
    tolerance="0.01 at every n (mean over five draws)",
    broken="the variance factor left out",
    judge=at_most(0.01),
)
def error_gap(runs: Runs, broken: bool) -> list[float]:
    """|mean error over draws − foreseen|, largest over n."""
    records = runs([e.ExpectedError(seed) for seed in e.SEEDS])
    error = np.mean([r.arrays["error"] for r in records], axis=0)
    return [float(np.abs(error - records[0].arrays["bias_alone" if broken else "foreseen"]).max())]


# ---------------------------------------------------------------- sparse and dense are the same


Errors = Mapping[str, np.ndarray]
"""Errors on sparse and on dense harmonics, draw by draw."""


def errors(records: Sequence[Record], name: str) -> np.ndarray:
    """One error, draw by draw."""
    return np.array([r.summary[name] for r in records])


def means(values: Errors) -> dict[str, float]:
    """The mean over draws of each error."""
    return {key: float(value.mean()) for key, value in values.items()}


def blind_errors(degree: int, tail: str, broken_tail: str) -> Measure[Errors]:
    """Mean errors over directions on sparse and on dense harmonics, for each draw of the inputs."""

    def measure(runs: Runs, broken: bool) -> Errors:
        records = runs(e.blind_points(degree))
        end = broken_tail if broken else tail
        return {key: errors(records, key + end) for key in ("sparse", "dense")}

    return measure


def same(values: Errors) -> Finding:
    """Reproduced when the interval of the relative difference holds 0 and lies within ±0.05.

    Partly when it lies there without 0.
    """
    gap = mean_interval((values["sparse"] - values["dense"]) / values["dense"].mean())
    small = max(abs(gap.low), abs(gap.high)) <= 0.05
    return found(
        small and 0.0 in gap, partly=small, change=gap, runs=len(values["dense"]), **means(values)
    )


def smaller_on_sparse(values: Errors) -> Finding:
    """The mean of sparse over dense below 1, with its interval."""
    finding = ratio_below_one(values["sparse"] / values["dense"])
    return Finding(finding.verdict, {**finding.measured, **means(values)})


for (degree, n, directions, _), word in zip(e.BLIND, ("two", "three"), strict=True):
    for kernel, prefix, tail in (
        ("The infinite kernel", "", ""),
        ("A finite network's kernel", "finite-", "_finite"),
    ):
        chapter.claim(
            f"ntk-blind-{prefix}{word}",
            f"{kernel} makes the same expected error on a sparse harmonic of degree {degree} as "
            f"on a dense one (d = 20, n = {n}).",
            source="D",
            target="relative difference 0",
            tolerance="95 % interval over ten draws of the inputs, each the mean over "
            f"{directions} directions, holds 0 and lies within ±0.05; set before the runs",
            broken="frozen weights stretched along each sparse direction",
            judge=same,
            measure=blind_errors(degree, tail, "_stretched"),
        )
    chapter.claim(
        "ntk-stretched" if degree == 2 else f"ntk-stretched-{word}",
        "Weights spread along the sparse direction (stretched by √3, then of length 1) make a "
        f"smaller error on the sparse harmonic of degree {degree} than on a dense one (d = 20, "
        f"n = {n}).",
        source="M",
        target="ratio of errors below 1",
        tolerance="95 % interval over ten draws below 1; set before the runs",
        broken="the same weights, upright",
        judge=smaller_on_sparse,
        measure=blind_errors(degree, "_stretched", "_finite"),
    )
