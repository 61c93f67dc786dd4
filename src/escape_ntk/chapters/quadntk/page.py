"""What the page *QuadNTK* shows, and from which runs."""

from functools import partial

from escape_ntk.chapters.quadntk import chapter, figures
from escape_ntk.chapters.quadntk import runs as e
from escape_ntk.chapters.quadntk.claims import (
    PRICE,
    SMALL_PRICE,
    by_dimension,
    foreseen_error,
    log_ratio,
    ntk_error,
    start_error,
)
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.study.claims import Runs

show = chapter.show


@chapter.figure("fig-alone")
def alone(runs: Runs):
    """Both methods over the sample size, on a sparse and on a dense target."""
    records = runs(e.opening_points(e.SEEDS))
    panels = {
        "sparse cubic": [r for r in records if not r.config["dense"]],
        "dense quadratic": [r for r in records if r.config["dense"]],
    }
    return figures.alone(panels)


@chapter.figure("fig-construction")
def construction(runs: Runs):
    """Leak and error of the explicit movement, over the width."""
    made = {k: runs([e.Construction(seed, k) for seed in e.SEEDS]) for k in (1, 2)}
    return figures.construction(made)


@chapter.figure("fig-saddle")
def saddle(runs: Runs):
    """Training from starts of several sizes."""
    starts = {size: runs([e.Saddle(seed, size) for seed in e.SEEDS]) for size in e.SCALES}
    return figures.saddle(starts)


@chapter.figure("fig-price")
def price(runs: Runs):
    """Ratio of the two errors, over the dimension."""
    linear, dense = (runs(e.dense_points(e.SEEDS, k)) for k in (1, 2))
    ratios = {
        "linear, $n=3n_1$": by_dimension(linear, PRICE),
        "dense quadratic, $n=3n_2$": by_dimension(dense, PRICE),
        "sparse cubic, $n=4n_2$": by_dimension(runs(e.sparse_points(e.SEEDS)), PRICE),
        "dense quadratic, smallest start": by_dimension(dense, SMALL_PRICE),
    }
    foreseen = {d: foreseen_price(d) for d in e.DENSE_DIMS[2]}
    return figures.price(ratios, {"foreseen for a frozen start": foreseen})


def foreseen_price(d: int) -> float:
    """Predicted error of K_Q (a frozen start) over that of the infinite NTK: dense quadratic."""
    return foreseen_error(d) / foreseen_error(d, ntk_spectrum)


STARTS_HEADER = (
    "target", "d", *(f"start {scale:g}" for scale in e.Alone.scales), "NTK"
)  # fmt: skip


@chapter.table(
    "tab-starts",
    STARTS_HEADER,
    "Test error, geometric mean over five seeds; each start tuned over λ_4 and time by validation.",
)
def starts(runs: Runs) -> list[list[object]]:
    """QuadNTK's error from each start beside the NTK's, by target and dimension."""
    kinds = {
        "sparse cubic": e.sparse_points(e.SEEDS),
        "dense quadratic": e.dense_points(e.SEEDS, 2),
    }
    values = [partial(start_error, place=i) for i in range(len(e.Alone.scales))]
    rows = []
    for kind, points in kinds.items():
        columns = [by_dimension(runs(points), log_ratio(value)) for value in (*values, ntk_error)]
        rows += [[kind, d, *(f"{column[d].value:.3f}" for column in columns)] for d in columns[0]]
    return rows


@chapter.figure("fig-frozen")
def frozen(runs: Runs):
    """Error with the kernel of a frozen start over the foreseen one, over the width."""
    return figures.frozen_kernel(runs(e.kernel_points()), foreseen_error)
