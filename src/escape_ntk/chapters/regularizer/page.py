"""What the page *The regulariser* shows, and from which runs."""

from collections.abc import Sequence

import numpy as np

from escape_ntk.chapters.regularizer import chapter, figures
from escape_ntk.chapters.regularizer import runs as e
from escape_ntk.chapters.regularizer.claims import FEW, N_1, SEEDS, table
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.network import activation
from escape_ntk.study.claims import Runs

show = chapter.show


@chapter.figure("fig-ablation")
def ablation(runs: Runs):
    """R_1 × R_2 at the published size."""
    return figures.penalty_ablation(runs(e.ablation_points(FEW)))


@chapter.table(
    "published-size",
    ["λ_1", "λ_2", "test error", "quadratic in f_Q", "R_2", "R_1"],
    "Published size: mean of three seeds, test error with its range",
)
def published_size(runs: Runs) -> list[list[str]]:
    """One row for each (λ_1, λ_2): means, with the range of the test loss."""
    names = ("test", "quadratic_1", "R_2", "R_1")
    test, share, empirical, population = (table(runs, name) for name in names)
    return [
        [
            f"{one:g}",
            f"{two:g}",
            f"{v.mean():.3f} ({v.min():.3f} to {v.max():.3f})",
            f"{share[one, two].mean():.2f}",
            f"{empirical[one, two].mean():.1e}",
            f"{population[one, two].mean():.1e}",
        ]
        for (one, two), v in sorted(test.items())
    ]


@chapter.figure("fig-switches")
def switches(runs: Runs):
    """All on/off settings."""
    return figures.sixteen_settings(e.by_setting(runs(e.switch_points(SEEDS))))


@chapter.table(
    "noise",
    ["penalties", "test error", "error on the training inputs", "population leak"],
    "Labels with normal noise of variance 1/4; errors against f* itself: mean of five draws",
)
def noise(runs: Runs) -> list[list[str]]:
    """One row for each setting: its λ, and mean errors and leak."""
    rows = []
    for on, group in e.by_setting(runs(e.noise_points(SEEDS))).items():
        means = [np.mean([r.summary[key] for r in group]) for key in ("test", "train", "R_1")]
        rows.append([setting_name(on), *(f"{mean:.3f}" for mean in means)])
    return rows


def setting_name(on: Sequence[str]) -> str:
    """``"R_1 + R_2"`` from the names of the λ that are on."""
    return " + ".join(f"R_{1 + list(e.BASE).index(name)}" for name in on) or "none"


@chapter.figure("fig-sensitivity")
def sensitivity(runs: Runs):
    """Each λ over four decades."""
    return figures.sensitivity({name: runs(points) for name, points in e.scan_points(FEW).items()})


@chapter.figure("fig-cut")
def cut(runs: Runs):
    """A Gram spectrum with the foreseen one, and test errors over n_k."""
    foreseen = ntk_spectrum(activation(e.SIGMOID), e.Regularized.d)
    values = foreseen.gram_eigenvalues(e.Regularized.n, 1)
    return figures.where_to_cut(runs(e.cut_points(SEEDS)), values, N_1)
