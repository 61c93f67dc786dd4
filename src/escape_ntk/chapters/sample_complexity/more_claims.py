"""Claims beside the sweep: labels held out from n, the network itself, the two-step method."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from escape_ntk.chapters.sample_complexity import chapter
from escape_ntk.chapters.sample_complexity import more_runs as more
from escape_ntk.chapters.sample_complexity import runs as e
from escape_ntk.chapters.sample_complexity.claims import LEVELS, SEEDS, map_runs, unregularized
from escape_ntk.numerics.stats import Numbers, first_crossing, mean_interval
from escape_ntk.records.store import Record
from escape_ntk.study.claims import Finding, Runs, ends, found, ratio_one
from escape_ntk.study.dense_plus_sparse import Fit


def thresholds_by_seed(records: Sequence[Record], key: str) -> dict[int, float]:
    """n_.25 of the summary entry ``key`` by seed; the largest n where it is not reached there."""
    curves: dict[int, dict[int, float]] = {}
    for r in records:
        curves.setdefault(r.config["seed"], {})[r.config["n"]] = r.summary[key]
    out = {}
    for seed, errors in sorted(curves.items()):
        n = sorted(errors)
        at = first_crossing(n, [errors[x] for x in n], LEVELS[0])
        out[seed] = float(n[-1]) if np.isnan(at) else at
    return out


def ratios(above: Mapping[int, float], below: Mapping[int, float]) -> list[float]:
    """Seed by seed."""
    return [above[seed] / below[seed] for seed in below]


SPLITS = {"joint": more.SplitJoint, "quadntk": more.SplitQuadNTK}


def split_runs(runs: Runs, method: str) -> list[Record]:
    """The runs of one model that were chosen in several ways."""
    return runs(p for p in more.split_points(SEEDS) if isinstance(p, SPLITS[method]))


def little_dearer(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when each interval of the mean ratio ends at 1.1 or below.

    Beside it what the held-out labels make of it, counted too.
    """
    got = {name: mean_interval(v) for name, v in values.items()}
    told: dict[str, object] = {name: ends("ratio", i) for name, i in got.items()}
    for name, i in got.items():
        told[f"{name}_counted"] = i.value * (1 + (more.HELD_OUT[name.split("_")[1]] or 0.0))
    runs = len(next(iter(values.values())))
    return found(all(i.high <= 1.1 for i in got.values()), **told, runs=runs)


@chapter.claim(
    "complexity-split",
    "k = 2, d = 12: chosen by n/4 or by n/10 held-out labels, in the place of 2000, the joint "
    "model and QuadNTK need hardly more training labels for a test error of 1/4.",
    source="M",
    target="n_.25 over that by 2000 labels: 1",
    tolerance="95 % interval of the mean ratio over five seeds up to 1.1, four ratios",
    broken="no label held out: chosen by the training error",
    after="the bar, after a trial with some of these sizes",
    judge=little_dearer,
)
def cost_of_a_split(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """n_.25 by each kind of choice over that by 2000 free labels, by seed."""
    out = {}
    for method in SPLITS:
        records = split_runs(runs, method)
        free = thresholds_by_seed(records, "by_free")
        for share in ("quarter", "tenth"):
            own = thresholds_by_seed(records, "by_train" if broken else f"by_{share}")
            out[f"{method}_{share}"] = ratios(own, free)
    return out


# ---------------------------------------------------------------- the network itself


def network_thresholds(runs: Runs, key: str) -> dict[int, float]:
    """n_.25 of the network f: ``error`` with the chosen λ_2, ``free_error`` with none."""
    return thresholds_by_seed(runs(more.network_points(SEEDS)), key)


def fewer(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every ratio is at most 4/5; mean thresholds over n_2 beside it."""
    worst = float(max(values["ratios"]))
    means = {name: float(np.mean(v)) for name, v in values.items() if name != "ratios"}
    return found(worst <= 0.8, largest=worst, runs=len(values["ratios"]), **means)


@chapter.claim(
    "complexity-network",
    "k = 2, d = 12: with R_2 the network itself needs fewer samples for a test error of 1/4.",
    source="A+M",
    target="n_.25 with the chosen λ_2 over that with λ_2 = 0: at most 4/5",
    tolerance="each of five seeds; where 1/4 is not reached, n_.25 is the largest n that was run",
    broken="λ_2 = 0 in both: another seed's n_.25 over this one's",
    judge=fewer,
)
def network_with_over_without(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Ratios by seed; both thresholds over n_2."""
    without = network_thresholds(runs, "free_error")
    own = network_thresholds(runs, "error")
    if broken:
        seeds = list(without)
        own = {s: without[t] for s, t in zip(seeds, [*seeds[1:], seeds[0]], strict=True)}
    n_2 = more.samples(1.0, more.SPLIT_DIM, 2)
    both = {"with": own, "without": without}
    told = {name: [n / n_2 for n in v.values()] for name, v in both.items()}
    return {"ratios": ratios(own, without), **told}


@chapter.claim(
    "complexity-network-taylor",
    "k = 2, d = 12: the network itself, with R_2, needs as many samples as its Taylor model.",
    source="M",
    target="ratio 1 of n_.25",
    tolerance="95 % interval of the mean ratio over five seeds within ±.15",
    broken="the network without R_2",
    judge=ratio_one(0.85, 1.15),
)
def network_over_taylor(runs: Runs, broken: bool) -> list[float]:
    """n_.25 of the network over that of the joint model on the same data."""
    sizes = {p.n for p in more.network_points(SEEDS)}
    joint = [
        r
        for r in map_runs(runs, "joint", 2)
        if r.config["d"] == more.SPLIT_DIM and r.config["n"] in sizes
    ]
    own = network_thresholds(runs, "free_error" if broken else "error")
    return ratios(own, thresholds_by_seed(joint, "error"))


# ---------------------------------------------------------------- ridge, then QuadNTK


def below_one(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every ratio is below 1; partly when the interval of the mean log is."""
    v = np.asarray(values["ratios"])
    mean = mean_interval(np.log(v))
    told = {name: float(np.mean(x)) for name, x in values.items() if name != "ratios"}
    told |= {"below": int((v < 1).sum()), "runs": len(v), "ratio": float(np.exp(mean.value))}
    return found((v < 1).all(), partly=mean.high < 0, largest=float(v.max()), **told)


P = TypeVar("P", bound=Fit)


def at_chief(points: Sequence[P], d: int) -> list[P]:
    """Those at n = 3 n_2 and this d."""
    return [p for p in points if (p.d, p.n) == (d, e.samples(e.CHIEF_FACTOR, d, 2))]


@chapter.claim(
    "complexity-two-step",
    "k = 2, n = 3 n_2: the joint model's test error is below that of ridge regression on the "
    "degrees ≤ 2 with QuadNTK on what that leaves.",
    source="M",
    target="ratio below 1",
    tolerance="in each of ten runs (d = 16 and 24, five seeds); partly if in the geometric mean",
    broken="λ_2 = 0 in the joint model",
    judge=below_one,
)
def joint_over_two_step(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Ratios of test errors; beside them what both miss, and the first step alone."""
    values: dict[str, list[float]] = {"ratios": [], "joint": [], "two_step": [], "first": []}
    values |= {f"{part}_missed": [] for part in ("dense", "sparse")}
    for d in more.TWO_STEP_DIMS:
        chosen = [p for p in at_chief(e.chief_points(SEEDS), d) if isinstance(p, e.Joint)]
        pairs = zip(runs(chosen), runs(at_chief(more.two_step_points(SEEDS), d)), strict=True)
        for joint, two in pairs:
            own = unregularized(joint)["error"] if broken else joint.summary["error"]
            values["ratios"].append(own / two.summary["error"])
            values["joint"].append(own)
            values["two_step"].append(two.summary["error"])
            values["first"].append(two.summary["first_error"])
            for part in ("dense", "sparse"):
                values[f"{part}_missed"].append(two.summary[part])
    return values
