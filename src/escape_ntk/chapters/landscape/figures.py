"""Figures of the chapter *Landscape*."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, Run, in_style, new_axes
from escape_ntk.numerics.stats import log_slope


@in_style
def descent_over_time(runs: Sequence[Run], certified: Sequence[Run] = ()) -> Figure:
    """Risk, gradient norm and lowest curvature along runs from W = 0, relative to W = 0.

    Dashed, from the same runs in ``certified``: the floor under the lowest curvature.
    """
    figure, axes = new_axes(3, 3.2)
    panels = {
        "value": (r"$L_\lambda$ over its start", COLOURS["test"]),
        "gradient": ("$\\|\\nabla L_\\lambda\\|$ over its start", COLOURS["linear"]),
        "lowest": (r"$\lambda_{\min}$ over $|\lambda_{\min}(0)|$", COLOURS["quadratic"]),
    }
    for ax, (key, (label, colour)) in zip(axes, panels.items(), strict=True):
        for run in runs:
            times, values = run.arrays["times"][1:], run.arrays[key]
            scaled = values[1:] / abs(values[0])
            ax.plot(times, scaled, "o-", ms=3, color=colour, lw=1.2)
        ax.set(xscale="log", xlabel="time", ylabel=label)
        if key == "lowest":
            ax.axhline(0, color="#555555", lw=1, ls=":")
        else:
            ax.set_yscale("log")
    for run in certified:
        floor = run.arrays["floor"][1:] / abs(run.summary["start_lowest"])
        axes[2].plot(run.arrays["times"][1:], floor, color="#000000", lw=1, ls="--")
    return figure


@in_style
def escape_times(runs: Sequence[Run]) -> Figure:
    """Escape time over the start: times foreseen slope (left), and its local slope (right)."""
    figure, axes = new_axes(2, 3.4)
    for run in runs:
        decades = -np.log10(run.arrays["size"])
        rate = abs(run.summary["lowest"])
        axes[0].plot(decades, rate * run.arrays["time"], "o-", ms=4, lw=1, color=COLOURS["flow"])
        local = np.diff(run.arrays["time"]) / np.diff(decades) / math.log(10) * rate
        middle = (decades[1:] + decades[:-1]) / 2
        axes[1].plot(middle, local, "o-", ms=4, lw=1, color=COLOURS["flow"])
    span = np.array(axes[0].get_xlim())
    low = min(abs(r.summary["lowest"]) * r.arrays["time"][0] for r in runs)
    first = -math.log10(runs[0].arrays["size"][0])
    axes[0].plot(span, low + (span - first) * math.log(10), color="#555555", ls=":", lw=1.2)
    axes[0].set(xlim=span, ylabel="$|\\lambda_{\\min}|\\times$ escape time")
    axes[1].axhline(1, color="#555555", ls=":", lw=1.2)
    axes[1].set(ylabel="local slope in $\\log 1/\\varepsilon$, over $1/|\\lambda_{\\min}|$")
    for ax in axes:
        ax.set_xlabel("$\\log_{10}(1/\\varepsilon)$")
    return figure


PARTS = {
    "plateau_value": ("risk on the plateau", COLOURS["linear"], "v"),
    "end_bound_flat": ("bound, flat", "#000000", "o"),
    "end_bound": ("bound, with floor", "#8c8c8c", "^"),
    "end_comparison": ("comparison", COLOURS["remainder"], "s"),
    "end_cross": ("cross", COLOURS["quadratic"], "D"),
}


@in_style
def bound_over_width(runs: Sequence[Run]) -> Figure:
    """The random-sign bound at the end of runs and its parts over the width; dotted: L_λ(0)."""
    figure, (ax,) = new_axes(1, 3.8)
    widths = sorted({r.config["m"] for r in runs})
    for key, (label, colour, mark) in PARTS.items():
        rows = np.array([[r.summary[key] for r in runs if r.config["m"] == m] for m in widths])
        centre = np.exp(np.log(rows).mean(1))
        slope = f" (slope {log_slope(widths, centre):.2f})" if key.startswith("end") else ""
        ax.fill_between(widths, rows.min(1), rows.max(1), color=colour, alpha=0.2, lw=0)
        ax.loglog(widths, centre, color=colour, marker=mark, ms=5, label=label + slope)
    ax.axhline(
        float(np.mean([r.summary["start_value"] for r in runs])),
        color="#555555",
        ls=":",
        label=r"$L_\lambda(0)$",
    )
    ax.set(xlabel="width $m$", ylabel="risk, or part of the bound")
    ax.set_xticks(widths, [f"{m:g}" for m in widths])
    ax.minorticks_off()
    ax.set_ylim(top=15 * max(r.summary["start_value"] for r in runs))  # room for the legend
    ax.legend(loc="upper center", ncols=2)
    return figure
