"""Claims of the chapter *The regulariser*."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from escape_ntk.chapters.published_figure.claims import final, paired_with_r1
from escape_ntk.chapters.published_figure.runs import SUM_SCALED_R1, SUM_UNIT_R1
from escape_ntk.chapters.regularizer import chapter
from escape_ntk.chapters.regularizer import runs as e
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.numerics.stats import Numbers, mean_interval
from escape_ntk.records.store import Record
from escape_ntk.risk.projectors import spectral_steps
from escape_ntk.study.claims import (
    Finding,
    Measure,
    Runs,
    at_most,
    each,
    ends,
    found,
    summary_value,
)

SEEDS, FEW = e.SEEDS, e.SEEDS[:3]
OUTSIDE = 2 / 3
"""Mean square of what the published target has outside degree ≤ 1: its quadratic part."""

Cell = tuple[float, float]
"""(λ_1, λ_2) of one setting of the table."""

for law, text in (("gaussian", "Gaussian inputs"), ("sphere", "inputs on the sphere")):
    chapter.claim(
        f"regularizer-closed-form-{law}",
        f"The closed form of R_1 is the population leak: {text}.",
        source="D",
        target="difference 0",
        tolerance="3 standard errors of a million fresh inputs, in each of five draws",
        broken="the κ_20 term set to zero",
        judge=at_most(3.0),
        measure=each(
            [e.ClosedForms(seed) for seed in SEEDS], summary_value(law, f"{law}_without_k20")
        ),
    )


# ---------------------------------------------------------------- the published size


def last(record: Record, name: str) -> float:
    """The last value of one measurement."""
    return float(record.arrays[name][-1])


def lambdas(record: Record) -> Cell:
    """Its setting."""
    return record.config["penalty_population"], record.config["penalty_empirical"]


def table(runs: Runs, name: str) -> dict[Cell, np.ndarray]:
    """Final ``name`` by (λ_1, λ_2), one value for each seed."""
    cells: dict[Cell, list[float]] = {}
    for r in runs(e.ablation_points(FEW)):
        cells.setdefault(lambdas(r), []).append(last(r, name))
    return {where: np.array(v) for where, v in cells.items()}


def split(name: str, scale: float = 1.0) -> Measure[dict[str, np.ndarray]]:
    """Final ``name`` without R_2 and with it, all seeds and λ_1; the control splits by R_1."""

    def measure(runs: Runs, broken: bool) -> dict[str, np.ndarray]:
        cells, place = table(runs, name), 0 if broken else 1
        return {
            key: np.concatenate(
                [v / scale for where, v in cells.items() if (where[place] > 0) is on]
            )
            for key, on in (("without", False), ("with", True))
        }

    return measure


def separated(
    without: tuple[float, float], with_it: tuple[float, float]
) -> Callable[[Mapping[str, Numbers]], Finding]:
    """Reproduced when all runs without lie in one band and all runs with it in the other."""
    bands = {"without": without, "with": with_it}

    def judge(values: Mapping[str, Numbers]) -> Finding:
        ok = all(
            low <= min(values[key]) and max(values[key]) <= high
            for key, (low, high) in bands.items()
        )
        told = {
            f"{key}_{end}": float(pick(values[key]))
            for key in bands
            for end, pick in (("least", min), ("most", max))
        }
        return found(ok, **told, runs=sum(len(v) for v in values.values()))

    return judge


chapter.claim(
    "regularizer-memorizes",
    "Published size: without R_2, f_L is large outside the learnable directions on the training "
    "set; with it, it is not, whatever λ_1.",
    source="M",
    target="R_2 over 2/3: at least 0.1 without, at most 0.01 with",
    tolerance="each of 27 runs (three seeds)",
    broken="sorted by λ_1 instead of λ_2",
    judge=separated((0.1, 1.0), (0.0, 0.01)),
    measure=split("R_2", OUTSIDE),
)

chapter.claim(
    "regularizer-teaches",
    "Published size: with R_2, f_Q learns a good part of the quadratic; without, it does not, "
    "whatever λ_1.",
    source="M",
    target="f_Q's coefficient: at most 0.25 without, at least 0.4 with",
    tolerance="each of 27 runs (three seeds)",
    broken="sorted by λ_1 instead of λ_2",
    judge=separated((-0.25, 0.25), (0.4, 1.0)),
    measure=split("quadratic_1"),
)


@chapter.claim(
    "regularizer-leak",
    "Published size: R_1 keeps the population leak down, whatever λ_2.",
    source="M",
    target="leak with λ_1 = 1 or 10 over leak with λ_1 = 0",
    tolerance="at most 0.2 in each of 18 runs (three seeds)",
    broken="R_2 in place of R_1",
    judge=at_most(0.2),
)
def leak_ratios(runs: Runs, broken: bool) -> np.ndarray:
    """Population leak with the penalty over that without, same seed and other λ."""
    cells = table(runs, "R_1")
    if broken:
        ratios = [v / cells[one, 0.0] for (one, two), v in cells.items() if two > 0]
    else:
        ratios = [v / cells[0.0, two] for (one, two), v in cells.items() if one > 0]
    return np.concatenate(ratios)


COEFFICIENTS = ("linear_1", "quadratic_1")
"""The true quadratic's coefficient in f_L and in f_Q."""


def error_in_quadratic(record: Record) -> float:
    """The part of the test loss that lies along the target's quadratic part."""
    learned = last(record, "linear_1") + last(record, "quadratic_1")
    return OUTSIDE * (1 - learned) ** 2


def costs(changes: Mapping[str, Numbers]) -> Finding:
    """Reproduced when the test loss rises in every run, its quadratic part by at least as much."""
    test, quadratic = np.array(changes["test"]), np.array(changes["quadratic"])
    return found(
        (test > 0).all() and (quadratic >= test).all(),
        test=float(test.mean()),
        quadratic=float(quadratic.mean()),
        in_linear=float(np.mean(changes[COEFFICIENTS[0]])),
        in_quadratic=float(np.mean(changes[COEFFICIENTS[1]])),
        least=float(test.min()),
        most=float(test.max()),
        runs=len(test),
    )


@chapter.claim(
    "regularizer-r1-costs",
    "Published size: added to R_2, R_1 raises the test loss, and the quadratic part of it by at "
    "least as much.",
    source="M",
    target="a rise",
    tolerance="both in each of 12 runs (three seeds)",
    broken="R_2 added to R_1",
    judge=costs,
)
def added_to_the_other(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """What it adds to the test loss and its quadratic part, and takes off both coefficients."""
    at = {(*lambdas(r), r.config["seed"]): r for r in runs(e.ablation_points(FEW))}
    changes: dict[str, list[float]] = {key: [] for key in ("test", "quadratic", *COEFFICIENTS)}
    for (one, two, seed), r in at.items():
        if one > 0 and two > 0:
            base = at[(one, 0.0, seed) if broken else (0.0, two, seed)]
            changes["test"].append(last(r, "test") - last(base, "test"))
            changes["quadratic"].append(error_in_quadratic(r) - error_in_quadratic(base))
            for name in COEFFICIENTS:
                changes[name].append(last(base, name) - last(r, name))
    return changes


def falls(changes: Mapping[str, Numbers]) -> Finding:
    """Reproduced when every change is a fall; its mean at each λ_2."""
    ok = all((np.asarray(own) < 0).all() for own in changes.values())
    told = {key: -float(np.mean(own)) for key, own in changes.items()}
    return found(ok, **told, runs=sum(len(own) for own in changes.values()))


@chapter.claim(
    "regularizer-r1-weak",
    "Published size, λ_2 = 10 and 100: a weak R_1, λ_1 = λ_2/1000, lowers the test loss.",
    source="M",
    target="a fall",
    tolerance="in each of six pairs: three independent draws at two λ_2",
    broken="λ_1 = 1",
    judge=falls,
)
def weak_r1(runs: Runs, broken: bool) -> dict[str, np.ndarray]:
    """Test loss with R_1 minus that without by λ_2, one for each seed; the control at 10 only."""
    both = SUM_SCALED_R1.lambdas
    kind, lambdas = (SUM_UNIT_R1, both[:1]) if broken else (SUM_SCALED_R1, both)
    changes = {}
    for strength in lambdas:
        without, with_r1 = paired_with_r1(runs, kind, [strength])
        lambda_2 = SUM_SCALED_R1.empirical_slope * strength
        changes[f"fall_{lambda_2:g}"] = final(with_r1, "test") - final(without, "test")
    return changes


# ---------------------------------------------------------------- all settings, small


def log_ratios(value: str, fewer: Sequence[Record], more: Sequence[Record]) -> np.ndarray:
    """log(with/without) of a summary ``value``, seed by seed."""
    return np.log([b.summary[value] / a.summary[value] for a, b in zip(fewer, more, strict=True)])


def switched(added: Sequence[str], value: str, other: str) -> Measure[dict[str, np.ndarray]]:
    """log(with/without) of ``value`` by added λ and setting of the rest; control: ``other``."""

    def measure(runs: Runs, broken: bool) -> dict[str, np.ndarray]:
        groups = e.by_setting(runs(e.switch_points(SEEDS)))
        pairs = {}
        for name in [other] if broken else added:
            for on, records in groups.items():
                if name not in on:
                    more = groups[tuple(n for n in e.BASE if n in on or n == name)]
                    key = f"{name} added to {' '.join(on) or 'none'}"
                    pairs[key] = log_ratios(value, records, more)
        return pairs

    return measure


def change_everywhere(sign: int) -> Callable[[Mapping[str, Numbers]], Finding]:
    """Reproduced when the mean log ratio's 95 % interval has this sign in every setting.

    Partly in most.
    """

    def judge(pairs: Mapping[str, Numbers]) -> Finding:
        intervals = {key: mean_interval(v) for key, v in pairs.items()}
        beyond = [min(sign * i.low, sign * i.high) > 0 for i in intervals.values()]
        ordered = sorted(intervals.values(), key=lambda i: i.value)
        told = {
            key: {word: float(np.exp(log)) for word, log in ends("ratio", i).items()}
            for key, i in {**intervals, "least": ordered[0], "most": ordered[-1]}.items()
        }
        most = sum(beyond) > len(beyond) / 2
        return found(all(beyond), partly=most, **told, settings=sum(beyond), of=len(beyond))

    return judge


chapter.claim(
    "regularizer-switch-r2",
    "d = 30: switching R_2 on lowers the test error in each of the eight settings of the other "
    "penalties.",
    source="M",
    target="ratio below 1",
    tolerance="95 % interval over five draws below 1 in each setting; partly in most",
    broken="R_3 in place of R_2",
    judge=change_everywhere(-1),
    measure=switched(["empirical"], "test", "low_degree"),
)

chapter.claim(
    "regularizer-switch-r1",
    "d = 30: switching R_1 on lowers the population leak in each of the eight settings of the "
    "other penalties.",
    source="M",
    target="ratio below 1",
    tolerance="95 % interval over five draws below 1 in each setting; partly in most",
    broken="R_3 in place of R_1",
    judge=change_everywhere(-1),
    measure=switched(["population"], "R_1", "low_degree"),
)

chapter.claim(
    "regularizer-others",
    "d = 30: switching R_1, R_3 or R_4 on raises the test error in each of the eight settings of "
    "the rest.",
    source="M",
    target="ratio above 1",
    tolerance="95 % interval over five draws above 1 in each of 24 pairs; partly in most",
    broken="R_2 in their place",
    judge=change_everywhere(1),
    measure=switched(["population", "low_degree", "norm"], "test", "empirical"),
)


@chapter.claim(
    "regularizer-noise",
    "d = 30, label noise of variance 1/4: R_1, R_3 and R_4, each added to R_2, raise the test "
    "error.",
    source="M",
    target="ratio above 1",
    tolerance="95 % interval over five draws above 1 for each; partly for most",
    broken="R_2 added to nothing",
    judge=change_everywhere(1),
)
def added_under_noise(runs: Runs, broken: bool) -> dict[str, np.ndarray]:
    """log(with/without) of the test error."""
    groups = e.by_setting(runs(e.noise_points(SEEDS)))
    base = groups[() if broken else ("empirical",)]
    return {
        " ".join(on): log_ratios("test", base, group)
        for on, group in groups.items()
        if len(on) == (1 if broken else 2)
    }


def no_tuning(ratios: Mapping[float, float]) -> Finding:
    """Reproduced when every ratio from a tenth up lies in [2/3, 3/2]."""
    upper = [v for factor, v in ratios.items() if factor >= 0.1]
    ok = 2 / 3 <= min(upper) and max(upper) <= 3 / 2
    return found(ok, **{f"times_{factor:g}": v for factor, v in ratios.items()})


@chapter.claim(
    "regularizer-tuning",
    "d = 30, all four on: λ_2 needs no tuning from a tenth to a hundred times its value.",
    source="M",
    target="mean test error over that at λ_2 = 10: 1",
    tolerance="within [2/3, 3/2] at each (three draws)",
    broken="λ_3 in place of λ_2",
    judge=no_tuning,
)
def over_usual(runs: Runs, broken: bool) -> dict[float, float]:
    """Mean test error over that at the usual λ, by the factor on it, from a hundredth up."""
    name = "low_degree" if broken else "empirical"
    records = runs(e.scan_points(FEW)[name])
    means = {
        factor: np.mean(
            [r.summary["test"] for r in records if r.config[name] == factor * e.BASE[name]]
        )
        for factor in e.DECADES
    }
    return {factor: float(mean / means[1.0]) for factor, mean in means.items()}


D = e.Regularized.d
N_1 = cumulative_multiplicity(D, 1)


def cut_at_n1(values: Mapping) -> Finding:
    """Reproduced when n_1 is the only rank found, and no n_k has a lower mean test error."""
    ranks, errors = values["ranks"], values["errors"]
    best = min(errors, key=errors.get)
    return found(
        ranks == [N_1] and best == N_1,
        best=best,
        rank_least=min(ranks),
        rank_most=max(ranks),
        error=errors[N_1],
        one_less=errors[N_1 - 1] / errors[N_1],
        half=errors[(N_1 + 1) // 2] / errors[N_1],
        double=errors[2 * N_1] / errors[N_1],
    )


@chapter.claim(
    "regularizer-cut",
    "d = 30: the last step of the Gram spectrum is at n_1 = d + 1, and of nine n_k none has a "
    "lower mean test error.",
    source="D+M",
    target="n_1",
    tolerance="none: the rank in each of five draws, the mean over them",
    broken="the largest ratio of neighbours instead of the last step",
    judge=cut_at_n1,
)
def ranks_and_errors(runs: Runs, broken: bool) -> dict[str, object]:
    """Ranks read off each Gram spectrum, and mean test errors by n_k."""
    ranks, errors = set(), {}
    for r in runs(e.cut_points(SEEDS)):
        gram = torch.tensor(r.arrays["gram"])
        half = len(gram) // 2
        largest = 1 + int((gram[:half] / gram[1 : half + 1]).argmax())
        ranks.add(largest if broken else spectral_steps(gram)[-1])
        errors.setdefault(r.config["n_k"], []).append(r.summary["test"])
    means = {n_k: float(np.mean(v)) for n_k, v in errors.items()}
    return {"ranks": sorted(ranks), "errors": means}
