"""Claims of the chapter *The regulariser*."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

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
from escape_ntk.claims.published_figure import final, paired_with_r1
from escape_ntk.directions import spectral_steps
from escape_ntk.experiments import regularizer as e
from escape_ntk.experiments.published_figure import SUM_SCALED_R1, SUM_UNIT_R1
from escape_ntk.network import activation
from escape_ntk.polynomials import cumulative_multiplicity
from escape_ntk.records import Record, RecordStore
from escape_ntk.spectrum import ntk_spectrum
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


def _lambdas(record: Record) -> Cell:
    return record.config["penalty_population"], record.config["penalty_empirical"]


def table(store: RecordStore, name: str) -> tuple[dict[Cell, np.ndarray], tuple[str, ...]]:
    """Final ``name`` by (λ_1, λ_2), one value for each seed; and the records' names."""
    records = require(e.ablation_points(FEW), store, COMMAND)
    cells: dict[Cell, list[float]] = {}
    for r in records:
        cells.setdefault(_lambdas(r), []).append(_final(r, name))
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


def error_in_quadratic(record: Record) -> float:
    """The part of the test loss that lies along the target's quadratic part."""
    learned = _final(record, "linear_on_part1") + _final(record, "quadratic_on_part1")
    return OUTSIDE * (1 - learned) ** 2


COEFFICIENTS = ("linear_on_part1", "quadratic_on_part1")
"""The true quadratic's coefficient in f_L and in f_Q."""


def _gather_added(store: RecordStore, broken: bool) -> Evidence:
    """What R_1 adds where R_2 is on, run by run: to the test loss, to its quadratic part.

    Control: what R_2 adds where R_1 is on.
    """
    records = require(e.ablation_points(FEW), store, COMMAND)
    at = {(*_lambdas(r), r.config["seed"]): r for r in records}
    changes: dict[str, list[float]] = {"test": [], "quadratic": []}
    changes |= {name: [] for name in COEFFICIENTS}
    for (one, two, seed), r in at.items():
        if one > 0 and two > 0:
            base = at[(one, 0.0, seed) if broken else (0.0, two, seed)]
            changes["test"].append(_final(r, "test_loss") - _final(base, "test_loss"))
            changes["quadratic"].append(error_in_quadratic(r) - error_in_quadratic(base))
            for name in COEFFICIENTS:
                changes[name].append(_final(base, name) - _final(r, name))
    return Evidence(changes, names(records))


def _judge_added(changes: Mapping[str, Numbers]) -> Finding:
    """Reproduced when the test loss rises in every run, its quadratic part by at least as much."""
    test, quadratic = np.array(changes["test"]), np.array(changes["quadratic"])
    ok = bool((test > 0).all() and (quadratic >= test).all())
    measured = {
        "test": float(test.mean()),
        "quadratic": float(quadratic.mean()),
        "in_linear": float(np.mean(changes[COEFFICIENTS[0]])),
        "in_quadratic": float(np.mean(changes[COEFFICIENTS[1]])),
        "least": float(test.min()),
        "most": float(test.max()),
        "runs": len(test),
    }
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _gather_weak(store: RecordStore, broken: bool) -> Evidence:
    """Test loss with λ_1 = λ_2/1000 minus that with λ_1 = 0, λ_2 = 10 and 100, seed by seed.

    Control: λ_1 = 1 at λ_2 = 10.
    """
    lambdas = SUM_SCALED_R1.lambdas
    kind = (SUM_UNIT_R1, lambdas[:1]) if broken else (SUM_SCALED_R1, lambdas)
    without, with_r1 = paired_with_r1(store, *kind)
    change = final(with_r1, "test_loss") - final(without, "test_loss")
    return Evidence(change, names([*without, *with_r1]))


def _judge_falls(changes: Numbers) -> Finding:
    """Reproduced when every change is a fall."""
    ok = bool((np.asarray(changes) < 0).all())
    measured = {"fall": -float(np.mean(changes)), "runs": len(changes)}
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


def _log_ratios(value: str, fewer: Sequence[Record], more: Sequence[Record]) -> np.ndarray:
    """log(with/without) of a summary ``value``, seed by seed."""
    return np.log([b.summary[value] / a.summary[value] for a, b in zip(fewer, more, strict=True)])


def _gather_switches(added: Sequence[str], value: str, other: Sequence[str]):
    """log(with/without) of ``value`` by added λ and setting of the rest; control: other λ added."""

    def gather(store: RecordStore, broken: bool) -> Evidence:
        groups = e.by_setting(require(e.switch_points(SEEDS), store, COMMAND))
        pairs = {}
        for name in other if broken else added:
            for on, records in groups.items():
                if name not in on:
                    more = groups[tuple(n for n in e.BASE if n in on or n == name)]
                    pairs[f"{name} added to {' '.join(on) or 'none'}"] = _log_ratios(
                        value, records, more
                    )
        return Evidence(pairs, names([r for group in groups.values() for r in group]))

    return gather


def _gather_noise(store: RecordStore, broken: bool) -> Evidence:
    """log(with/without) of the test error for λ added to R_2; control: R_2 added to nothing."""
    records = require(e.noise_points(SEEDS), store, COMMAND)
    groups = e.by_setting(records)
    base = groups[() if broken else ("empirical",)]
    pairs = {
        " ".join(on): _log_ratios("test_loss", base, group)
        for on, group in groups.items()
        if (len(on) == 1 if broken else len(on) == 2)
    }
    return Evidence(pairs, names(records))


def _judge_switches(sign: int):
    """Reproduced when the mean log ratio's 95 % interval has this sign in every setting."""

    def judge(pairs: Mapping[str, Numbers]) -> Finding:
        intervals = {key: mean_interval(v) for key, v in pairs.items()}
        beyond = [min(sign * i.low, sign * i.high) > 0 for i in intervals.values()]
        verdict = Verdict.NOT_REPRODUCED
        if all(beyond):
            verdict = Verdict.REPRODUCED
        elif sum(beyond) > len(beyond) / 2:
            verdict = Verdict.PARTLY
        ordered = sorted(intervals.values(), key=lambda i: i.value)
        measured: dict[str, object] = {
            key: {
                "ratio": float(np.exp(i.value)),
                "low": float(np.exp(i.low)),
                "high": float(np.exp(i.high)),
            }
            for key, i in {**intervals, "least": ordered[0], "most": ordered[-1]}.items()
        }
        return Finding(verdict, measured | {"settings": sum(beyond), "of": len(beyond)})

    return judge


def _gather_scan(store: RecordStore, broken: bool) -> Evidence:
    """Mean test error over that at λ_2 = 10, from a tenth to a hundred times it; control: λ_3."""
    name = "low_degree" if broken else "empirical"
    records = require(e.scan_points(FEW)[name], store, COMMAND)
    means = {
        factor: np.mean(
            [r.summary["test_loss"] for r in records if r.config[name] == factor * e.BASE[name]]
        )
        for factor in e.DECADES
    }
    ratios = {factor: float(means[factor] / means[1.0]) for factor in means}
    return Evidence(ratios, names(records))


def _judge_scan(ratios: Mapping[float, float]) -> Finding:
    """Reproduced when every ratio from a tenth up lies in [2/3, 3/2]."""
    upper = [v for factor, v in ratios.items() if factor >= 0.1]
    ok = 2 / 3 <= min(upper) and max(upper) <= 3 / 2
    measured = {f"times_{factor:g}": v for factor, v in ratios.items()}
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


D = e.Regularized.d
N_1 = cumulative_multiplicity(D, 1)


def foreseen_spectrum() -> np.ndarray:
    """Gram eigenvalues foreseen for the small problem, infinite width."""
    return ntk_spectrum(activation(e.SIGMOID), D).gram_eigenvalues(e.Regularized.n, 1)


def setting_name(on: Sequence[str]) -> str:
    """``"R_1 + R_2"`` from the names of the λ that are on."""
    return " + ".join(f"R_{1 + list(e.BASE).index(name)}" for name in on) or "none"


def table_rows(store: RecordStore) -> list[list[str]]:
    """One row for each (λ_1, λ_2) of the published size: means, with the range of the test loss."""
    columns = {
        name: table(store, name)[0]
        for name in ("test_loss", "quadratic_on_part1", "empirical_leak", "population_leak")
    }
    test, share, empirical, population = columns.values()
    return [
        [
            f"{one:g}",
            f"{two:g}",
            f"{v.mean():.3f} ({v.min():.3f} to {v.max():.3f})",
            f"{share[one, two].mean():.2f}",
            f"{empirical[one, two].mean():.1e}",
            f"{population[one, two].mean():.1e}",
        ]
        for (one, two), v in sorted(test.items())
    ]


def noise_rows(records: Sequence[Record]) -> list[list[str]]:
    """One row for each setting: its λ, and mean errors and leak."""
    rows = []
    for on, group in e.by_setting(records).items():
        means = [
            np.mean([r.summary[key] for r in group])
            for key in ("test_loss", "train_loss", "population_leak")
        ]
        rows.append([setting_name(on), *(f"{mean:.3f}" for mean in means)])
    return rows


def _gather_cut(store: RecordStore, broken: bool) -> Evidence:
    """Ranks by the last step of each Gram spectrum, and mean test errors by n_k.

    Control: ranks by the largest ratio of neighbours.
    """
    records = require(e.cut_points(SEEDS), store, COMMAND)
    ranks, errors = set(), {}
    for r in records:
        gram = torch.tensor(r.arrays["gram"])
        half = len(gram) // 2
        largest = 1 + int((gram[:half] / gram[1 : half + 1]).argmax())
        ranks.add(largest if broken else spectral_steps(gram)[-1])
        errors.setdefault(r.config["n_k"], []).append(r.summary["test_loss"])
    means = {n_k: float(np.mean(v)) for n_k, v in errors.items()}
    return Evidence({"ranks": sorted(ranks), "errors": means}, names(records))


def _judge_cut(values: Mapping) -> Finding:
    """Reproduced when n_1 is the only rank found, and no n_k has a lower mean test error."""
    errors = values["errors"]
    best = min(errors, key=errors.get)
    ok = values["ranks"] == [N_1] and best == N_1
    measured = {
        "best": best,
        "rank_least": min(values["ranks"]),
        "rank_most": max(values["ranks"]),
        "error": errors[N_1],
        "one_less": errors[N_1 - 1] / errors[N_1],
        "half": errors[(N_1 + 1) // 2] / errors[N_1],
        "double": errors[2 * N_1] / errors[N_1],
    }
    return Finding(Verdict.REPRODUCED if ok else Verdict.NOT_REPRODUCED, measured)


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
        statement="Published size: without R_2, f_L is large outside the good directions on the "
        "training set; with it, it is not, whatever λ_1.",
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
        statement="Published size: added to R_2, R_1 raises the test loss, and the quadratic part "
        "of it by at least as much.",
        source="M",
        target="a rise",
        tolerance="both in each of 12 runs (three seeds)",
        broken="R_2 added to R_1",
        gather=_gather_added,
        judge=_judge_added,
    ),
    Claim(
        id="regularizer-r1-weak",
        chapter=CHAPTER,
        statement="Published size, λ_2 = 10 and 100: a weak R_1, λ_1 = λ_2/1000, lowers the test "
        "loss.",
        source="M",
        target="a fall",
        tolerance="in each of six pairs (three seeds)",
        broken="λ_1 = 1",
        gather=_gather_weak,
        judge=_judge_falls,
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
        gather=_gather_switches(["empirical"], "test_loss", ["low_degree"]),
        judge=_judge_switches(-1),
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
        gather=_gather_switches(["population"], "population_leak", ["low_degree"]),
        judge=_judge_switches(-1),
    ),
    Claim(
        id="regularizer-others",
        chapter=CHAPTER,
        statement="d = 30: switching R_1, R_3 or R_4 on raises the test error in each of the eight "
        "settings of the rest.",
        source="M",
        target="ratio above 1",
        tolerance="95 % interval over five draws above 1 in each of 24 pairs; partly in most",
        broken="R_2 in their place",
        gather=_gather_switches(["population", "low_degree", "norm"], "test_loss", ["empirical"]),
        judge=_judge_switches(1),
    ),
    Claim(
        id="regularizer-noise",
        chapter=CHAPTER,
        statement="d = 30, label noise of variance 1/4: R_1, R_3 and R_4, each added to R_2, raise "
        "the test error.",
        source="M",
        target="ratio above 1",
        tolerance="95 % interval over five draws above 1 for each; partly for most",
        broken="R_2 added to nothing",
        gather=_gather_noise,
        judge=_judge_switches(1),
    ),
    Claim(
        id="regularizer-tuning",
        chapter=CHAPTER,
        statement="d = 30, all four on: λ_2 needs no tuning from a tenth to a hundred times its "
        "value.",
        source="M",
        target="mean test error over that at λ_2 = 10: 1",
        tolerance="within [2/3, 3/2] at each (three draws)",
        broken="λ_3 in place of λ_2",
        gather=_gather_scan,
        judge=_judge_scan,
    ),
    Claim(
        id="regularizer-cut",
        chapter=CHAPTER,
        statement="d = 30: the last step of the Gram spectrum is at n_1 = d + 1, and of nine n_k "
        "none has a lower mean test error.",
        source="D+M",
        target="n_1",
        tolerance="none: the rank in each of five draws, the mean over them",
        broken="the largest ratio of neighbours instead of the last step",
        gather=_gather_cut,
        judge=_judge_cut,
    ),
)
