"""Claims of the chapter *The published figure*."""

from collections.abc import Mapping, Sequence

import numpy as np

from escape_ntk.claims.comparisons import (
    COMMAND,
    COMPARISONS,
    FINALS,
    FORENSICS,
    LARGEST,
    R1_SEEDS,
    SEEDS,
    Comparison,
    panel_values,
    residuals,
)
from escape_ntk.claims.ledger import (
    Claim,
    Evidence,
    Finding,
    Verdict,
    at_most,
    inside_intervals,
    names,
    ratio_one,
    require,
)
from escape_ntk.experiments import published_figure as f
from escape_ntk.records import Record, RecordStore
from escape_ntk.stats import mean_interval

CHAPTER = "published-figure"
PRINTED_SUM = f.Hypothesis(
    "as printed, on the sum", "λ₂ = 0.01 n", empirical=0.01 * f.N_TRAIN, lambdas=(0.0,)
)
"""The printed coefficient, of the sum instead of the mean; at λ = 0, where R_1 has none."""


def _gather_comparisons(
    comparisons: Sequence[Comparison] = COMPARISONS,
    hypothesis: f.Hypothesis = f.SUM_NO_R1,
    rival: f.Hypothesis = f.MEAN_NO_R1,
):
    """The comparisons that ``hypothesis`` can make; the control puts ``rival`` in its place."""

    def gather(store: RecordStore, broken: bool) -> Evidence:
        chosen = rival if broken else hypothesis
        rows = [r for r in residuals(store, chosen) if r.comparison in comparisons]
        values = [(r.comparison.label, r.published, r.interval) for r in rows]
        return Evidence(values, tuple(name for r in rows for name in r.records))

    return gather


def _at(lambdas: set[float]) -> list[Comparison]:
    """The comparisons that need these λ only."""
    return [c for c in COMPARISONS if set(c.lambdas) <= lambdas]


def _gather_train(store: RecordStore, broken: bool) -> Evidence:
    """Final training losses; the control looks at t ≈ 30, before the runs have fitted."""
    records = require(f.figure_points(SEEDS), store, COMMAND)
    time = np.array([30.0 if broken else f.Curve.t_end])
    losses = panel_values("train_loss", records, time)[:, 0]
    return Evidence(losses.tolist(), names(records))


def flow_gaps(
    flow: Mapping[str, np.ndarray], descent: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Largest differences between flow and descent for t ≥ 100: relative, and for train excess.

    ``train_loss`` is |difference| − 1e-4 over the value: at most 0.005 means within .5 % + 1e-4.
    """
    late = flow["times"] >= 100
    out = {}
    for name, slack in (("test_loss", 0.0), ("empirical_leak", 0.0), ("train_loss", 1e-4)):
        own, exact = flow[name][late], descent[name][late]
        out[name] = float((np.maximum(np.abs(own - exact) - slack, 0.0) / exact).max())
    return out


def _gather_flow(store: RecordStore, broken: bool) -> Evidence:
    """Flow against all steps of descent at λ = 1e-5; the control is the flow at λ = 0."""
    (descent,) = require(f.certificate_points(), store, COMMAND)
    lam = 0.0 if broken else 1e-5
    (flow,) = require([f.SUM_NO_R1.curve(lam, descent.config["seed"])], store, COMMAND)
    return Evidence(flow_gaps(flow.arrays, descent.arrays), names([flow, descent]))


def _gather_reduced_flow(store: RecordStore, broken: bool) -> Evidence:
    """Flow against descent at λ = 1e-1, reduced size; the control is the flow at λ = 1e-2."""
    flow, descent = require(f.reduced_certificate_points(), store, COMMAND)
    if broken:
        (flow,) = require(
            f.live_points((1,), (1e-2,)),
            store,
            "escape-ntk run published-figure --scale live --seeds 1",
        )
    gaps = flow_gaps(flow.arrays, descent.arrays)
    return Evidence(
        {name: gaps[name] for name in ("test_loss", "train_loss")}, names([flow, descent])
    )


def _judge_flow(gaps: dict[str, float]) -> Finding:
    ok = all(gap <= 0.005 for gap in gaps.values())
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, gaps)


def final(records: Sequence[Record], name: str) -> np.ndarray:
    """The last value of one measurement, for each record."""
    return np.array([r.arrays[name][-1] for r in records])


def _gather_r1_alone(store: RecordStore, broken: bool) -> Evidence:
    """Final values with R_1 alone; the control has R_2 (λ = 1e-2) instead."""
    other = (f.SUM_NO_R1, (1e-2,)) if broken else (f.R1_ALONE, (0.0,))
    records = require(f.figure_points(R1_SEEDS, *other), store, FORENSICS)
    without = require(f.figure_points(R1_SEEDS, lambdas=(0.0,)), store, COMMAND)
    values = {
        name: final(records, name)
        for name in ("population_leak", "test_loss", "quadratic_on_part1")
    }
    for name in ("population_leak", "test_loss"):
        values[f"{name}_without"] = final(without, name)
    return Evidence(values, names([*records, *without]))


def _judge_r1_alone(values: dict[str, np.ndarray]) -> Finding:
    """Population leak ≤ 0.005, and yet test loss ≥ 0.4, in every run."""
    ok = values["population_leak"].max() <= 0.005 and values["test_loss"].min() >= 0.4
    means = {name: float(v.mean()) for name, v in values.items()}
    verdict = Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED
    return Finding(verdict, means | {"runs": len(values["test_loss"])})


def _gather_ratio(name: str, right: tuple, control: tuple):
    """Final ``name`` divided by its value without a regulariser, seed by seed.

    ``right`` and ``control``: (hypothesis, λ, seeds).
    """

    def gather(store: RecordStore, broken: bool) -> Evidence:
        hypothesis, lam, seeds = control if broken else right
        with_it = require(f.figure_points(seeds, hypothesis, (lam,)), store, FORENSICS)
        without = require(f.figure_points(seeds, lambdas=(0.0,)), store, COMMAND)
        ratios = final(with_it, name) / final(without, name)
        return Evidence(ratios, names([*with_it, *without]))

    return gather


def paired_with_r1(
    store: RecordStore, hypothesis: f.Hypothesis, lambdas: Sequence[float]
) -> tuple[list[Record], list[Record]]:
    """(the runs without R_1, the same with the R_1 of ``hypothesis``), by seed and λ."""
    without = require(f.figure_points(R1_SEEDS, lambdas=lambdas), store, COMMAND)
    return without, require(f.figure_points(R1_SEEDS, hypothesis, lambdas), store, FORENSICS)


def _gather_added_r1(store: RecordStore, broken: bool) -> Evidence:
    """Test loss and population leak with and without λ_1 = 1, at λ = 1e-2; control: λ = 1e-5."""
    without, with_r1 = paired_with_r1(store, f.SUM_UNIT_R1, (1e-5 if broken else 1e-2,))
    values = {
        "change": final(with_r1, "test_loss") - final(without, "test_loss"),
        "leak_without": final(without, "population_leak"),
        "leak_with": final(with_r1, "population_leak"),
    }
    return Evidence(values, names([*with_r1, *without]))


def _judge_added_r1(values: dict[str, np.ndarray]) -> Finding:
    """Reproduced when the 95 % interval of the paired change of the test loss lies below 0."""
    change = mean_interval(values["change"])
    verdict = Verdict.REPRODUCED if change.high < 0 else Verdict.NOT_REPRODUCED
    measured = {"change": change.value, "low": change.low, "high": change.high}
    leaks = {name: float(values[name].mean()) for name in ("leak_without", "leak_with")}
    return Finding(verdict, measured | leaks | {"runs": len(values["change"])})


def _gather_gain(store: RecordStore, broken: bool) -> Evidence:
    """Test loss at λ = 0 minus at λ = 1e-2, seed by seed; the control compares λ = 0 and 1e-5."""
    lam = 1e-5 if broken else 1e-2
    without = require(f.figure_points(SEEDS, lambdas=(0.0,)), store, COMMAND)
    with_r2 = require(f.figure_points(SEEDS, lambdas=(lam,)), store, COMMAND)
    values = {
        "gain": final(without, "test_loss") - final(with_r2, "test_loss"),
        "share_without": final(without, "quadratic_on_part1"),
        "share_with": final(with_r2, "quadratic_on_part1"),
    }
    return Evidence(values, names([*without, *with_r2]))


def _judge_gain(values: dict[str, np.ndarray]) -> Finding:
    """Reproduced when the 95 % intervals of the paired gain and of f_Q's share lie above 0.2."""
    gain = mean_interval(values["gain"])
    more = mean_interval(values["share_with"] - values["share_without"])
    ok = min(gain.low, more.low) > 0.2
    verdict = Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED
    return Finding(
        verdict,
        {
            "gain": gain.value,
            "low": gain.low,
            "high": gain.high,
            "share_without": float(values["share_without"].mean()),
            "share_with": float(values["share_with"].mean()),
            "runs": len(values["gain"]),
        },
    )


def _gather_constant(store: RecordStore, broken: bool) -> Evidence:
    """1 − overlap of the constant with eigenvector d + 1; control: with the first d together."""
    records = require([f.DroppedConstant(seed) for seed in SEEDS], store, COMMAND)
    key = "first_d" if broken else "next"
    return Evidence([1 - float(r.summary[key]) for r in records], names(records))


CLAIMS: Sequence[Claim] = (
    Claim(
        id="figure-flow",
        chapter=CHAPTER,
        statement="Gradient flow stands in for 20 000 steps of gradient descent with step 1: same "
        "test loss, penalty and training loss for t ≥ 100 (λ = 1e-5).",
        source="M",
        target="relative difference 0",
        tolerance="0.5 % (training loss: 0.5 % + 1e-4)",
        broken="the flow run at λ = 0",
        gather=_gather_flow,
        judge=_judge_flow,
    ),
    Claim(
        id="figure-flow-stiff",
        chapter=CHAPTER,
        statement="At λ = 1e-1, where the risk is stiffest, flow stands in for descent as well "
        "(reduced size).",
        source="M",
        target="relative difference 0",
        tolerance="0.5 % (training loss: 0.5 % + 1e-4)",
        broken="the flow run at λ = 1e-2",
        gather=_gather_reduced_flow,
        judge=_judge_flow,
    ),
    Claim(
        id="figure-test-loss",
        chapter=CHAPTER,
        statement="Test-loss panel: the published final values, with λ multiplying a sum over the "
        "training set and no R_1.",
        source="C+M",
        target="six published final values",
        tolerance="95 % prediction interval of a three-seed mean, from ten own seeds",
        broken="λ multiplies the mean over the training set",
        gather=_gather_comparisons([c for c in FINALS if c.panel == "test_loss"]),
        judge=inside_intervals,
    ),
    Claim(
        id="figure-penalty",
        chapter=CHAPTER,
        statement="Penalty panel: the published final penalties Σ_i f_L(x_i; P_{>k}W)² where they "
        "end above two pixels (λ ≤ 1e-4).",
        source="C+M",
        target="three published final values",
        tolerance="95 % prediction interval of a three-seed mean, from ten own seeds",
        broken="λ multiplies the mean over the training set",
        gather=_gather_comparisons([c for c in FINALS if c.panel == "penalty"]),
        judge=inside_intervals,
    ),
    Claim(
        id="figure-largest-lambda",
        chapter=CHAPTER,
        statement="With λ multiplying the sum and no R_1: what λ = 1e-1 costs in final test loss "
        "over λ = 1e-2, on the same seeds.",
        source="C+M",
        target="the published difference",
        tolerance="95 % prediction interval of a three-seed mean, from ten own seeds",
        broken="λ multiplies the mean over the training set",
        gather=_gather_comparisons([LARGEST]),
        judge=inside_intervals,
    ),
    Claim(
        id="figure-one-coefficient",
        chapter=CHAPTER,
        statement="With one coefficient for both leaks, λ(nR_2 + R_1): the published numbers at "
        "λ = 1e-2 and 1e-1 and their difference (smaller λ not run).",
        source="C+M",
        target="three published numbers",
        tolerance="95 % prediction interval of a three-seed mean, three paired seeds",
        broken="λ multiplies the mean, no R_1",
        gather=_gather_comparisons(_at({1e-2, 1e-1}), f.SUM_SCALED_R1),
        judge=inside_intervals,
    ),
    Claim(
        id="figure-unit-r1",
        chapter=CHAPTER,
        statement="λ on the sum, and R_1 with the fixed λ_1 = 1: the published numbers at λ = 1e-5 "
        "and 1e-2.",
        source="C+M",
        target="three published numbers",
        tolerance="95 % prediction interval of a three-seed mean, three paired seeds",
        broken="λ multiplies the mean, no R_1",
        gather=_gather_comparisons(_at({1e-5, 1e-2}), f.SUM_UNIT_R1),
        judge=inside_intervals,
    ),
    Claim(
        id="figure-as-printed",
        chapter=CHAPTER,
        statement="The notebook as printed, its commented-out R_1 restored (λ_1 = λ, λ_2 = 0.01), "
        "gives the published numbers at λ = 0 and 1e-1.",
        source="C+M",
        target="the published numbers",
        tolerance="95 % prediction interval of a three-seed mean, three paired seeds",
        broken="at λ = 0, λ_2 = 0.01 multiplies the sum",
        gather=_gather_comparisons(_at({0.0, 1e-1}), f.AS_PRINTED, PRINTED_SUM),
        judge=inside_intervals,
    ),
    Claim(
        id="figure-train-loss",
        chapter=CHAPTER,
        statement="Training-loss panel: every λ fits the training set by t = 20 000.",
        source="C+M",
        target="final training loss 0 (no digitised curve)",
        tolerance="0.01, where Σ y² / n = 1",
        broken="read at t = 30",
        gather=_gather_train,
        judge=at_most(0.01),
    ),
    Claim(
        id="figure-r2-teaches",
        chapter=CHAPTER,
        statement="With R_2 (λ = 1e-2) the final test loss is lower, and f_Q carries more of the "
        "quadratic part, than without.",
        source="M",
        target="each by more than 0.2",
        tolerance="95 % intervals of both paired differences over ten seeds above 0.2",
        broken="λ = 1e-5 instead of 1e-2",
        gather=_gather_gain,
        judge=_judge_gain,
    ),
    Claim(
        id="figure-r1-alone",
        chapter=CHAPTER,
        statement="R_1 alone (λ_1 = 10) removes the population leak and still does not generalise.",
        source="M",
        target="population leak 0, test loss as without a regulariser",
        tolerance="population leak ≤ 0.005 and test loss ≥ 0.4 in every run",
        broken="R_2 (λ = 1e-2) in place of R_1",
        gather=_gather_r1_alone,
        judge=_judge_r1_alone,
    ),
    Claim(
        id="figure-r1-memorises",
        chapter=CHAPTER,
        statement="With R_1 alone f_L memorises as much as without a regulariser.",
        source="M",
        target="ratio of empirical leaks 1",
        tolerance="95 % interval over three paired seeds within [0.8, 1.25]",
        broken="R_2 (λ = 1e-2) in place of R_1",
        gather=_gather_ratio(
            "empirical_leak", (f.R1_ALONE, 0.0, R1_SEEDS), (f.SUM_NO_R1, 1e-2, R1_SEEDS)
        ),
        judge=ratio_one(0.8, 1.25),
    ),
    Claim(
        id="figure-r2-leaks",
        chapter=CHAPTER,
        statement="R_2 alone does not hold the population leak down: at λ = 1e-2 it ends as large "
        "as without a regulariser.",
        source="M",
        target="ratio of population leaks 1",
        tolerance="95 % interval over ten paired seeds within [0.8, 1.25]",
        broken="R_1 alone in place of R_2",
        gather=_gather_ratio(
            "population_leak", (f.SUM_NO_R1, 1e-2, SEEDS), (f.R1_ALONE, 0.0, R1_SEEDS)
        ),
        judge=ratio_one(0.8, 1.25),
    ),
    Claim(
        id="figure-r1-added",
        chapter=CHAPTER,
        statement="Adding R_1 (λ_1 = 1) to R_2 at λ = 1e-2 lowers the final test loss.",
        source="M",
        target="a fall",
        tolerance="95 % interval of the paired change over three seeds below 0",
        broken="λ = 1e-5, where f_L memorises anyway",
        gather=_gather_added_r1,
        judge=_judge_added_r1,
    ),
    Claim(
        id="figure-constant",
        chapter=CHAPTER,
        statement="With n_k = d the projector keeps the linear directions and drops the constant, "
        "which is eigenvector d + 1.",
        source="M",
        target="squared overlap of the constant with eigenvector d + 1: 1",
        tolerance="at least 0.7 in each of ten draws",
        broken="overlap with the first d eigenvectors together",
        gather=_gather_constant,
        judge=at_most(0.3),
    ),
)
