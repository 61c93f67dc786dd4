"""Figures of the chapter *Sample complexity*."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, METHODS, Run, in_style, new_axes

PARTS = {"error": "test error", "dense": "missed of dense", "sparse": "missed of sparse"}


@in_style
def methods_by_dimension(runs: Mapping[str, Sequence[Run]]) -> Figure:
    """Test error, and what is missed of each part, over the dimension: one colour a method."""
    return _methods(runs, "d", "dimension $d$")


@in_style
def methods_by_samples(runs: Mapping[str, Sequence[Run]]) -> Figure:
    """The same over the number of samples, at one dimension."""
    return _methods(runs, "n", "samples $n$")


def _methods(runs: Mapping[str, Sequence[Run]], key: str, words: str) -> Figure:
    """Test error, and what is missed of each part, over one size of the runs."""
    figure, axes = new_axes(len(PARTS), 3.2)
    every = sorted({r.config[key] for method in METHODS for r in runs[method]})
    for ax, (part, label) in zip(axes, PARTS.items(), strict=True):
        for place, (method, (name, mark)) in enumerate(METHODS.items()):
            sizes = sorted({r.config[key] for r in runs[method]})
            rows = [[r.summary[part] for r in runs[method] if r.config[key] == s] for s in sizes]
            x, colour = np.array(sizes) + (every[-1] - every[0]) / 48 * (place - 1), COLOURS[method]
            for at, row in zip(x, rows, strict=True):
                ax.plot([at] * len(row), row, mark, color=colour, ms=3.5, alpha=0.6, mew=0)
            ax.plot(x, [np.mean(row) for row in rows], color=colour, label=name)
        ax.set(xlabel=words, ylabel=label, ylim=(0, None))
        ax.set_xticks(every)
        if part != "error":
            ax.axhline(0.5, color="#555555", lw=1, ls=":")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


BESIDE = {
    "ntk": (2, (-14, 18), "right"),
    "quadntk": (3, (-4, 17), "center"),
    "joint": (1, (14, -20), "left"),
}
"""Where words stand: beside which mark, how far from it in points, and on which side of that."""
Thresholds = Mapping[int, Mapping[int, float]]
"""n_τ by d and seed; NaN where it was not reached."""


@in_style
def thresholds_by_dimension(
    found: Mapping[str, Thresholds],
    sizes: Mapping[str, Callable[[int], float]],
    noisy: Mapping[str, Thresholds] | None = None,
    words: Mapping[str, str] | None = None,
) -> Figure:
    """n_τ over d, one colour a method: median and range of the seeds; dotted: ∝ its n_ℓ.

    ``sizes``: what each method is expected to follow.  ``noisy``: those with noisy labels, hollow
    and dashed.  ``words``: of each method, beside a mark of it, in the place of a legend.
    Dimensions with a censored seed are left out.
    """
    figure, (ax,) = new_axes(1, 3.8)
    for method, (name, mark) in METHODS.items():
        dims, middle, span = _medians(found[method])
        colour = COLOURS[method]
        ax.errorbar(dims, middle, span, fmt=mark, ms=5, color=colour, capsize=3, label=name)
        if noisy and method in noisy:
            at, own, arms = _medians(noisy[method])
            kind = {"marker": mark, "ls": "--", "lw": 1, "mfc": "white", "ms": 6, "capsize": 3}
            ax.errorbar(at * 1.04, own, arms, color=colour, label=f"{name}, noisy labels", **kind)
        guide = np.array([sizes[method](int(d)) for d in dims])
        scale = np.exp(np.mean(np.log(middle / guide)))
        ax.plot(dims, scale * guide, color=colour, ls=":", lw=1.2)
        if words:
            at, offset, side = BESIDE[method]
            ax.annotate(
                words[method],
                (dims[at], middle[at]),
                offset,
                textcoords="offset points",
                ha=side,
                va="center",
                color=colour,
                fontsize=11,
            )
    every = sorted({d for rows in found.values() for d in rows})
    ax.set(xscale="log", yscale="log", xlabel="dimension $d$", ylabel="samples needed")
    ax.set_xticks(every, [str(d) for d in every])
    low, high = ax.get_ylim()
    ticks = [c * 10**j for j in range(1, 6) for c in (1, 2, 5) if low < c * 10**j < high]
    ax.set_yticks(ticks, [str(n) for n in ticks])
    ax.minorticks_off()
    if words:
        ax.set_ylabel("examples needed")
    else:
        ax.legend()
    return figure


def _medians(found: Thresholds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(d, median, arms down and up), over the dimensions where no seed is censored."""
    kept = {d: list(row.values()) for d, row in found.items()}
    kept = {d: row for d, row in kept.items() if all(map(math.isfinite, row))}
    middle, low, high = (
        np.array([pick(row) for row in kept.values()]) for pick in (np.median, min, max)
    )
    return np.array(list(kept), dtype=float), middle, np.vstack([middle - low, high - middle])


@in_style
def error_map(runs: Mapping[str, Sequence[Run]], factors: Sequence[float], n_k: Callable) -> Figure:
    """Mean test error over d and n/n_k, one panel a method; cells that were not run stay empty."""
    dims = sorted({r.config["d"] for rows in runs.values() for r in rows})
    figure, axes = new_axes(len(runs), 3.9, sharey=True)
    norm, pictures = LogNorm(0.03, 1.0), []
    for ax, method in zip(axes, METHODS, strict=True):
        cells: dict[tuple[int, int], list[float]] = {}
        for r in runs[method]:
            cells.setdefault((r.config["d"], r.config["n"]), []).append(r.summary["error"])
        values = np.full((len(factors), len(dims)), np.nan)
        for i, factor in enumerate(factors):
            for j, d in enumerate(dims):
                if (d, round(factor * n_k(d))) in cells:
                    values[i, j] = np.mean(cells[d, round(factor * n_k(d))])
        pictures.append(
            ax.imshow(values, origin="lower", aspect="auto", cmap="cividis_r", norm=norm)
        )
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                light = norm(value) > 0.55
                text = f"{value:.2f}".lstrip("0")
                colour = "#ffffff" if light else "#000000"
                ax.text(j, i, text, ha="center", va="center", fontsize=8, color=colour)
        ax.grid(False)
        ax.set(xlabel="dimension $d$", title=METHODS[method][0])
        ax.set_xticks(range(len(dims)), [str(d) for d in dims])
        ax.set_yticks(range(len(factors)), [f"{f:g}" for f in factors])
    axes[0].set_ylabel("samples, in units of $n_k$")
    figure.colorbar(
        pictures[-1], ax=axes, label="test error", shrink=0.9, ticks=[0.03, 0.1, 0.3, 1]
    )
    return figure
