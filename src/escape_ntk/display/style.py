"""One style for all figures: colours, sizes, and what several of them draw."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from escape_ntk.display.svg import as_svg

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType


@runtime_checkable
class Run(Protocol):
    """What a figure draws: a record, or a result computed live."""

    @property
    def config(self) -> Mapping[str, Any]:
        """What was asked."""
        ...

    @property
    def summary(self) -> Mapping[str, Any]:
        """Numbers that came."""
        ...

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Arrays that came."""
        ...


COLOURS = {
    "linear": "#0072B2",
    "quadratic": "#D55E00",
    "remainder": "#009E73",
    "test": "#000000",
    "leak": "#CC79A7",
    "descent": "#000000",
    "flow": "#E69F00",
    "ntk": "#0072B2",
    "quadntk": "#D55E00",
    "joint": "#009E73",
}
METHODS = {"ntk": ("NTK", "o"), "quadntk": ("QuadNTK", "s"), "joint": ("joint", "D")}
"""Label and marker of each model."""
DEGREE_COLOURS = ("#000000", "#56B4E9", "#009E73", "#CC79A7")
"""Degrees 0, 1, 2, 3."""
STYLE: "dict[RcKeyType, Any]" = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 130,
    "lines.linewidth": 1.8,
}
WIDTH = 7.4
"""Inches: about the width of a page's text, so that letters keep their size."""


def new_axes(
    n: int, height: float, columns: int | None = None, **kwargs
) -> tuple[Figure, list[Axes]]:
    """A figure with ``n`` axes in rows of ``columns``; places left over are empty."""
    columns = n if columns is None else columns
    rows = -(-n // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False, **kwargs)
    for ax in axes.flat[n:]:
        ax.set_axis_off()
    return figure, list(axes.flat)


def in_style(draw):
    """Draw inside the house style, whatever the caller's settings; a page shows it as SVG."""

    def styled(*args, **kwargs):
        with plt.rc_context(STYLE):
            figure = draw(*args, **kwargs)
        figure._repr_svg_ = functools.partial(as_svg, figure)  # asked for by the notebook
        return figure

    styled.__doc__, styled.__name__ = draw.__doc__, draw.__name__
    return styled


def power_law(ax: Axes, x, rows, colour, label: str, slope: float) -> None:
    """Geometric mean with range over draws, and a dotted guide of the predicted slope."""
    rows = np.array(rows)
    centre = np.exp(np.log(rows).mean(0))
    ax.fill_between(x, rows.min(0), rows.max(0), color=colour, alpha=0.2, lw=0)
    ax.loglog(x, centre, color=colour, marker="o", ms=4, label=f"{label} (slope {slope:g})")
    ax.loglog(x, centre[-1] * (np.asarray(x) / x[-1]) ** slope, color="#555555", lw=1, ls=":")


@in_style
def measurements(times: np.ndarray, values: Mapping[str, np.ndarray]) -> Figure:
    """Measurements over log(t + 1), each in a panel of its own name, three in a row."""
    columns = min(3, len(values))
    figure, axes = new_axes(len(values), 2.4 * -(-len(values) // 3), columns, sharex=True)
    for ax, (name, row) in zip(axes, values.items(), strict=False):
        ax.plot(np.asarray(times) + 1, row, color="#000000")
        positive = bool((np.asarray(row)[1:] > 0).all())
        ax.set(title=name, xscale="log", yscale="log" if positive else "linear")
        ax.set_xlabel("time + 1")
    return figure
