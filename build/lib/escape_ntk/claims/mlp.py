"""Claims of the chapter *A standard network*: samples that a ReLU network needs, over d."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from escape_ntk.claims.ledger import (
    Claim,
    Evidence,
    Finding,
    Verdict,
    at_least,
    at_most,
    judge_slope,
    names,
    ratio_below_one,
    ratio_one,
    require,
)
from escape_ntk.experiments import mlp as e
from escape_ntk.records import Record, RecordStore
from escape_ntk.stats import first_crossing, median_slope

CHAPTER = "mlp"
COMMAND = "escape-ntk run mlp"
ERRATUM_UP_TO = 50
"""The largest d run at which the published dense part has a variance below .1."""
LINE = 6.0
"""The notebook draws n = 6d² beside its thresholds.  [C]"""


def climbs(store: RecordStore, dense: str) -> list[Record]:
    """The records of one dense part, in the order of (d, seed)."""
    return require([p for p in e.climb_points(e.SEEDS) if p.dense == dense], store, COMMAND)


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


def bounds(records: Sequence[Record]) -> dict[int, dict[int, float]]:
    """Thresholds by d and seed, for a censored one the largest n that was run, a lower bound.

    Only the d at which fewer than half of the seeds are censored: their medians are thresholds.
    """
    last = by_dimension(records, lambda r: float(r.arrays["n"][-1]))
    found: dict[int, dict[int, float]] = {}
    for d, row in by_dimension(records).items():
        if np.isfinite(list(row.values())).mean() > 0.5:
            found[d] = {s: n if np.isfinite(n) else last[d][s] for s, n in row.items()}
    return found


def _exponent(dense: str):
    """n_.1 by dimension and seed; control: the number of cubics, over the same dimensions."""

    def gather(store: RecordStore, broken: bool) -> Evidence:
        records = climbs(store, dense)
        found = {d: list(row.values()) for d, row in bounds(records).items()}
        if broken:
            found = {d: [float(cubics(d))] * len(row) for d, row in found.items()}
        return Evidence(found, names(records))

    return gather


def _judge_exponent(found: Mapping[int, Sequence[float]]) -> Finding:
    got = median_slope(list(found), list(found.values()))
    return judge_slope(got, 2.0, 0.15, sum(map(len, found.values())))


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
    """As published, d ≤ 50; control: with the dense part centred and normalised."""
    records = climbs(store, "normalized" if broken else "published")
    records = [r for r in records if r.config["d"] <= ERRATUM_UP_TO]
    return Evidence([float(r.summary["without_dense"]) for r in records], names(records))


def _gather_asked(store: RecordStore, broken: bool) -> Evidence:
    """As published, d = 100; control: the larger of the other dimensions, d = 50."""
    records = [r for r in climbs(store, "published") if r.config["d"] == (50 if broken else 100)]
    return Evidence([float(r.summary["without_dense"]) for r in records], names(records))


def _gather_learned(store: RecordStore, broken: bool) -> Evidence:
    """Share of the published dense part missed at the last n of a climb; control: at the first."""
    records = climbs(store, "published")
    at = 0 if broken else -1
    shares = [
        float(r.arrays["missed_dense"][at]) / e.published_moments(r.config["d"])[1] for r in records
    ]
    return Evidence(shares, names(records))


def _gather_half_missed(store: RecordStore, broken: bool) -> Evidence:
    """Training loss over the level at the last n of each climb, d = 100; control: d = 20."""
    records = [r for r in climbs(store, "normalized") if r.config["d"] == (20 if broken else 100)]
    return Evidence([last_training_loss(r) / r.config["level"] for r in records], names(records))


def _gather_floor(store: RecordStore, broken: bool) -> Evidence:
    """Median training loss at the last n over what the ReLUs must miss, d ≥ 40.

    Control: of the published dense part, for which the same count is too large.
    """
    records = climbs(store, "published" if broken else "normalized")
    found = by_dimension(records, last_training_loss)
    ratios = [
        float(np.median(list(row.values()))) / e.representable(d, e.Climb.width)
        for d, row in found.items()
        if d >= 40
    ]
    return Evidence(ratios, names(records))


def _judge_floor(ratios: Sequence[float]) -> Finding:
    """Reproduced when every ratio is within a factor 3/2 of 1."""
    least, most = min(ratios), max(ratios)
    ok = least >= 2 / 3 and most <= 3 / 2
    verdict = Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED
    return Finding(verdict, {"least": least, "most": most, "runs": len(ratios)})


def _gather_wider(store: RecordStore, broken: bool) -> Evidence:
    """n_.1 with 400 neurons over that with 100, by seed; control: the next seed's with 100."""
    wide = require(e.wider_points(e.SEEDS), store, COMMAND)
    usual = [r for r in climbs(store, "normalized") if r.config["d"] == wide[0].config["d"]]
    usual = usual[: len(wide)]
    above = usual[1:] + usual[:1] if broken else wide
    ratios = [crossing(a) / crossing(b) for a, b in zip(above, usual, strict=True)]
    return Evidence(ratios, names(wide + usual))


def _gather_below_cubics(store: RecordStore, broken: bool) -> Evidence:
    """n_.1 over the number of cubics, d ≥ 40; control: d = 10."""
    records = [
        r
        for r in climbs(store, "published")
        if (r.config["d"] == 10 if broken else r.config["d"] >= 40)
    ]
    return Evidence([crossing(r) / cubics(r.config["d"]) for r in records], names(records))


def last_training_loss(record: Record) -> float:
    """Training loss at the end, on the largest training set of a climb."""
    return float(record.arrays["train"][-1])


def training_loss_rows(store: RecordStore) -> list[list[str]]:
    """d, training loss at the last n by dense part (median), and what the ReLUs must miss."""
    found = {d: by_dimension(climbs(store, d), last_training_loss) for d in e.DENSE[:2]}
    rows = []
    for d in e.GRIDS:
        cells = [f"{np.median(list(row[d].values())):.3f}" for row in found.values()]
        rows.append([str(d), *cells, f"{e.representable(d, e.Climb.width):.3f}"])
    return rows


def threshold_rows(store: RecordStore) -> list[list[str]]:
    """d, n_.1/d² by dense part (median and range; how many censored), and what a kernel counts."""
    runs = {dense: climbs(store, dense) for dense in e.DENSE}
    rows = []
    for d in e.GRIDS:
        cells = [_cell([r for r in runs[dense] if r.config["d"] == d], d) for dense in e.DENSE]
        rows.append([str(d), *cells, f"{cubics(d) / d**2:.1f}"])
    return rows


def _cell(records: Sequence[Record], d: int) -> str:
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
        id="mlp-asked",
        chapter=CHAPTER,
        statement="As published, at d = 100, the dense part has to be learned: without it the test "
        "loss is above .1.",
        source="C+D+M",
        target="at least .1",
        tolerance="every seed",
        broken="d = 50",
        gather=_gather_asked,
        judge=at_least(0.1),
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
            target="slope 2 of log median n_.1 in log d",
            tolerance="95 % bootstrap interval over the seeds within ±.15; partly if it only meets "
            "that band",
            broken="the number of cubics, which a kernel would pay for",
            gather=_exponent(dense),
            judge=_judge_exponent,
        )
        for dense, words, source in (
            ("published", "As published", "C+M"),
            ("normalized", "With the dense part centred and normalised", "M"),
        )
    ),
    Claim(
        id="mlp-below-cubics",
        chapter=CHAPTER,
        statement="As published, d = 40 to 100: the network needs fewer samples than there are "
        "cubics.",
        source="C+M",
        target="ratio below 1",
        tolerance="every d and seed",
        broken="d = 10",
        gather=_gather_below_cubics,
        judge=at_most(1.0),
    ),
    Claim(
        id="mlp-half-missed",
        chapter=CHAPTER,
        statement="At d = 100, with the dense part normalised, the training loss is more than half "
        "of the test loss that is asked for, on the largest training set of each climb.",
        source="M",
        target="training loss over .1",
        tolerance="at least 1/2 for every seed",
        broken="d = 20",
        gather=_gather_half_missed,
        judge=at_least(0.5),
    ),
    Claim(
        id="mlp-floor",
        chapter=CHAPTER,
        statement="That training loss is what a hundred ReLUs must miss of the dense part, by "
        "count (d = 40, 50, 100).",
        source="D+M",
        target="ratio 1",
        tolerance="within [2/3, 3/2] at each d",
        broken="the dense part as published",
        gather=_gather_floor,
        judge=_judge_floor,
    ),
    Claim(
        id="mlp-wider",
        chapter=CHAPTER,
        statement="With four times as many neurons fewer samples suffice: d = 30, the dense part "
        "normalised.",
        source="M",
        target="ratio of the thresholds below 1",
        tolerance="95 % interval of the mean ratio over three seeds below 1; partly if the mean is",
        broken="the next seed's threshold, of a usual climb",
        gather=_gather_wider,
        judge=ratio_below_one,
    ),
)
