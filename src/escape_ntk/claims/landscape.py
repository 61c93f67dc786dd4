"""Claims of the chapter *Landscape*."""

from collections.abc import Mapping, Sequence

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
)
from escape_ntk.claims.regularizer import setting_name
from escape_ntk.experiments import landscape as e
from escape_ntk.experiments import regularizer
from escape_ntk.records import Record, RecordStore
from escape_ntk.stats import Numbers, log_slope, mean_interval

CHAPTER = "landscape"
COMMAND = "escape-ntk run landscape"
REGULARIZER = "escape-ntk run regularizer"
SEEDS, FEW = regularizer.SEEDS, regularizer.SEEDS[:3]
PARTS = {
    "comparison": 1,
    "first_order": 1,
    "coupling": 1,
    "cross": 1,
    "curvature": -1,
    "distance": -1,
}
"""Signs of the parts in the random-sign identity."""


def _identity_gap(r: Record, broken: bool) -> float:
    """|L_λ − its parts| over L_λ(0), the larger of end and start; control: without the cross."""
    gaps = []
    for when in ("", "start_"):
        parts = sum(
            sign * r.summary[when + name]
            for name, sign in PARTS.items()
            if not (broken and name == "cross")
        )
        gaps.append(abs(r.summary[when + "value"] - parts) / r.summary["start_value"])
    return max(gaps)


def _above_bound(r: Record, broken: bool) -> float:
    """L_λ at the end over the bound for flat, stationary points; the control stands at W = 0."""
    when = "start_" if broken else ""
    flat = r.summary[when + "comparison"] + r.summary[when + "coupling"] + r.summary[when + "cross"]
    return r.summary[when + "value"] / flat


def _gather_orders(store: RecordStore, broken: bool) -> Evidence:
    """Slope in the width of the bound over L_λ(0), each seed; the control is the bound at W = 0."""
    records = require(e.width_points(SEEDS), store, COMMAND)
    key = "start_bound" if broken else "bound"
    rows = {
        seed: sorted((r.config["m"], r.summary[key]) for r in records if r.config["seed"] == seed)
        for seed in SEEDS
    }
    slopes = [log_slope(*zip(*pairs, strict=True)) for pairs in rows.values()]
    ends = {
        f"{name}_{end}": np.mean([p[where][1] for p in rows.values()])
        for name, end, where in (("bound", "narrowest", 0), ("bound", "widest", -1))
    }
    return Evidence({"slopes": slopes, **ends}, names(records))


def _judge_orders(values: Mapping) -> Finding:
    """Reproduced when the 95 % interval of the slope lies below −1/4."""
    got = mean_interval(values["slopes"])
    measured = {"slope": got.value, "low": got.low, "high": got.high}
    measured |= {k: float(v) for k, v in values.items() if k != "slopes"}
    ok = got.high < -0.25
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _flatness(r: Record, broken: bool) -> float:
    """max(−λ_min, 0) at the end over |λ_min(0)|; the control reads it at the middle of the run."""
    lowest, start = r.summary["lowest"], abs(r.summary["start_lowest"])
    if broken:
        lowest = r.arrays["lowest"][len(r.arrays["lowest"]) // 2]
    return max(-lowest, 0.0) / start


def _gather_switch_ends(store: RecordStore, broken: bool) -> Evidence:
    """max(−λ_min, 0) over |λ_min(0)| at the end of all runs of the sixteen settings; at W = 0."""
    records = require(regularizer.switch_points(SEEDS), store, REGULARIZER)
    key = "start_lowest" if broken else "lowest"
    values = [max(-r.summary[key], 0.0) / abs(r.summary["start_lowest"]) for r in records]
    return Evidence(values, names(records))


def _published_flatness(r: Record, broken: bool) -> float:
    lowest = r.arrays["lowest"]
    return max(-float(lowest[1 if broken else -1]), 0.0) / abs(float(lowest[0]))


def end_rows(records: Sequence[Record]) -> list[list[str]]:
    """One row for each run of the published size: gradient norm and λ_min, start and end."""
    return [
        [
            f"{r.config['population']:g}",
            str(r.config["seed"]),
            *(f"{r.arrays[key][at]:.1e}" for key in ("gradient", "lowest") for at in (0, -1)),
        ]
        for r in records
    ]


def setting_rows(records: Sequence[Record]) -> list[list[str]]:
    """One row for each on/off setting: gradient and λ_min at the end, over their start."""
    rows = []
    for on, group in regularizer.by_setting(records).items():
        slope = [r.summary["gradient"] / r.summary["start_gradient"] for r in group]
        lowest = [r.summary["lowest"] / abs(r.summary["start_lowest"]) for r in group]
        rows.append([setting_name(on), f"{max(slope):.1e}", f"{min(lowest):+.1e}"])
    return rows


def last_slope(r: Record) -> float:
    """d(escape time)/d log(1/ε) over the two smallest ε, times |λ_min(0)|."""
    time, size = r.arrays["time"][-2:], r.arrays["size"][-2:]
    return float(np.diff(time)[0] / -np.diff(np.log(size))[0]) * abs(r.summary["lowest"])


def _line_gap(r: Record, broken: bool) -> float:
    """1 − R² of escape time on log 1/ε; the control regresses on 1/ε."""
    x = 1 / r.arrays["size"] if broken else -np.log(r.arrays["size"])
    return 1 - float(np.corrcoef(x, r.arrays["time"])[0, 1]) ** 2


def _judge_escape(ratios: Numbers) -> Finding:
    """Reproduced when every slope lies between 1 and 1.1 times the foreseen one."""
    got = mean_interval(ratios)
    measured = {"ratio": got.value, "low": got.low, "high": got.high, "runs": len(ratios)}
    ok = min(ratios) >= 1 - 1e-3 and max(ratios) <= 1.1
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _gather_starts(store: RecordStore, broken: bool) -> Evidence:
    """(L_λ from W = 0 − best over all starts)/L_λ(0); the control has not moved from W = 0."""
    records = require([e.ManyStarts(seed) for seed in SEEDS], store, COMMAND)
    gaps, tests = [], []
    for r in records:
        values = r.arrays["value"]
        own = r.summary["zero"] if broken else values[0]
        gaps.append(float(own - values.min()) / r.summary["zero"])
        tests.append(float(r.arrays["test"].max() - r.arrays["test"].min()))
    return Evidence({"gaps": gaps, "tests": tests}, names(records))


def _judge_starts(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every gap is at most 1e-3."""
    worst = float(max(values["gaps"]))
    measured = {"largest": worst, "test_range": float(max(values["tests"]))}
    return Finding(Verdict.REPRODUCED if worst <= 1e-3 else Verdict.NOT_REPRODUCED, measured)


CLAIMS: Sequence[Claim] = (
    Claim(
        id="landscape-identity",
        chapter=CHAPTER,
        statement="The random-sign identity: L_λ is the sum of its parts, at W = 0 and at the end.",
        source="D",
        target="relative difference 0",
        tolerance="1e-9 in each of 25 runs (five widths, five draws)",
        broken="without the cross term",
        gather=over_draws(e.width_points(SEEDS), _identity_gap, COMMAND),
        judge=at_most(1e-9),
    ),
    Claim(
        id="landscape-bound",
        chapter=CHAPTER,
        statement="At the end of each run L_λ lies below comparison + coupling + cross: the bound "
        "for flat stationary points.",
        source="D",
        target="L_λ over the bound below 1",
        tolerance="each of 25 runs (five widths, five draws)",
        broken="at W = 0, neither flat nor stationary",
        gather=over_draws(e.width_points(SEEDS), _above_bound, COMMAND),
        judge=at_most(1.0),
    ),
    Claim(
        id="landscape-bound-order",
        chapter=CHAPTER,
        statement="That bound falls with the width at least like m^(−1/4).",
        source="D+M",
        target="slope ≤ −1/4",
        tolerance="95 % interval over five draws below −1/4",
        broken="the bound at W = 0, with its own curvature",
        gather=_gather_orders,
        judge=_judge_orders,
    ),
    Claim(
        id="landscape-flat",
        chapter=CHAPTER,
        statement="R_2 alone: runs from W = 0 end where no direction curves down: λ_min(∇²L_λ) "
        "against that at W = 0.",
        source="A+M",
        target="0",
        tolerance="|λ_min| ≤ 5 % of that at W = 0, each of 25 runs (five widths, five draws)",
        broken="in the middle of the run",
        gather=over_draws(e.width_points(SEEDS), _flatness, COMMAND),
        judge=at_most(0.05),
    ),
    Claim(
        id="landscape-flat-switches",
        chapter=CHAPTER,
        statement="So does every run of the sixteen settings of R_1 … R_4.",
        source="A+M",
        target="0",
        tolerance="|λ_min| ≤ 5 % of that at W = 0, each of 80 runs",
        broken="at W = 0",
        gather=_gather_switch_ends,
        judge=at_most(0.05),
    ),
    Claim(
        id="landscape-flat-published",
        chapter=CHAPTER,
        statement="So do runs of the published size, R_2 with and without R_1.",
        source="A+M",
        target="0",
        tolerance="|λ_min| ≤ 5 % of that at W = 0, each of six runs",
        broken="at time 100",
        gather=over_draws(e.published_points(FEW), _published_flatness, COMMAND),
        judge=at_most(0.05),
    ),
    Claim(
        id="landscape-escape-line",
        chapter=CHAPTER,
        statement="f_Q alone leaves W = 0 after a time linear in log 1/ε, ε the size of the "
        "perturbation (ε = 1e-3 to 1e-9).",
        source="L+D",
        target="1 − R² = 0",
        tolerance="1e-3 in each of five draws",
        broken="linear in 1/ε",
        gather=over_draws([e.Escape(seed) for seed in SEEDS], _line_gap, COMMAND),
        judge=at_most(1e-3),
    ),
    Claim(
        id="landscape-escape-slope",
        chapter=CHAPTER,
        statement="Its slope is 1/|λ_min| at W = 0, from above (the two smallest ε).",
        source="D",
        target="ratio 1",
        tolerance="between 1 and 1.1 in each of five draws",
        broken="λ_min in pair coordinates, half of it",
        gather=over_draws(
            [e.Escape(seed) for seed in SEEDS],
            lambda r, broken: last_slope(r) * (0.5 if broken else 1.0),
            COMMAND,
        ),
        judge=_judge_escape,
    ),
    Claim(
        id="landscape-starts",
        chapter=CHAPTER,
        statement="From W = 0 descent ends as low as from the best of many random starts.",
        source="M",
        target="difference 0, in units of L_λ(0)",
        tolerance="1e-3 in each of five draws, seven random starts each",
        broken="W = 0 itself",
        gather=_gather_starts,
        judge=_judge_starts,
    ),
)
