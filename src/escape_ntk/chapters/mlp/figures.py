"""Figures of the chapter *A standard network*."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from escape_ntk.display.style import Run, in_style, new_axes

DENSE = {
    "normalized": ("normalised", "#009E73", "s", "-"),
    "published": ("as published", "#000000", "o", "-"),
    "constant": ("its mean alone", "#999999", "^", "--"),
}
"""How the dense part enters: label, colour, marker, line."""


@in_style
def network_thresholds(
    found: Mapping[str, Mapping[int, Mapping[int, float]]],
    last: Mapping[str, Mapping[int, float]],
    variance: Callable[[int], float],
) -> Figure:
    """Left: n_.1 over d, median and range of the seeds, beside 6d² and d³.  Right: the dense part.

    ``found``: n_.1 by dense part, d and seed, NaN where censored; ``last``: the largest n run at
    such a d, which stands for the censored ones, with an arrow.  ``variance``: that of the
    published dense part over d.
    """
    figure, (left, right) = new_axes(2, 3.9, width_ratios=(3, 2))
    dims = np.array(sorted({d for rows in found.values() for d in rows}), dtype=float)
    for name, (label, colour, marker, line) in DENSE.items():
        rows, ends = found[name], last[name]
        values = {
            d: [n if np.isfinite(n) else ends[d] for n in row.values()] for d, row in rows.items()
        }
        own, middle = list(values), np.array([np.median(row) for row in values.values()])
        reach = zip(middle, values.values(), strict=True)
        spread = np.array([[m - min(row), max(row) - m] for m, row in reach]).T
        left.errorbar(
            own, middle, spread, color=colour, marker=marker, ms=5, ls=line, capsize=3, label=label
        )
        for d, n in ends.items():
            left.annotate(
                "", (d, 1.35 * n), (d, n), arrowprops={"arrowstyle": "->", "color": colour}
            )
    left.plot(dims, 6 * dims**2, color="#555555", ls=":", lw=1.2, label="$6d^2$, published line")
    left.plot(dims, dims**3, color="#CC79A7", ls="-.", lw=1.2, label="$d^3$")
    left.set(xscale="log", yscale="log", xlabel="dimension $d$", ylabel="samples for test loss .1")
    left.set_xticks(dims, [f"{d:g}" for d in dims])
    left.minorticks_off()
    left.legend(fontsize=8)
    wide = np.arange(10, 102, 2)
    right.plot(wide, [variance(int(d)) for d in wide], color=DENSE["published"][1])
    right.axhline(1.0, color=DENSE["normalized"][1])
    right.axhline(0.1, color="#D55E00", ls="--", lw=1.2)
    right.text(10, 0.115, "test loss asked for", fontsize=8, color="#A84300")
    right.text(100, 0.78, "normalised", ha="right", fontsize=8, color="#00795A")
    right.text(55, 0.05, "as published", fontsize=8)
    right.set(xlabel="dimension $d$", ylabel="variance of the dense part", yscale="log")
    right.set_ylim(0.008, 1.6)
    return figure


@in_style
def loss_over_samples(runs: Mapping[str, Sequence[Run]], dims: Sequence[int]) -> Figure:
    """Test loss at the end of training over n/d², one panel a dimension, every seed a line."""
    figure, axes = new_axes(len(dims), 3.4, sharey=True)
    for ax, d in zip(axes, dims, strict=True):
        for name, (label, colour, marker, line) in DENSE.items():
            for i, r in enumerate(r for r in runs[name] if r.config["d"] == d):
                x = r.arrays["n"] / d**2
                text = label if not i else None
                ax.plot(x, r.arrays["test"], color=colour, ls=line, lw=0.8, label=text)
                ax.plot(x[-1], r.arrays["test"][-1], color=colour, marker=marker, ms=3)
        ax.axhline(0.1, color="#D55E00", ls="--", lw=1.2)
        ax.set(xlabel="samples $n/d^2$", yscale="log", title=f"$d={d}$")
    axes[0].set_ylabel("test loss after 30 000 steps")
    axes[0].legend(fontsize=8)
    return figure
