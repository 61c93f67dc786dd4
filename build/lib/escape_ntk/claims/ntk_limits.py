"""Claims of the chapter *NTK limits*."""

from collections.abc import Sequence

import numpy as np

from escape_ntk.claims.ledger import (
    Claim,
    Evidence,
    Finding,
    Verdict,
    at_most,
    names,
    over_draws,
    ratio_below_one,
    require,
    slope_near,
    slope_value,
)
from escape_ntk.experiments import ntk_limits as e
from escape_ntk.network import activation
from escape_ntk.polynomials import hermite_coefficients
from escape_ntk.records import Record, RecordStore
from escape_ntk.spectrum import Spectrum, ntk_spectrum
from escape_ntk.stats import log_slope, mean_interval

CHAPTER = "ntk-limits"
COMMAND = "escape-ntk run ntk-limits"
EXPECTED_SLOPES = (0.0, -1.0, -2.0)
"""Slopes of λ_1, λ_2, λ_3 in the dimension."""
TINY = 1e-9
"""In place of the trace of forgotten degrees: κ must exist when n exceeds those kept."""


def _gather(point: type, value):
    return over_draws([point(seed) for seed in e.SEEDS], value, COMMAND)


def _gather_slopes(store: RecordStore, broken: bool) -> Evidence:
    """Slopes of λ_1…λ_3 for d ≥ 200, by activation; the control has no ξ_{ℓ−1}(σ')."""
    records = require([e.EigenvalueSlopes(a) for a in (e.SINE, e.SIGMOID)], store, COMMAND)
    values = {}
    for record in records:
        d = record.arrays["d"]
        lam = record.arrays["second_term" if broken else "eigenvalues"][d >= 200]
        values[record.config["activation"]] = [log_slope(d[d >= 200], lam[:, j]) for j in (1, 2, 3)]
    return Evidence(values, names(records))


def _judge_slopes(values: dict[str, list[float]]) -> Finding:
    gaps = [
        abs(s - t) for row in values.values() for s, t in zip(row, EXPECTED_SLOPES, strict=True)
    ]
    verdict = Verdict.REPRODUCED if max(gaps) <= 0.05 else Verdict.NOT_REPRODUCED
    first = {f"degree_{j}": row for j, row in enumerate(next(iter(values.values())), start=1)}
    return Finding(verdict, first | {"worst_gap": max(gaps)})


def _gather_constants(store: RecordStore, broken: bool) -> Evidence:
    """|λ_ℓ d^{ℓ−1}/(ℓ μ_{ℓ−1}²) − 1| at the largest d, ℓ = 1, 2, 3; the control leaves out ℓ."""
    records = require([e.EigenvalueSlopes(a) for a in (e.SINE, e.SIGMOID)], store, COMMAND)
    ell, gaps = np.array([1, 2, 3]), []
    for record in records:
        d, lam = record.arrays["d"][-1], record.arrays["eigenvalues"][-1, ell]
        function = activation(record.config["activation"]).first
        squares = hermite_coefficients(function, 2) ** 2 * [1, 1, 2]  # μ_j² = j! E[σ' he_j]²
        leading = (1 if broken else ell) * squares * d ** (1 - ell)
        gaps += np.abs(lam / leading - 1).tolist()
    return Evidence(gaps, names(records))


def _eigenvalue_gap(record: Record, broken: bool) -> float:
    """Largest relative difference of the sampled λ_0, λ_1, λ_2; control: those of Gaussian w."""
    a, config = record.arrays, record.config
    formula = a["exact"]
    if broken:
        other = ntk_spectrum(activation(config["activation"]), config["d"], weight_law="gaussian")
        formula = other.eigenvalues[: len(a["sampled"])]
    return float(np.abs(formula / a["sampled"] - 1).max())


def staircase_gaps(records: Sequence[Record], broken: bool = False) -> float:
    """Largest |mean share over draws − prediction| over n and ℓ ≤ 3, at one dimension.

    The control forgets, in the equation for κ, all degrees above those measured.
    """
    learned = np.mean([r.arrays["learned"] for r in records], axis=0)
    predicted = records[0].arrays["predicted"]
    if broken:
        d, count = records[0].config["d"], predicted.shape[1]
        lam = ntk_spectrum(activation(records[0].config["activation"]), d).eigenvalues[:count]
        few = Spectrum(d, lam, TINY)
        predicted = np.array([few.learned(int(n)) for n in records[0].arrays["n"]])
    return float(np.abs(learned - predicted).max())


def _gather_staircase(store: RecordStore, broken: bool) -> Evidence:
    groups = [
        require([e.Staircase(seed, d) for seed in e.SEEDS], store, COMMAND)
        for d in e.STAIRCASE_DIMS
    ]
    used = names([record for group in groups for record in group])
    return Evidence([staircase_gaps(group, broken) for group in groups], used)


def _gather_foreseen(store: RecordStore, broken: bool) -> Evidence:
    """|mean error over draws − foreseen|, largest over n; the control has the bias alone."""
    records = require([e.ExpectedError(seed) for seed in e.SEEDS], store, COMMAND)
    error = np.mean([r.arrays["error"] for r in records], axis=0)
    foreseen = records[0].arrays["bias_alone" if broken else "foreseen"]
    return Evidence([float(np.abs(error - foreseen).max())], names(records))


def _gather_blind(degree: int, n: int, finite: bool):
    """Errors on the sparse and on the dense harmonic; the control's weights lean.

    ``finite``: the kernel of a finite network with upright weights, instead of the infinite one.
    Beside them, ``leaning_``: the control's two errors.
    """

    def gather(store: RecordStore, broken: bool) -> Evidence:
        leaning, upright = (
            require(
                [e.Blindness(seed, degree, n, lean=lean) for seed in e.BLIND_SEEDS], store, COMMAND
            )
            for lean in e.LEANS
        )
        records = upright if finite and not broken else leaning
        tail, values = "_leaning" if finite or broken else "", {}
        for key in ("sparse", "dense"):
            values[key] = np.array([r.summary[key + tail] for r in records])
            values[f"leaning_{key}"] = np.array([r.summary[f"{key}_leaning"] for r in leaning])
        return Evidence(values, names(records))

    return gather


def _gather_stretched(store: RecordStore, broken: bool) -> Evidence:
    """Sparse and dense errors of stretched weights, draw by draw; the control's stand upright."""
    if broken:
        first = e.Stretched(1)
        points = [e.Blindness(s, first.degree, first.n, lean=0.0) for s in e.BLIND_SEEDS]
    else:
        points = [e.Stretched(s) for s in e.BLIND_SEEDS]
    records, tail = require(points, store, COMMAND), "_leaning" if broken else ""
    values = {
        key: np.array([r.summary[key + tail] for r in records]) for key in ("sparse", "dense")
    }
    return Evidence(values, names(records))


def _judge_stretched(values: dict[str, np.ndarray]) -> Finding:
    """The mean of sparse over dense below 1, with its interval."""
    finding = ratio_below_one(values["sparse"] / values["dense"])
    sizes = {key: float(value.mean()) for key, value in values.items()}
    return Finding(finding.verdict, {**finding.measured, **sizes})


def _judge_blind(values: dict[str, np.ndarray]) -> Finding:
    """Reproduced when the interval of the relative difference holds 0 and is within ±0.1."""
    scale = values["dense"].mean()
    gap = mean_interval((values["sparse"] - values["dense"]) / scale)
    ok = 0.0 in gap and max(abs(gap.low), abs(gap.high)) <= 0.1
    measured = {"change": gap.value, "low": gap.low, "high": gap.high, "runs": len(values["dense"])}
    sizes = {key: float(value.mean()) for key, value in values.items()}
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured | sizes)


def _blind_claim(degree: int, n: int, word: str, finite: bool = False) -> Claim:
    kernel = "A finite network's kernel" if finite else "The infinite kernel"
    return Claim(
        id=f"ntk-blind-{'finite-' if finite else ''}{word}",
        chapter=CHAPTER,
        statement=f"{kernel} makes the same expected error on a sparse harmonic of degree {degree} "
        f"as on a dense one (d = 20, n = {n}).",
        source="L+D",
        target="relative difference 0",
        tolerance="95 % interval over forty paired draws holds 0 and lies within ±0.1",
        broken="frozen weights that lean towards the sparse direction",
        gather=_gather_blind(degree, n, finite),
        judge=_judge_blind,
    )


CLAIMS: Sequence[Claim] = (
    Claim(
        id="ntk-width",
        chapter=CHAPTER,
        statement="The kernel of m neurons approaches the infinite-width kernel of the same law of "
        "w like m^(−1/2).",
        source="L",
        target="slope −1/2",
        tolerance="±0.05, 95 % interval over five draws",
        broken="the limit for the other law of w",
        gather=_gather(e.KernelWidth, slope_value("width", "matched", "mismatched")),
        judge=slope_near(-0.5, 0.05),
    ),
    Claim(
        id="ntk-lazy-own",
        chapter=CHAPTER,
        statement="A paired network trained by gradient descent deviates from its own "
        "linearisation like m^(−1).",
        source="M",
        target="slope −1",
        tolerance="±0.1, 95 % interval over five draws",
        broken="all outer signs a_r = +1",
        gather=_gather(e.Lazy, slope_value("width", "own", "one_sign")),
        judge=slope_near(-1.0, 0.1),
    ),
    Claim(
        id="ntk-lazy-infinite",
        chapter=CHAPTER,
        statement="The trained network deviates from the infinite-width predictor like m^(−1/2).",
        source="L",
        target="slope −1/2",
        tolerance="±0.1, 95 % interval over five draws",
        broken="the infinite-width predictor of the other law of w",
        gather=_gather(e.Lazy, slope_value("width", "infinite", "other_law")),
        judge=slope_near(-0.5, 0.1),
    ),
    Claim(
        id="ntk-eigenvalue-slopes",
        chapter=CHAPTER,
        statement="λ_1, λ_2, λ_3 fall with the dimension like d^0, d^(−1), d^(−2): d = 200 to "
        "2000, two activations.",
        source="D",
        target="slopes 0, −1, −2",
        tolerance="±0.05 each (exact quadrature, no randomness)",
        broken="ξ_(ℓ−1)(σ') = 0: the second term of λ_ℓ alone",
        gather=_gather_slopes,
        judge=_judge_slopes,
    ),
    Claim(
        id="ntk-eigenvalue-constants",
        chapter=CHAPTER,
        statement="At d = 2000 λ_1, λ_2, λ_3 are ℓ μ_(ℓ−1)² d^(1−ℓ), two activations.",
        source="D",
        target="relative difference 0",
        tolerance="1 % each (exact quadrature, no randomness)",
        broken="the factor ℓ left out",
        gather=_gather_constants,
        judge=at_most(0.01),
    ),
    Claim(
        id="ntk-eigenvalues",
        chapter=CHAPTER,
        statement="λ_ℓ by quadrature is E[K(x, y) P_ℓ(x·y/d)] over fresh inputs and neurons, "
        "ℓ = 0, 1, 2.",
        source="D",
        target="relative difference 0",
        tolerance="2 % in each of five draws of 2·10⁷ triples (d = 20)",
        broken="the eigenvalues of Gaussian w",
        gather=_gather(e.EigenvalueSamples, _eigenvalue_gap),
        judge=at_most(0.02),
    ),
    Claim(
        id="ntk-staircase",
        chapter=CHAPTER,
        statement="The share with which degree ℓ ≤ 3 is learned from n samples is λ_ℓ/(λ_ℓ + κ), "
        "for every n and d = 10, 20, 40.",
        source="L",
        target="difference 0",
        tolerance="0.05 at every n (mean over five draws)",
        broken="the degrees above 3 left out of the equation for κ",
        gather=_gather_staircase,
        judge=at_most(0.05),
    ),
    Claim(
        id="ntk-error",
        chapter=CHAPTER,
        statement="The population error, averaged over all targets of degrees 1, 2, 3 with equal "
        "power, is the predicted one for every n ≥ d (d = 40).",
        source="L",
        target="difference 0, where E f*² = 1",
        tolerance="0.01 at every n (mean over five draws)",
        broken="the variance factor left out",
        gather=_gather_foreseen,
        judge=at_most(0.01),
    ),
    _blind_claim(2, 250, "two"),
    _blind_claim(3, 2000, "three"),
    _blind_claim(2, 250, "two", finite=True),
    _blind_claim(3, 2000, "three", finite=True),
    Claim(
        id="ntk-stretched",
        chapter=CHAPTER,
        statement="Weights spread along the sparse direction (stretched by √3, then of length 1) "
        "make a smaller error on the sparse harmonic of degree 2 than on a dense one (d = 20, "
        "n = 250).",
        source="M",
        target="ratio of errors below 1",
        tolerance="95 % interval over forty draws below 1",
        broken="the same weights, upright",
        gather=_gather_stretched,
        judge=_judge_stretched,
    ),
)
