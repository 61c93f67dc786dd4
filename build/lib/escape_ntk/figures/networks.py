"""Figures of the chapters on standard networks: the ReLU network, the convolutional one, yours."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from escape_ntk.figures.style import COLOURS, Run, in_style, new_axes

DENSE = {
    "normalized": ("normalised", "#009E73", "s", "-"),
    "published": ("as published", "#000000", "o", "-"),
    "constant": ("its mean alone", "#999999", "^", "--"),
}
"""How the dense part enters: label, colour, marker, line."""
MODELS = {
    "network": ("$f$", COLOURS["test"]),
    "quadratic": ("$f_L+f_Q$", COLOURS["joint"]),
    "linear": ("$f_L$", COLOURS["linear"]),
}
METHODS = {
    "plain": ("no penalty", "#777777"),
    "decay": ("weight decay", "#E69F00"),
    "random": ("$R_2$, random\ndirections", "#56B4E9"),
    "leak": ("$R_2$, good\ndirections", COLOURS["leak"]),
}


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


@in_style
def three_models(runs: Sequence[Run], limit: float | None = None) -> Figure:
    """Training and test loss of f, f_L + f_Q and f_L over the epochs, and their distances.

    Means and ranges over the runs; ``limit``: test loss of f_L trained endlessly, as a dotted line.
    """
    figure, axes = new_axes(3, 3.7)
    t = runs[0].arrays["times"][1:]

    def band(ax, key: str, colour: str, label: str, line: str = "-") -> None:
        rows = np.array([r.arrays[key][1:] for r in runs])
        ax.plot(t, rows.mean(0), color=colour, label=label, ls=line)
        ax.fill_between(t, rows.min(0), rows.max(0), color=colour, alpha=0.15, lw=0)

    for ax, key, title in ((axes[0], "train", "training loss"), (axes[1], "test", "test loss")):
        for model, (label, colour) in MODELS.items():
            band(ax, f"{key}_loss_{model}", colour, label)
        ax.set(yscale="log", title=title, ylim=(1e-3, 2))
    if limit is not None:
        label = "$f_L$ trained\nendlessly"
        axes[1].axhline(limit, color=COLOURS["linear"], ls=":", lw=1.4, label=label)
    for model, (label, colour) in list(MODELS.items())[1:]:
        band(axes[2], f"apart_{model}", colour, f"trained {label}")
        band(axes[2], f"own_{model}", colour, f"own {label}", "--")
    axes[2].set(title="rms distance from $f$", ylim=(0, 1.2))
    for ax in axes:
        ax.set(xlabel="epochs", xscale="log")
        ax.legend(fontsize=8)
    return figure


@in_style
def methods_on_your_network(runs: Sequence[Run]) -> Figure:
    """Test loss of four ways to train, each seed a line: at the best moment, and at the end."""
    figure, axes = new_axes(2, 3.7, sharey=True)
    titles = {"stopped": "stopped at the best moment", "end": "trained to the end"}
    for ax, (when, title) in zip(axes, titles.items(), strict=True):
        table = np.array([[r.summary[f"loss_{m}_{when}"] for m in METHODS] for r in runs])
        x = np.arange(len(METHODS))
        ax.plot(x, table.T, color="#bbbbbb", lw=0.8)
        for i, (_, colour) in enumerate(METHODS.values()):
            ax.plot(np.full(len(table), i), table[:, i], "o", color=colour, ms=4)
            ax.hlines(table[:, i].mean(), i - 0.25, i + 0.25, color=colour, lw=3)
        ax.set_xticks(x, [label for label, _ in METHODS.values()], fontsize=8)
        ax.set(title=title)
    axes[0].set_ylabel("test loss")
    return figure


@in_style
def orders_of_remainder(runs: Sequence[Run]) -> Figure:
    """rms remainder over the size of the movement, mean over seeds: smooth networks, and ReLU."""
    figure, axes = new_axes(2, 3.6, sharey=True)
    colours = {"tanh": "#000000", "softplus": "#009E73", "relu": "#D55E00"}
    for ax, (kind, title) in zip(
        axes, {"mlp": "three layers", "cnn": "convolutional"}.items(), strict=True
    ):
        for name, colour in colours.items():
            own = [
                r for r in runs if r.config["network"] == kind and r.config["activation"] == name
            ]
            x = own[0].arrays["sizes"]
            rows = np.array([r.arrays["remainder"] for r in own])
            y = np.exp(np.log(rows).mean(0))
            ax.loglog(x, y, color=colour, marker="o", ms=4, label=name)
            slope = 1.5 if name == "relu" else 3
            ax.loglog(x, y[0] * (x / x[0]) ** slope, color="#555555", ls=":", lw=1)
        ax.set(xlabel="size of the movement", title=title)
        ax.minorticks_off()
        sizes = next(r.arrays["sizes"] for r in runs if r.config["network"] == kind)
        ax.set_xticks(sizes, [f"{v:g}" for v in sizes], fontsize=8)
    axes[0].set_ylabel("rms remainder of $f$")
    axes[0].legend(fontsize=8)
    return figure
