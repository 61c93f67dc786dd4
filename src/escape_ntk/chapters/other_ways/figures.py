"""Figures of the chapter *Other ways*."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from escape_ntk.display.style import COLOURS, in_style, new_axes

TARGETS = {
    "dense": ("dense alone", COLOURS["linear"], "o"),
    "sparse": ("sparse alone", COLOURS["quadratic"], "s"),
    "both": ("both", COLOURS["test"], "D"),
}
FAMILIES = {
    "kernels": (("ntk", COLOURS["ntk"], "-"), ("rbf", "#56B4E9", "--")),
    "Taylor model": (
        ("quadntk", COLOURS["quadntk"], "-"),
        ("two-stage", "#E69F00", "--"),
        ("oracle", "#000000", ":"),
    ),
    "network": (
        ("network", "#CC79A7", "-"),
        ("network-r2", "#009E73", "--"),
        ("mean-field", "#555555", "-."),
    ),
    "steps, then ridge": (
        ("one-step", "#D55E00", "-"),
        ("fresh-batches", "#56B4E9", "--"),
        ("reused-batch", "#CC79A7", "-."),
    ),
}
"""Which methods share a panel; the joint model stands in each."""


@in_style
def at_a_glance(
    needed: Mapping[str, Mapping[int, Mapping[str, Sequence[float]]]],
    unit: Mapping[int, float],
    ends: tuple[float, float],
    labels: Mapping[str, str],
) -> Figure:
    """Labels over n_k by method: one mark for each target, median of the seeds with their range.

    ``needed``: by target, k and method; ±∞ stands at the ``ends`` of a climb, with an arrow where
    the median is there.  Methods that need the fewest for both parts come first.
    """
    figure, axes = new_axes(len(unit), 4.6, sharey=True)

    def of_both(method: str) -> float:
        """Mean over k of the log of the labels for both parts."""
        counts = [np.clip(needed["both"][k][method], *ends) for k in unit]
        return float(np.mean([np.log(np.median(row)) for row in counts]))

    methods = sorted(labels, key=of_both)
    for ax, (k, size) in zip(axes, unit.items(), strict=True):
        for j, (target, (_, colour, mark)) in enumerate(TARGETS.items()):
            for row, method in enumerate(methods):
                values = np.clip(needed[target][k][method], *ends)
                y, middle = row + 0.22 * (j - 1), float(np.median(values))
                shape = {ends[0]: "<", ends[1]: ">"}.get(middle, mark)
                ax.plot([values.min() / size, values.max() / size], [y, y], color=colour, lw=1.2)
                ax.plot(
                    middle / size, y, ls="", marker=shape, color=colour, ms=5.5,
                    mfc=colour if shape == mark else "white",
                )  # fmt: skip
        ax.axvline(1, color="#8c8c8c", lw=1, ls=":")
        ax.set(xscale="log", xlabel=f"labels over $n_{k}$", title=f"$k={k}$")
        ax.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(methods)), [labels[m] for m in methods])
    axes[0].invert_yaxis()
    handles = [
        Line2D([], [], ls="", marker=mark, color=colour, ms=5.5, label=name)
        for name, colour, mark in TARGETS.values()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


@in_style
def over_dimension(
    needed: Mapping[int, Mapping[str, Mapping[int, Sequence[float]]]],
    labels: Mapping[str, str],
) -> Figure:
    """Labels over d for dense plus sparse: a column of panels for each family, a row for each k.

    Lines: medians of the seeds; a dimension where a seed is censored is left out.
    """
    figure, axes = new_axes(4 * len(needed), 2.7 * len(needed), 4, sharey="row")
    for row, (k, by_method) in enumerate(needed.items()):
        for column, (family, methods) in enumerate(FAMILIES.items()):
            ax = axes[4 * row + column]
            for method, colour, style in (("joint", COLOURS["joint"], "-"), *methods):
                dims = [d for d, v in sorted(by_method[method].items()) if _all_read(v)]
                values = np.array([by_method[method][d] for d in dims])
                if not dims:
                    continue
                thick = 2.4 if method == "joint" else 1.6
                ax.fill_between(dims, values.min(1), values.max(1), color=colour, alpha=0.15, lw=0)
                ax.plot(
                    dims, np.median(values, axis=1), color=colour, ls=style, lw=thick,
                    marker="o", ms=3, label=labels[method],
                )  # fmt: skip
            every = sorted(by_method["joint"])
            ax.set(xscale="log", yscale="log")
            ax.set_xticks(every, [str(d) for d in every])
            ax.minorticks_off()
            if row == len(needed) - 1:
                ax.set_xlabel("dimension $d$")
            if row == 0:
                ax.set_title(family, fontsize=9.5)
                ax.legend(fontsize=7.5, loc="upper left")
        axes[4 * row].set_ylabel(f"labels, $k={k}$")
    axes[0].set_ylim(top=8 * axes[0].get_ylim()[1])  # room for the legends
    return figure


def _all_read(values: Sequence[float]) -> bool:
    return all(math.isfinite(v) for v in values)
