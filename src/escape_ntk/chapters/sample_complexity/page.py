"""What the page *Sample complexity* shows, and from which runs."""

import numpy as np

from escape_ntk.chapters.sample_complexity import chapter, figures, widget
from escape_ntk.chapters.sample_complexity import runs as e
from escape_ntk.chapters.sample_complexity.claims import (
    DEGREE_ABOVE,
    LABELS,
    LEVELS,
    METHODS,
    NOISY,
    SEEDS,
    chief,
    cubic,
    exponents,
    joint_rows,
    local_exponents,
    map_runs,
    multiples,
    noisy_thresholds,
    uncensored,
    unregularized,
)
from escape_ntk.display import html
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.numerics.stats import Interval, mean_interval
from escape_ntk.records.store import Record
from escape_ntk.study.claims import Runs
from escape_ntk.study.dense_plus_sparse import PARTS

show = chapter.show


def whole_map(runs: Runs, k: int) -> dict[str, list[Record]]:
    """The records of the error map by method."""
    return {method: map_runs(runs, method, k) for method in METHODS}


IN_WORDS = {
    "ntk": "$f_L$ alone, a kernel: like $d^3$",
    "quadntk": "$f_Q$ alone",
    "joint": "$f_L+f_Q$ together: like $d^2$",
}
"""The methods, for a reader who does not know their names yet."""


def thresholds(runs: Runs, k: int, noisy: dict | None = None, words: dict | None = None):
    """n_.25 over d, with what each method is expected to follow; ``noisy``: with noisy labels."""
    found = {m: e.thresholds(records, LEVELS[0]) for m, records in whole_map(runs, k).items()}
    follows = {
        m: lambda d, degree=k + up: cumulative_multiplicity(d, degree)
        for m, up in DEGREE_ABOVE.items()
    }
    return figures.thresholds_by_dimension(found, follows, noisy, words)


@chapter.figure("fig-thresholds")
def thresholds_2(runs: Runs):
    """Those for k = 2."""
    return thresholds(runs, 2)


@chapter.figure("fig-samples")
def thresholds_in_words(runs: Runs):
    """Those for k = 2, for the home page and *The idea in fifteen minutes*."""
    return thresholds(runs, 2, words=IN_WORDS)


@chapter.figure("fig-thresholds-1")
def thresholds_1(runs: Runs):
    """Those for k = 1, and with noisy labels."""
    return thresholds(runs, 1, {method: noisy_thresholds(runs, method) for method in NOISY})


@chapter.table(
    "tuning",
    [
        "runs",
        "training labels",
        "validation labels",
        "NTK: no ridge",
        "largest ridge",
        "smallest start",
        "λ_4 = 0",
        "largest λ_2",
        "QuadNTK stops last",
        "joint stops last",
    ],
    "Choices at n = 3 n_2, number of runs",
)
def tuning_row(runs: Runs) -> list[list[str]]:
    """How often, among the runs at n = 3 n_2, a choice lies at the edge of what was tried."""
    by = chief(runs)
    kernel, quad, joint = ([r.summary for r in by[name]] for name in METHODS)
    sizes, held_out = ([r.config[name] for r in by["joint"]] for name in ("n", "n_validation"))
    return [
        [
            str(len(joint)),
            f"{min(sizes)} to {max(sizes)}",
            str(max(held_out)),
            str(sum(s["ridge"] == 0 for s in kernel)),
            str(sum(s["ridge"] == max(e.NTK.ridges) for s in kernel)),
            str(sum(s["scale"] == min(e.QuadNTK.scales) for s in quad)),
            str(sum(s["norm"] == 0 for s in quad)),
            str(sum(s["empirical"] == max(e.Joint.empirical) for s in joint)),
            str(sum(s["time"] == e.Flow.t_end for s in quad)),
            str(sum(s["time"] == e.Flow.t_end for s in joint)),
        ]
    ]


@chapter.figure("fig-methods")
def methods(runs: Runs):
    """Test errors at n = 3 n_2, and what is missed of each half."""
    return figures.methods_by_dimension(chief(runs))


@chapter.figure("fig-cubic")
def cubic_methods(runs: Runs):
    """Test errors at k = 3, and what is missed of each half."""
    return figures.methods_by_samples(cubic(runs))


@chapter.table(
    "joint-widths",
    ["m", "λ_2", "n_.25 over n_2", "error at 3 n_2, best moment", "at the end", "its rest"],
    "The joint model over the width, k = 2, d = 12: median (range) of five seeds",
)
def width_rows(runs: Runs) -> list[list[str]]:
    """Thresholds, and errors at the largest n, by width and λ_2."""
    n_2, rows = cumulative_multiplicity(e.JOINT_WIDTH_DIM, 2), []
    for m in e.JOINT_WIDTHS:
        for weight in e.rules(m):
            own = joint_rows(runs, m, weight)
            most = own[max(own)].values()
            keys = ("error", "end_error", "end_rest")
            cells = [_spread([row[key] for row in most]) for key in keys]
            found = np.array(e.crossings(own, LEVELS[0]))
            first = _range(found, n_2, max(own))
            rows.append([str(m), f"{weight:g}", first, *cells])
    return rows


def _spread(values: list[float]) -> str:
    return f"{np.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


@chapter.table(
    "methods",
    ["d", "method", "test error (range)", "missed dense", "missed sparse", "rest"],
    "n = 3 n_2, means of five seeds",
)
def chief_rows(runs: Runs) -> list[list[str]]:
    """Mean test error with its range, and what is missed of each part, by d and method."""
    rows = []
    by_method = chief(runs)
    values = {name: [r.summary for r in records] for name, records in by_method.items()}
    values["joint, λ_2 = 0"] = [unregularized(r) for r in by_method["joint"]]
    dims = [r.config["d"] for r in by_method["joint"]]
    for d in e.CHIEF_DIMS:
        for name, summaries in values.items():
            own = [s for s, where in zip(summaries, dims, strict=True) if where == d]
            errors = [s["error"] for s in own]
            parts = [f"{np.mean([s[part] for s in own]):.3f}" for part in PARTS]
            spread = f"{np.mean(errors):.3f} ({min(errors):.3f}–{max(errors):.3f})"
            rows.append([str(d), LABELS.get(name, name), spread, *parts])
    return rows


@chapter.table(
    "exponents",
    ["k", "method", "error", "d", "slope in log n_k", "in log n_(k+1)", "in log d"],
    "Exponents with 95 % intervals over seeds, on the dimensions where no seed is censored",
)
def exponent_rows(runs: Runs) -> list[list[str]]:
    """Slopes of log n_τ in log n_k, log n_{k+1} and log d, with 95 % intervals over seeds."""
    rows = []
    for k in (2, 1):
        for method in METHODS:
            records = map_runs(runs, method, k)
            for level in LEVELS:
                dims = list(uncensored(records, level))
                if len(dims) < 3:
                    continue
                cells = [
                    _two_digits(mean_interval(exponents(records, level, size)))
                    for size in (
                        lambda d, k=k: cumulative_multiplicity(d, k),
                        lambda d, k=k: cumulative_multiplicity(d, k + 1),
                        lambda d: d,
                    )
                ]
                label = f"{dims[0]}–{dims[-1]}"
                rows.append([str(k), LABELS[method], f"{level:g}", label, *cells])
    return rows


@chapter.table(
    "local",
    ["k", "d", "NTK, in n_(k+1)", "QuadNTK, in n_k", "joint, in n_k", "QuadNTK over joint"],
    "Local exponents of n_.25 from one dimension to the next, with 95 % intervals over seeds; last "
    "column: QuadNTK's samples over those of the joint model at the larger dimension",
)
def local_rows(runs: Runs) -> list[list[str]]:
    """Local exponents by k, pair of dimensions and method, and the multiple; — where censored."""
    rows = []
    for k in (2, 1):
        found = {}
        for method, up in DEGREE_ABOVE.items():
            records = map_runs(runs, method, k)
            found[method] = local_exponents(
                records, LEVELS[0], lambda d, degree=k + up: cumulative_multiplicity(d, degree)
            )
        over = multiples(runs, k)
        for pair in found["joint"]:
            cells = [
                _two_digits(mean_interval(own[pair])) if pair in own else "—"
                for own in found.values()
            ]
            last = _two_digits(mean_interval(over[pair[1]])) if pair[1] in over else "—"
            rows.append([str(k), f"{pair[0]}–{pair[1]}", *cells, last])
    return rows


def _two_digits(interval: Interval) -> str:
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


@chapter.figure("fig-map")
def error_map(runs: Runs):
    """Test errors over d and n, k = 2."""
    return figures.error_map(
        whole_map(runs, 2), e.TAYLOR_FACTORS[2], lambda d: cumulative_multiplicity(d, 2)
    )


@chapter.figure("fig-parts")
def parts(runs: Runs) -> html.Html:
    """One place of the map, its errors by part: the reader picks it."""
    return widget.parts(whole_map(runs, 2))


@chapter.figure("thresholds")
def every_threshold(runs: Runs) -> html.Html:
    """A folded table for each k."""
    header = ["method", "error", "d", "n over n_(k+1) (NTK) or n_k (others)"]
    tables = [
        html.table(header, threshold_rows(runs, k), f"k = {k}: median and range of five seeds")
        for k in (2, 1)
    ]
    return html.folded("Every threshold", *tables)


def threshold_rows(runs: Runs, k: int) -> list[list[str]]:
    """n_τ over n_k or n_{k+1}: median over seeds with its range, by d, τ and method."""
    rows = []
    for method in METHODS:
        records, degree = map_runs(runs, method, k), k + DEGREE_ABOVE[method]
        for level in LEVELS:
            for d, row in e.thresholds(records, level).items():
                size, values = cumulative_multiplicity(d, degree), np.array(list(row.values()))
                most = max(r.config["n"] for r in records if r.config["d"] == d)
                rows.append([LABELS[method], f"{level:g}", str(d), _range(values, size, most)])
    return rows


def _range(values: np.ndarray, size: int, most: int) -> str:
    """Median (least–most) of ``values``/``size``; censored ones are larger than the grid."""
    if not np.isfinite(values).all():
        return f"not all reach it by {most / size:.2g} (n = {most})"
    v = values / size
    return f"{np.median(v):.2f} ({v.min():.2f}–{v.max():.2f})"


@chapter.figure("cost")
def cost(runs: Runs) -> html.Html:
    """What the sweep took, in a table whose caption has the total."""
    every = runs(e.full_points(SEEDS))
    total = sum(r.provenance["wall_seconds"] for r in every) / 3600  # one thread a point
    return html.table(
        ["k", "d", "method", "points", "median seconds", "longest", "minutes in all"],
        cost_rows(runs),
        f"Cost as recorded; with the other widths {total:.1f} core hours in all",
    )


def cost_rows(runs: Runs) -> list[list[str]]:
    """Points × seconds of the whole sweep, by k, d and method: what a cluster has to do."""
    rows = []
    for k in (2, 1):
        for method in METHODS:
            records = map_runs(runs, method, k)
            for d in e.DIMS[k]:
                own = [r.provenance["wall_seconds"] for r in records if r.config["d"] == d]
                if not own:
                    continue
                total = sum(own) / 60
                rows.append(
                    [
                        str(k),
                        str(d),
                        LABELS[method],
                        str(len(own)),
                        f"{np.median(own):.0f}",
                        f"{max(own):.0f}",
                        f"{total:.0f}",
                    ]
                )
    return rows
