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
    slope_near,
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
    "curvature_by_products": -1,
    "distance": -1,
}
"""Signs of the parts in the random-sign identity; the curvature comes from the Hessian alone."""
STAGES = ("start_", "plateau_", "end_")
CEILING = 0.05
"""How far below 0 the lowest curvature may end, in units of |λ_min| at W = 0."""


def _identity_gap(r: Record, broken: bool) -> float:
    """|L_λ − its parts| over L_λ(0), the largest of three stages; control: the cross twice."""
    gaps = []
    for when in STAGES:
        parts = sum(sign * r.summary[when + name] for name, sign in PARTS.items())
        extra = r.summary[f"{when}cross"] if broken else 0.0
        gaps.append(abs(r.summary[f"{when}value"] - parts - extra) / r.summary["start_value"])
    return max(gaps)


def _above_bound(r: Record, broken: bool) -> float:
    """L_λ at the end over the bound for flat, stationary points; the control is on the plateau."""
    when = "plateau_" if broken else "end_"
    flat = sum(r.summary[when + name] for name in ("comparison", "coupling", "cross"))
    return r.summary[f"{when}value"] / flat


def _sign_curvature(r: Record, broken: bool) -> float:
    """½E_S (SW_Q)ᵀ∇²L_λ(SW_Q) on the plateau over L_λ(0); the control is at the end."""
    return r.summary[f"{'end_' if broken else 'plateau_'}curvature"] / r.summary["start_value"]


def _gather_plateau(store: RecordStore, broken: bool) -> Evidence:
    """That curvature, with gradient and risk on the plateau over those at W = 0."""
    records = require(e.certified_points(SEEDS), store, COMMAND)
    values = {
        "curvature": [_sign_curvature(r, broken) for r in records],
        "gradient": [r.summary["plateau_gradient"] / r.arrays["gradient"][0] for r in records],
        "risk": [r.summary["plateau_value"] / r.summary["start_value"] for r in records],
    }
    return Evidence(values, names(records))


def _judge_plateau(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every curvature is negative."""
    worst = float(max(values["curvature"]))
    measured = {"largest": worst, "least": float(min(values["curvature"]))}
    measured |= {"gradient": float(max(values["gradient"])), "runs": len(values["risk"])}
    measured |= {"risk_low": float(min(values["risk"])), "risk_high": float(max(values["risk"]))}
    return Finding(Verdict.REPRODUCED if worst < 0 else Verdict.NOT_REPRODUCED, measured)


def _gather_orders(store: RecordStore, broken: bool) -> Evidence:
    """Slope in the width of the bound for flat points, and with the floor; control: plateau."""
    records = require(e.certified_points(SEEDS), store, COMMAND)

    def over_width(key: str) -> np.ndarray:
        at = {(r.config["m"], r.config["seed"]): r.summary[key] for r in records}
        return np.array([[at[m, seed] for m in e.WIDTHS] for seed in SEEDS])

    flat = over_width("plateau_bound" if broken else "end_bound_flat")
    with_floor = over_width("plateau_bound" if broken else "end_bound")
    slopes, floored = ([log_slope(e.WIDTHS, row) for row in b] for b in (flat, with_floor))
    ends = {"bound_narrowest": flat[:, 0].mean(), "bound_widest": flat[:, -1].mean()}
    ends["floored_widest"] = with_floor[:, -1].mean()
    return Evidence({"slopes": slopes, "floored": floored, **ends}, names(records))


def _judge_orders(values: Mapping) -> Finding:
    """The slope for flat points against −1/2; beside it that of the bound with the floor."""
    finding, other = slope_near(-0.5, 0.1)(list(values["slopes"])), mean_interval(values["floored"])
    more = {k: float(v) for k, v in values.items() if k not in ("slopes", "floored")}
    more |= {"floored": other.value, "floored_low": other.low, "floored_high": other.high}
    return Finding(finding.verdict, {**finding.measured, **more})


def _gather_floor(store: RecordStore, broken: bool) -> Evidence:
    """(Ritz value − floor)/|λ_min(0)| at every time; control: half the floor, as if in (s, t)."""
    watched = require(e.width_points(SEEDS), store, COMMAND)
    certified = require(e.certified_points(SEEDS), store, COMMAND)
    factor = 0.5 if broken else 1.0
    gaps = [
        (w.arrays["lowest"] - factor * c.arrays["floor"]) / abs(c.summary["start_lowest"])
        for w, c in zip(watched, certified, strict=True)
    ]
    return Evidence(np.array(gaps), names([*watched, *certified]))


def _judge_floor(gaps: np.ndarray) -> Finding:
    """Reproduced when no gap is negative."""
    least, largest = float(gaps.min()), float(gaps.max())
    ok = least >= -1e-9
    measured = {"least": least, "largest": largest, "points": int(gaps.size)}
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _depth(r: Record, floor: float) -> float:
    """−floor over |λ_min(0)|: how far below 0 the lowest curvature can be."""
    return -float(floor) / abs(r.summary["start_lowest"])


def _gather_ends(store: RecordStore, broken: bool) -> Evidence:
    """Certified depth at the end of each run over the width; the control is on the plateau."""
    records = require(e.certified_points(SEEDS), store, COMMAND)
    key = "plateau_floor" if broken else "end_floor"
    values = {
        "depth": [_depth(r, r.summary[key]) for r in records],
        "risk": [r.summary["end_value"] / r.summary["start_value"] for r in records],
        "reached": [r.summary["reached"] for r in records],
        "perturbations": [r.summary["perturbations"] for r in records],
    }
    return Evidence(values, names(records))


def _judge_ends(values: Mapping) -> Finding:
    """Reproduced when every depth is at most CEILING; the stopping rule's fate beside it."""
    finding = at_most(CEILING)(values["depth"])
    more = {"risk": float(max(values["risk"]))}
    more |= {name: int(sum(values[name])) for name in ("reached", "perturbations")}
    return Finding(finding.verdict, {**finding.measured, **more})


def _final_depth(r: Record, broken: bool) -> float:
    """Certified depth at the last recorded time; control: at the middle one."""
    floor = r.arrays["floor"]
    return _depth(r, floor[len(floor) // 2 if broken else -1])


def _published_depth(r: Record, broken: bool) -> float:
    """The same at the published size; control: at time 100."""
    return _depth(r, r.arrays["floor"][1 if broken else -1])


def end_rows(watched: Sequence[Record], certified: Sequence[Record]) -> list[list[str]]:
    """One row for each run of the published size: gradient over its start, and λ_min bracketed."""
    return [
        [
            f"{w.config['population']:g}",
            str(w.config["seed"]),
            f"{w.arrays['gradient'][-1] / w.arrays['gradient'][0]:.1e}",
            f"{w.arrays['lowest'][0]:.1e}",
            f"{c.arrays['floor'][-1]:+.1e}",
            f"{w.arrays['lowest'][-1]:+.1e}",
        ]
        for w, c in zip(watched, certified, strict=True)
    ]


def setting_rows(records: Sequence[Record]) -> list[list[str]]:
    """One row for each on/off setting: gradient, floor and risk at the end, over their start."""
    rows = []
    for on, group in regularizer.by_setting(records).items():
        ends = [
            [r.arrays[key][-1] / r.arrays[key][0] for r in group] for key in ("gradient", "value")
        ]
        least = -max(_final_depth(r, False) for r in group)
        rows.append([setting_name(on), f"{least:+.1e}", *(f"{max(v):.1e}" for v in ends)])
    return rows


def local_slope(r: Record, at: int) -> float:
    """d(escape time)/d log(1/ε) over the two neighbouring ε number ``at``, times |λ_min(0)|."""
    slopes = np.diff(r.arrays["time"]) / -np.diff(np.log(r.arrays["size"]))
    return float(slopes[at]) * abs(r.summary["lowest"])


def _line_gap(r: Record, broken: bool) -> float:
    """1 − R² of escape time on log 1/ε; the control regresses on 1/ε."""
    x = 1 / r.arrays["size"] if broken else -np.log(r.arrays["size"])
    return 1 - float(np.corrcoef(x, r.arrays["time"])[0, 1]) ** 2


def _gather_escape(store: RecordStore, broken: bool) -> Evidence:
    """Local slopes at the largest and the smallest ε; control: λ_min in pairs, half of it."""
    records = require([e.Escape(seed) for seed in SEEDS], store, COMMAND)
    factor = 0.5 if broken else 1.0
    ends = {"first": 0, "last": -1}
    values = {name: [factor * local_slope(r, at) for r in records] for name, at in ends.items()}
    return Evidence(values, names(records))


def _judge_escape(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every slope at the smallest ε is 1 to 1.1 times the foreseen one."""
    ratios, got = values["last"], mean_interval(values["last"])
    measured = {"ratio": got.value, "low": got.low, "high": got.high, "runs": len(ratios)}
    measured["first"] = float(np.mean(values["first"]))
    ok = min(ratios) >= 1 - 1e-3 and max(ratios) <= 1.1
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _gather_starts(store: RecordStore, broken: bool) -> Evidence:
    """(L_λ from W = 0 − best over all starts)/L_λ(0); the control has come to the plateau."""
    records = require(e.start_points(SEEDS), store, COMMAND)
    passed = require(e.plateau_points(SEEDS), store, COMMAND)
    values = {"gaps": [], "tests": [], "risks": []}
    for r, on_the_way in zip(records, passed, strict=True):
        ends = r.arrays["value"]
        own = on_the_way.summary["plateau_value"] if broken else ends[0]
        values["gaps"].append(float(own - ends.min()) / r.summary["zero"])
        values["tests"].append(float(r.arrays["test"].max() - r.arrays["test"].min()))
        values["risks"].append(float(ends.max()) / r.summary["zero"])
    return Evidence(values, names([*records, *passed]))


def _judge_starts(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every gap is at most 1e-3."""
    worst = float(max(values["gaps"]))
    measured = {"largest": worst, "test_range": float(max(values["tests"]))}
    measured["risk"] = float(max(values["risks"]))
    return Finding(Verdict.REPRODUCED if worst <= 1e-3 else Verdict.NOT_REPRODUCED, measured)


CLAIMS: Sequence[Claim] = (
    Claim(
        id="landscape-identity",
        chapter=CHAPTER,
        statement="The random-sign identity: L_λ is the sum of its parts at W = 0, on the plateau "
        "and at the end, with the curvature from Hessian–vector products alone.",
        source="D",
        target="difference 0, in units of L_λ(0)",
        tolerance="1e-9 in each of five draws (m = 750)",
        broken="the cross term twice",
        gather=over_draws([e.SignMean(seed) for seed in SEEDS], _identity_gap, COMMAND),
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
        broken="on the plateau, nearly stationary and not flat",
        gather=over_draws(e.certified_points(SEEDS), _above_bound, COMMAND),
        judge=at_most(1.0),
    ),
    Claim(
        id="landscape-plateau",
        chapter=CHAPTER,
        statement="On the plateau, where L_λ lies above that bound, its mean curvature along the "
        "random signs of W_Q is negative.",
        source="D+M",
        target="½E(SW_Q)ᵀ∇²L_λ(SW_Q) < 0",
        tolerance="each of 25 runs (five widths, five draws)",
        broken="at the end of the run",
        gather=_gather_plateau,
        judge=_judge_plateau,
    ),
    Claim(
        id="landscape-bound-order",
        chapter=CHAPTER,
        statement="At the end of runs that bound falls with the width like m^(−1/2).",
        source="D+M",
        target="slope −1/2",
        tolerance="95 % interval over five draws within 0.1",
        broken="on the plateau, with the curvature certified there",
        gather=_gather_orders,
        judge=_judge_orders,
    ),
    Claim(
        id="landscape-floor",
        chapter=CHAPTER,
        statement="−2m^(−1/2)max‖M_r‖ lies below the Ritz value of λ_min all along the runs.",
        source="D",
        target="Ritz value − floor ≥ 0, in units of |λ_min(0)|",
        tolerance="−1e-9, at nine times of 25 runs",
        broken="half of it, the factor of pair coordinates",
        gather=_gather_floor,
        judge=_judge_floor,
    ),
    Claim(
        id="landscape-flat",
        chapter=CHAPTER,
        statement="R_2 alone: at the end of runs from W = 0 the lowest curvature, certified from "
        "below, is small against that at W = 0.",
        source="A+M",
        target="0",
        tolerance="−floor ≤ 5 % of |λ_min(0)|, each of 25 runs (five widths, five draws)",
        broken="on the plateau",
        gather=_gather_ends,
        judge=_judge_ends,
    ),
    Claim(
        id="landscape-flat-switches",
        chapter=CHAPTER,
        statement="So is it at the end of every run of the sixteen settings of R_1 … R_4.",
        source="A+M",
        target="0",
        tolerance="−floor ≤ 5 % of |λ_min(0)|, each of 80 runs",
        broken="in the middle of the run",
        gather=over_draws(e.switch_points(SEEDS), _final_depth, COMMAND),
        judge=at_most(CEILING),
    ),
    Claim(
        id="landscape-flat-published",
        chapter=CHAPTER,
        statement="So is it in runs of the published size, R_2 with and without R_1.",
        source="A+M",
        target="0",
        tolerance="−floor ≤ 5 % of |λ_min(0)|, each of six runs",
        broken="at time 100",
        gather=over_draws(e.certified_published_points(FEW), _published_depth, COMMAND),
        judge=at_most(CEILING),
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
        gather=_gather_escape,
        judge=_judge_escape,
    ),
    Claim(
        id="landscape-starts",
        chapter=CHAPTER,
        statement="From W = 0 descent ends as low as from the best of many random starts.",
        source="M",
        target="difference 0, in units of L_λ(0)",
        tolerance="1e-3 in each of five draws, seven random starts each",
        broken="the run from W = 0, on its plateau",
        gather=_gather_starts,
        judge=_judge_starts,
    ),
)
