"""What the page *The idea in fifteen minutes* draws of the runs that it has just trained.

One problem, dense plus sparse, and three runs on it.  A colour is a term, as everywhere: f_L blue,
f_Q vermilion, both together green; grey is both without a penalty.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from escape_ntk.display import html
from escape_ntk.display.style import COLOURS, in_style, new_axes
from escape_ntk.risk.problem import Problem
from escape_ntk.study import reading
from escape_ntk.study.chapter import Chapter
from escape_ntk.training.trajectory import Trajectory

FRESH_SHOWN = 400
"""Fresh inputs that are drawn one by one."""
BINS = np.linspace(-2.5, 2.5, 11)
"""Of β·x, where fresh inputs are averaged."""
FREE = "#8c8c8c"
"""Both terms, without a penalty."""
TARGET = {"color": COLOURS["test"], "ls": "--", "lw": 1.2}
ALONG = r"$\beta\cdot x$"


def projections(problem: Problem, X: Tensor) -> np.ndarray:
    """β·x, the one direction on which the sparse part depends, (n,)."""
    return (X @ problem.target.parts[1].directions[0]).numpy()


def outputs(problem: Problem, state: Tensor, *, fresh: bool = True) -> np.ndarray:
    """f_L + f_Q at the fresh or at the training inputs, (n,)."""
    features = problem.test if fresh else problem.features
    linear, quadratic = features.terms(state)
    return (linear + quadratic).numpy()


def parts(problem: Problem, X: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The dense and the sparse part of the target at X, each (n,)."""
    dense, sparse = problem.target.part_values(X)
    return dense.numpy(), sparse.numpy()


def means_along(z: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles of :data:`BINS`, and the mean of ``values`` where z lies in each; NaN in an empty."""
    place = np.digitize(z, BINS) - 1
    counts = range(len(BINS) - 1)
    means = [values[place == i].mean() if (place == i).any() else np.nan for i in counts]
    return (BINS[1:] + BINS[:-1]) / 2, np.array(means)


def _draw_sparse(ax: Axes, problem: Problem) -> None:
    """The sparse part over β·x, dashed: a function of it alone."""
    z = projections(problem, problem.fresh)
    order = np.argsort(z)
    ax.plot(z[order][::4], parts(problem, problem.fresh)[1][order][::4], **TARGET)
    ax.set(xlabel=ALONG, xlim=(-3, 3), ylim=(-3.4, 3.4))


@in_style
def kernel_alone(problem: Problem, run: Trajectory) -> Figure:
    """What f_L alone makes of either part: left the dense one, right the sparse one.

    The other part of the target is taken away from what is drawn.
    """
    figure, (left, right) = new_axes(2, 3.5)
    dense, sparse = parts(problem, problem.fresh)
    f = outputs(problem, run.state)
    some = slice(FRESH_SHOWN)
    marks = {"color": COLOURS["linear"], "ls": "", "marker": "o", "ms": 2.6, "mew": 0, "alpha": 0.7}
    left.plot(dense[some], (f - sparse)[some], **marks)
    left.plot((-2.6, 2.6), (-2.6, 2.6), **TARGET)
    left.set(xlabel="dense part of the target", ylabel="learned, fresh inputs")
    left.set(xlim=(-2.6, 2.6), ylim=(-3.4, 3.4))
    z = projections(problem, problem.fresh)
    right.plot(z[some], (f - dense)[some], **marks)
    right.plot(*means_along(z, f - dense), color=COLOURS["linear"], lw=2.4)
    at, _ = parts(problem, problem.X)
    exact = outputs(problem, run.state, fresh=False) - at
    hollow = {"color": "none", "mec": COLOURS["test"], "marker": "o", "ms": 4, "mew": 0.6}
    right.plot(projections(problem, problem.X)[::4], exact[::4], ls="", **hollow)
    _draw_sparse(right, problem)
    right.text(-2.8, 2.9, "circles: training inputs", color=COLOURS["test"], fontsize=9)
    right.text(-2.8, 2.35, "dots: fresh inputs", color=COLOURS["linear"], fontsize=9)
    left.text(-2.4, 2.9, "dots: fresh inputs", color=COLOURS["linear"], fontsize=9)
    return figure


@in_style
def who_learns_what(run: Trajectory) -> Figure:
    """What f_L and f_Q have learned of either part, over time."""
    figure, axes = new_axes(2, 3.2, sharey=True)
    for part, (ax, title) in enumerate(zip(axes, ("dense part", "sparse part"), strict=True)):
        for term, name in (("linear", "$f_L$"), ("quadratic", "$f_Q$")):
            values = run.values[f"{term}_{part}"]
            ax.plot(run.times[1:], values[1:], color=COLOURS[term])
            _name(ax, run.times[-1], values[-1], name, COLOURS[term])
        ax.axhline(1, **TARGET)
        ax.set(xscale="log", xlabel="time, in steps of size 1", title=title, ylim=(-0.1, 1.1))
    axes[0].set_ylabel("share learned")
    return figure


@in_style
def off_and_on(problem: Problem, runs: Mapping[str, Trajectory]) -> Figure:
    """Test error over time, and what is learned along β: f_L alone, both without R_2, with R_2.

    ``runs``: these three, as ``kernel``, ``free`` and ``kept``.
    """
    figure, (left, right) = new_axes(2, 3.5)
    looks = {
        "kernel": ("$f_L$ alone", COLOURS["linear"], "o"),
        "free": ("$f_L+f_Q$", FREE, "s"),
        "kept": ("$f_L+f_Q$, with $R_2$", COLOURS["joint"], "D"),
    }
    z, (dense, _) = projections(problem, problem.fresh), parts(problem, problem.fresh)
    for name, (label, colour, mark) in looks.items():
        run = runs[name]
        left.plot(run.times[1:], run.values["test"][1:], color=colour, label=label)
        _name(left, run.times[-1], run.values["test"][-1], f"{run.values['test'][-1]:.2f}", colour)
        along = means_along(z, outputs(problem, run.state) - dense)
        right.plot(*along, color=colour, marker=mark, ms=4, label=label)
    left.set(xscale="log", xlabel="time, in steps of size 1", ylabel="test error", ylim=(0, None))
    _draw_sparse(right, problem)
    right.set_ylabel("learned, mean over fresh inputs")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _name(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    """``text`` just behind the end of a curve."""
    ax.annotate(
        text, (x, y), (4, 0), textcoords="offset points", color=colour, va="center", fontsize=10
    )


def show(name: str, figure: Figure) -> html.Html | reading.Picture:
    """In a cell of the page: the ``figure`` of the three runs, as ``name``."""
    return Chapter.live(name, figure, "three runs")
