"""Claims of the chapter *A standard network*: samples that a ReLU network needs, over d."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from escape_ntk.claims.ledger import (
    Claim,
    Evidence,
    at_least,
    at_most,
    names,
    ratio_one,
    require,
    slope_near,
)
from escape_ntk.experiments import mlp as e
from escape_ntk.records import Record, RecordStore
from escape_ntk.stats import first_crossing, log_slope

CHAPTER = "mlp"
COMMAND = "escape-ntk run mlp"
LINE = 6.0
"""The notebook draws n = 6d² beside its thresholds.  [C]"""


def climbs(store: RecordStore, dense: str) -> list[Record]:
    """The records of one dense part, in the order of (d, seed)."""
    return require([p for p in e.full_points(e.SEEDS) if p.dense == dense], store, COMMAND)


def crossing(record: Record) -> float:
    """n at which the test loss at the end falls to the level, between grid points; NaN: censored.

    Linear between logarithms; a climb that is below at its first n has only that upper bound.
    """
    return first_crossing(record.arrays["n"], record.arrays["test"], record.config["level"])


def by_dimension(records: Sequence[Record], value=crossing) -> dict[int, dict[int, float]]:
    """Values by d and seed."""
    found: dict[int, dict[int, float]] = {}
    for r in records:
        found.setdefault(r.config["d"], {})[r.config["seed"]] = value(r)
    return found


def last_of_censored(records: Sequence[Record]) -> dict[int, float]:
    """The largest n that was run at each d where some seed never fell below the level."""
    lost = [r for r in records if r.summary["first_below"] is None]
    return {r.config["d"]: float(r.arrays["n"][-1]) for r in lost}


def whole_dimensions(found: Mapping[int, Mapping[int, float]]) -> list[int]:
    """Those d at which no seed is censored."""
    return [d for d, row in found.items() if np.isfinite(list(row.values())).all()]


def slopes(records: Sequence[Record]) -> list[float]:
    """Slope of log n_.1 in log d, seed by seed, over the d at which no seed is censored."""
    found = by_dimension(records)
    dims = whole_dimensions(found)
    return [log_slope(dims, [found[d][s] for d in dims]) for s in e.SEEDS]


def _exponent(dense: str):
    """Slopes of log n_.1 in log d; control: of the number of cubics, over the same dimensions."""

    def gather(store: RecordStore, broken: bool) -> Evidence:
        records = climbs(store, dense)
        found = slopes(records)
        if broken:
            dims = whole_dimensions(by_dimension(records))
            found = [log_slope(dims, [cubics(d) for d in dims])] * len(found)
        return Evidence(found, names(records))

    return gather


def _ratios(above: str, below: str, *, bound: bool = False):
    """(values, records) of n_.1 of one dense part over that of another, by d and seed.

    With ``bound`` a censored climb above counts with the last n that was run, a lower bound.
    """

    def gather(store: RecordStore) -> tuple[list[float], list[Record]]:
        own, other = climbs(store, above), climbs(store, below)
        n = {(r.config["d"], r.config["seed"]): crossing(r) for r in other}
        out = []
        for r in own:
            top, key = crossing(r), (r.config["d"], r.config["seed"])
            if bound and r.summary["first_below"] is None:
                top = float(r.arrays["n"][-1])
            if key in n and np.isfinite(top / n[key]):
                out.append(top / n[key])
        return out, own + other

    return gather


def _gather_ratios(right, broken_one):
    def gather(store: RecordStore, broken: bool) -> Evidence:
        values, records = (broken_one if broken else right)(store)
        return Evidence(values, names(records))

    return gather


def _gather_line(store: RecordStore, broken: bool) -> Evidence:
    """How far each published threshold lies from 6d², as a factor ≥ 1; control: from d³."""
    records, factors = climbs(store, "published"), []
    for r in records:
        d = r.config["d"]
        line = float(d**3) if broken else LINE * d**2
        factors.append(max(crossing(r) / line, line / crossing(r)))
    return Evidence(factors, names(records))


def _gather_erratum(store: RecordStore, broken: bool) -> Evidence:
    """As published; control: with the dense part centred and normalised."""
    records = climbs(store, "normalized" if broken else "published")
    return Evidence([float(r.summary["without_dense"]) for r in records], names(records))


def _gather_learned(store: RecordStore, broken: bool) -> Evidence:
    """Share of the published dense part missed at the last n of a climb; control: at the first."""
    records = climbs(store, "published")
    at = 0 if broken else -1
    shares = [
        float(r.arrays["missed_dense"][at]) / e.published_moments(r.config["d"])[1] for r in records
    ]
    return Evidence(shares, names(records))


def threshold_rows(store: RecordStore) -> list[list[str]]:
    """d, n_.1/d² by dense part (median and range; how many censored), and what a kernel counts."""
    found = {dense: by_dimension(climbs(store, dense)) for dense in e.DENSE}
    rows = []
    for d in e.GRIDS:
        cells = [_cell(found[dense].get(d), d) for dense in e.DENSE]
        rows.append([str(d), *cells, f"{cubics(d) / d**2:.1f}"])
    return rows


def _cell(row: Mapping[int, float] | None, d: int) -> str:
    if row is None:
        return "not run"
    values = np.array(list(row.values())) / d**2
    seen = values[np.isfinite(values)]
    lost = len(values) - len(seen)
    text = f"{np.median(seen):.1f} ({seen.min():.1f}–{seen.max():.1f})" if len(seen) else "–"
    return f"{text}, {lost} censored" if lost else text


def cubics(d: int) -> int:
    """C(d + 3, 3): polynomials of degree ≤ 3 in d variables."""
    return math.comb(d + 3, 3)


def moment_rows(dims: Sequence[int]) -> list[list[str]]:
    """The erratum's table: entries of A, mean, variance and second moment of the dense part."""
    rows = []
    for d in dims:
        mean, variance = e.published_moments(d)
        second = mean**2 + variance
        cells = [f"{x:.3f}" for x in (mean, variance, second)]
        rows.append([str(d), str(e.dense_entries(d)), *cells, "yes" if variance < 0.1 else "no"])
    return rows


CLAIMS: Sequence[Claim] = (
    Claim(
        id="mlp-erratum",
        chapter=CHAPTER,
        statement="As published, at d ≤ 50, a function with no dense part but its mean has a test "
        "loss below .1.",
        source="C+D+M",
        target="at most .1",
        tolerance="every d and seed",
        broken="the dense part centred and normalised",
        gather=_gather_erratum,
        judge=at_most(0.1),
    ),
    Claim(
        id="mlp-idle",
        chapter=CHAPTER,
        statement="The published dense part makes no difference to the number of samples: with its "
        "mean in its place as many are needed (d = 10, 20, 30).",
        source="M",
        target="ratio 1",
        tolerance="95 % interval of the mean ratio within [0.8, 1.25]",
        broken="the normalised dense part over its mean",
        gather=_gather_ratios(
            _ratios("published", "constant"), _ratios("normalized", "constant", bound=True)
        ),
        judge=ratio_one(0.8, 1.25),
    ),
    Claim(
        id="mlp-learned",
        chapter=CHAPTER,
        statement="The network learns the published dense part all the same.",
        source="M",
        target="share of its variance that is missed at the first n below .1: 0",
        tolerance="at most a tenth at every d and seed",
        broken="at the least n of each climb",
        gather=_gather_learned,
        judge=at_most(0.1),
    ),
    Claim(
        id="mlp-more",
        chapter=CHAPTER,
        statement="With the dense part normalised the network needs more samples.",
        source="M",
        target="ratio above 1",
        tolerance="every d and seed; a censored threshold counts as the largest n that was run",
        broken="the published mean in the place of the normalised part",
        gather=_gather_ratios(
            _ratios("normalized", "published", bound=True), _ratios("constant", "published")
        ),
        judge=at_least(1.0),
    ),
    Claim(
        id="mlp-line",
        chapter=CHAPTER,
        statement="As published, the samples needed lie near the published line 6d².",
        source="C+M",
        target="factor 1",
        tolerance="at most 2 at every d and seed",
        broken="the line d³",
        gather=_gather_line,
        judge=at_most(2.0),
    ),
    *(
        Claim(
            id=f"mlp-exponent-{dense}",
            chapter=CHAPTER,
            statement=f"{words}, the samples that the network needs grow like d².",
            source=source,
            target="slope 2 of log n_.1 in log d",
            tolerance="95 % interval of the mean slope over the seeds within ±.15; partly if it "
            "only meets that band",
            broken="the number of cubics, which a kernel would pay for",
            gather=_exponent(dense),
            judge=slope_near(2.0, 0.15),
        )
        for dense, words, source in (
            ("published", "As published", "C+M"),
            ("normalized", "With the dense part centred and normalised", "M"),
        )
    ),
)
