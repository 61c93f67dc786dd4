"""What the page *The published figure* and the home page show, and from which runs."""

from collections import Counter

import numpy as np

from escape_ntk import chapters
from escape_ntk.chapters.published_figure import chapter, figures
from escape_ntk.chapters.published_figure import runs as e
from escape_ntk.chapters.published_figure.comparisons import (
    COMPARISONS,
    R1_SEEDS,
    SEEDS,
    Residual,
    residuals,
    short,
)
from escape_ntk.chapters.published_figure.whole_curves import (
    COST,
    CURVES,
    all_apart,
    fits,
    predicted,
)
from escape_ntk.display import html
from escape_ntk.records.store import Record
from escape_ntk.study import reading
from escape_ntk.study.claims import Apart, Runs

show = chapter.show


def curves(runs: Runs) -> dict[float, list[Record]]:
    """The runs of the published figure, λ by λ."""
    return {lam: runs(e.figure_points(SEEDS, lambdas=(lam,))) for lam in e.LAMBDAS}


@chapter.figure("fig-home")
def home(runs: Runs):
    """Test loss and penalty: the figure of the home page and of the README."""
    return figures.figure_panels(curves(runs), ("test", "penalty"))


@chapter.figure("ledger")
def ledger(runs: Runs) -> html.Html:
    """How many claims have each verdict, and how many controls fail: for the home page."""
    rows = chapters.evaluate_all(runs.store)
    counts = Counter(row["verdict"] for row in rows)
    seen = [verdict for verdict in html.WORDS if counts[verdict]]
    failed = sum(row["negative_control"]["failed"] for row in rows)
    holds = counts["reproduced"] + counts["partly"]
    return html.table(
        [html.badge(v, f"scorecard.html?verdict={v}#all-claims") for v in seen]
        + ["checks that fail, as they should, with a hypothesis broken"],
        [[f"{counts[v]} of {len(rows)}" for v in seen] + [f"{failed} of {holds}"]],
    )


@chapter.figure("fig-published")
def published(runs: Runs):
    """All three panels."""
    return figures.figure_panels(curves(runs), ("test", "penalty", "train"))


@chapter.table(
    "finals", ["final value", "published", "own mean", "95 % for a three-seed mean", "z"]
)
def finals(runs: Runs) -> list[list[str]]:
    """One row for each published number, under the first hypothesis."""
    rows = [r.predicted for r in residuals(runs, e.SUM_NO_R1)]
    return [
        [
            p.label,
            f"{p.published:.3g}",
            f"{p.interval.value:.3g}",
            f"[{p.interval.low:.3g}, {p.interval.high:.3g}]",
            f"{p.z:+.1f}{'' if p.inside else ', outside'}",
        ]
        for p in rows
    ]


@chapter.figure("fig-shares")
def shares(runs: Runs):
    """Who learns what at λ = 1e-2."""
    return figures.shares_over_time(runs(e.figure_points(SEEDS, lambdas=(1e-2,))))


def show_live(times, flow, descent) -> html.Html | reading.Picture:
    """In a cell of the page: its live figure, and its strip."""
    figure = figures.live_overlay(times, flow, descent)
    return chapter.live("fig-live", figure, "descent and flow together")


@chapter.table(
    "gradients",
    ["λ", "gradients by flow (most over seeds)", "times fewer than 20 000 steps"],
)
def gradients(runs: Runs) -> list[list[object]]:
    """One row for each λ."""
    calls = {lam: max(r.summary["gradients"] for r in own) for lam, own in curves(runs).items()}
    return [[short(lam), most, f"{20000 / most:.0f}"] for lam, most in calls.items()]


@chapter.figure("fig-certificate")
def certificate(runs: Runs):
    """Flow and every step of descent on the same data."""
    flow, descent = runs([e.SUM_NO_R1.curve(1e-5, 1), *e.certificate_points()])
    return figures.flow_over_descent({"λ = 1e-5": (flow, descent)})


@chapter.table("hypotheses", ["hypothesis", "what it means"])
def hypotheses(runs: Runs) -> list[list[str]]:
    """One row for each hypothesis: no run is needed."""
    return [[h.name, h.statement] for h in e.HYPOTHESES]


def all_residuals(runs: Runs) -> list[Residual]:
    """Under every hypothesis."""
    return [r for h in e.HYPOTHESES for r in residuals(runs, h)]


@chapter.table("errors", ["z = (published − own)/error", *(h.name for h in e.HYPOTHESES)])
def errors(runs: Runs) -> list[list[str]]:
    """One row for each published number, one column for each hypothesis."""
    found = {(r.comparison, r.hypothesis): r for r in all_residuals(runs)}

    def cell(r: Residual | None) -> str:
        return "" if r is None else f"{r.predicted.z:+.1f}" + ("" if r.predicted.inside else " ✕")

    return [[c.label, *(cell(found.get((c, h))) for h in e.HYPOTHESES)] for c in COMPARISONS]


@chapter.table("curves", ["z of the whole curve", *(h.name for h in e.HYPOTHESES)])
def curve_distances(runs: Runs) -> list[list[str]]:
    """One row for each published curve, one column for each hypothesis."""
    found = {(a.label, h): a for h in e.HYPOTHESES for a in all_apart(runs, h)}

    def cell(a: Apart | None) -> str:
        return "" if a is None else f"{a.z:.1f}" + ("" if a.inside else " ✕")

    labels = [curve.label for curve in (*CURVES, COST)]
    return [[label, *(cell(found.get((label, h))) for h in e.HYPOTHESES)] for label in labels]


@chapter.table("coefficient", ["λ", "curves", "c", "not excluded", "rms z at c"])
def coefficient(runs: Runs) -> list[list[str]]:
    """One row for each fitted λ, and one for all."""
    rows = []
    for fit in fits(runs):
        own = fit.interval
        lambdas = ", ".join(short(lam) for lam in fit.lambdas)
        kept = f"{own.low:.2f} to {own.high:.2f}"
        rows.append([lambdas, str(fit.curves), f"{own.value:.2f}", kept, f"{fit.rms_z:.1f}"])
    return rows


@chapter.figure("fig-hypotheses")
def finals_by_hypothesis(runs: Runs):
    """Published final values against each hypothesis."""
    return figures.finals_by_hypothesis(all_residuals(runs))


@chapter.figure("fig-both")
def both(runs: Runs):
    """The sum with and without λR_1, over the whole time."""
    times = e.Curve(1, 0.0).record_times[1:]

    def case(hypothesis: e.Hypothesis, lam: float) -> tuple[np.ndarray, np.ndarray]:
        return times, predicted(runs, hypothesis, "test", lam, times)

    pair = (e.SUM_NO_R1, e.SUM_SCALED_R1)
    return figures.hypothesis_curves(
        {lam: {h.name: case(h, lam) for h in pair} for lam in (1e-2, 1e-1)}
    )


@chapter.figure("fig-r1")
def r1_alone(runs: Runs):
    """No regulariser, R_1 alone, R_2 alone."""
    cases = {
        "no regulariser": (e.SUM_NO_R1, 0.0),
        "$R_1$ alone, $\\lambda_1=10$": (e.R1_ALONE, 0.0),
        "$R_2$ alone, $\\lambda=10^{-2}$": (e.SUM_NO_R1, 1e-2),
    }
    return figures.what_each_penalty_does(
        {
            name: runs(e.figure_points(R1_SEEDS, hypothesis, (lam,)))
            for name, (hypothesis, lam) in cases.items()
        }
    )


@chapter.figure("fig-spectrum")
def spectrum(runs: Runs):
    """The Gram matrix of one draw, and where the constant is."""
    (record,) = runs([e.DroppedConstant(1)])
    return figures.gram_spectrum(record, record.config["d"])
