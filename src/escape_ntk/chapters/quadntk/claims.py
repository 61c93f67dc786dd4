"""Claims of the chapter *QuadNTK*."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from escape_ntk.chapters.quadntk import chapter
from escape_ntk.chapters.quadntk import runs as e
from escape_ntk.kernels.spectrum import frozen_start_spectrum, ntk_spectrum
from escape_ntk.models.network import activation
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.numerics.stats import Interval, Numbers, log_slope, mean_interval
from escape_ntk.records.store import Record
from escape_ntk.study.claims import (
    Finding,
    Measure,
    Runs,
    at_most,
    each,
    ends,
    found,
    largest_value,
    over_seeds,
    ratio_one,
    slope_near,
    slope_value,
    summary_value,
)

Value = Callable[[Record], float]


# ---------------------------------------------------------------- the explicit movement

MADE = {k: [e.Construction(seed, k) for seed in e.SEEDS] for k in (1, 2)}
"""The explicit movement for (β·x)^{k+1}, by k."""

chapter.claim(
    "quadntk-signs",
    "Random signs on the movements leave f_Q as it is.",
    source="L",
    identity=True,
    target="0",
    tolerance="1e-12 relative, every width and draw",
    broken="the signs on the frozen weights instead (f_Q)",
    judge=at_most(1e-12),
    measure=each(MADE[1], largest_value("sign_change", "sign_change_weights")),
)

chapter.claim(
    "quadntk-leak-drawn",
    "f_L(x; SW)² over a thousand drawn signs has the mean m^(−1) Σ_r (σ'(w_r·x) u_r·x)².",
    source="L",
    target="ratio 1",
    tolerance="95 % interval over five draws of weights holds 1 and lies within ±0.1",
    broken="equal signs",
    judge=ratio_one(0.9, 1.1, held=True),
    measure=over_seeds(e.SignDraws, e.SEEDS, summary_value("drawn", "equal")),
)

chapter.claim(
    "quadntk-leak-same",
    "With equal signs the linear leak of the explicit movement grows like m^(1/4).",
    source="D",
    target="slope 1/4",
    tolerance="±0.05, 95 % interval over five draws",
    broken="random signs",
    judge=slope_near(0.25, 0.05),
    measure=each(MADE[1], slope_value("width", "leak_same", "leak_random")),
)

chapter.claim(
    "quadntk-leak-random",
    "With random signs it falls like m^(−1/4), by the exact E_S f_L².",
    source="D",
    target="slope −1/4",
    tolerance="±0.05, 95 % interval over five draws",
    broken="equal signs",
    judge=slope_near(-0.25, 0.05),
    measure=each(MADE[1], slope_value("width", "leak_random", "leak_same")),
)

for k, power in ((1, "(β·x)²"), (2, "(β·x)³")):
    chapter.claim(
        f"quadntk-rate-{k}",
        f"The explicit movement represents {power} with an error of order m^(−1/2), for inputs on "
        "the sphere.",
        source="D",
        target="slope −1/2",
        tolerance="±0.1, 95 % interval over five draws",
        broken="Gaussian inputs",
        judge=slope_near(-0.5, 0.1),
        measure=each(MADE[k], slope_value("width", "error", "error_gaussian")),
    )


def norm_slopes(k: int) -> Measure[list[float]]:
    """Slopes of ‖W_Q‖_(2,4) in the dimension; the control's of the other degree."""

    def measure(runs: Runs, broken: bool) -> list[float]:
        records = runs([e.ConstructionNorm(seed, 3 - k if broken else k) for seed in e.SEEDS])
        return [log_slope(r.arrays["d"], r.arrays["norm"]) for r in records]

    return measure


for k, sure in ((1, "h is constant, no randomness"), (2, "95 % interval over five draws")):
    chapter.claim(
        f"quadntk-norm-{k}",
        f"‖W_Q‖_(2,4) of the explicit movement grows like d^((k−1)/4), k = {k}.",
        source="D",
        target=f"slope {(k - 1) / 4:g}",
        tolerance=f"±0.05, {sure}",
        broken=f"k = {3 - k}",
        judge=slope_near((k - 1) / 4, 0.05),
        measure=norm_slopes(k),
    )


SEVERAL = {k: [e.SeveralDirections(seed, k) for seed in e.SEEDS] for k in (1, 2)}
"""Several directions in one movement, by k."""
MOST = max(e.SeveralDirections.counts)

chapter.claim(
    "quadntk-several-1",
    f"k = 1: ‖W_Q‖_(2,4)^4 for n_β squares in orthonormal directions, with coefficients "
    f"n_β^(−1/2), grows like n_β, up to {MOST}.",
    source="D",
    identity=True,
    target="slope 1",
    tolerance="±0.05, five draws",
    broken="equal directions",
    judge=slope_near(1.0, 0.05),
    measure=each(SEVERAL[1], slope_value("count", "norm", "aligned")),
)


def growth_over_foreseen(record: Record, broken: bool) -> float:
    """(‖W_Q‖^4 of the most directions over that of one, less 1) over (s − 1)/π."""
    norms = record.arrays["split" if broken else "norm"]
    return float((norms[-1] / norms[0] - 1) * math.pi / (MOST - 1))


chapter.claim(
    "quadntk-several-2",
    f"k = 2, n_β cubes in orthonormal directions: one movement for all makes ‖W_Q‖_(2,4)^4 "
    f"1 + (n_β − 1)/π times that of one direction, n_β = {MOST}.",
    source="D",
    target="growth over the foreseen one: 1",
    tolerance="95 % interval over five draws within ±0.1",
    broken="a share of the neurons for each direction",
    judge=ratio_one(0.9, 1.1),
    measure=each(SEVERAL[2], growth_over_foreseen),
)

chapter.claim(
    "quadntk-several-least",
    f"k = 1: no movement for n_β squares in orthonormal directions has a ‖W‖_(2,4)^4 more than 1.5 "
    f"times below that of this one, n_β up to {MOST}.",
    source="D",
    target="construction over lower bound",
    tolerance="at most 1.5, every n_β and draw",
    broken="k = 2, a share of the neurons for each direction",
    after="the bar, after one trial draw",
    judge=at_most(1.5),
    measure=lambda runs, broken: [
        float((r.arrays["split" if broken else "norm"] / r.arrays["least"]).max())
        for r in runs(SEVERAL[2 if broken else 1])
    ],
)


@chapter.claim(
    "quadntk-saddle",
    "At W = 0 f_Q alone has no gradient: training does not move.",
    source="D",
    identity=True,
    target="gradient and relative change of the training loss 0",
    tolerance="1e-12 in each of five draws",
    broken="a start of size 1e-4",
    judge=at_most(1e-12),
)
def movement_from_zero(runs: Runs, broken: bool) -> list[float]:
    """The gradient at the start or the relative change of the training loss, whichever is more."""
    records = runs([e.Saddle(seed, 1e-4 if broken else 0.0) for seed in e.SEEDS])
    losses = [r.arrays["train"] for r in records]
    moved = [abs(loss[-1] - loss[0]) / loss[0] for loss in losses]
    return [
        float(max(r.summary["start_gradient"], by)) for r, by in zip(records, moved, strict=True)
    ]


# ---------------------------------------------------------------- QuadNTK and NTK


def log_ratio(over: Value, under: Value | None = None) -> Value:
    """log(over/under) of a record; without ``under``, log(over)."""
    return lambda r: math.log(over(r) / (under(r) if under else 1.0))


def by_dimension(records: Sequence[Record], value: Value) -> dict[int, Interval]:
    """exp of the mean of ``value`` over the runs at each d, with its 95 % interval."""
    out = {}
    for d in sorted({r.config["d"] for r in records}):
        logs = mean_interval([value(r) for r in records if r.config["d"] == d])
        out[d] = Interval(*(math.exp(x) for x in (logs.value, logs.low, logs.high)))
    return out


def slope_in_dimension(records: Sequence[Record], value: Value, least: int = 0) -> Interval:
    """Slope of ``value`` on log d, d ≥ least: one line through each seed's runs, their mean."""
    slopes = []
    for seed in sorted({r.config["seed"] for r in records}):
        mine = [r for r in records if r.config["seed"] == seed and r.config["d"] >= least]
        slopes.append(log_slope([r.config["d"] for r in mine], [math.exp(value(r)) for r in mine]))
    return mean_interval(slopes)


def ntk_error(record: Record) -> float:
    """Test error of the tuned NTK."""
    return record.summary["ntk_error"]


def tuned_error(record: Record) -> float:
    """Test error of QuadNTK, tuned over start, λ_4 and time."""
    return record.summary["quadntk_error"]


def start_error(record: Record, place: int) -> float:
    """QuadNTK's test error from one start, tuned over λ_4 and time by validation."""
    validation, test = record.arrays["validation"][place], record.arrays["test"][place]
    return float(test.flat[np.nanargmin(validation)])


def small_start_error(record: Record) -> float:
    """The same from the smallest start."""
    return start_error(record, 0)


PRICE = log_ratio(tuned_error, ntk_error)
"""log(QuadNTK error/NTK error)."""
SMALL_PRICE = log_ratio(small_start_error, ntk_error)
"""The same from the smallest start."""
LATE = 24
"""From this dimension on the slope of the price is looked at once more."""


def three_times_below(errors: Mapping[str, np.ndarray]) -> Finding:
    """Reproduced when every run has a ratio ≥ 3."""
    ratios = errors["ntk"] / errors["quadntk"]
    least, median = float(ratios.min()), float(np.median(ratios))
    means = {name: float(values.mean()) for name, values in errors.items()}
    return found(least >= 3, least=least, median=median, **means, runs=len(ratios))


@chapter.claim(
    "quadntk-sparse",
    "From 4 n_2 samples of a sparse cubic QuadNTK's error is at least three times below the "
    "NTK's, d = 16, 24 and 32.",
    source="M",
    target="ratio of errors at least 3",
    tolerance="every one of fifteen runs",
    broken="a dense quadratic",
    judge=three_times_below,
)
def sparse_errors(runs: Runs, broken: bool) -> dict[str, np.ndarray]:
    """Errors of both, run by run."""
    records = runs(e.dense_points(e.SEEDS, 2) if broken else e.sparse_points(e.SEEDS))
    errors = {"ntk": ntk_error, "quadntk": tuned_error}
    return {name: np.array([error(r) for r in records]) for name, error in errors.items()}


def price_by_dimension(k: int) -> Measure[dict]:
    """The price by dimension, its slope, and QuadNTK's error."""

    def measure(runs: Runs, broken: bool) -> dict:
        records = runs(e.sparse_points(e.SEEDS) if broken else e.dense_points(e.SEEDS, k))
        return {
            "ratios": by_dimension(records, PRICE),
            "slope": slope_in_dimension(records, PRICE),
            "errors": by_dimension(records, log_ratio(tuned_error)),
        }

    return measure


def above_one(values: Mapping) -> Finding:
    """Reproduced when the ratio's interval lies above 1 at every dimension."""
    ratios = values["ratios"]
    rows = {
        f"d{d}": ends("ratio", ratio) | {"error": values["errors"][d].value}
        for d, ratio in ratios.items()
    }
    ok = all(ratio.low > 1 for ratio in ratios.values())
    return found(ok, **rows, exponent=ends("slope", values["slope"]))


for k, kind in ((1, "linear function"), (2, "dense quadratic")):
    chapter.claim(
        f"quadntk-price-{k}",
        f"From 3 n_{k} samples of a {kind} QuadNTK alone makes a larger error than the NTK, both "
        "tuned on one validation set.",
        source="M",
        target="ratio of errors above 1",
        tolerance="95 % interval over five seeds above 1 at every dimension",
        broken="a sparse cubic",
        judge=above_one,
        measure=price_by_dimension(k),
    )


def not_growing(slopes: Mapping[str, Interval]) -> Finding:
    """Reproduced when the 95 % interval of the price's slope does not reach above 0."""
    parts = dict(slopes)
    price = parts.pop("price")
    return found(price.high <= 0, slope=price, runs=len(e.SEEDS), **parts)


@chapter.claim(
    "quadntk-price-rate",
    "On dense quadratics from 3 n_2 samples the ratio of QuadNTK's error to the NTK's does not "
    "grow with the dimension, d = 8 to 48.",
    source="M",
    target="slope of the ratio in d at most 0",
    tolerance="95 % interval over five seeds not above 0",
    broken="the sparse cubic, NTK over QuadNTK",
    judge=not_growing,
)
def price_slopes(runs: Runs, broken: bool) -> dict[str, Interval]:
    """Slopes of the price in d and of both errors; late, and from the smallest start."""
    records = runs(e.sparse_points(e.SEEDS) if broken else e.dense_points(e.SEEDS, 2))
    slopes = {
        "price": slope_in_dimension(
            records, log_ratio(ntk_error, tuned_error) if broken else PRICE
        ),
        "of_quadntk": slope_in_dimension(records, log_ratio(tuned_error)),
        "of_ntk": slope_in_dimension(records, log_ratio(ntk_error)),
    }
    if not broken:
        slopes["late"] = slope_in_dimension(records, PRICE, LATE)
        slopes["small"] = slope_in_dimension(records, SMALL_PRICE, LATE)
    return slopes


# ---------------------------------------------------------------- a start that stays frozen


def grouped(ratios: Iterable[tuple[int, float]]) -> dict[int, list[float]]:
    """Ratios by dimension, from pairs of both."""
    groups: dict[int, list[float]] = {}
    for d, ratio in ratios:
        groups.setdefault(d, []).append(ratio)
    return groups


def kernel_errors(runs: Runs, width: int) -> dict[tuple[int, int], float]:
    """Errors of regression with K_Q of ``width`` neurons, by (d, seed)."""
    records = runs(e.kernel_points())
    at = list(records[0].arrays["width"]).index(width)
    return {(r.config["d"], r.config["seed"]): float(r.arrays["error"][at]) for r in records}


def foreseen_error(d: int, spectrum=frozen_start_spectrum) -> float:
    """Predicted error on a dense quadratic from the n samples of the comparison."""
    n = round(e.DENSE_FACTOR * cumulative_multiplicity(d, 2))
    return spectrum(activation(e.SINE), d).predicted_error(n, [0.0, 0.0, 1.0])


def means_near_one(ratios: Mapping[int, Numbers]) -> Finding:
    """Reproduced when the 95 % interval at every dimension lies within 1 ± 0.1."""
    intervals = {f"d{d}": mean_interval(values) for d, values in ratios.items()}
    ok = all(0.9 <= i.low and i.high <= 1.1 for i in intervals.values())
    return found(ok, **{d: ends("ratio", interval) for d, interval in intervals.items()})


def largest_near_one(ratios: Mapping[str, Mapping[int, Numbers]]) -> Finding:
    """The means near one, from the largest start; the smaller one's means beside them."""
    finding = means_near_one(ratios["largest"])
    beside = {f"d{d}": float(np.mean(values)) for d, values in ratios["smaller"].items()}
    return Finding(finding.verdict, {**finding.measured, "smaller": beside})


@chapter.claim(
    "quadntk-frozen",
    "From a start of size 3, f_Q learns a dense quadratic with the error of regression with its "
    "kernel at that start, K_Q, d = 20, 40, 64.",
    source="D",
    target="ratio 1 of the two errors",
    tolerance="95 % interval over five draws within ±0.1 at each dimension",
    broken="a start of size 1",
    judge=largest_near_one,
)
def over_frozen_kernel(runs: Runs, broken: bool) -> dict[str, dict[int, list[float]]]:
    """Error from a start over that of its kernel; ``smaller``: the control's, beside it."""
    records = runs(e.frozen_points())
    kernel = kernel_errors(runs, records[0].config["m"])

    def ratios(start: int) -> dict[int, list[float]]:
        at = [(r.config["d"], r.config["seed"]) for r in records]
        errors = [float(r.arrays["test"][start, 0, -1]) for r in records]
        return grouped((key[0], error / kernel[key]) for key, error in zip(at, errors, strict=True))

    return {"largest": ratios(0 if broken else -1), "smaller": ratios(0)}


@chapter.claim(
    "quadntk-foreseen",
    "With m = 64000 neurons that error is the one that theory foresees for infinite width, d = 20, "
    "40, 64.",
    source="L+D",
    target="ratio 1 of measured and foreseen error",
    tolerance="95 % interval over five draws or more within ±0.1 at each dimension",
    broken="the error foreseen for the NTK",
    after="fifteen draws more at d = 20 alone, where five had left too wide an interval",
    judge=means_near_one,
)
def over_foreseen(runs: Runs, broken: bool) -> dict[int, list[float]]:
    """Error of the widest kernel over the foreseen one."""
    spectrum = ntk_spectrum if broken else frozen_start_spectrum
    errors = kernel_errors(runs, 64_000)
    return grouped((d, error / foreseen_error(d, spectrum)) for (d, _), error in errors.items())


# ---------------------------------------------------------------- the grid


@chapter.claim(
    "quadntk-wide",
    "A grid that reaches further (starts to 3, λ_4 to 1e-5, three times longer) changes QuadNTK's "
    "tuned error on dense quadratics by less than a tenth, d = 16 and 32.",
    source="M",
    target="ratio 1 of the two tuned errors",
    tolerance="95 % interval over five seeds within ±0.1 at each dimension; set before the runs",
    broken="the smallest start alone in place of the wider grid",
    judge=means_near_one,
)
def wide_over_near(runs: Runs, broken: bool) -> dict[int, list[float]]:
    """Tuned error over the wider grid, over that of the grid."""
    near = runs([point for point in e.dense_points(e.SEEDS, 2) if point.d in e.WIDE_DIMS])
    wide = runs(e.wide_points(e.SEEDS))
    better = [small_start_error(r) for r in near] if broken else [tuned_error(r) for r in wide]
    return grouped(
        (r.config["d"], error / tuned_error(r)) for r, error in zip(near, better, strict=True)
    )


def apart(starts: tuple[Sequence[float], Sequence[float]]) -> Finding:
    """Reproduced when the smallest start tuned on dense exceeds the largest tuned on sparse."""
    dense, sparse = starts
    least, most = float(min(dense)), float(max(sparse))
    return found(least > most, dense_least=least, sparse_most=most, runs=len(dense) + len(sparse))


@chapter.claim(
    "quadntk-start",
    "On dense quadratics the validation set picks a larger start than on sparse cubics, in every "
    "run.",
    source="M",
    target="the two sets of starts apart",
    tolerance="every run",
    broken="linear functions in place of dense quadratics",
    judge=apart,
)
def tuned_starts(runs: Runs, broken: bool) -> tuple[list[float], list[float]]:
    """Sizes of the tuned starts: (dense, sparse)."""
    dense, sparse = e.dense_points(e.SEEDS, 1 if broken else 2), e.sparse_points(e.SEEDS)
    size = "quadntk_scale"
    return [r.summary[size] for r in runs(dense)], [r.summary[size] for r in runs(sparse)]
