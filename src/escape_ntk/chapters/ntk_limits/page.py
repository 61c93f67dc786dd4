"""What the page *NTK limits* shows, and from which runs."""

from collections.abc import Sequence

import numpy as np

from escape_ntk.chapters.ntk_limits import chapter, figures
from escape_ntk.chapters.ntk_limits import runs as e
from escape_ntk.display import html
from escape_ntk.study import reading
from escape_ntk.study.claims import Runs

show = chapter.show


@chapter.figure("fig-staircase")
def staircase(runs: Runs):
    """Shares learned and errors, over the sample size."""
    stairs = {d: runs([e.Staircase(seed, d) for seed in e.SEEDS]) for d in e.STAIRCASE_DIMS}
    return figures.staircase(stairs, main=20)


@chapter.figure("fig-lazy")
def lazy(runs: Runs):
    """The kernel and trained networks, over the width."""
    widths = runs([e.KernelWidth(seed) for seed in e.SEEDS])
    return figures.width_and_laziness(widths, runs([e.Lazy(seed) for seed in e.SEEDS]))


@chapter.figure("fig-eigenvalues")
def eigenvalues(runs: Runs):
    """Eigenvalues by degree, over the dimension."""
    return figures.eigenvalues_by_degree(runs([e.EigenvalueSlopes(a) for a in (e.SINE, e.SIGMOID)]))


def show_live(
    sizes: Sequence[int], measured: np.ndarray, foreseen: np.ndarray
) -> html.Html | reading.Picture:
    """In a cell of the page: the figure of what the reader just computed, and its strip."""
    figure = figures.live_staircase(sizes, measured, foreseen)
    return chapter.live("fig-live-staircase", figure, "shares learned, measured and foreseen")
