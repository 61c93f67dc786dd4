"""Figures of the chapter *QuadNTK*."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, METHODS, Run, in_style, new_axes, power_law
from escape_ntk.numerics.stats import Interval

ALONE = {name: METHODS[name] for name in ("ntk", "quadntk")}


@in_style
def alone(panels: Mapping[str, Sequence[Run]]) -> Figure:
    """Test error over n/n_k, NTK and QuadNTK; one panel for each named target."""
    figure, axes = new_axes(len(panels), 3.5, sharey=True)
    for ax, (title, records) in zip(axes, panels.items(), strict=True):
        factors = sorted({r.config["factor"] for r in records})
        for method, (label, mark) in ALONE.items():
            rows = [
                [r.summary[f"{method}_error"] for r in records if r.config["factor"] == x]
                for x in factors
            ]
            middle = [np.median(row) for row in rows]
            colour = COLOURS[method]
            ax.fill_between(
                factors,
                [min(r) for r in rows],
                [max(r) for r in rows],
                color=colour,
                alpha=0.2,
                lw=0,
            )
            ax.plot(factors, middle, color=colour, marker=mark, ms=5, label=label)
        ax.set(xscale="log", yscale="log", xlabel="samples $n/n_2$", title=title)
        ax.set_xticks(factors, [f"{x:g}" for x in factors])
        ax.minorticks_off()
    axes[0].set_ylabel("test error")
    axes[0].legend(loc="lower left")
    return figure


@in_style
def construction(runs: Mapping[int, Sequence[Run]]) -> Figure:
    """Leak of the explicit movement with equal and random signs; its error, by k and input law."""
    figure, axes = new_axes(2, 3.5)
    first = runs[1]
    m = first[0].arrays["width"]
    leaks = (("leak_same", "#8c8c8c", "equal signs", 0.25),)
    leaks += (("leak_random", COLOURS["leak"], "random signs", -0.25),)
    for name, colour, label, slope in leaks:
        power_law(axes[0], m, [r.arrays[name] for r in first], colour, label, slope)
    axes[0].set(xlabel="width $m$", ylabel="rms of $f_L$", ylim=(0.015, 60))
    for k, shade in ((1, COLOURS["quadratic"]), (2, "#7f3300")):
        rows = [r.arrays["error"] for r in runs[k]]
        power_law(axes[1], m, rows, shade, f"$k={k}$", -0.5)
        rows = np.array([r.arrays["error_gaussian"] for r in runs[k]])
        axes[1].loglog(m, np.exp(np.log(rows).mean(0)), color=shade, ls="--", lw=1.2)
    axes[1].plot([], [], color="#555555", ls="--", lw=1.2, label="Gaussian inputs")
    axes[1].set(xlabel="width $m$", ylabel="relative error of $f_Q$")
    for ax in axes:
        ax.legend(loc="lower left" if ax is axes[1] else "center left")
    return figure


@in_style
def saddle(runs: Mapping[float, Sequence[Run]]) -> Figure:
    """Training loss of f_Q alone over time, for starts of several sizes; 0 never leaves."""
    figure, axes = new_axes(2, 3.3, sharey=True)
    shades = ("#8c8c8c", "#fdd0a2", "#fdae6b", "#e6550d", "#7f2704")
    for (scale, records), colour in zip(runs.items(), shades, strict=False):
        label = "0" if scale == 0 else f"$10^{{{round(np.log10(scale))}}}$"
        for ax, name in zip(axes, ("train", "test"), strict=True):
            values = np.array([r.arrays[name] for r in records])
            times = records[0].arrays["times"] + 1
            ax.plot(times, values.mean(0), color=colour, label=label)
            ax.fill_between(times, values.min(0), values.max(0), color=colour, alpha=0.2, lw=0)
    for ax, title in zip(axes, ("training loss", "test loss"), strict=True):
        ax.set(xscale="log", xlabel="$t+1$", ylabel=title, ylim=(0, None))
    axes[0].legend(title="size of start", loc="lower left")
    return figure


@in_style
def price(
    rows: Mapping[str, Mapping[int, Interval]], foreseen: Mapping[str, Mapping[int, float]]
) -> Figure:
    """QuadNTK error over NTK error against the dimension, with intervals; below 1 QuadNTK wins.

    ``foreseen``: predicted ratios by dimension, as dashed lines.
    """
    figure, (ax,) = new_axes(1, 3.4)
    colours = ("#E69F00", COLOURS["quadratic"], COLOURS["remainder"], "#7f3300")
    looks = zip(colours, "oDvs", strict=True)
    for (label, by_d), (colour, mark) in zip(rows.items(), looks, strict=False):
        _interval_line(ax, by_d, colour, mark, label)
    for label, by_d in foreseen.items():
        ax.plot(list(by_d), list(by_d.values()), color="#555555", ls="--", lw=1.2, label=label)
    ax.axhline(1, color="#555555", lw=1, ls=":")
    ax.set(xscale="log", yscale="log", xlabel="dimension $d$", ylabel="error QuadNTK / NTK")
    ticks = sorted({d for by_d in rows.values() for d in by_d})
    ax.set_xticks(ticks, [str(d) for d in ticks])
    ax.minorticks_off()
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@in_style
def frozen_kernel(runs: Sequence[Run], foreseen: Callable[[int], float]) -> Figure:
    """Error with the kernel of a frozen start over the foreseen one, against the width, by d."""
    figure, (ax,) = new_axes(1, 3.2)
    shades = ("#fdae6b", COLOURS["quadratic"], "#7f3300")
    dims = sorted({r.config["d"] for r in runs})
    for place, (d, colour) in enumerate(zip(dims, shades, strict=False)):
        mine = [r for r in runs if r.config["d"] == d]
        rows = np.array([r.arrays["error"] for r in mine]) / foreseen(d)
        mean = rows.mean(0)
        arms = [mean - rows.min(0), rows.max(0) - mean]
        m = mine[0].arrays["width"] * 1.05**place  # side by side: the ranges can be told apart
        ax.errorbar(m, mean, arms, color=colour, marker="o", ms=5, capsize=3, label=f"$d={d}$")
    ax.axhline(1, color="#555555", lw=1, ls=":")
    ax.set(xscale="log", xlabel="width $m$", ylabel="error / foreseen")
    ax.legend()
    return figure


def _interval_line(ax: Axes, by_d: Mapping[int, Interval], colour, mark: str, label: str) -> None:
    d, rows = list(by_d), list(by_d.values())
    middle = np.array([i.value for i in rows])
    arms = [middle - [i.low for i in rows], [i.high for i in rows] - middle]
    ax.errorbar(d, middle, arms, color=colour, marker=mark, ms=5, capsize=3, lw=1.4, label=label)
