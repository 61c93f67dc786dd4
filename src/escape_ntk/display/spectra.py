"""Leading eigenvalues with their steps, and where a number of learnable directions cuts."""

import numpy as np
from matplotlib.figure import Figure

from escape_ntk.display.style import COLOURS, in_style, new_axes


@in_style
def leading_eigenvalues(eigenvalues: np.ndarray, n_k: int, step: float = 1.5) -> Figure:
    """Λ_j/Λ_1 against j; ringed where the next is smaller by ``step`` or more; the cut at n_k."""
    shown = np.asarray(eigenvalues)[: max(3 * n_k, 30)]
    shown = shown[shown > 0] / shown[0]
    ranks = np.arange(1, len(shown) + 1)
    falls = np.flatnonzero(shown[:-1] >= step * shown[1:])
    figure, (ax,) = new_axes(1, 3.0)
    ax.semilogy(ranks, shown, color="#555555", marker="o", ms=3, lw=0.8)
    ax.semilogy(
        ranks[:n_k], shown[:n_k], color=COLOURS["linear"], marker="o", ms=5, ls="", label="good"
    )
    ax.semilogy(
        ranks[falls],
        shown[falls],
        color=COLOURS["quadratic"],
        marker="o",
        mfc="none",
        ms=10,
        ls="",
        label=f"before a step of {step:g} or more",
    )
    ax.axvline(n_k + 0.5, color=COLOURS["linear"], lw=1, ls="--", label=f"n_k = {n_k}")
    ax.set(xlabel="j", ylabel="Λ_j / Λ_1", title="Tangent kernel: leading eigenvalues")
    ax.legend()
    return figure
