"""Claims of the chapter *Landscape*."""

from collections.abc import Mapping

import numpy as np

from escape_ntk.chapters.landscape import chapter
from escape_ntk.chapters.landscape import runs as e
from escape_ntk.chapters.regularizer import runs as regularizer
from escape_ntk.numerics.stats import Numbers, log_slope, mean_interval
from escape_ntk.records.store import Record
from escape_ntk.study.claims import Finding, Runs, at_most, each, found, slope_near

SEEDS, FEW = regularizer.SEEDS, regularizer.SEEDS[:3]
CURVATURE = "curvature_by_products"
PARTS = {
    "comparison": 1,
    "first_order": 1,
    "coupling": 1,
    "cross": 1,
    CURVATURE: -1,
    "distance": -1,
}
"""Signs of the parts in the random-sign identity; the curvature comes from the Hessian alone."""
STAGES = ("start_", "plateau_", "end_")
CEILING = 0.05
"""How far below 0 the lowest curvature may end, in units of |λ_min| at W = 0."""


# ---------------------------------------------------------------- the random-sign identity


def identity_gaps(runs: Runs, broken: bool) -> list[float]:
    """|L_λ − its parts| over L_λ(0), the largest of three stages; each with its own curvature."""
    records = runs([e.SignMean(seed) for seed in SEEDS])
    others = [*records[1:], records[0]] if broken else records
    gaps = []
    for r, other in zip(records, others, strict=True):
        own = [
            r.summary[f"{when}value"]
            - sum(
                sign * (other if name == CURVATURE else r).summary[when + name]
                for name, sign in PARTS.items()
            )
            for when in STAGES
        ]
        gaps.append(max(abs(gap) for gap in own) / r.summary["start_value"])
    return gaps


chapter.claim(
    "landscape-identity",
    "The random-sign identity: L_λ is the sum of its parts at W = 0, on the plateau and at the "
    "end, with the curvature from Hessian–vector products alone.",
    source="D",
    target="difference 0, in units of L_λ(0)",
    tolerance="1e-9 in each of five draws (m = 750)",
    broken="the curvature at another draw's W",
    judge=at_most(1e-9),
    measure=identity_gaps,
)


def over_bound(r: Record, broken: bool) -> float:
    """L_λ over the bound for flat, stationary points."""
    when = "plateau_" if broken else "end_"
    flat = sum(r.summary[when + name] for name in ("comparison", "coupling", "cross"))
    return r.summary[f"{when}value"] / flat


chapter.claim(
    "landscape-bound",
    "At the end of each run L_λ lies below comparison + coupling + cross: the bound for flat "
    "stationary points.",
    source="D",
    target="L_λ over the bound below 1",
    tolerance="each of 25 runs (five widths, five draws)",
    broken="on the plateau, nearly stationary and not flat",
    judge=at_most(1.0),
    measure=each(e.certified_points(SEEDS), over_bound),
)


def over_flat_bound(r: Record, broken: bool) -> float:
    """L_λ over comparison + coupling + cross, at the end or where f_L alone came to rest."""
    when = "linear_" if broken else "end_"
    flat = sum(r.summary[when + name] for name in ("comparison", "coupling", "cross"))
    return r.summary[f"{when}value"] / flat


TRIAL = "the sizes, after a trial draw of another seed"
chapter.claim(
    "landscape-bound-noisy",
    "So does it where labels are noisy and too many to be fitted.",
    source="D+M",
    target="L_λ over the bound below 1",
    tolerance="each of ten runs (two widths, five draws), d = 10, n = 3000",
    broken="stationary in t and not flat: f_L alone, at rest",
    after=TRIAL,
    judge=at_most(1.0),
    measure=each(e.noisy_points(SEEDS), over_flat_bound),
)


def curves_down(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every curvature is negative."""
    curvature, risk = values["curvature"], values["risk"]
    return found(
        max(curvature) < 0,
        largest=float(max(curvature)),
        least=float(min(curvature)),
        gradient=float(max(values["gradient"])),
        runs=len(risk),
        risk_low=float(min(risk)),
        risk_high=float(max(risk)),
    )


@chapter.claim(
    "landscape-plateau",
    "On the plateau, where L_λ lies above that bound, its mean curvature along the random signs of "
    "W_Q is negative.",
    source="D+M",
    target="½E(SW_Q)ᵀ∇²L_λ(SW_Q) < 0",
    tolerance="each of 25 runs (five widths, five draws)",
    broken="at the end of the run",
    judge=curves_down,
)
def sign_curvature(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """That curvature over L_λ(0), with gradient and risk on the plateau over those at W = 0."""
    key = "end_curvature" if broken else "plateau_curvature"
    records = runs(e.certified_points(SEEDS))
    return {
        "curvature": [r.summary[key] / r.summary["start_value"] for r in records],
        "gradient": [r.summary["plateau_gradient"] / r.arrays["gradient"][0] for r in records],
        "risk": [r.summary["plateau_value"] / r.summary["start_value"] for r in records],
    }


def falls_with_width(values: Mapping) -> Finding:
    """The slope for flat points against −1/2; beside it that of the bound with the floor."""
    finding, other = slope_near(-0.5, 0.1)(list(values["slopes"])), mean_interval(values["floored"])
    more = {k: float(v) for k, v in values.items() if k not in ("slopes", "floored")}
    more |= {"floored": other.value, "floored_low": other.low, "floored_high": other.high}
    return Finding(finding.verdict, {**finding.measured, **more})


@chapter.claim(
    "landscape-bound-order",
    "At the end of runs that bound falls with the width like m^(−1/2).",
    source="D+M",
    target="slope −1/2",
    tolerance="95 % interval over five draws within 0.1",
    broken="on the plateau, with the curvature certified there",
    judge=falls_with_width,
)
def bound_over_width(runs: Runs, broken: bool) -> dict[str, object]:
    """Slope in the width of the bound for flat points, and of that with the floor."""
    records = runs(e.certified_points(SEEDS))
    at = {(r.config["m"], r.config["seed"]): r.summary for r in records}
    flat, floored = (
        np.array([[at[m, seed][key] for m in e.WIDTHS] for seed in SEEDS])
        for key in (["plateau_bound"] * 2 if broken else ["end_bound_flat", "end_bound"])
    )
    return {
        "slopes": [log_slope(e.WIDTHS, row) for row in flat],
        "floored": [log_slope(e.WIDTHS, row) for row in floored],
        "bound_narrowest": flat[:, 0].mean(),
        "bound_widest": flat[:, -1].mean(),
        "floored_widest": floored[:, -1].mean(),
    }


# ---------------------------------------------------------------- the lowest curvature


def none_negative(gaps: np.ndarray) -> Finding:
    """Reproduced when no gap is negative."""
    least, largest = float(gaps.min()), float(gaps.max())
    return found(least >= -1e-9, least=least, largest=largest, points=int(gaps.size))


@chapter.claim(
    "landscape-floor",
    "−2m^(−1/2)max‖M_r‖ lies below the Ritz value of λ_min all along the runs.",
    source="D",
    target="Ritz value − floor ≥ 0, in units of |λ_min(0)|",
    tolerance="−1e-9, at nine times of 25 runs",
    broken="half of it, the factor of pair coordinates",
    judge=none_negative,
)
def over_floor(runs: Runs, broken: bool) -> np.ndarray:
    """(Ritz value − floor)/|λ_min(0)| at every time; pair coordinates are (s, t)."""
    watched, certified = runs(e.width_points(SEEDS)), runs(e.certified_points(SEEDS))
    factor = 0.5 if broken else 1.0
    gaps = [
        (w.arrays["lowest"] - factor * c.arrays["floor"]) / abs(c.summary["start_lowest"])
        for w, c in zip(watched, certified, strict=True)
    ]
    return np.array(gaps)


def depth(r: Record, floor: float) -> float:
    """−floor over |λ_min(0)|: how far below 0 the lowest curvature can be."""
    return -float(floor) / abs(r.summary["start_lowest"])


def final_depth(r: Record, broken: bool) -> float:
    """Certified depth at the last recorded time."""
    floor = r.arrays["floor"]
    return depth(r, floor[len(floor) // 2 if broken else -1])


def ends_flat(values: Mapping) -> Finding:
    """Reproduced when every depth is at most CEILING; the stopping rule's fate beside it."""
    every = [x for name in ("depth", "switches", "published") for x in values[name]]
    finding = at_most(CEILING)(every)
    more = {"risk": float(max(values["risk"]))}
    more |= {"certified": float(max(values["depth"])), "certified_runs": len(values["depth"])}
    for name in ("switches", "published"):
        more |= {name: float(max(values[name])), f"{name}_runs": len(values[name])}
    more |= {name: int(sum(values[name])) for name in ("reached", "perturbations")}
    return Finding(finding.verdict, {**finding.measured, **more})


@chapter.claim(
    "landscape-flat",
    "At the end of runs from W = 0 the lowest curvature, certified from below, is small against "
    "that at W = 0: R_2 alone, the sixteen settings of R_1 … R_4, and the published size.",
    source="A+M",
    target="0",
    tolerance="−floor ≤ 5 % of |λ_min(0)|, each of 111 runs; all fit their labels, and a small "
    "risk is flat",
    broken="on the plateau, in the middle of the run, at time 100",
    judge=ends_flat,
)
def depth_and_end(runs: Runs, broken: bool) -> dict[str, list]:
    """Certified depth, and how each run ends."""
    records = runs(e.certified_points(SEEDS))
    key = "plateau_floor" if broken else "end_floor"
    published = runs(e.certified_published_points(FEW))
    return {
        "depth": [depth(r, r.summary[key]) for r in records],
        "switches": [final_depth(r, broken) for r in runs(e.switch_points(SEEDS))],
        "published": [depth(r, r.arrays["floor"][1 if broken else -1]) for r in published],
        "risk": [r.summary["end_value"] / r.summary["start_value"] for r in records],
        "reached": [r.summary["reached"] for r in records],
        "perturbations": [r.summary["perturbations"] for r in records],
    }


def flat_and_high(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every depth is at most CEILING while every risk is at least that much."""
    worst, risk = float(max(values["depth"])), values["risk"]
    told = {"risk_low": float(min(risk)), "risk_high": float(max(risk)), "runs": len(risk)}
    return found(worst <= CEILING and min(risk) >= CEILING, largest=worst, **told)


@chapter.claim(
    "landscape-flat-noisy",
    "Noisy labels, too many to be fitted: the end is flat although its risk is not small.",
    source="A+M",
    target="0",
    tolerance="−floor ≤ 5 % of |λ_min(0)| and L_λ ≥ 5 % of L_λ(0), each of ten runs (two widths, "
    "five draws)",
    broken="f_Q not trained: f_L alone, at rest",
    after=TRIAL,
    judge=flat_and_high,
)
def noisy_depth(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Certified depth, and L_λ over its start."""
    records, when = runs(e.noisy_points(SEEDS)), "linear_" if broken else "end_"
    return {
        "depth": [depth(r, r.summary[f"{when}floor"]) for r in records],
        "risk": [r.summary[f"{when}value"] / r.summary["start_value"] for r in records],
    }


# ---------------------------------------------------------------- escape, and where runs end


def line_gaps(runs: Runs, broken: bool) -> list[float]:
    """1 − R² of the escape time, one for each draw; the control takes the next draw for each ε."""
    records = runs([e.Escape(seed) for seed in SEEDS])
    times = np.array([r.arrays["time"] for r in records])
    if broken:
        times = np.stack([np.roll(column, -j) for j, column in enumerate(times.T)], axis=1)
    x = -np.log(records[0].arrays["size"])
    return [1 - float(np.corrcoef(x, own)[0, 1]) ** 2 for own in times]


chapter.claim(
    "landscape-escape-line",
    "f_Q alone leaves W = 0 after a time linear in log 1/ε, ε the size of the perturbation "
    "(ε = 1e-3 to 1e-9).",
    source="L+D",
    target="1 − R² = 0",
    tolerance="1e-3 in each of five draws",
    broken="another W_0 and another saddle for each ε",
    judge=at_most(1e-3),
    measure=line_gaps,
)


def local_slope(r: Record, at: int) -> float:
    """d(escape time)/d log(1/ε) over the two neighbouring ε number ``at``, times |λ_min(0)|."""
    slopes = np.diff(r.arrays["time"]) / -np.diff(np.log(r.arrays["size"]))
    return float(slopes[at]) * abs(r.summary["lowest"])


def as_foreseen(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every slope at the smallest ε is 1 to 1.1 times the foreseen one."""
    ratios, first = values["last"], float(np.mean(values["first"]))
    ok = min(ratios) >= 1 - 1e-3 and max(ratios) <= 1.1
    return found(ok, ratio=mean_interval(ratios), runs=len(ratios), first=first)


@chapter.claim(
    "landscape-escape-slope",
    "Its slope is 1/|λ_min| at W = 0, from above (the two smallest ε).",
    source="D",
    target="ratio 1",
    tolerance="between 1 and 1.1 in each of five draws",
    broken="λ_min in pair coordinates, half of it",
    judge=as_foreseen,
)
def local_slopes(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Local slopes at the largest and the smallest ε."""
    records, factor = runs([e.Escape(seed) for seed in SEEDS]), 0.5 if broken else 1.0
    return {
        name: [factor * local_slope(r, at) for r in records]
        for name, at in {"first": 0, "last": -1}.items()
    }


def as_low(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every gap is at most 1e-3."""
    worst, tests, risk = (float(max(values[key])) for key in ("gaps", "tests", "risks"))
    return found(worst <= 1e-3, largest=worst, test_range=tests, risk=risk)


@chapter.claim(
    "landscape-starts",
    "From W = 0 descent ends as low as from the best of many random starts.",
    source="M",
    target="difference 0, in units of L_λ(0)",
    tolerance="1e-3 in each of five draws, seven random starts each",
    broken="the run from W = 0, on its plateau",
    judge=as_low,
)
def over_best_start(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """(L_λ from W = 0 − best over all starts)/L_λ(0); range of test errors, and largest risk."""
    values: dict[str, list[float]] = {"gaps": [], "tests": [], "risks": []}
    pairs = zip(runs(e.start_points(SEEDS)), runs(e.plateau_points(SEEDS)), strict=True)
    for r, on_the_way in pairs:
        ends = r.arrays["value"]
        own = on_the_way.summary["plateau_value"] if broken else ends[0]
        values["gaps"].append(float(own - ends.min()) / r.summary["zero"])
        values["tests"].append(float(r.arrays["test"].max() - r.arrays["test"].min()))
        values["risks"].append(float(ends.max()) / r.summary["zero"])
    return values
