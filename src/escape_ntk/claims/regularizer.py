"""Claims of the chapter *The regulariser*."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from escape_ntk.claims.ledger import (
    Claim,
    Evidence,
    Finding,
    Verdict,
    at_most,
    names,
    over_draws,
    require,
    summary_value,
)
from escape_ntk.experiments import regularizer as e
from escape_ntk.records import Record, RecordStore
from escape_ntk.stats import Numbers, mean_interval

CHAPTER = "regularizer"
COMMAND = "escape-ntk run regularizer"
SEEDS, FEW = e.SEEDS, e.SEEDS[:3]
OUTSIDE = 2 / 3
"""Mean square of what the published target has outside degree ≤ 1: its quadratic part."""

Cell = tuple[float, float]
"""(λ_1, λ_2) of one setting of the table."""


def _final(record: Record, name: str) -> float:
    return float(record.arrays[name][-1])


def table(store: RecordStore, name: str) -> tuple[dict[Cell, np.ndarray], tuple[str, ...]]:
    """Final ``name`` by (λ_1, λ_2), one value for each seed; and the records' names."""
    records = require(e.ablation_points(FEW), store, COMMAND)
    cells: dict[Cell, list[float]] = {}
    for r in records:
        where = r.config["penalty_population"], r.config["penalty_empirical"]
        cells.setdefault(where, []).append(_final(r, name))
    return {where: np.array(v) for where, v in cells.items()}, names(records)


def _split(name: str, scale: float = 1.0) -> Callable[[RecordStore, bool], Evidence]:
    """Final ``name`` without R_2 and with it, all seeds and λ_1; the control splits by R_1."""

    def gather(store: RecordStore, broken: bool) -> Evidence:
        cells, used = table(store, name)
        place = 0 if broken else 1
        parts = {
            key: np.concatenate(
                [v / scale for where, v in cells.items() if (where[place] > 0) is on]
            )
            for key, on in (("without", False), ("with", True))
        }
        return Evidence(parts, used)

    return gather


def _separated(without: tuple[float, float], with_it: tuple[float, float]):
    """Reproduced when all runs without lie in one band and all runs with it in the other."""

    def judge(values: Mapping[str, Numbers]) -> Finding:
        bands = {"without": without, "with": with_it}
        ok = all(
            low <= min(values[key]) and max(values[key]) <= high
            for key, (low, high) in bands.items()
        )
        measured: dict[str, object] = {
            f"{key}_{end}": float(pick(values[key]))
            for key in bands
            for end, pick in (("least", min), ("most", max))
        }
        measured["runs"] = sum(len(v) for v in values.values())
        return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)

    return judge


def _gather_leak_ratios(store: RecordStore, broken: bool) -> Evidence:
    """Population leak with λ_1 > 0 over that with λ_1 = 0, same λ_2 and seed; control: R_2's."""
    cells, used = table(store, "population_leak")
    if broken:
        ratios = [v / cells[one, 0.0] for (one, two), v in cells.items() if two > 0]
    else:
        ratios = [v / cells[0.0, two] for (one, two), v in cells.items() if one > 0]
    return Evidence(np.concatenate(ratios), used)


def _gather_added(store: RecordStore, broken: bool) -> Evidence:
    """Change of the test loss by R_1 where R_2 is on, by cell; the control by R_2 where R_1 is."""
    cells, used = table(store, "test_loss")
    changes = {}
    for (one, two), v in cells.items():
        if one > 0 and two > 0:
            base = (one, 0.0) if broken else (0.0, two)
            changes[f"{one:g}, {two:g}"] = v - cells[base]
    return Evidence(changes, used)


def _judge_added(changes: Mapping[str, Numbers]) -> Finding:
    """Reproduced when the test loss rises in every run of every cell."""
    ok = all(min(v) > 0 for v in changes.values())
    measured: dict[str, object] = {}
    for cell, values in changes.items():
        i = mean_interval(values)
        measured[cell] = {"change": i.value, "low": i.low, "high": i.high}
    measured["least"] = min(float(min(v)) for v in changes.values())
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _gather_switch(name: str, value: str, other: str):
    """Log ratio of ``value`` with λ ``name`` on to off, by the setting of the others.

    Control: ``other`` in its place.
    """

    def gather(store: RecordStore, broken: bool) -> Evidence:
        chosen = other if broken else name
        groups = e.by_setting(require(e.switch_points(SEEDS), store, COMMAND))
        pairs = {}
        for on, records in groups.items():
            if chosen not in on:
                more = groups[tuple(n for n in e.BASE if n in on or n == chosen)]
                ratio = [
                    b.summary[value] / a.summary[value] for a, b in zip(records, more, strict=True)
                ]
                pairs[" ".join(on) or "none"] = np.log(ratio)
        used = names([r for group in groups.values() for r in group])
        return Evidence(pairs, used)

    return gather


def _judge_switch(pairs: Mapping[str, Numbers]) -> Finding:
    """Reproduced when the 95 % interval of the mean log ratio lies below 0 in every setting."""
    intervals = {key: mean_interval(v) for key, v in pairs.items()}
    below = [i.high < 0 for i in intervals.values()]
    verdict = Verdict.NOT_REPRODUCED
    if all(below):
        verdict = Verdict.REPRODUCED
    elif sum(below) > len(below) / 2:
        verdict = Verdict.PARTLY
    measured: dict[str, object] = {
        key: {
            "ratio": float(np.exp(i.value)),
            "low": float(np.exp(i.low)),
            "high": float(np.exp(i.high)),
        }
        for key, i in intervals.items()
    }
    worst = max(intervals, key=lambda key: intervals[key].value)
    best = min(intervals, key=lambda key: intervals[key].value)
    measured |= {"worst": measured[worst], "best": measured[best]}
    measured |= {"falls": sum(below), "of": len(below)}
    return Finding(verdict, measured)


CLAIMS: Sequence[Claim] = (
    *(
        Claim(
            id=f"regularizer-closed-form-{law}",
            chapter=CHAPTER,
            statement=f"The closed form of R_1 is the population leak: {text}.",
            source="D",
            target="difference 0",
            tolerance="3 standard errors of a million fresh inputs, in each of five draws",
            broken="the κ_20 term set to zero",
            gather=over_draws(
                [e.ClosedForms(seed) for seed in SEEDS],
                summary_value(law, f"{law}_without_k20"),
                COMMAND,
            ),
            judge=at_most(3.0),
        )
        for law, text in (("gaussian", "Gaussian inputs"), ("sphere", "inputs on the sphere"))
    ),
    Claim(
        id="regularizer-memorizes",
        chapter=CHAPTER,
        statement="Published size: without R_2, f_L fits a part of what is outside the good "
        "directions by itself; with it, it does not, whatever λ_1.",
        source="M",
        target="R_2 over 2/3: at least 0.1 without, at most 0.01 with",
        tolerance="each of 27 runs (three seeds)",
        broken="sorted by λ_1 instead of λ_2",
        gather=_split("empirical_leak", OUTSIDE),
        judge=_separated((0.1, 1.0), (0.0, 0.01)),
    ),
    Claim(
        id="regularizer-teaches",
        chapter=CHAPTER,
        statement="Published size: with R_2, f_Q learns a good part of the quadratic; without, it "
        "does not, whatever λ_1.",
        source="M",
        target="f_Q's coefficient: at most 0.25 without, at least 0.4 with",
        tolerance="each of 27 runs (three seeds)",
        broken="sorted by λ_1 instead of λ_2",
        gather=_split("quadratic_on_part1"),
        judge=_separated((-0.25, 0.25), (0.4, 1.0)),
    ),
    Claim(
        id="regularizer-leak",
        chapter=CHAPTER,
        statement="Published size: R_1 keeps the population leak down, whatever λ_2.",
        source="M",
        target="leak with λ_1 = 1 or 10 over leak with λ_1 = 0",
        tolerance="at most 0.2 in each of 18 runs (three seeds)",
        broken="R_2 in place of R_1",
        gather=_gather_leak_ratios,
        judge=at_most(0.2),
    ),
    Claim(
        id="regularizer-r1-costs",
        chapter=CHAPTER,
        statement="Published size: added to R_2, R_1 raises the test loss.",
        source="M",
        target="a rise",
        tolerance="each of 12 runs (three seeds)",
        broken="R_2 added to R_1",
        gather=_gather_added,
        judge=_judge_added,
    ),
    Claim(
        id="regularizer-switch-r2",
        chapter=CHAPTER,
        statement="d = 30: switching R_2 on lowers the test error in each of the eight settings "
        "of the other penalties.",
        source="M",
        target="ratio below 1",
        tolerance="95 % interval over five draws below 1 in each setting; partly in most",
        broken="R_3 in place of R_2",
        gather=_gather_switch("empirical", "test_loss", "low_degree"),
        judge=_judge_switch,
    ),
    Claim(
        id="regularizer-switch-r1",
        chapter=CHAPTER,
        statement="d = 30: switching R_1 on lowers the population leak in each of the eight "
        "settings of the other penalties.",
        source="M",
        target="ratio below 1",
        tolerance="95 % interval over five draws below 1 in each setting; partly in most",
        broken="R_3 in place of R_1",
        gather=_gather_switch("population", "population_leak", "low_degree"),
        judge=_judge_switch,
    ),
)
