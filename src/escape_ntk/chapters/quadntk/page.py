"""What the page *QuadNTK* shows, and from which runs."""

from escape_ntk.chapters.quadntk import chapter, figures
from escape_ntk.chapters.quadntk import runs as e
from escape_ntk.chapters.quadntk.claims import PRICE, SMALL_PRICE, by_dimension, foreseen_error
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


@chapter.figure("fig-frozen")
def frozen(runs: Runs):
    """Error with the kernel of a frozen start over the foreseen one, over the width."""
    return figures.frozen_kernel(runs(e.kernel_points()), foreseen_error)
