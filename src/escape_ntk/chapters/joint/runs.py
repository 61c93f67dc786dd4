"""Experiments behind the chapter *Joint learning*: the explicit W*, its budgets, and the gap.

f* = (dense harmonic of degree k + sparse harmonic of degree k + 1)/√2 on the sphere throughout.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk.chapters.joint import chapter
from escape_ntk.models.data import draw_inputs, draw_target, random_signs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures, to_pairs
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.numerics.stats import rms
from escape_ntk.risk.constructions import JointMovement, represent_harmonic
from escape_ntk.risk.leaks import SphereLeak
from escape_ntk.risk.projectors import PopulationProjector, Projector, TrainingProjector
from escape_ntk.risk.regularizer import Penalties, norm_2_4_to_the_4
from escape_ntk.study.dense_plus_sparse import (
    SINE,
    ClassSize,
    Wide,
    draw_problem,
    explicit,
    sizes,
)
from escape_ntk.study.point import PROJECTED, Draws, Point, Result
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run

F64 = torch.float64


@dataclass(frozen=True)
class Solution(Point):
    """The error of f_L + f_Q at W* over the width: random signs, and equal ones.

    One value for each width, over fresh inputs: ``mean_square`` = ``bias`` + ``variance``, exactly,
    in mean over the signs; ``equal`` with S = 1.
    """

    experiment: ClassVar[str] = "joint-explicit"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("represent_power",))

    seed: int
    k: int
    d: int
    n: int = 500
    widths: tuple[int, ...] = tuple(2**j for j in range(8, 21, 2))
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Every width with fresh weights, one target and one set of inputs."""
        generator = torch.Generator().manual_seed(self.seed)
        target = draw_target(self.k, self.d, generator, F64)
        X = draw_inputs(self.n, self.d, self.draws.inputs, generator, dtype=F64)
        goal = target(X)

        def row(m: int, run: Run) -> dict[str, float]:
            weights = draw_weights(m, self.d, generator, law=self.draws.weights, dtype=F64)
            mean, variance, coherent = explicit(weights, self.activation, target).moments(X)
            bias = float((mean - goal).square().mean())
            return {
                "mean_square": bias + float(variance.mean()),
                "bias": bias,
                "variance": float(variance.mean()),
                "equal": float((mean + coherent - goal).square().mean()),
            }

        widths = np.array(self.widths, dtype=float)
        return {}, {"width": widths, **run.tabulate(self.widths, row, generator)}


@dataclass(frozen=True)
class Budgets(Point):
    """The four budgets of W* at one width: both leaks and both norms.

    P_{≤k} of the population covariance (by Lanczos), and of n = ``factor``·n_k training inputs.
    R_2 under the population's projector is the exact mean over the signs, the others are means over
    drawn ones.  ``R_1_linear``: the leak if f_L makes the sparse part, in place of f_Q.
    """

    experiment: ClassVar[str] = "joint-leaks"
    draws: ClassVar[Draws] = Draws(
        "sphere",
        "sphere",
        tools=(*PROJECTED, "PopulationProjector", "random_signs", "represent_power"),
    )

    seed: int
    k: int
    d: int
    m: int
    factor: float = 3.0
    n_signs: int = 10
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Mean over signs of R_1, R_2, R_3 = ‖P_{≤k}W*‖_F² and ‖W*‖_{2,4}^4."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        target, n_k = draw_target(self.k, self.d, **exact), cumulative_multiplicity(self.d, self.k)
        weights = draw_weights(self.m, self.d, law=self.draws.weights, **exact)
        act = activation(self.activation)
        made = explicit(weights, self.activation, target)
        X = draw_inputs(round(self.factor * n_k), self.d, self.draws.inputs, **exact)
        leak, features = SphereLeak(weights, act), PairFeatures(X, weights, act)
        population = PopulationProjector(leak, (len(weights), self.d), n_k, tolerance=1e-6)
        training = TrainingProjector(features, n_k)
        rows = []
        for _ in range(self.n_signs):
            state = made.state(random_signs(len(weights), generator))
            rows.append(
                _leaks("", leak, features, population, state[1])
                | _leaks("training_", leak, features, training, state[1])
                | {"norm_fourth": float(norm_2_4_to_the_4(state)[0])}
            )
        summary = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        summary["R_2"] = _mean_empirical_leak(features, population, made)
        alone = represent_harmonic(weights, act, target.parts[1])
        summary |= {
            "linear_norm": float(made.t_linear.square().sum() / 2),
            **{f"{k}_linear": v for k, v in _leaks("", leak, features, population, alone).items()},
        }
        return summary, {"eigenvalues": population.eigenvalues.numpy()}


def _mean_empirical_leak(
    features: PairFeatures, projector: PopulationProjector, made: JointMovement
) -> float:
    """E_S (1/n) Σ_i f_L(x_i; P_{>k}W*)², exactly: the pairs' outputs with independent signs."""
    t = to_pairs(made.quadratic.movement())[1]
    own = features.first * (features.X @ t.T)  # (n, p): f_L of each pair
    inside = torch.stack([features.linear(v) for v in projector.basis], dim=1)  # (n, n_k)
    signed = own - inside @ torch.einsum("jpd,pd->jp", projector.basis, t)
    fixed = features.linear(projector.high(made.t_linear))
    return float((fixed.square() + signed.square().sum(1)).mean())


def _leaks(prefix: str, leak, features, projector: Projector, t: Tensor) -> dict[str, float]:
    """R_1, R_2 and R_3 = ‖P_{≤k}W‖_F² of a movement under one projector."""
    low = projector.low(t)
    high = t - low
    return {
        f"{prefix}R_1": float(leak.value_and_gradient(high)[0]),
        f"{prefix}R_2": float(features.linear(high).square().mean()),
        f"{prefix}R_3": float(low.square().sum() / 2),
    }


@dataclass(frozen=True)
class Norms(Point):
    """‖W_L‖_F² and ‖W*‖_{2,4}^4 over the dimension, and what they are for infinite width.

    ``equal``: ‖W_L‖_F² if f_L makes the sparse part too, ~ d^k.
    """

    experiment: ClassVar[str] = "joint-norms"
    draws: ClassVar[Draws] = Draws(weights="sphere", tools=("random_signs", "represent_power"))

    seed: int
    k: int
    m: int = 16_384
    dims: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """One value of each for each d."""
        generator = torch.Generator().manual_seed(self.seed)

        def row(d: int, run: Run) -> dict[str, float]:
            target = draw_target(self.k, d, generator, F64)
            weights = draw_weights(self.m, d, generator, law=self.draws.weights, dtype=F64)
            made = explicit(weights, self.activation, target)
            signs = random_signs(len(weights), generator)
            alone = represent_harmonic(weights, activation(self.activation), target.parts[1])
            return {
                "linear": float(made.t_linear.square().sum() / 2),
                "norm_fourth": float(norm_2_4_to_the_4(made.state(signs))[0]),
                "linear_alone": float(alone.square().sum() / 2),
            }

        dims = np.array(self.dims, dtype=float)
        return {}, {"d": dims, **run.tabulate(self.dims, row, generator)}


@dataclass(frozen=True)
class Gap(Wide):
    """A joint model trained with R_2 and R_4: its gap on min(|z|, ``cap``), and its sizes."""

    experiment: ClassVar[str] = "joint-gap"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=PROJECTED)

    m: int = 1000
    empirical: float = 1.0
    norm: float = 1e-6
    cap: float = 1.0
    t_end: float = 10_000.0

    def compute(self, run: Run = UNSAVED) -> Result:
        """Gap, zero predictor's error, and R_1…R_4 of the solution."""
        problem, _ = draw_problem(self)
        risk = problem.risk(Penalties(empirical=self.empirical, norm=self.norm))
        trained = gradient_flow(
            risk,
            problem.zero_state(),
            t_end=self.t_end,
            record_at=[self.t_end],
            observe=lambda state: {},
            run=run,
        )
        goal, found = problem.target(problem.fresh), sizes(problem, trained.state)
        train = sum(problem.features.terms(trained.state)) - problem.y
        fresh = sum(problem.test.terms(trained.state)) - goal
        return {
            "train": self._loss(train),
            "test": self._loss(fresh),
            "gap": self._loss(fresh) - self._loss(train),
            "zero": self._loss(goal),
            "rms": rms(fresh),
            "outcome": str(trained.outcome),
            "n_gradients": trained.n_gradients,
            **found,
        }, {}

    def _loss(self, z: Tensor) -> float:
        return float(z.abs().clamp(max=self.cap).mean())


@dataclass(frozen=True)
class GapClass(ClassSize):
    """The class that a :class:`Gap` is one of."""

    experiment: ClassVar[str] = "joint-complexity"

    m: int = Gap.m


SEEDS = (1, 2, 3, 4, 5)
MORE_SEEDS = (6, 7, 8, 9, 10)
"""Further draws of the budgets: few inputs a draw, so five leave wide intervals."""
SOLUTION_DIMS = {1: 30, 2: 12}
"""d of the runs over the width, by k."""
BUDGET_WIDTHS = (512, 1024, 2048, 4096, 8192)
GAP_SIZES = {1: (10, (4, 16, 64, 256, 1024)), 2: (8, (4, 16, 64))}
"""d, and n/n_k, by k."""
GAP_FEW = 1024
"""n/n_k that only the first two seeds are run at: ten minutes each."""
GAP_FREE = Gap(1, 1, 10, 256 * cumulative_multiplicity(10, 1), norm=0.0)
"""R_4 off, at one n."""


def solution_points(seeds: Sequence[int]) -> list[Solution]:
    """W* over the width."""
    return [Solution(seed, k, d) for k, d in SOLUTION_DIMS.items() for seed in seeds]


def budget_points(seeds: Sequence[int]) -> list[Budgets]:
    """Leaks and norms of W* over the width."""
    return [
        Budgets(seed, k, d, m)
        for k, d in SOLUTION_DIMS.items()
        for m in BUDGET_WIDTHS
        for seed in seeds
    ]


def norm_points(seeds: Sequence[int]) -> list[Norms]:
    """Norms of W* over the dimension."""
    return [Norms(seed, k) for k in SOLUTION_DIMS for seed in seeds]


def gap_points(seeds: Sequence[int]) -> list[Gap]:
    """Trained joint models over n."""
    return [
        Gap(seed, k, d, factor * cumulative_multiplicity(d, k))
        for k, (d, factors) in GAP_SIZES.items()
        for factor in factors
        for seed in (seeds[:2] if factor == GAP_FEW else seeds)
    ]


def free_points(seeds: Sequence[int]) -> list[Gap]:
    """The same with R_4 off, at one n."""
    return [dataclasses.replace(GAP_FREE, seed=seed) for seed in seeds]


def class_of(point: Gap) -> GapClass:
    """The class of a run: the same problem, untrained."""
    return GapClass(point.seed, point.k, point.d, point.n, m=point.m)


def full_points(seeds: Sequence[int]) -> list[Point]:
    """Everything that the chapter rests on."""
    return [
        *solution_points(seeds),
        *norm_points(seeds),
        *gap_points(seeds),
        *free_points(seeds),
        *(class_of(point) for point in gap_points(seeds)),
        *budget_points((*seeds, *MORE_SEEDS)),
    ]


def live_points(seeds: Sequence[int]) -> list[Point]:
    """Small ones, for the reader's machine."""
    return [Solution(seed, 1, 20, n=200, widths=(256, 1024, 4096, 16_384)) for seed in seeds]


chapter.experiment(
    "joint",
    "Joint learning: the explicit W*, its four budgets over m and d, the gap and its bound",
    SEEDS,
    live_points,
    full_points,
)
