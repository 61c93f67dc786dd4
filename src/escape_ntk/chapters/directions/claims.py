"""Claims of the chapter *Good directions*."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from escape_ntk.chapters.directions import chapter
from escape_ntk.chapters.directions import runs as e
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.network import activation
from escape_ntk.numerics.polynomials import hermite_coefficients
from escape_ntk.numerics.stats import Numbers, log_slope, mean_interval
from escape_ntk.records.store import Record
from escape_ntk.study.claims import (
    Finding,
    Measure,
    Runs,
    Value,
    at_most,
    ends,
    found,
    over_seeds,
    slope_near,
)

LEAST_GAP_DIM = 100
"""The gap's slope is taken from this dimension on."""

# ---------------------------------------------------------------- the Gram matrix


def slopes_one(slopes: Mapping[str, float]) -> Finding:
    """Reproduced when every slope is 1 ± 0.1."""
    worst = max(abs(slope - 1) for slope in slopes.values())
    return found(worst <= 0.1, **slopes, worst_gap=worst)


@chapter.claim(
    "directions-gap",
    "The gap ζ_(n_k)/ζ_(n_k+1) of the population grows like d: k = 1 and 2, d = 100 to 1600, two "
    "activations.",
    source="D",
    target="slope 1",
    tolerance="±0.1 each (exact quadrature, no randomness)",
    broken="the ratio of the largest to the smallest eigenvalue inside degree ≤ 1",
    judge=slopes_one,
)
def gap_slopes(runs: Runs, broken: bool) -> dict[str, float]:
    """Slopes of the population gaps by activation and k."""
    slopes = {}
    for r in runs([e.PopulationGap(name) for name in (e.SINE, e.SIGMOID)]):
        far = r.arrays["d"] >= LEAST_GAP_DIM
        for k in (1, 2):
            gap = r.arrays["inside" if broken else f"gap_{k}"]
            slopes[f"{r.config['activation']}, k = {k}"] = log_slope(r.arrays["d"][far], gap[far])
    return slopes


@chapter.claim(
    "directions-gap-constant",
    "At d = 1600 the gap is k μ_(k−1)² d/((k+1) μ_k²), for k = 1 with min(μ_0², μ_1²) for μ_0²; "
    "two activations.",
    source="D",
    target="relative difference 0",
    tolerance="1 % each (exact quadrature, no randomness)",
    broken="the factor k/(k+1) left out",
    judge=at_most(0.01),
    after="the claim and its tolerance",
)
def gap_constants(runs: Runs, broken: bool) -> list[float]:
    """|gap over its leading order − 1| at the largest d, k = 1 and 2."""
    gaps = []
    for r in runs([e.PopulationGap(name) for name in (e.SINE, e.SIGMOID)]):
        first = activation(r.config["activation"]).first
        squares = hermite_coefficients(first, 2) ** 2 * [1, 1, 2]  # μ_j² = j! E[σ' he_j]²
        for k, top in ((1, squares[:2].min()), (2, squares[1])):
            leading = top / squares[k] * r.arrays["d"][-1] * (1 if broken else k / (k + 1))
            gaps.append(abs(float(r.arrays[f"gap_{k}"][-1] / leading) - 1))
    return gaps


def shrinking(values: Mapping[int, Mapping[int, np.ndarray]]) -> Finding:
    """Reproduced when, for every k, ‖Δ‖/γ falls like d^(−1/4) and the rms is as foreseen.

    Rows of (‖Δ‖/γ, its foreseen value, rms over the foreseen rms) for each draw, by k and d.
    Partly when the norm's mean falls at every step and the rms is as foreseen.
    """
    told, worst, sloped, falls = {}, 0.0, True, True
    for k, by_d in values.items():
        dims = sorted(by_d)
        rows = np.array([by_d[d] for d in dims])  # (dims, draws, 3)
        middle = rows.mean(1)
        slope = mean_interval([log_slope(dims, row) for row in rows[:, :, 0].T])
        falls &= bool((np.diff(middle[:, 0]) < 0).all())
        sloped &= -0.35 <= slope.low and slope.high <= -0.15
        worst = max(worst, float(np.abs(middle[:, 2] - 1).max()))
        words = ("first", "last")
        told[f"k{k}"] = ends("slope", slope) | {
            f"{name}_{word}": float(middle[place, column])
            for word, place in zip(words, (0, -1), strict=True)
            for column, name in enumerate(("norm", "foreseen"))
        }
    return found(
        falls and sloped and worst <= 0.05,
        partly=falls and worst <= 0.05,
        **told,
        spread_worst=worst,
    )


@chapter.claim(
    "directions-bulk",
    "Besides γ_(>k)I the high degrees add a Δ to the Gram matrix, at n = d^(k+1/2), whose norm "
    "over γ_(>k) falls like d^(−1/4), and whose eigenvalues have the rms (nγ⁽²⁾)^(1/2), k = 1 "
    "and 2.",
    source="L+D",
    target="slope −1/4 of ‖Δ‖/γ_(>k); ratio 1 of drawn and foreseen rms",
    tolerance="slope ±0.1, 95 % interval over five draws, and every step down; rms within 5 % at "
    "every d (mean over five draws); set before the runs",
    broken="n = d^(k+1), outside the theorem",
    judge=shrinking,
)
def bulk(runs: Runs, broken: bool) -> dict[int, dict[int, np.ndarray]]:
    """‖Δ‖/γ, its foreseen value, and the rms over the foreseen one, draw by draw."""
    found: dict[int, dict[int, list]] = {k: {} for k in (1, 2)}
    for k, by_d in found.items():
        for r in runs(e.noise_points(e.SEEDS, k, closed=broken)):
            s = r.summary
            row = [s["norm"], s["norm_foreseen"], s["spread"] / s["spread_foreseen"]]
            by_d.setdefault(r.config["d"], []).append(row)
    return {k: {d: np.array(rows) for d, rows in by_d.items()} for k, by_d in found.items()}


# ---------------------------------------------------------------- angles


def first_order(record: Record, gamma: float) -> float:
    """Mean over j ≤ n_k of γ/(nζ_(j) + γ): every eigenvalue of the Gram matrix foreseen."""
    n, d, k = (record.config[name] for name in "ndk")
    spectrum = ntk_spectrum(activation(record.config["activation"]), d)
    lam, counts = (x[: k + 1] for x in (spectrum.eigenvalues, spectrum.multiplicities))
    return float(np.average(gamma / (n * lam + gamma), weights=counts))


def foreseen_first(record: Record, broken: bool) -> list[float]:
    """The first order; the control forgets degree k + 1."""
    return [first_order(record, record.summary["gamma_next" if broken else "gamma"])]


def foreseen_second(record: Record, broken: bool) -> list[float]:
    """The second order and its rival γ/Λ_j; the control is the rival."""
    both = [record.summary["sin2_second"], e.drawn_denominator(record)]
    return both[::-1] if broken else both


def foreseen_quantiles(record: Record, broken: bool) -> list[float]:
    """The second order with the foreseen Λ_j in its denominator; the control is the first order."""
    gamma = record.summary["gamma"]
    if broken:
        return [first_order(record, gamma)]
    d, k = (record.config[name] for name in "dk")
    spectrum = ntk_spectrum(activation(record.config["activation"]), d)
    lam, counts = spectrum.eigenvalues, spectrum.multiplicities
    sigma2 = float((lam[k + 1 :] ** 2 * counts[k + 1 :]).sum())
    levels = np.sort(np.repeat(lam[: k + 1], counts[: k + 1].round().astype(int)))[::-1]
    top = record.arrays["predicted"][: len(levels)].astype(float)
    return [float(((gamma + 2 * sigma2 / levels) / top).mean())]


def angles(k: int, foreseen: Value[list[float]]) -> Measure[dict[int, np.ndarray]]:
    """Mean sin²θ and what is ``foreseen``, a row for each draw, by n."""

    def measure(runs: Runs, broken: bool) -> dict[int, np.ndarray]:
        rows: dict[int, list[list[float]]] = {}
        for r in runs(e.angle_points(e.SEEDS, k)):
            row = [r.summary["sin2"], *foreseen(r, broken)]
            rows.setdefault(r.config["n"], []).append(row)
        return {n: np.array(row) for n, row in rows.items()}

    return measure


def as_foreseen(rows: Mapping[int, np.ndarray]) -> Finding:
    """Reproduced when the 95 % interval lies within 1 ± 0.1 at every n; partly at the largest.

    Rows of (drawn, foreseen) or (drawn, foreseen, rival): with a rival the mean ratio must also
    be nearer to 1 than the rival's.
    """
    told, ok, off, rivals = {}, [], [], []
    for place, (n, row) in enumerate(sorted(rows.items())):
        ratios = row[:, :1] / row[:, 1:]
        got = mean_interval(ratios[:, 0])
        drawn, foreseen = (float(mean) for mean in row[:, :2].mean(0))
        here = told[f"n{place}"] = {"n": n, "drawn": drawn, "foreseen": foreseen}
        here |= ends("ratio", got)
        off.append(abs(got.value - 1))
        ok.append(0.9 <= got.low and got.high <= 1.1)
        if ratios.shape[1] > 1:
            here["rival"] = float(ratios[:, -1].mean())
            rivals.append(abs(here["rival"] - 1))
            ok[-1] &= off[-1] < rivals[-1]
    if rivals:
        told["rival"] = max(rivals)
    return found(all(ok), partly=ok[-1], **told, worst=max(off))


for k in (1, 2):
    chapter.claim(
        f"directions-angles-first-{k}",
        f"The mean of sin²θ_j, j ≤ n_{k}, is that of γ/(nζ_(j) + γ), γ = γ_(>{k}), for every n "
        f"from 2 to 32 n_{k} (d = {e.ANGLE_DIMS[k]}).",
        source="L+D",
        target="ratio 1",
        tolerance="95 % interval over five draws within ±0.1 at every n",
        broken=f"degree {k + 1} left out of γ",
        judge=as_foreseen,
        measure=angles(k, foreseen_first),
    )

for k in (1, 2):
    chapter.claim(
        f"directions-angles-second-{k}",
        f"The mean of sin²θ_j, j ≤ n_{k}, is that of (γ + 2γ⁽²⁾/ζ_(j))/Λ_j, with the drawn Λ_j, "
        f"γ = γ_(>{k}), γ⁽²⁾ = Σ_(ℓ>{k}) ζ_ℓ² B(d, ℓ), for every n from 2 to 32 n_{k} "
        f"(d = {e.ANGLE_DIMS[k]}).",
        source="D+M",
        target="ratio 1",
        tolerance="95 % interval over five draws within ±0.1 at every n, and the mean nearer to 1 "
        "than with γ/Λ_j alone",
        broken="γ/Λ_j alone in its place",
        after="the claim: the second order was sought when the first had missed on the same runs",
        judge=as_foreseen,
        measure=angles(k, foreseen_second),
    )


for k in (1, 2):
    chapter.claim(
        f"directions-angles-forecast-{k}",
        f"The mean of sin²θ_j, j ≤ n_{k}, is that of (γ + 2γ⁽²⁾/ζ_(j))/Λ_j with Λ_j foreseen, not "
        f"drawn: quantiles of Marchenko–Pastur laws; for every n from 2 to 32 n_{k} "
        f"(d = {e.ANGLE_DIMS[k]}).",
        source="D+M",
        target="ratio 1",
        tolerance="95 % interval over five draws within ±0.1 at every n",
        broken="the first order, γ/(nζ_(j) + γ)",
        judge=as_foreseen,
        measure=angles(k, foreseen_quantiles),
        after="the claim",
    )


# ---------------------------------------------------------------- leaks of P_(>k)


def largest_leak(record: Record, broken: bool) -> float:
    """Largest E f_L²/(ζ_{(n_k+1)}‖W‖²) on P_{>k}."""
    if broken:
        return float(record.arrays["worst"].min())
    return max(record.summary["population_worst"], record.summary["population_random"])


chapter.claim(
    "directions-leak-bound",
    "On the range of the population's P_(>k), E f_L(x; W)² ≤ ζ_(n_k+1) ‖W‖²: every draw, the worst "
    "direction included.",
    source="D",
    identity=True,
    target="largest ratio 1",
    tolerance="at most 1 + 1e-6 in each of five draws",
    broken="the projector of a training set",
    judge=at_most(1 + 1e-6),
    measure=over_seeds(e.Leaks, e.SEEDS, largest_leak),
)


def above_and_falling(values: Mapping[str, np.ndarray]) -> Finding:
    """Reproduced when every draw exceeds the bound at every n, and less so the larger n."""
    rows = values["rows"]
    middle = rows.mean(0)
    columns = zip(values["factors"], middle, rows.min(0), rows.max(0), strict=True)
    words = ("factor", "mean", "least", "most")
    told = {
        f"factor_{place}": dict(zip(words, map(float, column), strict=True))
        for place, column in enumerate(columns)
    }
    return found((rows > 1.01).all() and (np.diff(middle) < 0).all(), **told)


@chapter.claim(
    "directions-leak-excess",
    "On the range of the training set's P_(>k) the worst direction leaks more than that, and less "
    "so the larger n.",
    source="D+M",
    target="ratio above 1, falling with n",
    tolerance="every draw at every n",
    broken="the population's projector",
    judge=above_and_falling,
)
def excess(runs: Runs, broken: bool) -> dict[str, np.ndarray]:
    """The worst direction's leak over ζ_{(n_k+1)}, by draw and n/n_k."""
    records = runs([e.Leaks(seed) for seed in e.SEEDS])
    factors = records[0].arrays["factor"]
    rows = [
        r.summary["population_worst"] + 0 * factors if broken else r.arrays["worst"]
        for r in records
    ]
    return {"factors": factors, "rows": np.array(rows)}


def root_slope(record: Record, name: str) -> float:
    """Slope of the root of an array in the width."""
    return log_slope(record.arrays["width"], np.sqrt(record.arrays[name]))


def falling(values: Mapping[str, Numbers]) -> Finding:
    """The slope near −1/4; the values beside it as they are."""
    finding = slope_near(-0.25, 0.05)(values["slopes"])
    equal, inside = mean_interval(values["equal"]), float(np.mean(values["inside"]))
    beside = {"equal": equal.value, "equal_low": equal.low, "equal_high": equal.high}
    return Finding(finding.verdict, {**finding.measured, **beside, "inside": inside})


@chapter.claim(
    "directions-random-signs",
    "The leak of P_(>k)SW, W the explicit movement for (β·x)², falls like m^(−1/4).",
    source="D",
    target="slope −1/4 of (E f_L²)^(1/2)",
    tolerance="±0.05, 95 % interval over five draws",
    broken="equal signs, with the same projector",
    judge=falling,
)
def sign_slopes(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Slopes of the leak's root; ``equal``: the control's.

    ``inside``: what the population sees of a movement inside P_{≤k} over what the training set
    sees, at the largest width.
    """
    moved, equal = (runs([kind(s) for s in e.SEEDS]) for kind in (e.Movements, e.EqualSigns))
    flat = [root_slope(r, "population") for r in equal]
    return {
        "slopes": flat if broken else [root_slope(r, "random_signs_population") for r in moved],
        "equal": flat,
        "inside": [r.arrays["inside_population"][-1] / r.arrays["inside_train"][-1] for r in moved],
    }


def noise_fitted(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when less than 1 % of the noise is left in every draw."""
    left, train = float(max(values["left"])), float(np.mean(values["train"]))
    seen = mean_interval(values["population"])
    return found(left <= 0.01, largest=left, train=train, population=seen, runs=len(values["left"]))


@chapter.claim(
    "directions-memorizing",
    "Along memorising directions f_L fits pure noise on the training set.",
    source="D",
    identity=True,
    target="training error 0",
    tolerance="below 1 % of the noise in each of five draws",
    broken="directions inside P_(≤k) alone",
    judge=noise_fitted,
)
def memorized(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Noise left, what the memorising movement fits of it (``train``), and E f_L², each draw."""
    summaries = [r.summary for r in runs([e.Memorizing(seed) for seed in e.SEEDS])]
    names = {
        "left": "left_inside" if broken else "left",
        "train": "left_inside",
        "population": "population",
    }
    return {key: [float(s[name]) for s in summaries] for key, name in names.items()}


def as_thin(values: Mapping[str, Any]) -> Finding:
    """Reproduced when the slope is 1 ± 0.15 and each mean ratio within 1 ± 0.3, intervals included.

    Partly when the slope is.
    """
    slope = mean_interval(values["slopes"])
    ratios = {size: mean_interval(v) for size, v in values["ratios"].items()}
    sloped = 0.85 <= slope.low and slope.high <= 1.15
    close = all(0.7 <= i.low and i.high <= 1.3 for i in ratios.values())
    least, most = (pick(i.value for i in ratios.values()) for pick in (min, max))
    seen = [float(x) for x in values["seen"]]
    return found(
        sloped and close,
        partly=sloped,
        slope=slope,
        least=least,
        most=most,
        first=seen[0],
        last=seen[-1],
        runs=len(values["slopes"]),
    )


@chapter.claim(
    "directions-memorized",
    "Of noise memorised outside the first n_1 eigenvectors the population sees nγ⁽²⁾/γ² of what "
    "the training set sees, γ = γ_(>1), γ⁽²⁾ = Σ_(ℓ>1) ζ_ℓ² B(d, ℓ): like n/d², for n from 5d to "
    "d²/4 (d = 40, 80, 160; infinite width).",
    source="D",
    target="slope 1 of the ratio in n/d²; ratio 1 to the foreseen one",
    tolerance="slope ±0.15, and ±0.3 at every size, 95 % intervals over five draws",
    broken="the part of the noise inside the first n_1 eigenvectors",
    after="the claim and its bars: the ratio at other sizes was known",
    judge=as_thin,
)
def memorized_seen(runs: Runs, broken: bool) -> dict[str, Any]:
    """Slopes by draw; ratios to the foreseen value by size; mean population over training."""
    name, rows = "low" if broken else "high", {}
    for r in runs(e.memorized_points(e.SEEDS)):
        size = (r.config["d"], r.config["n"])
        rows.setdefault(size, []).append([r.summary[name], r.summary["foreseen"]])
    sizes = sorted(rows, key=lambda size: size[1] / size[0] ** 2)
    table = np.array([rows[size] for size in sizes])  # (sizes, draws, 2)
    share = [n / d**2 for d, n in sizes]
    return {
        "slopes": [log_slope(share, column) for column in table[:, :, 0].T],
        "ratios": {size: row[:, 0] / row[:, 1] for size, row in zip(sizes, table, strict=True)},
        "seen": table[:, :, 0].mean(1),
    }
