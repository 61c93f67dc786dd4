"""Claims of the chapter *QuadNTK*."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from escape_ntk.claims.ledger import (
    Claim,
    Evidence,
    Finding,
    Verdict,
    at_most,
    largest_value,
    names,
    over_draws,
    ratio_one,
    require,
    slope_near,
    slope_value,
    summary_value,
)
from escape_ntk.experiments import quadntk as e
from escape_ntk.network import activation
from escape_ntk.polynomials import cumulative_multiplicity
from escape_ntk.records import Record, RecordStore
from escape_ntk.spectrum import frozen_start_spectrum, ntk_spectrum
from escape_ntk.stats import Interval, Numbers, log_slope, mean_interval

Value = Callable[[Record], float]

CHAPTER = "quadntk"
COMMAND = "escape-ntk run quadntk"


def _construction(k: int, value):
    return over_draws([e.Construction(seed, k) for seed in e.SEEDS], value, COMMAND)


def _gather_norm(k: int):
    def gather(store: RecordStore, broken: bool) -> Evidence:
        points = [e.ConstructionNorm(seed, 3 - k if broken else k) for seed in e.SEEDS]
        records = require(points, store, COMMAND)
        slopes = [log_slope(r.arrays["d"], r.arrays["norm"]) for r in records]
        return Evidence(slopes, names(records))

    return gather


def _gather_saddle(store: RecordStore, broken: bool) -> Evidence:
    """Relative change of the training loss from the start to the end."""
    points = [e.Saddle(seed, 1e-4 if broken else 0.0) for seed in e.SEEDS]
    records = require(points, store, COMMAND)
    losses = [r.arrays["train_loss"] for r in records]
    moved = [abs(loss[-1] - loss[0]) / loss[0] for loss in losses]
    slopes = [r.summary["start_gradient"] for r in records]
    return Evidence([float(max(pair)) for pair in zip(moved, slopes, strict=True)], names(records))


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


def small_start_error(record: Record) -> float:
    """QuadNTK's test error from the smallest start, tuned over λ_4 and time by validation."""
    validation, test = record.arrays["validation"][0], record.arrays["test"][0]
    return float(test.flat[np.nanargmin(validation)])


PRICE = log_ratio(tuned_error, ntk_error)
"""log(QuadNTK error/NTK error)."""
SMALL_PRICE = log_ratio(small_start_error, ntk_error)
"""The same from the smallest start."""
LATE = 24
"""From this dimension on the slope of the price is looked at once more."""


def _gather_sparse(store: RecordStore, broken: bool) -> Evidence:
    """NTK error over QuadNTK error on the sparse cubic; the control on the dense quadratic."""
    points = e.dense_points(e.SEEDS, 2) if broken else e.sparse_points(e.SEEDS)
    records = require(points, store, COMMAND)
    errors = {"ntk": ntk_error, "quadntk": tuned_error}
    return Evidence(
        {name: np.array([error(r) for r in records]) for name, error in errors.items()},
        names(records),
    )


def _judge_sparse(values: dict) -> Finding:
    """Reproduced when every run has a ratio ≥ 3."""
    ratios = values["ntk"] / values["quadntk"]
    measured = {
        "least": float(ratios.min()),
        "median": float(np.median(ratios)),
        "ntk": float(values["ntk"].mean()),
        "quadntk": float(values["quadntk"].mean()),
        "runs": len(ratios),
    }
    verdict = Verdict.REPRODUCED if measured["least"] >= 3 else Verdict.NOT_REPRODUCED
    return Finding(verdict, measured)


def _gather_rate(store: RecordStore, broken: bool) -> Evidence:
    """Slopes of the price in d; the control turns the price of the sparse cubic over."""
    points = e.sparse_points(e.SEEDS) if broken else e.dense_points(e.SEEDS, 2)
    records = require(points, store, COMMAND)
    parts = {
        "price": log_ratio(ntk_error, tuned_error) if broken else PRICE,
        "of_quadntk": log_ratio(tuned_error),
        "of_ntk": log_ratio(ntk_error),
    }
    values = {name: slope_in_dimension(records, value) for name, value in parts.items()}
    if not broken:
        values["late"] = slope_in_dimension(records, PRICE, LATE)
        values["small"] = slope_in_dimension(records, SMALL_PRICE, LATE)
    return Evidence(values, names(records))


def _judge_rate(values: dict[str, Interval]) -> Finding:
    """Reproduced when the 95 % interval of the price's slope does not reach above 0."""
    parts = dict(values)
    price = parts.pop("price")
    measured = {"slope": price.value, "low": price.low, "high": price.high, "runs": len(e.SEEDS)}
    for name, part in parts.items():
        measured |= {name: part.value, f"{name}_low": part.low, f"{name}_high": part.high}
    verdict = Verdict.REPRODUCED if price.high <= 0 else Verdict.NOT_REPRODUCED
    return Finding(verdict, measured)


def _gather_price(k: int):
    """The price by dimension; the control on the sparse cubic."""

    def gather(store: RecordStore, broken: bool) -> Evidence:
        points = e.sparse_points(e.SEEDS) if broken else e.dense_points(e.SEEDS, k)
        records = require(points, store, COMMAND)
        values = {
            "ratios": by_dimension(records, PRICE),
            "slope": slope_in_dimension(records, PRICE),
            "errors": by_dimension(records, log_ratio(tuned_error)),
        }
        return Evidence(values, names(records))

    return gather


def _judge_price(values: dict) -> Finding:
    """Reproduced when the ratio's interval lies above 1 at every dimension."""
    ratios, slope = values["ratios"], values["slope"]
    ok = all(interval.low > 1 for interval in ratios.values())
    measured = {
        f"d{d}": {"ratio": i.value, "low": i.low, "high": i.high, "error": error.value}
        for (d, i), error in zip(ratios.items(), values["errors"].values(), strict=True)
    }
    measured["exponent"] = {"slope": slope.value, "low": slope.low, "high": slope.high}
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _kernel_errors(store: RecordStore, width: int) -> tuple[dict, tuple[str, ...]]:
    """Errors of regression with K_Q of ``width`` neurons, by (d, seed)."""
    records = require(e.kernel_points(), store, COMMAND)
    at = list(records[0].arrays["width"]).index(width)
    errors = {(r.config["d"], r.config["seed"]): float(r.arrays["error"][at]) for r in records}
    return errors, names(records)


def _gather_frozen(store: RecordStore, broken: bool) -> Evidence:
    """Error from the largest start over that of its kernel, by dimension; control: smaller one.

    ``smaller``: the control's, beside it.
    """
    runs = require(e.frozen_points(), store, COMMAND)
    kernel, used = _kernel_errors(store, runs[0].config["m"])
    ratios: dict[str, dict[int, list[float]]] = {"largest": {}, "smaller": {}}
    for r in runs:
        d, own = r.config["d"], kernel[r.config["d"], r.config["seed"]]
        for name, start in (("largest", -1), ("smaller", 0)):
            error = float(r.arrays["test"][start, 0, -1])
            ratios[name].setdefault(d, []).append(error / own)
    if broken:
        ratios["largest"] = ratios["smaller"]
    return Evidence(ratios, (*names(runs), *used))


def _gather_foreseen(store: RecordStore, broken: bool) -> Evidence:
    """Error with the kernel of 64000 neurons over the foreseen one; control: the NTK's."""
    errors, used = _kernel_errors(store, 64_000)
    spectrum = ntk_spectrum if broken else frozen_start_spectrum
    ratios: dict[int, list[float]] = {}
    for (d, _), error in errors.items():
        ratios.setdefault(d, []).append(error / foreseen_error(d, spectrum))
    return Evidence(ratios, used)


def foreseen_error(d: int, spectrum=frozen_start_spectrum) -> float:
    """Predicted error on a dense quadratic from the n samples of the comparison."""
    n = round(e.DENSE_FACTOR * cumulative_multiplicity(d, 2))
    return spectrum(activation(e.SINE), d).predicted_error(n, [0.0, 0.0, 1.0])


def foreseen_price(d: int) -> float:
    """Predicted error of K_Q (a frozen start) over that of the infinite NTK: dense quadratic."""
    return foreseen_error(d) / foreseen_error(d, ntk_spectrum)


def _gather_wide(store: RecordStore, broken: bool) -> Evidence:
    """Tuned error over the wider grid, over that of the grid; the control has one start only."""
    wide = require(e.wide_points(e.SEEDS), store, COMMAND)
    near = require(e.dense_points(e.SEEDS, 2), store, COMMAND)
    own = {(r.config["d"], r.config["seed"]): r for r in near if r.config["d"] in e.WIDE_DIMS}
    ratios: dict[int, list[float]] = {}
    for r in wide:
        d, reference = r.config["d"], own[r.config["d"], r.config["seed"]]
        better = small_start_error(reference) if broken else tuned_error(r)
        ratios.setdefault(d, []).append(better / tuned_error(reference))
    return Evidence(ratios, names([*wide, *own.values()]))


def _judge_mean_near_one(ratios: Mapping[int, Numbers]) -> Finding:
    """Reproduced when the 95 % interval at every dimension lies within 1 ± 0.1."""
    intervals = {d: mean_interval(values) for d, values in ratios.items()}
    ok = all(0.9 <= i.low and i.high <= 1.1 for i in intervals.values())
    measured = {
        f"d{d}": {"ratio": i.value, "low": i.low, "high": i.high} for d, i in intervals.items()
    }
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _judge_frozen(ratios: Mapping[str, Mapping[int, Numbers]]) -> Finding:
    """The mean near one, from the largest start; the smaller one's mean beside it."""
    finding = _judge_mean_near_one(ratios["largest"])
    beside = {f"d{d}": float(np.mean(values)) for d, values in ratios["smaller"].items()}
    return Finding(finding.verdict, {**finding.measured, "smaller": beside})


def _gather_starts(store: RecordStore, broken: bool) -> Evidence:
    """Sizes of the tuned starts; the control takes linear functions for dense quadratics."""
    dense = require(e.dense_points(e.SEEDS, 1 if broken else 2), store, COMMAND)
    sparse = require(e.sparse_points(e.SEEDS), store, COMMAND)
    values = [[r.summary["quadntk_scale"] for r in group] for group in (dense, sparse)]
    return Evidence(values, names([*dense, *sparse]))


def _judge_starts(values: Sequence[Sequence[float]]) -> Finding:
    """Reproduced when the smallest start tuned on dense exceeds the largest tuned on sparse."""
    dense, sparse = values
    verdict = Verdict.REPRODUCED if min(dense) > max(sparse) else Verdict.NOT_REPRODUCED
    measured = {"dense_least": float(min(dense)), "sparse_most": float(max(sparse))}
    return Finding(verdict, measured | {"runs": len(dense) + len(sparse)})


def _rate_claim(k: int) -> Claim:
    power = "(β·x)²" if k == 1 else "(β·x)³"
    return Claim(
        id=f"quadntk-rate-{k}",
        chapter=CHAPTER,
        statement=f"The explicit movement represents {power} with an error of order m^(−1/2), "
        "for inputs on the sphere.",
        source="D",
        target="slope −1/2",
        tolerance="±0.1, 95 % interval over five draws",
        broken="Gaussian inputs",
        gather=_construction(k, slope_value("width", "error", "error_gaussian")),
        judge=slope_near(-0.5, 0.1),
    )


def _norm_claim(k: int) -> Claim:
    return Claim(
        id=f"quadntk-norm-{k}",
        chapter=CHAPTER,
        statement=f"‖W_Q‖_(2,4) of the explicit movement grows like d^((k−1)/4), k = {k}.",
        source="D",
        target=f"slope {(k - 1) / 4:g}",
        tolerance="±0.05, "
        + ("h is constant, no randomness" if k == 1 else "95 % interval over five draws"),
        broken=f"k = {3 - k}",
        gather=_gather_norm(k),
        judge=slope_near((k - 1) / 4, 0.05),
    )


def _price_claim(k: int) -> Claim:
    kind = "linear function" if k == 1 else "dense quadratic"
    return Claim(
        id=f"quadntk-price-{k}",
        chapter=CHAPTER,
        statement=f"From 3 n_{k} samples of a {kind} QuadNTK alone makes a larger error than the "
        "NTK, both tuned on one validation set.",
        source="M",
        target="ratio of errors above 1",
        tolerance="95 % interval over five seeds above 1 at every dimension",
        broken="a sparse cubic",
        gather=_gather_price(k),
        judge=_judge_price,
    )


CLAIMS: Sequence[Claim] = (
    Claim(
        id="quadntk-signs",
        chapter=CHAPTER,
        statement="Random signs on the movements leave f_Q as it is.",
        source="L",
        target="0",
        tolerance="1e-12 relative, every width and draw",
        broken="the signs on the frozen weights instead (f_Q)",
        gather=_construction(1, largest_value("sign_change", "sign_change_weights")),
        judge=at_most(1e-12),
    ),
    Claim(
        id="quadntk-leak-drawn",
        chapter=CHAPTER,
        statement="f_L(x; SW)² over a thousand drawn signs has the mean m^(−1) Σ_r "
        "(σ'(w_r·x) u_r·x)².",
        source="L",
        target="ratio 1",
        tolerance="95 % interval over five draws of weights holds 1 and lies within ±0.1",
        broken="equal signs",
        gather=over_draws(
            [e.SignDraws(seed) for seed in e.SEEDS], summary_value("drawn", "equal"), COMMAND
        ),
        judge=ratio_one(0.9, 1.1, held=True),
    ),
    Claim(
        id="quadntk-leak-same",
        chapter=CHAPTER,
        statement="With equal signs the linear leak of the explicit movement grows like m^(1/4).",
        source="D",
        target="slope 1/4",
        tolerance="±0.05, 95 % interval over five draws",
        broken="random signs",
        gather=_construction(1, slope_value("width", "leak_same", "leak_random")),
        judge=slope_near(0.25, 0.05),
    ),
    Claim(
        id="quadntk-leak-random",
        chapter=CHAPTER,
        statement="With random signs it falls like m^(−1/4), by the exact E_S f_L².",
        source="D",
        target="slope −1/4",
        tolerance="±0.05, 95 % interval over five draws",
        broken="equal signs",
        gather=_construction(1, slope_value("width", "leak_random", "leak_same")),
        judge=slope_near(-0.25, 0.05),
    ),
    _rate_claim(1),
    _rate_claim(2),
    _norm_claim(1),
    _norm_claim(2),
    Claim(
        id="quadntk-saddle",
        chapter=CHAPTER,
        statement="At W = 0 f_Q alone has no gradient: training does not move.",
        source="D",
        target="gradient and relative change of the training loss 0",
        tolerance="1e-12 in each of five draws",
        broken="a start of size 1e-4",
        gather=_gather_saddle,
        judge=at_most(1e-12),
    ),
    Claim(
        id="quadntk-sparse",
        chapter=CHAPTER,
        statement="From 4 n_2 samples of a sparse cubic QuadNTK's error is at least three times "
        "below the NTK's, d = 16, 24 and 32.",
        source="A+M",
        target="ratio of errors at least 3",
        tolerance="every one of fifteen runs",
        broken="a dense quadratic",
        gather=_gather_sparse,
        judge=_judge_sparse,
    ),
    _price_claim(1),
    _price_claim(2),
    Claim(
        id="quadntk-price-rate",
        chapter=CHAPTER,
        statement="On dense quadratics from 3 n_2 samples the ratio of QuadNTK's error to the "
        "NTK's does not grow with the dimension, d = 8 to 48.",
        source="M",
        target="slope of the ratio in d at most 0",
        tolerance="95 % interval over five seeds not above 0",
        broken="the sparse cubic, NTK over QuadNTK",
        gather=_gather_rate,
        judge=_judge_rate,
    ),
    Claim(
        id="quadntk-frozen",
        chapter=CHAPTER,
        statement="From a start of size 3, f_Q learns a dense quadratic with the error of "
        "regression with its kernel at that start, K_Q, d = 20, 40, 64.",
        source="D",
        target="ratio 1 of the two errors",
        tolerance="95 % interval over five draws within ±0.1 at each dimension",
        broken="a start of size 1",
        gather=_gather_frozen,
        judge=_judge_frozen,
    ),
    Claim(
        id="quadntk-foreseen",
        chapter=CHAPTER,
        statement="With m = 64000 neurons that error is the one that theory foresees for infinite "
        "width, d = 20, 40, 64.",
        source="L+D",
        target="ratio 1 of measured and foreseen error",
        tolerance="95 % interval over five draws or more within ±0.1 at each dimension",
        broken="the error foreseen for the NTK",
        gather=_gather_foreseen,
        judge=_judge_mean_near_one,
    ),
    Claim(
        id="quadntk-wide",
        chapter=CHAPTER,
        statement="A grid that reaches further (starts to 3, λ_4 to 1e-5, three times longer) "
        "changes QuadNTK's tuned error on dense quadratics by less than a tenth, d = 16 and 32.",
        source="M",
        target="ratio 1 of the two tuned errors",
        tolerance="95 % interval over five seeds within ±0.1 at each dimension; set before the "
        "runs",
        broken="the smallest start alone in place of the wider grid",
        gather=_gather_wide,
        judge=_judge_mean_near_one,
    ),
    Claim(
        id="quadntk-start",
        chapter=CHAPTER,
        statement="No start is best for both: on dense quadratics the validation set picks a "
        "larger start than on sparse cubics, in every run.",
        source="M",
        target="the two sets of starts apart",
        tolerance="every run",
        broken="linear functions in place of dense quadratics",
        gather=_gather_starts,
        judge=_judge_starts,
    ),
)
