"""What the page *Other ways out* shows, and from which runs."""

from collections.abc import Sequence

import numpy as np

from escape_ntk.chapters.other_ways import chapter, figures
from escape_ntk.chapters.other_ways import runs as e
from escape_ntk.chapters.other_ways.claims import (
    CHIEF,
    FINE,
    LABELS,
    SEEDS,
    all_slopes,
    as_expected,
    labels_of,
    needed,
)
from escape_ntk.chapters.other_ways.methods import METHODS
from escape_ntk.chapters.other_ways.predictions import PREDICTIONS
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.numerics.stats import Interval
from escape_ntk.study.claims import Runs

show = chapter.show


@chapter.figure("fig-other-ways")
def at_a_glance(runs: Runs):
    """Labels for a test error of 1/4 at the largest d, by method and target."""
    largest = {k: max(dims) for k, dims in e.DIMS.items()}
    labels = {target: needed(runs, target, CHIEF) for target in e.TARGETS}
    rows = {
        target: {k: {m: of_method[m][k][d] for m in METHODS} for k, d in largest.items()}
        for target, of_method in labels.items()
    }
    unit = {k: float(cumulative_multiplicity(d, k)) for k, d in largest.items()}
    sizes = e.Climb(1, "ntk", "both", 1, 12).sizes()
    return figures.at_a_glance(rows, unit, (float(sizes[0]), float(sizes[-1])), LABELS)


@chapter.figure("fig-other-growth")
def over_dimension(runs: Runs):
    """Labels over d for dense plus sparse, every method."""
    labels = needed(runs, "both", CHIEF)
    return figures.over_dimension({k: {m: labels[m][k] for m in METHODS} for k in e.DIMS}, LABELS)


@chapter.table(
    "expected",
    ["method", "target", "k", "expected", "slope", "as expected", "why"],
    "What was expected of each method before it was run: the labels grow like n_a over d, a the "
    "power; slope in that growth, with its 95 % interval over five seeds",
)
def expected_rows(runs: Runs) -> list[list[str]]:
    """Every case with its expected power, the measured slope, and whether it was met."""
    slopes, powers = all_slopes(runs, False)
    verdicts = as_expected(slopes, powers)
    rows = []
    for method in METHODS:
        for target in e.TARGETS:
            for k in e.DIMS:
                name = f"{method}_{target}_{k}".replace("-", "_")
                got, verdict = slopes[name], verdicts[name]
                word = "not read" if verdict is None else "yes" if verdict else "no"
                why = PREDICTIONS[method].why if (target, k) == (e.TARGETS[0], 1) else ""
                row = [LABELS[method], target, str(k), f"n_{powers[name]}", _short(got), word, why]
                rows.append(row)
    return rows


def _short(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


@chapter.table(
    "cost",
    ["method", "k", "labels for 1/4", "for 1/10", "gradients at 1/10", "seconds of the climb"],
    "Dense plus sparse at the largest d: medians of five seeds, a dash where one came short; "
    "seconds of one shared core for all sizes up to there, the least of the five",
)
def cost_rows(runs: Runs) -> list[list[str]]:
    """What the last size of a climb cost, by method and k."""
    rows = []
    for method in METHODS:
        for k, dims in e.DIMS.items():
            points = [p for p in e.climbs("both", SEEDS, [method]) if (p.k, p.d) == (k, max(dims))]
            records = runs(points)
            labels = [[labels_of(r, level) for r in records] for level in (CHIEF, FINE)]
            spent = np.median([r.arrays["gradients"][-1] for r in records])
            seconds = min(r.provenance["wall_seconds"] for r in records)
            counts = [_median(values) for values in labels]
            gradients = "–" if counts[1] == "–" else f"{spent:.0f}"
            rows.append([LABELS[method], str(k), *counts, gradients, f"{seconds:.0f}"])
    return rows


def _median(values: Sequence[float]) -> str:
    return f"{np.median(values):.0f}" if np.isfinite(values).all() else "–"
