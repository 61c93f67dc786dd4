"""Claims of the chapter *Good directions*."""

import itertools
from collections.abc import Callable, Mapping, Sequence

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
from escape_ntk.experiments import directions as e
from escape_ntk.network import activation
from escape_ntk.records import Record, RecordStore
from escape_ntk.spectrum import ntk_spectrum
from escape_ntk.stats import Numbers, log_slope, mean_interval

CHAPTER = "directions"
COMMAND = "escape-ntk run directions"
LEAST_GAP_DIM = 100
"""The gap's slope is taken from this dimension on."""


def _gather_gap(store: RecordStore, broken: bool) -> Evidence:
    """Slopes of the population gaps k = 1, 2, d ≥ 100, two σ; control: inside degree ≤ 1."""
    records = require([e.PopulationGap(name) for name in (e.SINE, e.SIGMOID)], store, COMMAND)
    values = {}
    for r in records:
        d = r.arrays["d"]
        for k in (1, 2):
            gap = r.arrays["inside" if broken else f"gap_{k}"]
            far = d >= LEAST_GAP_DIM
            values[f"{r.config['activation']}, k = {k}"] = log_slope(d[far], gap[far])
    return Evidence(values, names(records))


def _judge_gap(values: dict[str, float]) -> Finding:
    """Reproduced when every slope is 1 ± 0.1."""
    worst = max(abs(slope - 1) for slope in values.values())
    verdict = Verdict.REPRODUCED if worst <= 0.1 else Verdict.NOT_REPRODUCED
    return Finding(verdict, {**values, "worst_gap": worst})


def _gather_bulk(store: RecordStore, broken: bool) -> Evidence:
    """Bulk mean over γ_{>k}, and its relative spread, by (k, d); control: over γ_{>k+1}."""
    ratios, spreads, used = {}, {}, []
    for k in (1, 2):
        records = require(e.gram_points(e.SEEDS, k), store, COMMAND)
        used += records
        for r in records:
            key = (k, r.config["d"])
            gamma = r.summary["gamma_next" if broken else "gamma"]
            ratios.setdefault(key, []).append(r.summary["bulk_mean"] / gamma)
            spreads.setdefault(key, []).append(r.summary["bulk_spread"])
    return Evidence({"ratios": ratios, "spreads": spreads}, names(used))


def _judge_bulk(values: dict) -> Finding:
    """Reproduced when every mean is within 5 % of γ and every spread shrinks with d."""
    means = {key: float(np.mean(v)) for key, v in values["ratios"].items()}
    worst = max(abs(mean - 1) for mean in means.values())
    measured: dict[str, object] = {"worst": worst}
    shrinks = True
    for k in sorted({k for k, _ in values["spreads"]}):
        rows = {d: np.mean(v) for (j, d), v in values["spreads"].items() if j == k}
        spread = [float(rows[d]) for d in sorted(rows)]
        shrinks &= all(b < a for a, b in itertools.pairwise(spread))
        measured[f"spread_{k}_first"], measured[f"spread_{k}_last"] = spread[0], spread[-1]
        measured[f"spread_{k}_slope"] = log_slope(sorted(rows), spread)
    ok = worst <= 0.05 and shrinks
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def first_order(record: Record, gamma: float) -> float:
    """Mean over j ≤ n_k of γ/(nλ_j + γ): every eigenvalue of the Gram matrix foreseen."""
    n, d, k = (record.config[name] for name in "ndk")
    spectrum = ntk_spectrum(activation(record.config["activation"]), d)
    lam, counts = (x[: k + 1] for x in (spectrum.eigenvalues, spectrum.multiplicities))
    return float(np.average(gamma / (n * lam + gamma), weights=counts))


def _gather_angles(k: int, order: str) -> Callable[[RecordStore, bool], Evidence]:
    """Mean sin²θ, the foreseen one and, for the second order, its rival γ/Λ_j, by n.

    The control of the first order forgets degree k + 1; that of the second is the rival.
    """

    def pair(r: Record, broken: bool) -> list[float]:
        if order == "first":
            return [first_order(r, r.summary["gamma_next" if broken else "gamma"])]
        both = [r.summary["sin2_second"], e.drawn_denominator(r)]
        return both[::-1] if broken else both

    def gather(store: RecordStore, broken: bool) -> Evidence:
        records = require(e.angle_points(e.SEEDS, k), store, COMMAND)
        rows: dict[int, list[list[float]]] = {}
        for r in records:
            row = [r.summary["sin2"], *pair(r, broken)]
            rows.setdefault(r.config["n"], []).append(row)
        return Evidence({n: np.array(row) for n, row in rows.items()}, names(records))

    return gather


def _judge_angles(rows: Mapping[int, np.ndarray]) -> Finding:
    """Reproduced when the 95 % interval lies within 1 ± 0.1 at every n; partly at the largest.

    Rows of (drawn, foreseen) or (drawn, foreseen, rival): with a rival the mean ratio must also
    be nearer to 1 than the rival's.
    """
    ratios = {n: row[:, :1] / row[:, 1:] for n, row in sorted(rows.items())}
    intervals = {n: mean_interval(ratio[:, 0]) for n, ratio in ratios.items()}
    rivals = {n: float(ratio[:, -1].mean()) for n, ratio in ratios.items() if ratio.shape[1] > 1}
    ok = [
        0.9 <= i.low
        and i.high <= 1.1
        and (n not in rivals or abs(i.value - 1) < abs(rivals[n] - 1))
        for n, i in intervals.items()
    ]
    verdict = Verdict.NOT_REPRODUCED
    if all(ok):
        verdict = Verdict.REPRODUCED
    elif ok[-1]:
        verdict = Verdict.PARTLY
    measured: dict[str, object] = {
        f"n{place}": {
            "n": n,
            "drawn": float(rows[n][:, 0].mean()),
            "foreseen": float(rows[n][:, 1].mean()),
            "ratio": i.value,
            "low": i.low,
            "high": i.high,
            **({"rival": rivals[n]} if rivals else {}),
        }
        for place, (n, i) in enumerate(intervals.items())
    }
    if rivals:
        measured["rival"] = max(abs(value - 1) for value in rivals.values())
    measured["worst"] = max(abs(i.value - 1) for i in intervals.values())
    return Finding(verdict, measured)


def _angle_claim(k: int, order: str) -> Claim:
    formula = {
        "first": f"γ/(nλ_j + γ), γ = γ_(>{k})",
        "second": f"(γ + 2σ²/λ_j)/Λ_j, with the drawn Λ_j, γ = γ_(>{k}), "
        f"σ² = Σ_(ℓ>{k}) λ_ℓ² B(d, ℓ)",
    }
    first = order == "first"
    return Claim(
        id=f"directions-angles-{order}-{k}",
        chapter=CHAPTER,
        statement=f"The mean of sin²θ_j, j ≤ n_{k}, is that of {formula[order]}, for every n from "
        f"2 to 32 n_{k} (d = {e.ANGLE_DIMS[k]}).",
        source="L+D" if first else "D+M",
        target="ratio 1",
        tolerance="95 % interval over five draws within ±0.1 at every n"
        + ("" if first else ", and the mean nearer to 1 than with γ/Λ_j alone"),
        broken=f"degree {k + 1} left out of γ" if first else "γ/Λ_j alone in its place",
        gather=_gather_angles(k, order),
        judge=_judge_angles,
    )


def _gather_leaks(store: RecordStore, broken: bool) -> Evidence:
    """Largest E f_L²/(λ_{n_k+1}‖W‖²) on P_{>k}, each draw; control: the training projector's."""
    records = require([e.Leaks(seed) for seed in e.SEEDS], store, COMMAND)
    if broken:
        values = [float(r.arrays["worst"].min()) for r in records]
    else:
        values = [
            max(r.summary["population_worst"], r.summary["population_random"]) for r in records
        ]
    return Evidence(values, names(records))


def _gather_excess(store: RecordStore, broken: bool) -> Evidence:
    """How often the training projector exceeds λ_{n_k+1}, by n/n_k; control: the population's."""
    records = require([e.Leaks(seed) for seed in e.SEEDS], store, COMMAND)
    factors = records[0].arrays["factor"]
    rows = [
        r.summary["population_worst"] + 0 * factors if broken else r.arrays["worst"]
        for r in records
    ]
    return Evidence({"factors": factors, "rows": np.array(rows)}, names(records))


def _judge_excess(values: dict) -> Finding:
    """Reproduced when every draw exceeds the bound at every n, and less so the larger n."""
    rows, factors = values["rows"], values["factors"]
    middle = rows.mean(0)
    ok = bool((rows > 1.01).all() and (np.diff(middle) < 0).all())
    measured: dict[str, object] = {
        f"factor_{place}": {
            "factor": float(f),
            "mean": float(m),
            "least": float(a),
            "most": float(b),
        }
        for place, (f, m, a, b) in enumerate(
            zip(factors, middle, rows.min(0), rows.max(0), strict=True)
        )
    }
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _gather_memorizing(store: RecordStore, broken: bool) -> Evidence:
    """Training error left and E f_L², each draw; control: inside P_{≤k} alone."""
    records = require([e.Memorizing(seed) for seed in e.SEEDS], store, COMMAND)
    names_of = {
        "left": "left_inside" if broken else "left",
        "train": "left_inside",  # the share of the noise that the memorising movement fits
        "population": "population",
    }
    values = {key: [float(r.summary[name]) for r in records] for key, name in names_of.items()}
    return Evidence(values, names(records))


def _judge_memorizing(values: dict) -> Finding:
    """Reproduced when less than 1 % of the noise is left in every draw."""
    seen, left = mean_interval(values["population"]), float(max(values["left"]))
    measured = {
        "largest": left,
        "train": float(np.mean(values["train"])),
        "population": seen.value,
        "low": seen.low,
        "high": seen.high,
        "runs": len(values["left"]),
    }
    return Finding(Verdict.REPRODUCED if left <= 0.01 else Verdict.NOT_REPRODUCED, measured)


def _root_slope(record: Record, name: str) -> float:
    return log_slope(record.arrays["width"], np.sqrt(record.arrays[name]))


def _gather_signs(store: RecordStore, broken: bool) -> Evidence:
    """Slopes of the leak's root, random signs in P_{>k}; control: equal signs in P_{>k}.

    Beside them the control's slope, and what the population sees of a movement inside P_{≤k} over
    what the training set sees, at the largest width.
    """
    moved = require([e.Movements(seed) for seed in e.SEEDS], store, COMMAND)
    equal = require([e.EqualSigns(seed) for seed in e.SEEDS], store, COMMAND)
    flat = [_root_slope(r, "population") for r in equal]
    inside = [r.arrays["inside_population"][-1] / r.arrays["inside_train"][-1] for r in moved]
    values = {
        "slopes": flat if broken else [_root_slope(r, "random_signs_population") for r in moved],
        "equal": flat,
        "inside": inside,
    }
    return Evidence(values, names(equal if broken else moved))


def _judge_signs(values: Mapping[str, Numbers]) -> Finding:
    """The slope near −1/4; the values beside it as they are."""
    finding = slope_near(-0.25, 0.05)(values["slopes"])
    equal = mean_interval(values["equal"])
    beside = {"equal": equal.value, "equal_low": equal.low, "equal_high": equal.high}
    beside["inside"] = float(np.mean(values["inside"]))
    return Finding(finding.verdict, {**finding.measured, **beside})


CLAIMS: Sequence[Claim] = (
    Claim(
        id="directions-gap",
        chapter=CHAPTER,
        statement="The gap λ_(n_k)/λ_(n_k+1) of the population grows like d: k = 1 and 2, "
        "d = 100 to 1600, two activations.",
        source="D",
        target="slope 1",
        tolerance="±0.1 each (exact quadrature, no randomness)",
        broken="the ratio of the largest to the smallest eigenvalue inside degree ≤ 1",
        gather=_gather_gap,
        judge=_judge_gap,
    ),
    Claim(
        id="directions-bulk",
        chapter=CHAPTER,
        statement="Below the first n_k the Gram eigenvalues have the mean γ_(>k), and a relative "
        "spread that shrinks with d (n = d^(k+1/2), k = 1 and 2).",
        source="L",
        target="ratio 1; spread falling",
        tolerance="5 % at every d (mean over five draws); every step down",
        broken="γ_(>k+1) instead",
        gather=_gather_bulk,
        judge=_judge_bulk,
    ),
    *(_angle_claim(k, order) for order in ("first", "second") for k in (1, 2)),
    Claim(
        id="directions-leak-bound",
        chapter=CHAPTER,
        statement="On the range of the population's P_(>k), E f_L(x; W)² ≤ λ_(n_k+1) ‖W‖²: every "
        "draw, the worst direction included.",
        source="D",
        target="largest ratio 1",
        tolerance="at most 1 + 1e-6 in each of five draws",
        broken="the projector of a training set",
        gather=_gather_leaks,
        judge=at_most(1 + 1e-6),
    ),
    Claim(
        id="directions-leak-excess",
        chapter=CHAPTER,
        statement="On the range of the training set's P_(>k) the worst direction leaks more than "
        "that, and less so the larger n.",
        source="D+M",
        target="ratio above 1, falling with n",
        tolerance="every draw at every n",
        broken="the population's projector",
        gather=_gather_excess,
        judge=_judge_excess,
    ),
    Claim(
        id="directions-random-signs",
        chapter=CHAPTER,
        statement="The leak of P_(>k)SW, W the explicit movement for (β·x)², falls like m^(−1/4).",
        source="D",
        target="slope −1/4 of (E f_L²)^(1/2)",
        tolerance="±0.05, 95 % interval over five draws",
        broken="equal signs, with the same projector",
        gather=_gather_signs,
        judge=_judge_signs,
    ),
    Claim(
        id="directions-memorizing",
        chapter=CHAPTER,
        statement="Along memorising directions f_L fits pure noise on the training set.",
        source="D",
        target="training error 0",
        tolerance="below 1 % of the noise in each of five draws",
        broken="directions inside P_(≤k) alone",
        gather=_gather_memorizing,
        judge=_judge_memorizing,
    ),
)
