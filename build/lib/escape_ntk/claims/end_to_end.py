"""Claims of the chapter *Gradient descent end to end*."""

from collections.abc import Mapping, Sequence

import numpy as np

from escape_ntk.claims.ledger import (
    Claim,
    Evidence,
    Finding,
    Verdict,
    at_least,
    at_most,
    names,
    require,
)
from escape_ntk.experiments import end_to_end as e
from escape_ntk.records import Record, RecordStore
from escape_ntk.stats import Numbers, log_slope, mean_interval

CHAPTER = "end-to-end"
COMMAND = "escape-ntk run end-to-end"
SEEDS = e.SEEDS
SIZES = ("population", "empirical", "low_degree", "norm_fourth")


def runs(store: RecordStore) -> dict[str, list[Record]]:
    """Flow, descent and perturbed descent with R_2 alone, and flow with all four, by seed."""
    records = require(e.descent_points(SEEDS), store, COMMAND)
    alone = list(e.Descent.penalties)
    groups = {
        method: [
            r
            for r in records
            if r.config["method"] == method and list(r.config["penalties"]) == alone
        ]
        for method in e.METHODS
    }
    return groups | {"all four": [r for r in records if list(r.config["penalties"]) != alone]}


def networks(store: RecordStore, norm: float) -> list[Record]:
    """The full network over the width, for one λ_4."""
    return require(e.network_points(SEEDS, norm), store, COMMAND)


def half_time(record, name: str) -> float:
    """When a measurement first reaches half of its last value.

    One that ends at 0 or below never learns: the end of the run.
    """
    values, times = record.arrays[name], record.arrays["times"]
    if values[-1] <= 0:
        return float(times[-1])
    return float(times[np.flatnonzero(values >= values[-1] / 2)[0]])


def _gather_order(store: RecordStore, broken: bool) -> Evidence:
    """Half time of f_Q's sparse part over that of f_L's dense part; control: f_Q's dense part.

    So what comes first is f_L, and not the dense part whoever learns it.
    """
    records = runs(store)["flow"]
    first = "quadratic_dense" if broken else "linear_dense"
    ratios = [half_time(r, "quadratic_sparse") / half_time(r, first) for r in records]
    return Evidence(np.array(ratios), names(records))


def _gather_methods(store: RecordStore, broken: bool) -> Evidence:
    """|test error/that of the flow − 1| of both descents; the control reads them at time 100."""
    by = runs(store)
    goal = {r.config["seed"]: r.summary["end_error"] for r in by["flow"]}
    if broken:
        pairs = [(_at(r, "error", 100.0), r) for r in by["descent"]]
    else:
        pairs = [(r.summary["end_error"], r) for name in e.METHODS[1:] for r in by[name]]
    values = [abs(value / goal[r.config["seed"]] - 1) for value, r in pairs]
    return Evidence(values, names([r for name in e.METHODS for r in by[name]]))


def _at(record: Record, name: str, time: float) -> float:
    return float(np.interp(time, record.arrays["times"], record.arrays[name]))


def _gather_value(store: RecordStore, broken: bool) -> Evidence:
    """L_λ at the end over L_λ(W*), all settings; the control stands at W = 0."""
    records = [r for group in runs(store).values() for r in group]
    key = "start_value" if broken else "value"
    ratios = [r.summary[key] / r.summary["explicit_value"] for r in records]
    return Evidence(ratios, names(records))


def _gather_test(store: RecordStore, broken: bool) -> Evidence:
    """Test error at the end of the flow over that of W*; the control is the start."""
    records = runs(store)["flow"]
    values = [
        (r.arrays["error"][0] if broken else r.summary["end_error"]) / r.summary["explicit_error"]
        for r in records
    ]
    return Evidence(values, names(records))


def _gather_sizes(store: RecordStore, broken: bool) -> Evidence:
    """R_1, R_2, R_3, ‖W‖_{2,4}^4 at the end over those of W*, all four on; control: R_2 alone."""
    records = runs(store)["flow" if broken else "all four"]
    values = {
        key: np.array([r.summary[f"end_{key}"] / r.summary[f"explicit_{key}"] for r in records])
        for key in SIZES
    }
    return Evidence(values, names(records))


def _judge_sizes(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every ratio is at most 2."""
    means = {key: float(np.mean(v)) for key, v in values.items()}
    worst = float(max(np.max(v) for v in values.values()))
    verdict = Verdict.REPRODUCED if worst <= 2 else Verdict.NOT_REPRODUCED
    return Finding(verdict, means | {"largest": worst})


def _gather_guarantee(store: RecordStore, broken: bool) -> Evidence:
    """L_λ at the end over its bound, R_2 alone; the control takes L_λ(0)."""
    by = runs(store)
    records = [r for name in e.METHODS for r in by[name]]
    key = "start_value" if broken else "value"
    return Evidence([r.summary[key] / r.summary["guarantee"] for r in records], names(records))


def _widest(store: RecordStore, width: int) -> list[Record]:
    return [r for r in networks(store, e.NORM) if r.config["m"] == width]


def _gather_network(store: RecordStore, broken: bool) -> Evidence:
    """|test error of the network/that of its Taylor model − 1|, R_4 on; control: narrowest."""
    records = _widest(store, e.WIDTHS[0] if broken else e.WIDTHS[-1])
    values = [abs(r.summary["network_error"] / r.summary["taylor_error"] - 1) for r in records]
    return Evidence(values, names(records))


def width_slopes(records: Sequence[Record], key: str) -> list[float]:
    """Slope of ``key`` in m, seed by seed."""
    slopes = []
    for seed in SEEDS:
        pairs = sorted((r.config["m"], r.summary[key]) for r in records if r.config["seed"] == seed)
        widths, values = zip(*pairs, strict=True)
        slopes.append(log_slope(widths, values))
    return slopes


def _gather_apart(store: RecordStore, broken: bool) -> Evidence:
    """Slope in m of the distance between trained network and trained Taylor model, R_4 on and off.

    Control: the test error of the network without R_2, its distance from f*.
    """
    groups = {"with": networks(store, e.NORM), "without": networks(store, 0.0)}
    key = "free_error" if broken else "difference"
    values = {name: width_slopes(group, key) for name, group in groups.items()}
    return Evidence(values, names([r for group in groups.values() for r in group]))


def _judge_apart(slopes: Mapping[str, Numbers]) -> Finding:
    """Reproduced when both 95 % intervals of the mean slope lie below 0."""
    got = {name: mean_interval(values) for name, values in slopes.items()}
    measured = {
        name: {"slope": i.value, "low": i.low, "high": i.high, "runs": len(slopes[name])}
        for name, i in got.items()
    }
    ok = all(i.high < 0 for i in got.values())
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _gather_remainder(store: RecordStore, broken: bool) -> Evidence:
    """Remainder of the trained network with R_4 over that without; control: its test error.

    Beside it, means over seeds: the longest s_r or t_r, and the test error of the widest.
    """
    key = "network_error" if broken else "remainder"
    on, off = networks(store, e.NORM), networks(store, 0.0)
    values: dict[str, object] = {
        "ratios": [a.summary[key] / b.summary[key] for a, b in zip(on, off, strict=True)]
    }
    for name, group in (("without", off), ("with", on)):
        values[name] = {
            "longest_narrow": _mean(group, e.WIDTHS[0], "network_farthest"),
            "longest_wide": _mean(group, e.WIDTHS[-1], "network_farthest"),
            "error_wide": _mean(group, e.WIDTHS[-1], "network_error"),
        }
    return Evidence(values, names([*on, *off]))


def _mean(records: Sequence[Record], width: int, key: str) -> float:
    return float(np.mean([r.summary[key] for r in records if r.config["m"] == width]))


def _judge_remainder(values: Mapping) -> Finding:
    """Reproduced when every ratio is at most 3/4; what stands beside them is told, not judged."""
    finding = at_most(0.75)(values["ratios"])
    beside = {name: values[name] for name in ("without", "with")}
    return Finding(finding.verdict, {**finding.measured, **beside})


def _gather_carries(store: RecordStore, broken: bool) -> Evidence:
    """Network's test error with R_2 over that without, by width; control: its dense part."""
    records = networks(store, 0.0)
    key = "dense" if broken else "error"
    ratios = {
        m: [
            r.summary[f"network_{key}"] / r.summary[f"free_{key}"]
            for r in records
            if r.config["m"] == m
        ]
        for m in e.WIDTHS
    }
    return Evidence(ratios, names(records))


def _judge_carries(ratios: Mapping[int, Numbers]) -> Finding:
    """Reproduced when every ratio is below 1; how many are below 3/4, and where the rest are."""
    every = np.concatenate([np.asarray(v) for v in ratios.values()])
    wide = np.concatenate([np.asarray(v) for m, v in ratios.items() if m >= 1000])
    narrow = np.asarray(ratios[min(ratios)])
    measured = {"largest": float(every.max()), "wide": float(wide.max())}
    measured |= {"narrow_least": float(narrow.min()), "narrow_most": float(narrow.max())}
    measured |= {"below": int((every <= 0.75).sum()), "runs": len(every)}
    verdict = Verdict.REPRODUCED if every.max() < 1 else Verdict.NOT_REPRODUCED
    return Finding(verdict, measured)


def network_rows(store: RecordStore) -> list[list[str]]:
    """Test errors at the end, and the rest among them, over the width: means over five seeds."""
    rows = []
    for label, norm in (("off", 0.0), ("on", e.NORM)):
        for m in e.WIDTHS:
            own = [r.summary for r in networks(store, norm) if r.config["m"] == m]
            keys = ("taylor_error", "taylor_rest", "network_error", "network_rest", "free_error")
            cells = [f"{np.mean([s[key] for s in own]):.3f}" for key in keys]
            rows.append([label, str(m), *cells])
    return rows


def end_rows(store: RecordStore) -> list[list[str]]:
    """The end of each kind of run beside W*: means over five seeds."""
    by = runs(store)
    rows = []
    for label, records, prefix in (
        ("flow, R_2", by["flow"], "end"),
        ("descent, R_2", by["descent"], "end"),
        ("perturbed, R_2", by["perturbed"], "end"),
        ("flow, all four", by["all four"], "end"),
        ("W*, random signs", by["flow"], "explicit"),
    ):
        mean = {
            key: float(np.mean([r.summary[f"{prefix}_{key}"] for r in records]))
            for key in ("error", "train", *SIZES)
        }
        rows.append(
            [
                label,
                f"{mean['error']:.3f}",
                f"{mean['train']:.1e}",
                f"{mean['population']:.3f}",
                f"{mean['empirical']:.1e}",
                f"{mean['low_degree']:.1f}",
                f"{mean['norm_fourth']:.0f}",
            ]
        )
    return rows


def guarantee_terms(records: Sequence[Record]) -> list[tuple[str, float, float]]:
    """Each hypothesis of the guarantee, its value at this size, and the most that is small enough.

    Flow with R_2 alone, means over five seeds.
    """

    def mean(key: str) -> float:
        return float(np.mean([r.summary[key] for r in records]))

    start = mean("start_value")
    return [
        ("stationary: ‖∇L_λ‖ over its start", mean("gradient"), 0.01),
        ("flat: floor of the curvature over that at W = 0", mean("flatness"), 0.05),
        ("flat enough: δ‖W_Q‖²/2 over L_λ(0)", mean("guarantee_curvature") / start, 0.1),
        ("W* is good: comparison over L_λ(0)", mean("guarantee_comparison") / start, 0.1),
        ("wide: cross over L_λ(0)", mean("guarantee_cross") / start, 0.1),
        ("together: bound on L_λ(end) over L_λ(0)", mean("guarantee") / start, 0.5),
        (
            "enough samples: bound on the gap over the error of f = 0",
            mean("bound") / mean("zero"),
            1,
        ),
    ]


def guarantee_rows(store: RecordStore) -> list[list[str]]:
    """The hypotheses of the guarantee for a page; "holds" is at most the limit in the last cell.

    The badge of the theorem reads the same terms: :mod:`escape_ntk.claims.hypotheses`.
    """
    return [
        [label, f"{value:.2g}", "holds" if value <= limit else "fails", f"{limit:g}"]
        for label, value, limit in guarantee_terms(runs(store)["flow"])
    ]


CLAIMS: Sequence[Claim] = (
    Claim(
        id="e2e-order",
        chapter=CHAPTER,
        statement="From W = 0, f_L learns the dense part before f_Q learns the sparse part.",
        source="D+M",
        target="half time of f_Q over that of f_L above 1",
        tolerance="each of five seeds",
        broken="the dense part as f_Q learns it, in the place of f_L's",
        gather=_gather_order,
        judge=at_least(1.0),
    ),
    Claim(
        id="e2e-methods",
        chapter=CHAPTER,
        statement="Plain and perturbed gradient descent end with the test error of the flow.",
        source="M",
        target="relative difference 0",
        tolerance="2 % in each of ten runs",
        broken="descent stopped after 100 steps",
        gather=_gather_methods,
        judge=at_most(0.02),
    ),
    Claim(
        id="e2e-value",
        chapter=CHAPTER,
        statement="The end lies at least as low as W*: L_λ(end) ≤ L_λ(W*).",
        source="A+M",
        target="ratio ≤ 1",
        tolerance="each of 20 runs (four settings, five seeds)",
        broken="at W = 0",
        gather=_gather_value,
        judge=at_most(1.0),
    ),
    Claim(
        id="e2e-guarantee",
        chapter=CHAPTER,
        statement="R_2 alone: L_λ at the end lies below the bound that the random-sign identity "
        "gives for nearly flat, nearly stationary points.",
        source="D+M",
        target="ratio ≤ 1",
        tolerance="each of 15 runs (three methods, five seeds)",
        broken="at W = 0",
        gather=_gather_guarantee,
        judge=at_most(1.0),
    ),
    Claim(
        id="e2e-test",
        chapter=CHAPTER,
        statement="n = 3 n_2, d = 16: the test error at the end is at most that of W*.",
        source="A+M",
        target="ratio ≤ 1",
        tolerance="each of five seeds",
        broken="at W = 0",
        gather=_gather_test,
        judge=at_most(1.0),
    ),
    Claim(
        id="e2e-sizes",
        chapter=CHAPTER,
        statement="With all four penalties, leaks and norms at the end are at most twice those of "
        "W*.",
        source="A+M",
        target="ratio ≤ 2",
        tolerance="each of four sizes, five seeds",
        broken="R_2 alone",
        gather=_gather_sizes,
        judge=_judge_sizes,
    ),
    Claim(
        id="e2e-network",
        chapter=CHAPTER,
        statement="m = 16 000, R_2 and R_4: the full network has the test error of its Taylor "
        "model.",
        source="D+M",
        target="relative difference 0",
        tolerance="10 % in each of five seeds",
        broken="m = 250",
        gather=_gather_network,
        judge=at_most(0.1),
    ),
    Claim(
        id="e2e-apart",
        chapter=CHAPTER,
        statement="Trained network and trained Taylor model approach each other as the width "
        "grows, with and without R_4.",
        source="D+M",
        target="slopes in m below 0",
        tolerance="95 % intervals over five seeds below 0, m from 250 to 16 000",
        broken="the distance of the network without R_2 from f*",
        gather=_gather_apart,
        judge=_judge_apart,
    ),
    Claim(
        id="e2e-remainder",
        chapter=CHAPTER,
        statement="R_4 brings the trained network nearer to its own f_L + f_Q.",
        source="M",
        target="remainder with R_4 over that without: at most 3/4",
        tolerance="each of 20 pairs (four widths, five seeds)",
        broken="the network's test error",
        gather=_gather_remainder,
        judge=_judge_remainder,
    ),
    Claim(
        id="e2e-carries",
        chapter=CHAPTER,
        statement="R_2 lowers the test error of the full network.",
        source="A+M",
        target="ratio below 1",
        tolerance="each of 20 runs (four widths, five seeds)",
        broken="what is missed of the dense part",
        gather=_gather_carries,
        judge=_judge_carries,
    ),
)
