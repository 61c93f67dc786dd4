"""Figures of the chapter *Use it on your own network*."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, Run, in_style, new_axes

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
