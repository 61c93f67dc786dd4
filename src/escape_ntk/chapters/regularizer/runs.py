"""Experiments behind the chapter *The regulariser*: one small problem, any λ."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from escape_ntk.chapters.regularizer import chapter
from escape_ntk.models.data import Target, draw_inputs, random_direction, sparse_part
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.risk.leaks import GaussianLeak, SphereLeak
from escape_ntk.risk.problem import Problem
from escape_ntk.risk.regularizer import Penalties
from escape_ntk.study.curve import Curve
from escape_ntk.study.point import PROJECTED, Draws, Point, Result
from escape_ntk.study.sampling import leak_by_sampling
from escape_ntk.training.curvature import gradient_norm, lowest_curvature
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import log_times

SINE, SIGMOID = "sin(z+pi/4)", "sigmoid(z-1)"
F64 = torch.float64
BASE = {"population": 1.0, "empirical": 10.0, "low_degree": 1e-4, "norm": 1e-8}
"""λ_1…λ_4 of the on/off table, and the centre of the sensitivity scans."""


def draw_problem(config, n_k: int, label_noise: float = 0.0) -> Problem:
    """f* = (linear + sparse quadratic)/√2 in two directions on the sphere, for ``config``.

    Weights, target, training and fresh inputs, in this order, from its seed and by its laws;
    ``n_k`` directions are kept.  Labels carry normal noise of deviation ``label_noise``, from a
    generator of its own.
    """
    generator = torch.Generator().manual_seed(config.seed)
    exact = {"generator": generator, "dtype": F64}
    weights = draw_weights(config.m, config.d, law=config.draws.weights, **exact)
    directions = (random_direction(config.d, **exact) for _ in range(2))
    parts = [sparse_part(b, ell, "sphere") for ell, b in enumerate(directions, start=1)]
    target = Target(tuple(part.scaled_to(math.sqrt(0.5)) for part in parts))
    law, sizes = config.draws.inputs, (config.n, config.n_test)
    X, fresh = (draw_inputs(n, config.d, law, **exact) for n in sizes)
    noise = torch.Generator().manual_seed(2_000_000 + config.seed)
    labels = target(X) + label_noise * torch.randn(config.n, generator=noise, dtype=F64)
    act = activation(config.activation)
    return Problem(target, weights, act, X, fresh, n_k, law, labels)


MEASURED = ("train", "test", "R_1", "R_2", "R_3", "norm_2_4", "linear_0", "quadratic_1")
"""Losses, leaks, norms; what f_L has learned of the linear part, and f_Q of the quadratic one."""


def measure(problem: Problem, state: Tensor) -> dict[str, float]:
    """What is :data:`MEASURED`, at ``state``."""
    found = problem.losses(state) | problem.sizes(state) | problem.shares(state)
    return {name: found[name] for name in MEASURED}


@dataclass(frozen=True)
class Regularized(Point):
    """Gradient flow from W = 0 with the given λ_1…λ_4 and n_k (theory's n_1 = d + 1 by default)."""

    experiment: ClassVar[str] = "regularizer-small"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=PROJECTED)

    seed: int
    population: float = 0.0
    empirical: float = 0.0
    low_degree: float = 0.0
    norm: float = 0.0
    n_k: int | None = None
    d: int = 30
    n: int = 250
    m: int = 1500
    n_test: int = 3000
    activation: str = SIGMOID
    t_end: float = 20_000.0
    n_times: int = 21

    def compute(self, run: Run = UNSAVED) -> Result:
        """Final values, with gradient and lowest curvature at both ends; all values over time."""
        problem = self.problem()
        penalties = Penalties(self.population, self.empirical, self.low_degree, self.norm)
        risk, start = problem.risk(penalties), problem.zero_state()
        scale = abs(lowest_curvature(risk, start, tolerance=1e-2).eigenvalue)
        trained = gradient_flow(
            risk,
            start,
            t_end=self.t_end,
            record_at=log_times(self.t_end, self.n_times),
            observe=partial(measure, problem),
            run=run,
        )
        gram = problem.projector.eigenvalues
        summary = {name: float(values[-1]) for name, values in trained.values.items()}
        summary |= {"outcome": str(trained.outcome), "n_gradients": trained.n_gradients}
        lowest = lowest_curvature(risk, trained.state, scale=scale, tolerance=1e-2)
        summary |= {"lowest": lowest.eigenvalue, "start_lowest": -scale}
        summary |= {
            f"{name}gradient": gradient_norm(risk, state)
            for name, state in (("", trained.state), ("start_", start))
        }
        return summary, {"times": trained.times, "gram": gram.numpy(), **trained.values}

    def problem(self) -> Problem:
        """Inputs, target, labels and projector."""
        return draw_problem(self, self.n_k or cumulative_multiplicity(self.d, 1))


@dataclass(frozen=True)
class NoisyLabels(Regularized):
    """The same with noise of deviation ``label_noise`` on the labels; ``train`` without it."""

    experiment: ClassVar[str] = "regularizer-noise"

    label_noise: float = 0.5

    def problem(self) -> Problem:
        """The problem with its noise."""
        n_k = self.n_k or cumulative_multiplicity(self.d, 1)
        return draw_problem(self, n_k, self.label_noise)


@dataclass(frozen=True)
class ClosedForms(Point):
    """R_1 in closed form against fresh inputs, both laws: z-scores, and without the κ20 term."""

    experiment: ClassVar[str] = "regularizer-closed-forms"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", "gaussian", tools=("PairFeatures",))

    seed: int
    m: int = 400
    d: int = 12
    n_fresh: int = 1_000_000
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """For each law: |closed form − mean over fresh inputs| in standard errors."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        act, out = activation(self.activation), {}
        weights = draw_weights(self.m, self.d, law=self.draws.weights, **exact)
        t = weights + 0.5 * torch.randn(weights.shape, **exact)
        forms = {"gaussian": GaussianLeak, "sphere": SphereLeak}
        for law in (self.draws.beside, self.draws.inputs):
            mean, error = leak_by_sampling(weights, act, t, law, self.n_fresh, generator)
            leak = forms[law](weights, act)
            out[law] = abs(float(leak.value_and_gradient(t)[0]) - mean) / error
            leak.k20.zero_()
            out[f"{law}_without_k20"] = abs(float(leak.value_and_gradient(t)[0]) - mean) / error
        return out, {}


SEEDS = (1, 2, 3, 4, 5)
SCAN_SEEDS = SEEDS[:3]
DECADES = (1e-2, 1e-1, 1.0, 1e1, 1e2)
"""Factors on one λ of BASE, the others kept."""
N_KS = (1, 16, 30, 31, 32, 46, 62, 93, 124)
"""n_k tried; theory's n_1 is 31 at d = 30."""
ABLATION = ((0.0, 1.0, 10.0), (0.0, 1.0, 10.0))
"""λ_1 and λ_2 of the table at the published size."""


def settings() -> list[tuple[str, ...]]:
    """The sixteen on/off settings: names of the λ that are on."""
    names = tuple(BASE)
    return [c for r in range(len(names) + 1) for c in itertools.combinations(names, r)]


def four(lambdas: Mapping[str, float]) -> tuple[float, float, float, float]:
    """λ_1…λ_4 by their names in BASE; 0 where one is missing."""
    one, two, three, last = (lambdas.get(name, 0.0) for name in BASE)
    return one, two, three, last


def switch_points(seeds: Sequence[int]) -> list[Regularized]:
    """All sixteen settings."""
    return [
        Regularized(seed, *four({name: BASE[name] for name in on}))
        for on in settings()
        for seed in seeds
    ]


def scan_points(seeds: Sequence[int]) -> dict[str, list[Regularized]]:
    """Each λ over four decades, the others at BASE."""
    return {
        name: [
            Regularized(seed, *four(BASE | {name: factor * BASE[name]}))
            for factor in DECADES
            for seed in seeds
        ]
        for name in BASE
    }


def cut_points(seeds: Sequence[int]) -> list[Regularized]:
    """n_k varied, with λ_2 alone."""
    return [
        Regularized(seed, empirical=BASE["empirical"], n_k=n_k) for n_k in N_KS for seed in seeds
    ]


def noise_points(seeds: Sequence[int]) -> list[NoisyLabels]:
    """Noisy labels: nothing, R_2, and each other penalty on top of R_2."""
    two = {"empirical": BASE["empirical"]}
    more = [{name: BASE[name]} for name in BASE if name != "empirical"]
    lambdas = [four(on) for on in ({}, two, *(two | m for m in more))]
    return [NoisyLabels(seed, *values) for values in lambdas for seed in seeds]


def ablation_points(seeds: Sequence[int]) -> list[Curve]:
    """R_1 × R_2 at the published size."""
    first, second = ABLATION
    return [Curve(s, two, penalty_population=one) for one in first for two in second for s in seeds]


def regularizer_points(seeds: Sequence[int]) -> list[Point]:
    """Everything that the chapter *The regulariser* rests on; the long runs last."""
    points: list[Point] = [ClosedForms(seed) for seed in seeds]
    points += [*switch_points(seeds), *cut_points(seeds), *noise_points(seeds)]
    points += [p for group in scan_points(seeds[:3]).values() for p in group]
    return [*points, *ablation_points(seeds[:3])]


def by_setting(records: Sequence) -> dict[tuple[str, ...], list]:
    """The records of :func:`switch_points`, by the names of the λ that are on."""
    groups: dict[tuple[str, ...], list] = {}
    for r in records:
        groups.setdefault(tuple(n for n in BASE if r.config[n]), []).append(r)
    return groups


def _regularizer_live(seeds: Sequence[int]) -> Sequence[Point]:
    return switch_points(seeds)


chapter.experiment(
    "regularizer",
    "The regulariser: R_1 and R_2 at the published size, all on/off settings, λ, n_k, noise",
    SEEDS,
    _regularizer_live,
    regularizer_points,
)
