"""What the page *A standard network* shows, and from which runs."""

from collections.abc import Sequence

import numpy as np

from escape_ntk.chapters.mlp import chapter, figures
from escape_ntk.chapters.mlp import runs as e
from escape_ntk.chapters.mlp.claims import (
    at_step,
    by_dimension,
    climbs,
    crossing,
    cubics,
    last_n,
    last_training_loss,
    share_after_all,
)
from escape_ntk.records.store import Record
from escape_ntk.study.claims import Runs

show = chapter.show


def by_dense_part(runs: Runs) -> dict[str, list[Record]]:
    """All climbs, by the name of their dense part."""
    return {dense: climbs(runs, dense) for dense in e.DENSE}


@chapter.figure("fig-network-thresholds")
def thresholds(runs: Runs):
    """Samples needed over d, and the variance of the dense part."""
    records = by_dense_part(runs)
    return figures.network_thresholds(
        {dense: by_dimension(own) for dense, own in records.items()},
        {dense: last_of_censored(own) for dense, own in records.items()},
        lambda d: e.published_moments(d)[1],
    )


def last_of_censored(records: Sequence[Record]) -> dict[int, float]:
    """The largest n that was run at each d where some seed never fell below the level."""
    return {r.config["d"]: last_n(r) for r in records if r.summary["first_below"] is None}


@chapter.table(
    "moments",
    ["d", "entries s", "mean", "variance", "second moment", "below .1 without it?"],
    "The dense part as published, s/√675 and 2s/675",
)
def moments(runs: Runs) -> list[list[str]]:
    """The erratum's table, no run is needed: entries of A and moments of the dense part."""
    return [moments_at(d) for d in (10, 20, 30, 40, 50, 68, 70, 100)]


def moments_at(d: int) -> list[str]:
    """Its row for one d: entries of A, mean, variance and second moment of the dense part."""
    mean, variance = e.published_moments(d)
    cells = [f"{x:.3f}" for x in (mean, variance, mean**2 + variance)]
    return [str(d), str(e.dense_entries(d)), *cells, "yes" if variance < 0.1 else "no"]


@chapter.table(
    "thresholds",
    ["d", "published", "normalised", "mean alone", "cubics/d²"],
    "n_.1/d²: median (range) of the seeds; cubics: C(d + 3, 3)",
)
def threshold_rows(runs: Runs) -> list[list[str]]:
    """d, n_.1/d² by dense part (median and range; how many censored), and what a kernel counts."""
    records = by_dense_part(runs)
    rows = []
    for d in e.GRIDS:
        cells = [multiple([r for r in own if r.config["d"] == d], d) for own in records.values()]
        rows.append([str(d), *cells, f"{cubics(d) / d**2:.1f}"])
    return rows


def multiple(records: Sequence[Record], d: int) -> str:
    """Median and range over the seeds of one d; the largest n run stands for a censored one."""
    if not records:
        return "not run"
    found = np.array([crossing(r) for r in records]) / d**2
    values = np.where(np.isfinite(found), found, [r.arrays["n"][-1] / d**2 for r in records])
    lost = int(np.isnan(found).sum())
    reach = f" to over {values.max():.1f}" if lost else f"–{values.max():.1f}"
    text = f"{np.median(values):.1f} ({values.min():.1f}{reach})"
    if lost > len(records) / 2:
        text = f"over {values.max():.1f}"
    return f"{text}, {lost} of {len(records)} censored" if lost else text


@chapter.table(
    "training-loss",
    ["d", "ReLUs", "published", "normalised", "count"],
    "Training loss at the end, on the largest training set of a climb: medians; last column: what "
    "so many ReLUs miss of the normalised dense part, by the count below",
)
def training_loss(runs: Runs) -> list[list[str]]:
    """d, N, training loss at the last n by dense part (median), and the count."""
    found = [by_dimension(climbs(runs, dense), last_training_loss) for dense in e.DENSE[:2]]
    rows = []
    for d in e.GRIDS:
        cells = [f"{np.median(list(row[d].values())):.3f}" for row in found]
        rows.append([str(d), str(e.Climb.width), *cells, _count(d, e.Climb.width)])
    wide = by_dimension(runs(e.wider_points(e.SEEDS)), last_training_loss)
    for d, row in wide.items():
        typical = f"{np.median(list(row.values())):.4f}"
        rows.append([str(d), str(e.WIDER), "not run", typical, _count(d, e.WIDER)])
    return rows


def _count(d: int, width: int) -> str:
    return f"{e.representable(d, width):.3f}"


STEPS = (10_558, 14_954, 21_181)
"""Recorded steps near a third, half and two thirds of the 30 000."""


@chapter.table(
    "budget",
    ["d", "dense part", *(f"samples, {s} steps" for s in STEPS), f"test loss, {STEPS[1]} steps"],
    "After fewer steps, over what it is after 30 000: the samples needed, and the test loss at the "
    "largest n of a climb; medians. In brackets how many seeds are censored then: they count as "
    "infinite, so that the number is an upper bound; none where half or more are.",
)
def budget(runs: Runs) -> list[list[str]]:
    """d, dense part, n_.1 at fewer steps over that at the end, and the test loss at half."""
    rows = []
    for dense, words in (("published", "as published"), ("normalized", "normalised")):
        for d in e.GRIDS:
            own = [r for r in climbs(runs, dense) if r.config["d"] == d]
            loss = np.median([at_step(r, STEPS[1])[-1] / r.arrays["test"][-1] for r in own])
            rows.append([str(d), words, *(_dearer(own, step) for step in STEPS), f"{loss:.2f}"])
    return rows


def _dearer(records: Sequence[Record], step: int) -> str:
    """Median of n_.1 at a step over that at the end, of seeds that are not censored at the end."""
    known = [r for r in records if np.isfinite(crossing(r))]
    shares = [share_after_all(r, step) for r in known]
    lost = shares.count(0.0)
    value = f"{1 / np.median(shares):.2f}" if 2 * lost < len(shares) else "censored"
    return f"{value} ({lost} of {len(known)})" if lost else value


@chapter.figure("fig-loss-over-samples")
def loss_over_samples(runs: Runs):
    """Test loss of every seed at three dimensions."""
    return figures.loss_over_samples(by_dense_part(runs), (10, 30, 100))
