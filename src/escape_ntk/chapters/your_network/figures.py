"""Figures of the chapter *Use it on your own network*."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from escape_ntk.display.style import COLOURS, Run, in_style, new_axes
from escape_ntk.numerics.stats import Interval

METHODS = {
    "plain": ("no penalty", "#777777"),
    "decay": ("weight decay", "#E69F00"),
    "random": ("$R_2$, random\ndirections", "#56B4E9"),
    "leak": ("$R_2$, good\ndirections", COLOURS["leak"]),
}


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


NETWORKS = {
    "tanh": ("one layer of tanh, momentum", COLOURS["linear"], "o"),
    "relu": ("three layers of ReLU, Adam", COLOURS["quadratic"], "s"),
}
"""Words, colour and marker of the two networks of the study."""


@in_style
def effect_sizes(panels: Mapping[str, Mapping[tuple[str, int, str], Interval]]) -> Figure:
    """Ratios of test losses by set, n and network, with their intervals; a panel for each rival.

    ``panels``: title → (words of the set, n, network) → ratio.  Left of 1 R_2 is better.
    """
    cells = list(dict.fromkeys((words, n) for rows in panels.values() for words, n, _ in rows))
    sets = list(dict.fromkeys(words for words, _ in cells))
    height = {cell: i + 1.2 * sets.index(cell[0]) for i, cell in enumerate(cells)}
    figure, axes = new_axes(len(panels), 7.4, sharey=True)
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        ax.axvline(1, color="#555555", lw=1)
        for (words, n, network), ratio in rows.items():
            label, colour, marker = NETWORKS[network]
            y = height[words, n] + (0.17 if network == "relu" else -0.17)
            ax.plot([ratio.low, ratio.high], [y, y], color=colour, lw=1.4)
            ax.plot(ratio.value, y, marker, color=colour, ms=4, label=label)
        ax.set_xscale("log")
        ax.set_xticks([0.5, 1, 2], ["0.5", "1", "2"], fontsize=8)
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlim(0.25, 2.5)
        ax.set_title(title, fontsize=9)
    first = [min(height[c] for c in cells if c[0] == words) for words in sets]
    ticks = [*height.values(), *(y - 0.9 for y in first)]
    axes[0].set_yticks(ticks, [*(f"n = {n}" for _, n in cells), *sets], fontsize=8)
    for label in axes[0].get_yticklabels()[len(cells) :]:
        label.set_fontweight("bold")
    for ax in axes:
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")
    axes[0].invert_yaxis()
    figure.supxlabel("← $R_2$ better       ratio of test losses       $R_2$ worse →", fontsize=9)
    handles, labels = axes[0].get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    figure.legend(once.values(), once, loc="outside upper center", ncols=2, fontsize=8)
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
