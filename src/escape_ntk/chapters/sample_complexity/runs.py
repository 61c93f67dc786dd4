"""How many samples NTK, QuadNTK and the joint model need for a dense plus a sparse part.

f* = (dense harmonic of degree k + sparse harmonic of degree k + 1)/√2 on the sphere, k = 1 or 2;
at one dimension k = 3.
Every method of one (seed, k, d, n) meets the same target, training, validation and test sets; what
it is tuned over is chosen on the validation set, the moment at which training stops included.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk.chapters.sample_complexity import chapter
from escape_ntk.kernels.ntk import infinite_ntk, ridge_factor
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.numerics.stats import first_crossing
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.study.dense_plus_sparse import PARTS, Data, Fit, draw_data, error_by_part, samples
from escape_ntk.study.point import PROJECTED, Draws, Point, Result
from escape_ntk.study.sampling import unit_start
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import Trajectory, log_times


@dataclass(frozen=True)
class NTK(Fit):
    """Ridge regression with the infinite tangent kernel; ridges in units of K(x, x)."""

    experiment: ClassVar[str] = "complexity-ntk"
    draws: ClassVar[Draws] = Draws("sphere")

    ridges: tuple[float, ...] = (0.0, 1e-3, 1e-2, 1e-1)

    def compute(self, run: Run = UNSAVED) -> Result:
        """The chosen ridge, its error by part, and the error that theory predicts without ridge."""
        data, act = self.data(torch.float64), activation(self.activation)
        gram = infinite_ntk(data.X, data.X, act)
        unit, y = float(gram.diagonal().mean()), data.y

        def dual(relative: float, run: Run) -> dict[str, np.ndarray]:
            factor = ridge_factor(gram.clone(), relative * unit)
            return {"dual": torch.cholesky_solve(y[:, None], factor)[:, 0].numpy()}

        alphas = torch.from_numpy(run.tabulate(self.ridges, dual)["dual"]).T.contiguous()
        del gram
        validation = self._predict(data, data.validation, alphas)
        gaps = (validation - data.validation_y[:, None]).square().mean(0)
        best = int(gaps.argmin())
        prediction = self._predict(data, data.test, alphas[:, best : best + 1])[:, 0]
        powers = [0.0] * self.k + [0.5, 0.5]
        return {
            "validation": float(gaps[best]),
            "ridge": self.ridges[best],
            "predicted": ntk_spectrum(act, self.d).predicted_error(self.n, powers),
            **error_by_part(prediction, data.target.part_values(data.test)),
        }, {"validation": gaps.numpy()}

    def _predict(self, data: Data, Z: Tensor, alphas: Tensor, block: int = 1000) -> Tensor:
        act = activation(self.activation)
        return torch.cat([infinite_ntk(z, data.X, act) @ alphas for z in Z.split(block)])


Prepared = tuple[Data, PairFeatures, PairFeatures, PairFeatures]


@dataclass(frozen=True)
class Flow(Fit):
    """What both Taylor models share: width, flow, and the test error of the best moment."""

    m: int = 2000
    t_end: float = 10_000.0
    n_times: int = 17
    rtol: float = 1e-2
    atol: float = 1e-4

    def prepare(self) -> Prepared:
        """(data, features of the training inputs, of the validation inputs, of the test inputs)."""
        data, act = self.data(), activation(self.activation)
        kind = {"law": self.draws.weights, "dtype": torch.float32}
        weights = draw_weights(self.m, self.d, data.generator, **kind)
        inputs = (data.X, data.validation, data.test)
        seen, validation, test = (PairFeatures(Z, weights, act) for Z in inputs)
        return data, seen, validation, test

    def best_moment(
        self, risk: RegularizedRisk, start: Tensor, prepared: Prepared, run: Run
    ) -> dict[str, float]:
        """Errors at the recorded time with the least validation error."""
        return self.judged(risk, self.follow(risk, start, prepared, run), prepared)

    def follow(
        self, risk: RegularizedRisk, start: Tensor, prepared: Prepared, run: Run
    ) -> Trajectory:
        """The flow, with the validation error at recorded times."""
        data, _, validation, _ = prepared

        def observe(state: Tensor) -> dict[str, float]:
            prediction = risk.prediction(*validation.terms(state))
            return {"validation": float((prediction - data.validation_y).square().mean())}

        return gradient_flow(
            risk,
            start,
            t_end=self.t_end,
            record_at=log_times(self.t_end, self.n_times),
            observe=observe,
            rtol=self.rtol,
            atol=self.atol,
            best="validation",
            run=run,
        )

    def judged(
        self, risk: RegularizedRisk, trained: Trajectory, prepared: Prepared
    ) -> dict[str, float]:
        """Errors of a flow at its best moment."""
        data, _, _, test = prepared
        parts = data.target.part_values(test.X)
        best = trained.kept["best"]
        terms, seen = test.terms(best), risk.features.terms(best)
        at = int(np.nanargmin(trained.values["validation"]))
        out = {
            "validation": float(trained.values["validation"][at]),
            "time": float(trained.times[at]),
            "train": float((risk.prediction(*seen) - risk.y).square().mean()),
            "n_gradients": trained.n_gradients,
            **error_by_part(risk.prediction(*terms), parts),
        }
        for name, term in zip(("linear", "quadratic"), terms, strict=True):
            shares = error_by_part(term, parts)
            out |= {f"{name}_{part}": shares[f"c_{part}"] for part in PARTS[:2]}
        return out


def _chosen(arrays: dict[str, np.ndarray]) -> Result:
    """The row of least validation error as the summary, all rows as arrays."""
    best = {name: column[np.nanargmin(arrays["validation"])] for name, column in arrays.items()}
    gradients = int(arrays["n_gradients"].sum())
    summary = {name: float(value) for name, value in best.items()} | {"n_gradients": gradients}
    return summary, {name: column.astype(float) for name, column in arrays.items()}


@dataclass(frozen=True)
class Joint(Flow):
    """f_L + f_Q from W = 0 with n_k learnable directions, over λ_2, which may be 0, and time."""

    experiment: ClassVar[str] = "complexity-joint"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=PROJECTED)

    empirical: tuple[float, ...] = (0.0, 0.1, 1.0, 10.0)

    def compute(self, run: Run = UNSAVED) -> Result:
        """The best λ_2 and moment by validation; every λ_2 at its best moment."""
        prepared = self.prepare()
        data, features = prepared[:2]
        projector = TrainingProjector(features, cumulative_multiplicity(self.d, self.k))

        def row(weight: float, run: Run) -> dict[str, float]:
            risk = RegularizedRisk(
                features, data.y, penalties=Penalties(empirical=weight), projector=projector
            )
            best = self.best_moment(risk, features.zero_state(), prepared, run)
            return {"empirical": weight, **best}

        return _chosen(run.tabulate(self.empirical, row))


@dataclass(frozen=True)
class QuadNTK(Flow):
    """f_Q alone, over the scale of the start, then λ_4 at the best scale, and time."""

    experiment: ClassVar[str] = "complexity-quadntk"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("PairFeatures",))

    scales: tuple[float, ...] = (0.01, 0.1, 1.0)
    norms: tuple[float, ...] = (1e-8, 0.0, 1e-6)
    """λ_4; the first while the scale is chosen."""

    def compute(self, run: Run = UNSAVED) -> Result:
        """The best scale, λ_4 and moment by validation; every cell tried at its best moment."""
        prepared = self.prepare()
        data, features = prepared[:2]
        unit = unit_start(features, data.generator)

        def row(cell: tuple[float, float], run: Run) -> dict[str, float]:
            scale, norm = cell
            risk = RegularizedRisk(
                features, data.y, model="quadratic", penalties=Penalties(norm=norm)
            )
            best = self.best_moment(risk, scale * unit, prepared, run)
            return {"scale": scale, "norm": norm, **best}

        first = run.part("scales").tabulate([(scale, self.norms[0]) for scale in self.scales], row)
        best = self.scales[int(np.nanargmin(first["validation"]))]
        others = run.part("norms").tabulate([(best, norm) for norm in self.norms[1:]], row)
        return _chosen({name: np.concatenate([first[name], others[name]]) for name in first})


# ---------------------------------------------------------------- noisy labels, other widths


@dataclass(frozen=True)
class NoisyNTK(NTK):
    """The same with noise of deviation ``label_noise`` on training and validation labels."""

    experiment: ClassVar[str] = "complexity-noisy-ntk"

    label_noise: float = 0.5

    def data(self, dtype: torch.dtype = torch.float32) -> Data:
        """Inputs as without noise, labels with it; ``error`` is the excess risk."""
        return draw_data(self, dtype, self.label_noise)


@dataclass(frozen=True)
class NoisyJoint(Joint):
    """The same with noise of deviation ``label_noise`` on training and validation labels."""

    experiment: ClassVar[str] = "complexity-noisy-joint"

    label_noise: float = 0.5

    def data(self, dtype: torch.dtype = torch.float32) -> Data:
        """Inputs as without noise, labels with it; ``error`` is the excess risk."""
        return draw_data(self, dtype, self.label_noise)


@dataclass(frozen=True)
class JointWidth(Joint):
    """The joint model for each λ_2 by itself, at its best moment and at the end of the flow."""

    experiment: ClassVar[str] = "complexity-joint-width"

    def judged(
        self, risk: RegularizedRisk, trained: Trajectory, prepared: Prepared
    ) -> dict[str, float]:
        """Beside the best moment, ``end_error`` and its parts: at ``t_end``."""
        data, _, _, test = prepared
        prediction = risk.prediction(*test.terms(trained.state))
        end = error_by_part(prediction, data.target.part_values(test.X))
        best = super().judged(risk, trained, prepared)
        return best | {f"end_{name}": end[name] for name in ("error", *PARTS)}


Method = NTK | QuadNTK | Joint
SEEDS = (1, 2, 3, 4, 5)
DIMS = {1: (25, 50, 100, 200), 2: (12, 16, 24, 32, 40)}
CHIEF_FACTOR = 3.0
"""n/n_2 of the comparison in every run."""
CHIEF_DIMS = (16, 24, 32, 40)
TAYLOR_FACTORS: dict[int, tuple[float, ...]] = {
    1: (2.0, 4.0, 6.0, 8.0, 12.0, 16.0),
    2: (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0),
}
"""n/n_k of the joint model and of QuadNTK; the kernel is run there as well."""
NTK_FACTORS = {1: (0.6, 0.85, 1.1, 1.4), 2: (0.55, 0.7, 0.85, 1.05, 1.3, 1.6)}
"""n/n_{k+1}, for the kernel alone."""
NTK_LARGEST = 11_000
"""No kernel matrix beyond this n: thresholds above it are censored."""
TAYLOR_RUN: dict[tuple[type, int, int], tuple[float, ...]] = {
    **{(QuadNTK, 1, d): (*TAYLOR_FACTORS[1], 24.0) for d in (25, 50, 100)},
    (QuadNTK, 1, 200): (),
    (Joint, 1, 200): (4.0, 6.0, 8.0),
    (QuadNTK, 2, 40): (1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
    (Joint, 2, 40): (1.0, 1.5, 2.0, 3.0, 4.0),
}
"""Where another grid of n/n_k was run: thresholds beyond it are censored."""
MORE_SEEDS = (6, 7, 8, 9, 10)
"""Further seeds for the joint model's exponent at k = 2, near n_.25 only."""
MORE_FACTORS = (1.5, 2.0, 3.0)
"""n/n_2 of these: the neighbours of n_.25 in the map."""
WIDTHS = (1000, 8000)
"""Other widths of QuadNTK at k = 1: is the fixed m = 2000 why its exponent exceeds 1?"""
WIDTH_DIMS = (25, 50, 100)
JOINT_WIDTHS, JOINT_WIDTH_DIM = (1000, 4000, 16_000), 12
"""Widths and d of the joint model at k = 2, with λ_2 fixed and with λ_2 growing like √m."""
CUBIC_DIM, CUBIC_FACTORS = 10, (1.5, 2.0)
"""d and n/n_3 at k = 3, a dense cubic and a sparse quartic."""
NOISE_DIMS = (25, 50)
NOISE_FACTORS: dict[type, dict[int, tuple[float, ...]]] = {
    NoisyJoint: {25: (4.0, 6.0, 8.0, 12.0), 50: (6.0, 8.0, 12.0)},
    NoisyNTK: dict.fromkeys(NOISE_DIMS, (0.85, 1.1, 1.4, 1.8)),
}
"""With noisy labels at k = 1: n/n_1 of the joint model and n/n_2 of the kernel, around n_.25."""
WIDTH_FACTORS = (8.0, 12.0, 16.0, 24.0)
"""n/n_1 of these: around n_.25."""


def chief_points(seeds: Sequence[int], dims: Iterable[int] = CHIEF_DIMS) -> list[Method]:
    """Every method at n = 3 n_2, k = 2."""
    return [
        kind(seed, 2, d, samples(CHIEF_FACTOR, d, 2))
        for d in dims
        for seed in seeds
        for kind in (NTK, QuadNTK, Joint)
    ]


def map_points(seeds: Sequence[int], k: int, dims: Iterable[int] | None = None) -> list[Method]:
    """Every method over d and n: the error map, from which the thresholds are read."""
    points: list[Method] = []
    for d in DIMS[k] if dims is None else dims:
        grids: dict[type[Method], list[int]] = {
            kind: [samples(f, d, k) for f in TAYLOR_RUN.get((kind, k, d), TAYLOR_FACTORS[k])]
            for kind in (Joint, QuadNTK)
        }
        kernel = {samples(f, d, k) for f in TAYLOR_FACTORS[k]}
        kernel |= {samples(f, d, k + 1) for f in NTK_FACTORS[k]}
        grids[NTK] = sorted(n for n in kernel if n <= NTK_LARGEST)
        points += [kind(s, k, d, n) for kind, grid in grids.items() for n in grid for s in seeds]
    return points


def thresholds(runs: Sequence, level: float) -> dict[int, dict[int, float]]:
    """n at which the test error of one method first falls to ``level``, by d and seed.

    ``runs``: records of one method and one k over d, n and seeds; NaN where n is censored.
    """
    curves: dict[tuple[int, int], dict[int, float]] = {}
    for r in runs:
        at = curves.setdefault((r.config["d"], r.config["seed"]), {})
        at[r.config["n"]] = r.summary["error"]
    found: dict[int, dict[int, float]] = {}
    for (d, seed), errors in sorted(curves.items()):
        n = sorted(errors)
        found.setdefault(d, {})[seed] = first_crossing(n, [errors[x] for x in n], level)
    return found


def crossings(
    rows: Mapping[int, Mapping[int, Mapping[str, float]]], level: float, key: str = "error"
) -> list[float]:
    """n_τ seed by seed, from what was measured by n and seed."""
    n = sorted(rows)
    return [
        first_crossing(n, [rows[x][seed][key] for x in n], level) for seed in sorted(rows[n[0]])
    ]


def exponent_points() -> list[Joint]:
    """k = 2: the joint model near n_.25, for five more seeds."""
    return [
        Joint(seed, 2, d, samples(factor, d, 2))
        for d in DIMS[2]
        for factor in MORE_FACTORS
        for seed in MORE_SEEDS
    ]


def width_points(seeds: Sequence[int]) -> list[QuadNTK]:
    """k = 1: QuadNTK with fewer and with more neurons than in the map, around its thresholds."""
    return [
        QuadNTK(seed, 1, d, samples(factor, d, 1), m=m)
        for m in WIDTHS
        for d in WIDTH_DIMS
        for factor in WIDTH_FACTORS
        for seed in seeds
    ]


def joint_width_points(seeds: Sequence[int]) -> list[JointWidth]:
    """k = 2: the joint model at λ_2 = 1 and at λ_2 = √(m/1000), around its thresholds."""
    n = [samples(factor, JOINT_WIDTH_DIM, 2) for factor in MORE_FACTORS]
    return [
        JointWidth(seed, 2, JOINT_WIDTH_DIM, size, m=m, empirical=rules(m))
        for m in JOINT_WIDTHS
        for size in n
        for seed in seeds
    ]


def rules(m: int) -> tuple[float, ...]:
    """λ_2 = 1 and √(m/1000), which is 1 at the smallest width: there it is run once."""
    return tuple(dict.fromkeys((1.0, (m / JOINT_WIDTHS[0]) ** 0.5)))


def cubic_points(seeds: Sequence[int]) -> list[Method]:
    """k = 3: every method."""
    return [
        kind(seed, 3, CUBIC_DIM, samples(factor, CUBIC_DIM, 3))
        for factor in CUBIC_FACTORS
        for seed in seeds
        for kind in (NTK, QuadNTK, Joint)
    ]


def noise_points(seeds: Sequence[int], kind: type[Method]) -> list[Method]:
    """k = 1: one method with noisy labels, around its thresholds."""
    degree = 2 if issubclass(kind, NTK) else 1
    return [
        kind(seed, 1, d, samples(factor, d, degree))
        for d, factors in NOISE_FACTORS[kind].items()
        for factor in factors
        for seed in seeds
    ]


def full_points(seeds: Sequence[int]) -> list[Point]:
    """Everything that the chapter rests on; the long runs last."""
    points = [*chief_points(seeds), *map_points(seeds, 2), *exponent_points()]
    points += [*map_points(seeds, 1), *width_points(seeds), *joint_width_points(seeds)]
    points += [*cubic_points(seeds), *noise_points(seeds, NoisyJoint)]
    points += noise_points(seeds, NoisyNTK)
    return list(dict.fromkeys(points))


LIVE_DIM = 10
LIVE_FACTORS = (1.0, 2.0, 4.0)


def live_points(seeds: Sequence[int]) -> list[Point]:
    """One small corner of the map, for the reader's machine."""
    sizes: dict[type[Method], dict] = {NTK: {}, QuadNTK: {"m": 800}, Joint: {"m": 800}}
    return [
        kind(seed, 2, LIVE_DIM, samples(factor, LIVE_DIM, 2), n_test=4000, **size)
        for factor in LIVE_FACTORS
        for kind, size in sizes.items()
        for seed in seeds
    ]


chapter.experiment(
    "sample-complexity",
    "Samples that NTK, QuadNTK and the joint model need, over d and n, k = 1 and 2",
    SEEDS,
    live_points,
    full_points,
)
