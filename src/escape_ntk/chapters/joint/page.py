"""What the page *Joint learning* shows, and from which runs."""

import numpy as np

from escape_ntk.chapters.joint import chapter, figures
from escape_ntk.chapters.joint import runs as e
from escape_ntk.chapters.joint.claims import SEEDS, budgets, gaps, of
from escape_ntk.study.claims import Runs

show = chapter.show


@chapter.figure("fig-explicit")
def explicit(runs: Runs):
    """W* for k = 2: errors, leaks and norms."""
    return figures.explicit_solution(
        runs(of(2, e.solution_points(SEEDS))),
        budgets(runs, 2),
        runs(of(2, e.norm_points(SEEDS))),
        k=2,
    )


@chapter.table(
    "budgets",
    [
        "k",
        "m",
        "R_1",
        "R_2",
        "R_1, training projector",
        "R_2, training projector",
        "‖P_≤k W*‖²",
        "‖W_L‖²",
        "‖W*‖⁴",
    ],
    "Budgets of W*, means of ten draws; d = 30 for k = 1, d = 12 for k = 2",
)
def budget_rows(runs: Runs) -> list[list[str]]:
    """Leaks and norms of W* at each width: means over seeds."""
    rows = []
    for k in (1, 2):
        for m in e.BUDGET_WIDTHS:
            own = [r.summary for r in budgets(runs, k) if r.config["m"] == m]
            mean = {key: float(np.mean([s[key] for s in own])) for key in own[0]}
            rows.append(
                [
                    str(k),
                    str(m),
                    f"{mean['R_1']:.4f}",
                    f"{mean['R_2']:.4f}",
                    f"{mean['training_R_1']:.3f}",
                    f"{mean['training_R_2']:.4f}",
                    f"{mean['R_3']:.2f}",
                    f"{mean['linear_norm']:.2f}",
                    f"{mean['norm_fourth']:.1f}",
                ]
            )
    return rows


@chapter.figure("fig-gap")
def gap(runs: Runs):
    """Gap and bound over n for k = 1."""
    return figures.gap_over_samples(gaps(runs, 1))


TERMS = ("population_leak", "empirical_leak", "linear", "quadratic", "chance")


@chapter.table(
    "gap",
    [
        "k",
        "n",
        "gap",
        "bound",
        "√R_1",
        "√R_2",
        "R_3: f_L",
        "R_4: f_Q",
        "chance",
        "f = 0",
        "n that speaks",
    ],
    "Gap, bound and its terms, means over seeds; then the error of the zero function, and the n at "
    "which the bound comes down to that, like n^(−1/2) from here",
)
def gap_rows(runs: Runs) -> list[list[str]]:
    """Gap, bound and its terms by n: means over seeds."""
    rows = []
    for k in (1, 2):
        records = gaps(runs, k)
        for n in sorted({r.config["n"] for r in records}):
            own = [r.summary for r in records if r.config["n"] == n]
            cells = [f"{np.mean([s[f'bound_{term}'] for s in own]):.3f}" for term in TERMS]
            mean = {key: np.mean([s[key] for s in own]) for key in ("gap", "bound", "zero")}
            values = [f"{mean[key]:.3f}" for key in ("gap", "bound")]
            speaks = n * (mean["bound"] / mean["zero"]) ** 2
            ends = [f"{mean['zero']:.2f}", f"{speaks:.1e}"]
            rows.append([str(k), str(n), *values, *cells, *ends])
    return rows
