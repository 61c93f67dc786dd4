"""Figures of the chapter *The published figure*."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from escape_ntk.chapters.published_figure import digitised as published
from escape_ntk.display.style import COLOURS, Run, in_style, new_axes
from escape_ntk.numerics.stats import prediction_interval

HYPOTHESIS_MARKS = ("o", "s", "D", "P", "^", "v")
HYPOTHESIS_COLOURS = ("#0072B2", "#E69F00", "#CC79A7", "#D55E00", "#009E73", "#56B4E9")


def lambda_colour(lam: float, lambdas: Sequence[float]) -> tuple | str:
    """Grey for λ = 0, then viridis from dark to light with growing λ."""
    positive = sorted(x for x in lambdas if x > 0)
    if lam == 0:
        return "#8c8c8c"
    place = positive.index(lam) / max(1, len(positive) - 1)
    return matplotlib.colormaps["viridis"](0.05 + 0.82 * place)


def lambda_label(lam: float, name: str = "\\lambda=") -> str:
    """λ = 0 or λ = 10⁻³ in mathematics; ``name=""`` leaves the number alone."""
    return f"${name}0$" if lam == 0 else f"${name}10^{{{round(np.log10(lam))}}}$"


def curve_band(values: np.ndarray, n_mean: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and 95 % prediction interval of a mean of ``n_mean`` runs, for each column."""
    bands = [prediction_interval(column, n_mean) for column in values.T]
    value, low, high = (np.array([getattr(b, k) for b in bands]) for k in ("value", "low", "high"))
    return value, low, high


def log_x(t: np.ndarray) -> np.ndarray:
    """t + 1, so that the start has a place on a logarithmic axis."""
    return np.asarray(t, dtype=float) + 1.0


@in_style
def figure_panels(runs: Mapping[float, Sequence[Run]], panels: Sequence[str]) -> Figure:
    """Curves over descent time for each λ: mean of own seeds, prediction band, published marks.

    ``panels`` among test, penalty and train.
    """
    titles = {
        "train": "training loss",
        "test": "test loss",
        "penalty": "penalty  $\\sum_i f_L(x_i;P_{>k}W)^2$",
    }
    figure, axes = new_axes(len(panels), 5.6 if len(panels) > 2 else 3.6, columns=2)
    for ax, panel in zip(axes, panels, strict=False):
        for lam, records in runs.items():
            colour = lambda_colour(lam, list(runs))
            times = records[0].arrays["times"]
            _draw_runs(ax, times, own_values(panel, records), colour, lambda_label(lam))
            _draw_published(ax, panel, lam, colour)
        ax.set(xscale="log", xlabel="$t+1$ (steps of size 1)", ylabel=titles[panel])
        ax.set_ylim(bottom=0)
    handles, labels = axes[0].get_legend_handles_labels()
    handles.append(Line2D([], [], ls="", marker="o", mfc="white", mec="#333333", ms=5))
    labels.append("published")
    if len(axes) > len(panels):
        axes[-1].legend(handles, labels, loc="center", fontsize=11)
    else:
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def own_values(panel: str, records: Sequence[Run]) -> np.ndarray:
    """(records, times): the measurement, or for ``penalty`` what the published panel plots."""
    if panel != "penalty":
        return np.array([r.arrays[panel] for r in records])
    times = records[0].arrays["times"]
    sums = [r.config["n"] * r.arrays["R_2"] for r in records]
    return np.array([published.penalty(times, values, times) for values in sums])


def _draw_runs(ax: Axes, times, values: np.ndarray, colour, label: str) -> None:
    if len(values) == 1:
        ax.plot(log_x(times), values[0], color=colour, label=label)
        return
    mean, low, high = curve_band(values, published.N_SEEDS)
    ax.plot(log_x(times), mean, color=colour, label=label)
    ax.fill_between(log_x(times), low, high, color=colour, alpha=0.18, linewidth=0)


def _draw_published(ax: Axes, panel: str, lam: float, colour) -> None:
    for curve in published.curves(panel):
        if curve.lam == lam:
            times = np.geomspace(max(curve.times[0], 1.0), curve.times[-1], 14)
            ax.plot(
                log_x(times), curve.at(times), ls="", marker="o", ms=4.5, mfc="white", mec=colour
            )


@in_style
def finals_by_hypothesis(rows: Sequence) -> Figure:
    """Published final values against each hypothesis' prediction interval, panel by panel.

    ``rows``: see :func:`escape_ntk.chapters.published_figure.comparisons.residuals`.
    """
    names = list(dict.fromkeys(row.hypothesis.name for row in rows))
    figure, axes = new_axes(2, 3.9, width_ratios=(6, 3.6))
    titles = {"test": "final test loss", "penalty": "final penalty"}
    for ax, (panel, title) in zip(axes, titles.items(), strict=True):
        here = [r for r in rows if r.comparison.panel == panel and r.comparison.minus is None]
        lambdas = sorted({row.comparison.lam for row in here})
        for row in here:
            place = names.index(row.hypothesis.name)
            at = lambdas.index(row.comparison.lam)
            _hypothesis_mark(ax, at + 0.16 * (place - (len(names) - 1) / 2), row, place)
            ax.hlines(row.predicted.published, at - 0.42, at + 0.42, color="#000000", lw=1.6)
        ax.set_xticks(range(len(lambdas)), [lambda_label(lam, name="") for lam in lambdas])
        ax.set(xlabel="$\\lambda$", ylabel=title, ylim=(0, None))
    keys = [
        Line2D([], [], color=colour, marker=mark, ms=5, lw=1.4)
        for colour, mark, _ in zip(HYPOTHESIS_COLOURS, HYPOTHESIS_MARKS, names, strict=False)
    ]
    keys.append(Line2D([], [], color="#000000", lw=1.6))
    figure.legend(keys, [*names, "published"], loc="outside lower center", ncols=4)
    return figure


def _hypothesis_mark(ax: Axes, x: float, row, place: int) -> None:
    """Mean and prediction interval of one residual."""
    own = row.predicted.interval
    ax.errorbar(
        x,
        own.value,
        [[own.value - own.low], [own.high - own.value]],
        color=HYPOTHESIS_COLOURS[place],
        marker=HYPOTHESIS_MARKS[place],
        ms=5,
        capsize=3,
        lw=1.4,
    )


@in_style
def hypothesis_curves(cases: Mapping[float, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> Figure:
    """Test loss over time under several hypotheses, λ by λ, with the published curve.

    ``cases[λ][name]`` = (times, values (seeds, times)): their mean, and the 95 % prediction
    interval of a mean of three.
    """
    figure, axes = new_axes(len(cases), 3.4, sharey=True)
    for ax, (lam, curves) in zip(axes, cases.items(), strict=True):
        for (name, (times, values)), colour in zip(
            curves.items(), (HYPOTHESIS_COLOURS[0], HYPOTHESIS_COLOURS[4]), strict=True
        ):
            _draw_runs(ax, times, values, colour, name)
        (curve,) = (c for c in published.curves("test") if c.lam == lam)
        times = np.geomspace(max(curve.times[0], 1.0), curve.times[-1], 24)
        ax.plot(
            log_x(times),
            curve.at(times),
            ls="",
            marker="o",
            ms=4.5,
            mfc="white",
            mec="#000000",
            label="published",
        )
        ax.set(xscale="log", xlabel="$t+1$", title=lambda_label(lam))
    axes[0].set(ylabel="test loss", ylim=(0, None))
    axes[0].legend()
    return figure


@in_style
def live_overlay(times: np.ndarray, flow: np.ndarray, descent: np.ndarray) -> Figure:
    """Test loss by gradient descent (dots) and by gradient flow (line)."""
    figure, (ax,) = new_axes(1, 2.9)
    ax.plot(
        log_x(times),
        descent,
        ls="",
        marker="o",
        ms=4.5,
        mfc="none",
        color=COLOURS["descent"],
        label="gradient descent",
    )
    ax.plot(log_x(times), flow, color=COLOURS["flow"], label="gradient flow")
    ax.set(xscale="log", xlabel="$t+1$", ylabel="test loss")
    ax.legend()
    return figure


@in_style
def flow_over_descent(pairs: Mapping[str, tuple[Run, Run]]) -> Figure:
    """Flow (line) over descent (dots): test loss, penalty and training loss of each named pair."""
    panels = {
        "test": "test loss",
        "R_2": "$R_2$",
        "train": "training loss",
    }
    figure, axes = new_axes(3, 2.7)
    for flow, descent in pairs.values():
        for ax, (name, title) in zip(axes, panels.items(), strict=True):
            t = log_x(descent.arrays["times"])
            ax.plot(
                t,
                descent.arrays[name],
                ls="",
                marker="o",
                ms=4.5,
                mfc="none",
                color=COLOURS["descent"],
                label="gradient descent",
            )
            ax.plot(
                log_x(flow.arrays["times"]),
                flow.arrays[name],
                color=COLOURS["flow"],
                label="gradient flow",
            )
            ax.set(xscale="log", xlabel="$t+1$", ylabel=title)
    axes[2].set_yscale("log")
    axes[0].legend()
    return figure


@in_style
def what_each_penalty_does(cases: Mapping[str, Sequence[Run]]) -> Figure:
    """Test loss, both leaks, and f_Q's share of the quadratic part, over time, case by case."""
    names = {
        "test": "test loss",
        "R_1": "population leak  $E\\,f_L(x;P_{>k}W)^2$",
        "R_2": "empirical leak  $R_2$",
        "quadratic_1": "share of the quadratic part in $f_Q$",
    }
    colours = ("#8c8c8c", "#CC79A7", "#0072B2")
    figure, axes = new_axes(4, 5.6, columns=2)
    for (label, records), colour in zip(cases.items(), colours, strict=False):
        for ax, (name, title) in zip(axes, names.items(), strict=True):
            values = np.array([r.arrays[name] for r in records])
            times = log_x(records[0].arrays["times"])
            ax.plot(times, values.mean(0), color=colour, label=label)
            ax.fill_between(times, values.min(0), values.max(0), color=colour, alpha=0.2, lw=0)
            ax.set(xscale="log", xlabel="$t+1$", ylabel=title)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@in_style
def shares_over_time(records: Sequence[Run]) -> Figure:
    """How much of the linear and of the quadratic part f_L and f_Q carry, on fresh inputs."""
    figure, axes = new_axes(2, 3.1, sharey=True)
    for ax, (j, part) in zip(axes, enumerate(("linear part", "quadratic part")), strict=True):
        for term, label in (("linear", "$f_L$"), ("quadratic", "$f_Q$")):
            values = np.array([r.arrays[f"{term}_{j}"] for r in records])
            times = log_x(records[0].arrays["times"])
            ax.plot(times, values.mean(0), color=COLOURS[term], label=label)
            ax.fill_between(
                times, values.min(0), values.max(0), color=COLOURS[term], alpha=0.2, lw=0
            )
        ax.axhline(1, color="#555555", lw=1, ls=":")
        ax.set(xscale="log", xlabel="$t+1$", ylabel=f"share of the {part}")
    axes[0].legend(loc="upper left")
    return figure


@in_style
def gram_spectrum(record: Run, n_k: int) -> Figure:
    """Eigenvalues of the training Gram matrix, and each eigenvector's overlap with the constant."""
    figure, axes = new_axes(2, 3.2)
    values, overlap = record.arrays["eigenvalues"], record.arrays["overlap"]
    index = np.arange(1, len(values) + 1)
    kept = index <= n_k
    axes[0].loglog(index[kept], values[kept], ".", color=COLOURS["linear"], label=f"kept: {n_k}")
    axes[0].loglog(index[~kept], values[~kept], ".", color="#8c8c8c", label="dropped")
    axes[0].loglog(
        n_k + 1,
        values[n_k],
        "o",
        mfc="none",
        ms=9,
        color=COLOURS["quadratic"],
        label=f"number {n_k + 1}",
    )
    axes[0].set(xlabel="number", ylabel="eigenvalue of $K$")
    axes[0].legend()
    near = slice(0, 2 * n_k)
    axes[1].plot(index[near], overlap[near], color="#8c8c8c", lw=1)
    axes[1].plot(n_k + 1, overlap[n_k], "o", mfc="none", ms=9, color=COLOURS["quadratic"])
    axes[1].set(xlabel="number", ylabel="squared overlap with the constant", ylim=(-0.02, 1))
    return figure
