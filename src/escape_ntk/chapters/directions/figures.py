"""Figures of the chapter *Good directions*."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, DEGREE_COLOURS, Run, in_style, new_axes, power_law

KINDS = {
    "inside": ("inside $P_{\\leq k}$", COLOURS["linear"], "o"),
    "same_sign": ("equal signs", "#8c8c8c", "v"),
    "random_signs": ("random signs in $P_{>k}$", COLOURS["quadratic"], "s"),
    "memorizing": ("memorising", COLOURS["leak"], "D"),
}


@in_style
def four_movements(runs: Sequence[Run]) -> Figure:
    """Mean square of f_L on the training set against the population, one mark for each draw.

    The largest width of each run; on the dotted diagonal the two agree.
    """
    figure, (ax,) = new_axes(1, 4.2)
    for kind, (label, colour, mark) in KINDS.items():
        x, y = ([r.arrays[f"{kind}_{side}"][-1] for r in runs] for side in ("train", "population"))
        ax.plot(x, y, ls="", marker=mark, ms=8, color=colour, alpha=0.8, label=label)
    edges = np.array([2e-3, 4e2])
    ax.plot(edges, edges, color="#555555", lw=1, ls=":")
    for place, text in (
        ((9e-3, 3.5e-3), "harmless: neither\nset sees it"),
        ((0.4, 5.5), "moves $f_L$\nfor both sets"),
        ((12, 0.12), "seen by the training\nset more than by\nthe population"),
    ):
        ax.annotate(text, place, color="#555555", fontsize=9)
    ax.set(xscale="log", yscale="log", xlim=edges, ylim=edges)
    ax.set(xlabel="training set: mean of $f_L^2$", ylabel="population: $E\\,f_L^2$")
    ax.legend(loc="upper left")
    return figure


@in_style
def gram_spectra(panels: Mapping[str, Run]) -> Figure:
    """Eigenvalues of Gram matrices by rank: marks drawn, line foreseen with no fitted constant."""
    figure, axes = new_axes(len(panels), 3.6)
    for ax, (title, run) in zip(axes, panels.items(), strict=True):
        drawn, foreseen = run.arrays["eigenvalues"], run.arrays["predicted"]
        rank = np.arange(1, len(drawn) + 1)
        n_k = run.summary["n_k"]
        ax.loglog(rank, drawn, ls="", marker="o", ms=4, mfc="none", color=COLOURS["ntk"])
        ax.loglog(rank, foreseen, color="#000000", lw=1.4)
        ax.axvline(n_k + 0.5, color="#555555", lw=1, ls="--")
        ax.axhline(run.summary["gamma"], color=COLOURS["leak"], lw=1.2, ls=":")
        ax.annotate("$n_k$", (n_k * 1.1, drawn[0]), color="#555555", va="top")
        ax.annotate("$\\gamma_{>k}$", (1.05, run.summary["gamma"] * 1.06), color=COLOURS["leak"])
        ax.set(xlabel="rank", title=title)
    axes[0].set_ylabel("eigenvalue of $K$")
    return figure


@in_style
def gaps(population: Sequence[Run], drawn: Mapping[int, Sequence[Run]]) -> Figure:
    """ζ_{(n_k)}/ζ_{(n_k+1)} over the dimension: population (lines), Gram matrices (marks)."""
    figure, (ax,) = new_axes(1, 3.4)
    colours = {1: DEGREE_COLOURS[1], 2: DEGREE_COLOURS[2]}
    for run, style in zip(population, ("-", "--"), strict=True):
        for k, colour in colours.items():
            label = f"$k={k}$, {run.config['activation']}"
            ax.loglog(run.arrays["d"], run.arrays[f"gap_{k}"], style, color=colour, label=label)
    for k, records in drawn.items():
        d = [r.config["d"] for r in records]
        gap = [r.summary["gap"] for r in records]
        ax.loglog(d, gap, ls="", marker="o", ms=4, mfc="none", color=colours[k])
    ax.set(xlabel="dimension $d$", ylabel="gap")
    ax.legend(loc="upper left")
    return figure


@in_style
def angles(groups: Mapping[str, Sequence[Run]], over_drawn: Callable[[Run], float]) -> Figure:
    """Mean sin² over n/n_k: drawn; foreseen to first order; γ/Λ_j and second order, Λ_j drawn.

    ``over_drawn``: γ/Λ_j of a run.
    """
    figure, axes = new_axes(len(groups), 3.4, sharey=True)
    for ax, (title, records) in zip(axes, groups.items(), strict=True):
        x = sorted({r.config["n"] for r in records})

        def at(n: int, value, runs=records) -> list[float]:
            return [value(r) for r in runs if r.config["n"] == n]

        ratio = [n / records[0].summary["n_k"] for n in x]
        drawn = np.array([at(n, lambda r: r.summary["sin2"]) for n in x])
        arms = [drawn.mean(1) - drawn.min(1), drawn.max(1) - drawn.mean(1)]
        ax.errorbar(
            ratio, drawn.mean(1), arms, ls="", marker="o", ms=5, color="#000000", label="drawn"
        )
        for value, colour, style, label in (
            (lambda r: r.summary["sin2_first"], COLOURS["ntk"], "-", "first order"),
            (over_drawn, "#8c8c8c", ":", "$\\gamma_{>k}/\\Lambda_j$"),
            (lambda r: r.summary["sin2_second"], COLOURS["flow"], "--", "second order"),
        ):
            means = [np.mean(at(n, value)) for n in x]
            ax.plot(ratio, means, style, color=colour, label=label)
        ax.set(xscale="log", yscale="log", xlabel="$n/n_k$", title=title)
        ax.set_xticks(ratio, [f"{v:.0f}" for v in ratio])
        ax.minorticks_off()
    axes[0].set_ylabel("mean of $\\sin^2\\theta_j$")
    axes[0].legend()
    return figure


@in_style
def leaks(bounds: Sequence[Run], movements: Sequence[Run]) -> Figure:
    """Left: worst leak of P_{>k} over ζ_{(n_k+1)}, over n.  Right: leak of the movements over m."""
    figure, axes = new_axes(2, 3.6)
    factors = bounds[0].arrays["factor"]
    rows = np.array([r.arrays["worst"] for r in bounds])
    axes[0].fill_between(factors, rows.min(0), rows.max(0), color=COLOURS["leak"], alpha=0.2, lw=0)
    axes[0].plot(
        factors, rows.mean(0), color=COLOURS["leak"], marker="o", ms=4, label="training set"
    )
    axes[0].axhline(1, color="#000000", lw=1.4, label="population")
    foreseen = bounds[0].arrays["bulk_over_n"]
    axes[0].plot(
        factors,
        foreseen,
        color="#555555",
        ls=":",
        lw=1.2,
        label="$\\gamma_{>k}/(n\\zeta_{(n_k+1)})$",
    )
    axes[0].set(xscale="log", yscale="log", xlabel="$n/n_k$")
    axes[0].set(ylabel="worst $E f_L^2/\\|W\\|^2$ over $\\zeta_{(n_k+1)}$")
    axes[0].set_xticks(factors, [f"{f:g}" for f in factors])
    axes[0].minorticks_off()
    m = movements[0].arrays["width"]
    for kind, slope in (("same_sign", 0.25), ("memorizing", 0.25), ("random_signs", -0.25)):
        label, colour, _ = KINDS[kind]
        values = [np.sqrt(r.arrays[f"{kind}_population"]) for r in movements]
        power_law(axes[1], m, values, colour, label, slope)
    axes[1].set(xlabel="width $m$", ylabel="$(E f_L^2)^{1/2}$", ylim=(0.03, 60))
    axes[1].set_xticks(m, [f"{v:g}" for v in m])
    axes[1].minorticks_off()
    for ax in axes:
        ax.legend(loc="upper right" if ax is axes[0] else "upper left")
    return figure
