"""Figures of the chapter *A convolutional network*."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, Run, in_style, new_axes

MODELS = {
    "network": ("$f$", COLOURS["test"]),
    "quadratic": ("$f_L+f_Q$", COLOURS["joint"]),
    "linear": ("$f_L$", COLOURS["linear"]),
}


@in_style
def three_models(
    runs: Sequence[Run], limit: float | None = None, *, passing: bool = False
) -> Figure:
    """Training and test loss of f, f_L + f_Q and f_L over the epochs, and their distances.

    Means and ranges over the runs; ``limit``: test loss of f_L trained endlessly, as a dotted line.
    With ``passing`` also the training loss as the notebook counts it, in passing, dashed.
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
    for model, (label, colour) in MODELS.items() if passing else ():
        band(axes[0], f"batch_loss_{model}", colour, f"{label}, in passing", "--")
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
