"""Figures of the chapter *Joint learning*."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from escape_ntk.display.style import COLOURS, Run, in_style, new_axes, power_law

BOUND_TERMS = {
    "bound_population_leak": ("$\\sqrt{R_1}$", COLOURS["leak"], "-"),
    "bound_empirical_leak": ("$\\sqrt{R_2}$", COLOURS["leak"], "--"),
    "bound_linear": ("$R_3$: $f_L$", COLOURS["linear"], "-"),
    "bound_quadratic": ("$R_4$: $f_Q$", COLOURS["quadratic"], "-"),
    "bound_chance": ("chance", "#777777", "-"),
}
"""Label, colour and line of each term of the bound."""


def _by(runs: Sequence[Run], key: str, x: str) -> tuple[list[float], np.ndarray]:
    """(distinct values of config[x], summaries [seed, x]) over the x that all seeds share."""
    seeds = sorted({r.config["seed"] for r in runs})
    at = {(r.config["seed"], r.config[x]): r.summary[key] for r in runs}
    xs = sorted({r.config[x] for r in runs})
    xs = [v for v in xs if all((s, v) in at for s in seeds)]
    return xs, np.array([[at[s, v] for v in xs] for s in seeds])


@in_style
def explicit_solution(
    solutions: Sequence[Run], budgets: Sequence[Run], norms: Sequence[Run], k: int
) -> Figure:
    """W* of one k: its error and both leaks over the width, its norms over the dimension."""
    figure, axes = new_axes(3, 3.6)
    width = solutions[0].arrays["width"]
    error, leaks, size = axes
    rows = [r.arrays["mean_square"] for r in solutions]
    power_law(error, width, rows, COLOURS["joint"], "random signs", -0.5)
    rows = [r.arrays["equal"] for r in solutions]
    power_law(error, width, rows, "#777777", "equal signs", 0.5)
    error.set(xlabel="width $m$", ylabel="mean square error of $W^*$")
    for key, label, colour in (
        ("R_1", "$R_1$", COLOURS["leak"]),
        ("R_2", "$R_2$", COLOURS["test"]),
    ):
        m, rows = _by(budgets, key, "m")
        power_law(leaks, m, rows, colour, label, -0.5)
    leaks.set(xlabel="width $m$", ylabel="leak of $W^*$")
    d = norms[0].arrays["d"]
    for key, label, colour in (
        ("linear", "$\\|W_L\\|_F^2$", COLOURS["linear"]),
        ("norm_fourth", "$\\|W^*\\|_{2,4}^4$", COLOURS["quadratic"]),
    ):
        power_law(size, d, [r.arrays[key] for r in norms], colour, label, k - 1)
    size.set(xlabel="dimension $d$", ylabel="size of $W^*$")
    for ax, place in zip(axes, ("lower left", "upper right", "lower right"), strict=True):
        ax.legend(fontsize=7, handlelength=1.2, loc=place)
    error.set_ylim(bottom=error.get_ylim()[0] / 20)
    leaks.set_xticks(m[::2], [str(x) for x in m[::2]])
    leaks.xaxis.set_minor_locator(NullLocator())
    low, high = size.get_ylim()
    size.set_ylim(low / 6, high * (2 if high < 10 * low else 1))
    return figure


@in_style
def gap_over_samples(runs: Sequence[Run]) -> Figure:
    """Left: gap and bound over n, with the error of f = 0.  Right: the terms of the bound."""
    figure, (left, right) = new_axes(2, 3.6)
    n = sorted({r.config["n"] for r in runs})
    for key, label, colour, mark in (
        ("bound", "bound", "#777777", "s"),
        ("gap", "measured gap", COLOURS["joint"], "o"),
    ):
        rows = [[r.summary[key] for r in runs if r.config["n"] == x] for x in n]
        left.plot(n, [np.mean(row) for row in rows], color=colour, marker=mark, ms=4, label=label)
        low, high = [min(row) for row in rows], [max(row) for row in rows]
        left.fill_between(n, low, high, color=colour, alpha=0.2, lw=0)
    zero = float(np.mean([r.summary["zero"] for r in runs]))
    left.axhline(zero, color=COLOURS["test"], lw=1, ls=":", label="error of $f=0$")
    left.set(xscale="log", yscale="log", xlabel="samples $n$", ylabel="$\\min(|f-f^*|,1)$")
    for key, (label, colour, line) in BOUND_TERMS.items():
        rows = [np.mean([r.summary[key] for r in runs if r.config["n"] == x]) for x in n]
        right.plot(n, rows, color=colour, ls=line, marker="o", ms=3, label=label)
    right.set(xscale="log", yscale="log", xlabel="samples $n$", ylabel="term of the bound")
    for ax in (left, right):
        ax.legend(fontsize=8)
    return figure
