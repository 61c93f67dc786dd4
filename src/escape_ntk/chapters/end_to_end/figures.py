"""Figures of the chapter *Gradient descent end to end*."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, Run, in_style, new_axes

SHARES = {
    "linear_dense": ("dense in $f_L$", COLOURS["linear"], "-"),
    "linear_sparse": ("sparse in $f_L$", COLOURS["linear"], "--"),
    "quadratic_sparse": ("sparse in $f_Q$", COLOURS["quadratic"], "--"),
    "quadratic_dense": ("dense in $f_Q$", COLOURS["quadratic"], "-"),
}
LEAKS = {
    "R_1": ("$R_1$", COLOURS["leak"]),
    "R_2": ("$R_2$", COLOURS["test"]),
}


def _band(ax, x, rows, colour, label, line="-") -> None:
    """Mean over runs with their range."""
    rows = np.array(rows)
    ax.plot(x, rows.mean(0), color=colour, ls=line, label=label)
    ax.fill_between(x, rows.min(0), rows.max(0), color=colour, alpha=0.15, lw=0)


@in_style
def two_phases(runs: Sequence[Run]) -> Figure:
    """What each term has learned, errors and leaks over time; dotted: the level of W*."""
    figure, axes = new_axes(3, 3.8)
    t = runs[0].arrays["times"][1:]
    shares, errors, leaks = axes
    for key, (label, colour, line) in SHARES.items():
        _band(shares, t, [r.arrays[key][1:] for r in runs], colour, label, line)
    shares.set(ylabel="coefficient (1 = learned)", ylim=(-0.1, 1.05))
    _band(errors, t, [r.arrays["error"][1:] for r in runs], COLOURS["joint"], "test error")
    _band(errors, t, [r.arrays["train"][1:] for r in runs], "#777777", "training loss")
    level = float(np.mean([r.summary["explicit_error"] for r in runs]))
    errors.axhline(level, color=COLOURS["joint"], ls=":", lw=1.2, label="test error of $W^*$")
    errors.set(ylabel="mean square", yscale="log", ylim=(1e-3, 1.5))
    for key, (label, colour) in LEAKS.items():
        _band(leaks, t, [np.maximum(r.arrays[key][1:], 1e-9) for r in runs], colour, label)
        level = float(np.mean([r.summary[f"explicit_{key}"] for r in runs]))
        leaks.axhline(level, color=colour, ls=":", lw=1.2)
    leaks.set(ylabel="leak", yscale="log", ylim=(1e-5, 0.3))
    for ax in axes:
        ax.set(xscale="log", xlabel="time")
        ax.legend(fontsize=8)
    return figure


@in_style
def network_over_width(groups: Mapping[str, Sequence[Run]]) -> Figure:
    """Left: test errors over the width, R_4 off.  Right: network against its Taylor model."""
    figure, (left, right) = new_axes(2, 3.8)
    first = next(iter(groups.values()))
    m = sorted({r.config["m"] for r in first})

    def column(runs: Sequence[Run], key: str) -> list[list[float]]:
        seeds = sorted({r.config["seed"] for r in runs})
        at = {(r.config["seed"], r.config["m"]): r.summary[key] for r in runs}
        return [[at[s, width] for width in m] for s in seeds]

    for key, label, colour, line in (
        ("free_error", "network, no $R_2$", "#777777", "-"),
        ("network_error", "network, $R_2$", COLOURS["test"], "-"),
        ("taylor_error", "$f_L+f_Q$, $R_2$", COLOURS["joint"], "--"),
    ):
        _band(left, m, column(first, key), colour, label, line)
    left.set(ylabel="test error", ylim=(0, None))
    for (name, runs), colour in zip(
        groups.items(), (COLOURS["quadratic"], COLOURS["linear"]), strict=True
    ):
        _band(right, m, column(runs, "remainder"), colour, f"own remainder, {name}")
        _band(right, m, column(runs, "difference"), colour, f"apart, {name}", "--")
    right.set(ylabel="rms over test inputs", yscale="log")
    for ax in (left, right):
        ax.set(xscale="log", xlabel="width $m$")
        ax.legend(fontsize=8)
    return figure


@in_style
def required_sizes(run: Run) -> Figure:
    """Width (left) and samples (right) of the guarantee over the dimension, for each error."""
    figure, axes = new_axes(2, 3.8)
    d = run.config["dims"]
    for ax, key, label in zip(
        axes, ("width", "samples"), ("width $m$", "samples $n$"), strict=True
    ):
        for error, values, colour in zip(
            run.config["errors"],
            run.arrays[key],
            (COLOURS["quadratic"], COLOURS["joint"]),
            strict=True,
        ):
            ax.plot(d, values, "o-", color=colour, label=f"error {error:g}")
        ax.set(xscale="log", yscale="log", xlabel="dimension $d$", ylabel=label)
        ax.set_xticks(d, labels=[str(x) for x in d])
        ax.set_xticks([], minor=True)
        ax.legend(fontsize=8)
    return figure
