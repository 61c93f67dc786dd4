"""Figures of the chapter *Sample complexity*."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from escape_ntk.figures import quadntk
from escape_ntk.figures.style import COLOURS, Run, in_style, new_axes

METHODS = quadntk.METHODS | {"joint": ("joint", "D")}
PARTS = {"error": "test error", "dense": "missed of dense", "sparse": "missed of sparse"}


@in_style
def methods_by_dimension(runs: Mapping[str, Sequence[Run]]) -> Figure:
    """Test error, and what is missed of each part, over the dimension: one colour a method."""
    figure, axes = new_axes(len(PARTS), 3.2)
    for ax, (part, label) in zip(axes, PARTS.items(), strict=True):
        for place, (method, (name, mark)) in enumerate(METHODS.items()):
            dims = sorted({r.config["d"] for r in runs[method]})
            rows = [[r.summary[part] for r in runs[method] if r.config["d"] == d] for d in dims]
            x, colour = np.array(dims) + 0.5 * (place - 1), COLOURS[method]
            for at, row in zip(x, rows, strict=True):
                ax.plot([at] * len(row), row, mark, color=colour, ms=3.5, alpha=0.6, mew=0)
            ax.plot(x, [np.mean(row) for row in rows], color=colour, label=name)
        ax.set(xlabel="dimension $d$", ylabel=label, ylim=(0, None))
        ax.set_xticks(dims)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
