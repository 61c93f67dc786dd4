"""Figures of the chapter *The regulariser*."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, Run, in_style, new_axes
from escape_ntk.numerics.stats import Numbers

SHADES = ("#8c8c8c", COLOURS["leak"], "#6b1f4d")
"""λ_1 = 0, and two larger values."""
MARKS = ("o", "s", "D")
PENALTIES = {"population": 1, "empirical": 2, "low_degree": 3, "norm": 4}
"""Index j of each λ_j, by its name in a configuration."""


@in_style
def penalty_ablation(runs: Sequence[Run]) -> Figure:
    """Four final values over λ_2, one line for each λ_1: mean and range of the draws."""
    figure, axes = new_axes(4, 4.3, 2, sharex=True)
    panels = {
        "test": ("test error", False),
        "quadratic_1": ("share of the quadratic\nin $f_Q$", False),
        "R_2": ("empirical leak $R_2$", True),
        "R_1": ("population leak $R_1$", True),
    }
    rows = sorted({r.config["penalty_population"] for r in runs})
    columns = sorted({r.config["penalty_empirical"] for r in runs})
    x = np.arange(len(columns))
    for ax, (key, (label, logarithmic)) in zip(axes, panels.items(), strict=True):
        for one, shade, mark in zip(rows, SHADES, MARKS, strict=False):
            cells = [
                [float(r.arrays[key][-1]) for r in runs if _lambdas(r) == (one, two)]
                for two in columns
            ]
            _with_range(ax, x, cells, shade, mark, f"$\\lambda_1={one:g}$")
        ax.set(ylabel=label, yscale="log" if logarithmic else "linear")
        ax.set_xticks(x, [f"{two:g}" for two in columns])
        ax.margins(x=0.08)
        if not logarithmic:
            ax.set_ylim(bottom=0)
    for ax in axes[2:]:
        ax.set_xlabel("$\\lambda_2$")
    axes[0].legend()
    return figure


def _lambdas(run: Run) -> tuple[float, float]:
    return run.config["penalty_population"], run.config["penalty_empirical"]


def _with_range(ax: Axes, x, cells: Sequence[Sequence[float]], colour, mark: str, label) -> None:
    """Means joined by a line, with the range of the draws."""
    middle = np.array([np.mean(c) for c in cells])
    arms = [middle - [min(c) for c in cells], [max(c) for c in cells] - middle]
    ax.errorbar(x, middle, arms, color=colour, marker=mark, ms=5, lw=1.4, label=label)


@in_style
def sixteen_settings(groups: Mapping[tuple[str, ...], Sequence[Run]]) -> Figure:
    """All on/off settings: which λ are on (left), test error and population leak of each draw."""
    figure, axes = new_axes(3, 5.4, sharey=True, gridspec_kw={"width_ratios": (0.42, 1, 1)})
    order = sorted(groups, key=lambda on: np.mean([r.summary["test"] for r in groups[on]]))
    for place, on in enumerate(reversed(order)):
        for name, index in PENALTIES.items():
            face = "#000000" if name in on else "none"
            axes[0].plot(index, place, "o", ms=7, mfc=face, mec="#b0b0b0", mew=0.8)
        colour = COLOURS["quadratic"] if "empirical" in on else "#8c8c8c"
        leak_colour = COLOURS["leak"] if "population" in on else "#8c8c8c"
        for ax, key, shade in zip(axes[1:], ("test", "R_1"), (colour, leak_colour), strict=True):
            values = [r.summary[key] for r in groups[on]]
            ax.plot(values, [place] * len(values), "o", ms=4, mfc="none", color=shade)
            ax.plot(np.mean(values), place, "|", ms=14, mew=2.4, color=shade)
    axes[0].set_xticks([1, 2, 3, 4], [f"$R_{j}$" for j in (1, 2, 3, 4)])
    axes[0].xaxis.tick_top()
    axes[0].set(xlim=(0.4, 4.6), yticks=[])
    axes[0].grid(False)
    for spine in axes[0].spines.values():
        spine.set_visible(False)
    axes[1].set(xlabel="test error", xlim=(0, None))
    axes[2].set(xlabel="population leak", xscale="log")
    return figure


@in_style
def sensitivity(scans: Mapping[str, Sequence[Run]]) -> Figure:
    """Test error over each λ, the other three at their usual values; dashed: the usual value."""
    figure, axes = new_axes(len(scans), 4.8, 2, sharey=True)
    for ax, (name, runs) in zip(axes, scans.items(), strict=True):
        x = sorted({r.config[name] for r in runs})
        cells = [[r.summary["test"] for r in runs if r.config[name] == v] for v in x]
        _with_range(ax, x, cells, COLOURS["test"], "o", None)
        ax.axvline(x[len(x) // 2], color="#555555", lw=1, ls="--")
        ax.set(xscale="log", xlabel=f"$\\lambda_{PENALTIES[name]}$")
    axes[0].set_ylim(bottom=0)  # after all: the axis is shared
    for ax in axes[::2]:
        ax.set_ylabel("test error")
    return figure


@in_style
def where_to_cut(runs: Sequence[Run], foreseen: Numbers, n_1: int) -> Figure:
    """Left: Gram spectra near the cut, and the foreseen bulk.  Right: test error over n_k."""
    figure, axes = new_axes(2, 3.5)
    first = next(r for r in runs if r.config["n_k"] == n_1)
    shown = 3 * n_1
    gram = first.arrays["gram"]
    axes[0].semilogy(
        np.arange(1, shown + 1),
        gram[:shown],
        ls="",
        marker="o",
        ms=4,
        mfc="none",
        color=COLOURS["ntk"],
        label="drawn",
    )
    ranks = np.arange(n_1 + 1, shown + 1)
    axes[0].semilogy(ranks, foreseen[n_1:shown], color="#000000", lw=1.4, label="foreseen bulk")
    axes[0].axvline(n_1 + 0.5, color="#555555", lw=1, ls="--")
    axes[0].set(xlabel="rank", ylabel="eigenvalue of $K$")
    axes[0].legend()
    x = sorted({r.config["n_k"] for r in runs})
    cells = [[r.summary["test"] for r in runs if r.config["n_k"] == v] for v in x]
    _with_range(axes[1], x, cells, COLOURS["test"], "o", None)
    axes[1].axvline(n_1, color="#555555", lw=1, ls="--")
    axes[1].annotate("$n_1$", (n_1, 0), (4, 4), textcoords="offset points", color="#555555")
    axes[1].set(xlabel="$n_k$", ylabel="test error", ylim=(0, None))
    return figure
