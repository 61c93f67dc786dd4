"""Figures of the chapter *NTK limits*."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, DEGREE_COLOURS, Run, in_style, new_axes, power_law

MARKS = ("o", "s", "D")


@in_style
def staircase(groups: Mapping[int, Sequence[Run]], main: int) -> Figure:
    """Share of each degree that is learned, and the error of a target of degrees 1–3, over log_d n.

    ``groups[d]``: draws at dimension d.  Left, d = ``main``: marks measured, lines predicted,
    dotted the asymptotic staircase.  Right: every dimension.
    """
    figure, axes = new_axes(2, 3.7)
    records = groups[main]
    a, x = records[0].arrays, np.log(records[0].arrays["n"]) / np.log(main)
    learned = np.array([r.arrays["learned"] for r in records])
    for ell in (1, 2, 3):
        colour = DEGREE_COLOURS[ell]
        axes[0].plot(x, a["predicted"][:, ell], color=colour)
        _marks(axes[0], x, learned[:, :, ell], colour, "o", f"degree {ell}")
        axes[0].step([0.4, ell, 3.2], [0, 0, 1], where="pre", color=colour, lw=1, ls=":")
    axes[0].set(xlabel="$\\log_d n$", ylabel="share learned", xlim=(0.45, 3.05))
    axes[0].legend(loc="upper left", title=f"$d={main}$")
    shades = ("#a6cee3", COLOURS["ntk"], "#08306b")
    for (d, group), mark, colour in zip(groups.items(), MARKS, shades, strict=False):
        a, x = group[0].arrays, np.log(group[0].arrays["n"]) / np.log(d)
        errors = np.array([r.arrays["error"] for r in group])
        axes[1].plot(x, a["foreseen"], color=colour)
        _marks(axes[1], x, errors, colour, mark, f"$d={d}$")
    axes[1].step([0.4, 1, 2, 3, 3.2], [1, 1, 2 / 3, 1 / 3, 0], "#555555", lw=1, ls=":", where="pre")
    axes[1].set(xlabel="$\\log_d n$", ylabel="test error", xlim=(0.45, 3.05), ylim=(-0.03, 1.25))
    axes[1].legend(loc="upper right")
    return figure


def _marks(ax: Axes, x, values: np.ndarray, colour, mark: str, label: str) -> None:
    """Mean over draws as open marks, with their range."""
    mean = values.mean(0)
    arms = [mean - values.min(0), values.max(0) - mean]
    ax.errorbar(
        x, mean, arms, ls="", marker=mark, ms=4.5, mfc="white", color=colour, lw=1, label=label
    )


@in_style
def width_and_laziness(kernels: Sequence[Run], lazy: Sequence[Run]) -> Figure:
    """Kernel error over the width, both laws; and deviations of trained networks."""
    figure, axes = new_axes(2, 3.5)
    m = kernels[0].arrays["width"]
    grey = "#8c8c8c"
    power_law(axes[0], m, [r.arrays["matched"] for r in kernels], COLOURS["ntk"], "same law", -0.5)
    rows = np.array([r.arrays["mismatched"] for r in kernels])
    axes[0].loglog(m, np.exp(np.log(rows).mean(0)), color=grey, marker="s", ms=4, label="other law")
    axes[0].set(xlabel="width $m$", ylabel="relative rms error of $K_m$", ylim=(2e-3, 0.4))
    m = lazy[0].arrays["width"]
    for name, colour, label, slope in (
        ("one_sign", grey, "own lin., one sign", -0.5),
        ("infinite", "#E69F00", "infinite width", -0.5),
        ("own", COLOURS["remainder"], "own linearisation", -1.0),
    ):
        power_law(axes[1], m, [r.arrays[name] for r in lazy], colour, label, slope)
    axes[1].set(xlabel="width $m$", ylabel="rms deviation", ylim=(1e-6, 0.3))
    for ax in axes:
        ax.legend(loc="lower left")
    return figure


@in_style
def eigenvalues_by_degree(runs: Sequence[Run]) -> Figure:
    """ζ_0…ζ_3 over the dimension, one panel for each activation, with guides of slope 1 − ℓ."""
    figure, axes = new_axes(len(runs), 3.3, sharey=True)
    for ax, run in zip(axes, runs, strict=True):
        d, lam = run.arrays["d"], run.arrays["eigenvalues"]
        for ell, colour in enumerate(DEGREE_COLOURS):
            ax.loglog(d, lam[:, ell], color=colour, marker="o", ms=4, label=f"$\\zeta_{ell}$")
            slope = min(0, 1 - ell)
            ax.loglog(d, lam[-1, ell] * (d / d[-1]) ** slope, color="#555555", lw=1, ls=":")
        ax.set(xlabel="dimension $d$", title=f"$\\sigma$: {run.config['activation']}")
    axes[0].set_ylabel("eigenvalue")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@in_style
def live_staircase(n: Sequence[int], learned: np.ndarray, predicted: np.ndarray) -> Figure:
    """Shares (sizes, degrees 1…): dots measured now, lines predicted."""
    figure, (ax,) = new_axes(1, 2.9)
    for j in range(learned.shape[1]):
        colour = DEGREE_COLOURS[j + 1]
        ax.plot(n, predicted[:, j], color=colour, label=f"degree {j + 1}")
        ax.plot(n, learned[:, j], ls="", marker="o", ms=5, mfc="white", color=colour)
    ax.set(xscale="log", xlabel="samples $n$", ylabel="share learned")
    ax.legend()
    return figure
