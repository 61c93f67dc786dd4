"""Experiments behind the chapter *QuadNTK*: random signs, the construction, and f_Q alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk.chapters.quadntk import chapter
from escape_ntk.chapters.quadntk.movements import Complexity, ConstructionError, TrainedMovement
from escape_ntk.kernels.ntk import KernelRidge, empirical_ntk
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.data import (
    Target,
    dense_part,
    draw_inputs,
    random_direction,
    random_signs,
    sparse_part,
)
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.numerics.stats import rms
from escape_ntk.risk.constructions import (
    least_norm_of_powers,
    represent_power,
    represent_powers,
)
from escape_ntk.risk.problem import Problem, mean_square
from escape_ntk.risk.regularizer import Penalties, norm_2_4_to_the_4
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.study.sampling import unit_start
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import log_times

SINE = "sin(z+pi/4)"
F64 = torch.float64


@dataclass(frozen=True)
class Construction(Point):
    """f_Q of the explicit movement against (β·x)^{k+1}, and its linear leak, over the width.

    One value for each width: relative error on the sphere and for Gaussian inputs, f_L with equal
    signs, (E E_S f_L²)^{1/2}, and how far the invariance of f_Q under signs is off.
    """

    experiment: ClassVar[str] = "quadntk-construction"
    draws: ClassVar[Draws] = Draws(
        "sphere", "sphere", "gaussian", tools=("random_signs", "represent_power")
    )

    seed: int
    k: int
    d: int = 50
    n: int = 1000
    widths: tuple[int, ...] = (1024, 4096, 16_384, 65_536, 262_144)
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Every width with fresh weights."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        act, beta = activation(self.activation), random_direction(self.d, **exact)
        laws = (self.draws.inputs, self.draws.beside)
        X, G = (draw_inputs(self.n, self.d, law, **exact) for law in laws)
        goal, goal_g = ((Z @ beta) ** (self.k + 1) for Z in (X, G))

        def row(m: int, run: Run) -> dict[str, float]:
            weights = draw_weights(m, self.d, law=self.draws.weights, **exact)
            made = represent_power(weights, act, beta, self.k + 1)
            signs = random_signs(m // 2, generator)
            same, quadratic, leak = made.terms(X)
            again = made.terms(X, signs)[1]
            return {
                "error": rms(quadratic - goal) / rms(goal),
                "error_gaussian": rms(made.terms(G)[1] - goal_g) / rms(goal_g),
                "leak_same": rms(same),
                "leak_random": math.sqrt(float(leak.mean())),
                "sign_change": rms(again - quadratic) / rms(quadratic),
                "sign_change_weights": self._signs_on_weights(made, X, signs, quadratic),
            }

        widths = np.array(self.widths, dtype=float)
        return {}, {"width": widths, **run.tabulate(self.widths, row, generator)}

    @staticmethod
    def _signs_on_weights(made, X: Tensor, signs: Tensor, quadratic: Tensor) -> float:
        """Relative change of f_Q when the signs are put on the frozen weights instead."""
        flipped = type(made)(signs[:, None] * made.weights, made.activation, made.beta, made.h)
        return rms(flipped.terms(X)[1] - quadratic) / rms(quadratic)


@dataclass(frozen=True)
class SignDraws(Point):
    """mean f_L(x; SW)² over drawn signs and inputs, over its exact expectation E E_S f_L²."""

    experiment: ClassVar[str] = "quadntk-sign-draws"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("random_signs", "represent_power"))

    seed: int
    k: int = 1
    d: int = 50
    n: int = 200
    m: int = 4096
    n_draws: int = 1000
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """The ratio with independent signs, and with equal ones."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        weights = draw_weights(self.m, self.d, law=self.draws.weights, **exact)
        beta = random_direction(self.d, **exact)
        made = represent_power(weights, activation(self.activation), beta, self.k + 1)
        X = draw_inputs(self.n, self.d, self.draws.inputs, **exact)
        same, _, leak = made.terms(X)
        drawn = [
            made.terms(X, random_signs(self.m // 2, generator))[0].square().mean()
            for _ in range(self.n_draws)
        ]
        expected = float(leak.mean())
        return {
            "drawn": float(torch.stack(drawn).mean()) / expected,
            "equal": float(same.square().mean()) / expected,
        }, {}


@dataclass(frozen=True)
class ConstructionNorm(Point):
    """‖W_Q‖_{2,4} of the explicit movement for (β·x)^{k+1} against the dimension."""

    experiment: ClassVar[str] = "quadntk-norm"
    draws: ClassVar[Draws] = Draws(weights="sphere", tools=("represent_power",))

    seed: int
    k: int
    m: int = 20_000
    dims: tuple[int, ...] = (25, 50, 100, 200, 400)
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """‖W_Q‖_{2,4} for each d."""
        generator = torch.Generator().manual_seed(self.seed)
        norms = []
        for d in self.dims:
            weights = draw_weights(self.m, d, generator, law=self.draws.weights, dtype=F64)
            beta = random_direction(d, generator, dtype=F64)
            made = represent_power(weights, activation(self.activation), beta, self.k + 1)
            norms.append(made.norm_2_4_to_the_4**0.25)
        dims = np.array(self.dims, dtype=float)
        return {}, {"d": dims, "norm": np.array(norms)}


@dataclass(frozen=True)
class SeveralDirections(Point):
    """‖W_Q‖_{2,4}^4 for s^{−1/2} Σ_j (β_j·x)^{k+1}, β_j orthonormal, over the number s.

    ``norm`` of the one movement, ``split`` with a share of the neurons for each direction,
    ``least`` of any movement (a bound from ``n_bound`` weights), ``aligned`` for s equal directions
    with a sum of norm 1.
    """

    experiment: ClassVar[str] = "quadntk-several"
    draws: ClassVar[Draws] = Draws(weights="sphere", tools=("represent_power",))

    seed: int
    k: int
    d: int = 50
    m: int = 20_000
    counts: tuple[int, ...] = (1, 2, 4, 8, 16)
    n_bound: int = 200
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """One value of each for each s; the same weights throughout."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        weights = draw_weights(self.m, self.d, law=self.draws.weights, **exact)
        betas = torch.linalg.qr(torch.randn(self.d, self.d, **exact))[0]
        act, degree = activation(self.activation), self.k + 1
        single = represent_power(weights, act, betas[0], degree).norm_2_4_to_the_4
        few = weights[: self.n_bound]

        def row(s: int, run: Run) -> dict[str, float]:
            own, c = betas[:s].contiguous(), weights.new_full((s,), s**-0.5)
            one = own[:1].expand(s, -1).contiguous()
            return {
                "norm": represent_powers(weights, act, own, c, degree).norm_2_4_to_the_4,
                "split": single * float(c.sum()) ** 2,
                "least": least_norm_of_powers(few, act, own, c, degree),
                "aligned": represent_powers(weights, act, one, c**2, degree).norm_2_4_to_the_4,
            }

        counts = np.array(self.counts, dtype=float)
        return {}, {"count": counts, **run.tabulate(self.counts, row, generator)}


def draw_problem(
    point, n: int, m: int, degree: int, dense: bool, fresh: Sequence[int]
) -> tuple[Problem, list[Tensor], torch.Generator]:
    """(noiseless problem on one harmonic of norm 1, all sets of fresh inputs, the generator).

    Weights, target, training and fresh inputs, in this order, from a point's seed and by its laws.
    The last fresh set is the problem's.
    """
    generator, d, law = torch.Generator().manual_seed(point.seed), point.d, point.draws.inputs
    weights = draw_weights(m, d, generator, law=point.draws.weights)
    if dense:
        part = dense_part(d, degree, "sphere", generator)
    else:
        part = sparse_part(random_direction(d, generator), degree, "sphere")
    X, *sets = (draw_inputs(count, d, law, generator) for count in (n, *fresh))
    act = activation(point.activation)
    problem = Problem(Target((part,)), weights, act, X, sets[-1], n_k=0, law=law)
    return problem, sets, generator


@dataclass(frozen=True)
class Saddle(Point):
    """f_Q alone from a start of size ``scale``: training and test loss over time.

    The start is t = 0 and s normal with E|s_r|² = scale², so that f_Q = 0; scale 0 is the saddle.
    """

    experiment: ClassVar[str] = "quadntk-saddle"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("PairFeatures",))

    seed: int
    scale: float
    d: int = 12
    factor: float = 4.0
    degree: int = 3
    m: int = 2000
    t_end: float = 10_000.0
    n_times: int = 60
    n_test: int = 2000
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Losses at log-spaced times, and the gradient at the start."""
        n = round(self.factor * cumulative_multiplicity(self.d, self.degree - 1))
        problem, _, generator = draw_problem(
            self, n, self.m, self.degree, dense=False, fresh=(self.n_test,)
        )
        risk, goal = problem.risk(model="quadratic"), problem.target(problem.fresh)
        start = self.scale * unit_start(problem.features, generator)
        gradient = risk.value_and_gradient(start)[1]

        def observe(state: Tensor) -> dict[str, float]:
            return {
                "train": mean_square(problem.features.terms(state)[1] - problem.y),
                "test": mean_square(problem.test.terms(state)[1] - goal),
            }

        trained = gradient_flow(
            risk,
            start,
            t_end=self.t_end,
            record_at=log_times(self.t_end, self.n_times),
            observe=observe,
            atol=min(1e-5, 1e-3 * self.scale) if self.scale else 1e-5,
            run=run,
        )
        summary = {"outcome": str(trained.outcome), "n_gradients": trained.n_gradients, "n": n}
        summary["start_gradient"] = float(gradient.norm())
        return summary, {"times": trained.times, **trained.values}


@dataclass(frozen=True)
class Alone(Point):
    """NTK alone and QuadNTK alone on one noiseless harmonic, tuned on one validation set.

    n = factor·n_k samples of a harmonic of degree ``degree`` (k = ``k``), ``dense`` or of one
    direction.  NTK: ridge regression with the kernel of the same m neurons, over the ridge.
    QuadNTK: gradient flow of f_Q from starts of several scales, over scale, λ_4 and time.
    """

    experiment: ClassVar[str] = "quadntk-alone"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("PairFeatures",))

    seed: int
    d: int
    k: int
    degree: int
    dense: bool
    factor: float
    m: int = 4000
    scales: tuple[float, ...] = (0.01, 0.1, 1.0)
    penalties: tuple[float, ...] = (0.0, 1e-8, 1e-6)
    ridges: tuple[float, ...] = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    t_end: float = 10_000.0
    n_times: int = 25
    n_validation: int = 2000
    n_test: int = 4000
    activation: str = SINE

    @property
    def n(self) -> int:
        """Number of training points."""
        return round(self.factor * cumulative_multiplicity(self.d, self.k))

    def compute(self, run: Run = UNSAVED) -> Result:
        """Errors on one test set of what the validation set picks, and the whole QuadNTK grid."""
        problem, fresh, generator = draw_problem(
            self, self.n, self.m, self.degree, self.dense, (self.n_validation, self.n_test)
        )
        summary = {"n": self.n, **run.once("ntk", lambda _: self._ntk(problem, fresh))}
        spectrum = ntk_spectrum(activation(self.activation), self.d)
        powers = [0.0] * self.degree + [1.0]
        summary["ntk_predicted"] = spectrum.predicted_error(self.n, powers)
        best, grid = self._quadntk(problem, fresh, unit_start(problem.features, generator), run)
        return {**summary, **best}, grid

    def _ntk(self, problem: Problem, fresh: list[Tensor]) -> dict[str, float]:
        """Ridge regression; ridges in units of the mean eigenvalue."""
        X, w, act = problem.X.double(), problem.weights.double(), problem.activation
        ridge = KernelRidge(gram := empirical_ntk(X, X, w, act))
        cross = [empirical_ntk(Z.double(), X, w, act) for Z in fresh]
        goals = [problem.target(Z).double() for Z in fresh]
        unit, best = float(gram.diagonal().mean()), (math.inf, 0.0, 0.0)
        for relative in self.ridges:
            alpha = ridge.dual(problem.y.double(), relative * unit)
            errors = [
                float((K @ alpha - goal).square().mean())
                for K, goal in zip(cross, goals, strict=True)
            ]
            best = min(best, (errors[0], errors[1], relative))
        return {"ntk_validation": best[0], "ntk_error": best[1], "ntk_ridge": best[2]}

    def _quadntk(self, problem: Problem, fresh: list[Tensor], unit: Tensor, run: Run):
        """The best of the grid by validation, and errors of every cell over time."""
        grid, gradients = self._grid(problem, fresh, unit, run)
        i, j, at = np.unravel_index(np.nanargmin(grid["validation"]), grid["validation"].shape)
        best = {
            "quadntk_validation": float(grid["validation"][i, j, at]),
            "quadntk_error": float(grid["test"][i, j, at]),
            "quadntk_train": float(grid["train"][i, j, at]),
            "quadntk_norm": float(grid["norm"][i, j, at]) ** 0.25,
            "quadntk_scale": self.scales[i],
            "quadntk_penalty": self.penalties[j],
            "quadntk_time": float(log_times(self.t_end, self.n_times)[at]),
            "n_gradients": gradients,
        }
        return best, grid

    def _grid(
        self, problem: Problem, fresh: list[Tensor], unit: Tensor, run: Run
    ) -> tuple[dict[str, np.ndarray], int]:
        """Errors of every start and λ_4 over time, (scales, penalties, times); gradients used."""
        others = [PairFeatures(Z, problem.weights, problem.activation) for Z in fresh]
        goals = [problem.target(Z) for Z in fresh]
        names = ("train", "validation", "test", "norm")
        shape = (len(self.scales), len(self.penalties), self.n_times)
        grid, gradients = {name: np.full(shape, np.nan) for name in names}, 0

        def observe(state: Tensor) -> dict[str, float]:
            train = (problem.features.terms(state)[1] - problem.y).square().mean()
            errors = [
                (part.terms(state)[1] - goal).square().mean()
                for part, goal in zip(others, goals, strict=True)
            ]
            norm = norm_2_4_to_the_4(state)[0]
            return dict(zip(names, map(float, (train, *errors, norm)), strict=True))

        times = log_times(self.t_end, self.n_times)
        for i, scale in enumerate(self.scales):
            for j, penalty in enumerate(self.penalties):
                risk = problem.risk(Penalties(norm=penalty), model="quadratic")
                trained = gradient_flow(
                    risk, scale * unit, t_end=self.t_end, record_at=times, observe=observe, run=run
                )
                gradients += trained.n_gradients
                for name in names:
                    grid[name][i, j] = trained.values[name]
        return grid, gradients


@dataclass(frozen=True)
class FrozenKernel(Point):
    """Regression without ridge with the kernel of f_Q at its start, over the width.

    K_Q of m neurons is (x·y)/(4m) Σ_{r≤m/2} σ''(w_r·x)σ''(w_r·y)(s_r·x)(s_r·y).  The draws are
    those of :class:`Alone`: at its width, problem and start are the same.
    """

    experiment: ClassVar[str] = "quadntk-frozen"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("PairFeatures",))

    seed: int
    d: int
    k: int = 2
    factor: float = 3.0
    widths: tuple[int, ...] = (1000, 4000, 16_000, 64_000)
    n_validation: int = 2000
    n_test: int = 4000
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Test error on a dense harmonic of degree k at each width."""
        n = round(self.factor * cumulative_multiplicity(self.d, self.k))

        def row(m: int, run: Run) -> dict[str, float]:
            sets = (self.n_validation, self.n_test)
            problem, _, generator = draw_problem(self, n, m, self.k, dense=True, fresh=sets)
            gram, cross = self._kernels(problem, generator)
            alpha = torch.cholesky_solve(problem.y.double()[:, None], torch.linalg.cholesky(gram))
            return {"error": mean_square(cross @ alpha[:, 0] - problem.target(problem.fresh))}

        widths = np.array(self.widths, dtype=float)
        return {"n": n}, {"width": widths, **run.tabulate(self.widths, row)}

    @staticmethod
    def _kernels(
        problem: Problem, generator: torch.Generator, block: int = 2048
    ) -> tuple[Tensor, Tensor]:
        """K_Q on the training inputs, and between fresh and training inputs (float64)."""
        act, X, Z = problem.activation, problem.X, problem.fresh
        start = unit_start(PairFeatures(X[:1], problem.weights, act), generator)[0]
        gram, cross = (torch.zeros(len(A), len(X), dtype=F64) for A in (X, Z))
        for rows in torch.arange(len(start)).split(block):
            w, s = problem.weights[rows], start[rows]
            own, test = (act.second(A @ w.T) * (A @ s.T) for A in (X, Z))
            gram += own @ own.T
            cross += test @ own.T
        scale = 4 * 2 * len(start)
        return gram * (X @ X.T) / scale, cross * (Z @ X.T) / scale


SEEDS = (1, 2, 3, 4, 5)
FACTORS = (1.0, 2.0, 3.0, 4.0, 6.0)
"""n/n_2 of the opening figure, at d = OPENING_DIM."""
OPENING_DIM = 16
DENSE_FACTOR = 3.0
DENSE_DIMS = {1: (16, 32, 64, 128), 2: (8, 12, 16, 24, 32, 48)}
"""Dimensions of the dense comparison at n = 3 n_k, by k."""
SPARSE_FACTOR = 4.0
SPARSE_DIMS = (16, 24, 32)
SPARSE_TEST = 20_000
"""Test points on a sparse cubic: its square has heavy tails, and 4000 leave some 15 % of noise."""
WIDE = {
    "scales": (0.01, 0.1, 0.3, 1.0, 3.0),
    "penalties": (0.0, 1e-8, 1e-6, 1e-5),
    "t_end": 30_000.0,
}
WIDE_DIMS = (16, 32)
"""A grid that reaches further, and where it is tried on the dense quadratic."""
ERROR_SEEDS = (11, 12, 13, 14, 15)
"""Of the construction's error over d; the first five had two draws of the weights, too few."""
FROZEN_SEEDS = (6, 7, 8, 9, 10)
FROZEN_DIMS = (20, 40, 64)
FROZEN = {"scales": (1.0, 3.0), "penalties": (0.0,)}
"""Starts so large that s hardly moves, on draws and dimensions of their own."""
MORE_SEEDS = {20: tuple(range(11, 26))}
"""Further draws of the kernel alone, where five leave an interval wider than the tolerance."""
SCALES = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)


def opening_points(seeds: Sequence[int]) -> list[Alone]:
    """Sparse cubic and dense quadratic over n at one dimension."""
    return [
        kind(seed, OPENING_DIM, factor)
        for factor in FACTORS
        for kind in (_sparse_cubic, _dense_quadratic)
        for seed in seeds
    ]


def _sparse_cubic(seed: int, d: int, factor: float, **settings) -> Alone:
    return Alone(seed, d, 2, 3, False, factor, **settings)


def _dense_quadratic(seed: int, d: int, factor: float, **settings) -> Alone:
    return Alone(seed, d, 2, 2, True, factor, **settings)


def dense_points(seeds: Sequence[int], k: int) -> list[Alone]:
    """A dense harmonic of degree k from 3 n_k samples, over the dimension."""
    return [Alone(seed, d, k, k, True, DENSE_FACTOR) for d in DENSE_DIMS[k] for seed in seeds]


def sparse_points(seeds: Sequence[int]) -> list[Alone]:
    """A sparse cubic from 4 n_2 samples, over the dimension."""
    return [
        _sparse_cubic(seed, d, SPARSE_FACTOR, n_test=SPARSE_TEST)
        for d in SPARSE_DIMS
        for seed in seeds
    ]


def wide_points(seeds: Sequence[int]) -> list[Alone]:
    """The dense quadratic of :func:`dense_points` over the wider grid."""
    return [_dense_quadratic(s, d, DENSE_FACTOR, **WIDE) for d in WIDE_DIMS for s in seeds]


def frozen_points() -> list[Alone]:
    """The dense quadratic from starts at which f_Q should be a kernel method."""
    return [
        _dense_quadratic(s, d, DENSE_FACTOR, **FROZEN) for d in FROZEN_DIMS for s in FROZEN_SEEDS
    ]


def kernel_points() -> list[FrozenKernel]:
    """The kernel of those starts, over the width."""
    return [
        FrozenKernel(seed, d)
        for d in FROZEN_DIMS
        for seed in (*FROZEN_SEEDS, *MORE_SEEDS.get(d, ()))
    ]


def construction_points(seeds: Sequence[int]) -> list[Point]:
    """The explicit movement: error, leak and norm; leaks over drawn signs; complexities."""
    kinds = (Construction, ConstructionNorm, SeveralDirections)
    points: list[Point] = [kind(seed, k) for kind in kinds for k in (1, 2) for seed in seeds]
    points += [
        p for first in (True, False) for k in (1, 2, 3) for p in error_points(k, first=first)
    ]
    return points + [kind(seed) for kind in (SignDraws, Complexity) for seed in seeds]


def error_points(k: int, *, first: bool = False) -> list[ConstructionError]:
    """The construction's error over d: fresh draws with many of the weights, or the first ones."""
    if first:
        return [ConstructionError(seed, k) for seed in SEEDS]
    return [ConstructionError(seed, k, n=100, n_weights=10) for seed in ERROR_SEEDS]


def saddle_points(seeds: Sequence[int]) -> list[Saddle]:
    """Escape from the saddle at W = 0, for starts of several sizes."""
    return [Saddle(seed, scale) for scale in SCALES for seed in seeds]


def full_points(seeds: Sequence[int]) -> list[Point]:
    """Everything that the chapter's claims and figures rest on; the long runs last."""
    points = [*construction_points(seeds), *saddle_points(seeds)]
    points += [*map(TrainedMovement, seeds), *opening_points(seeds)]
    points += [*sparse_points(seeds), *dense_points(seeds, 1), *dense_points(seeds, 2)]
    return [*points, *wide_points(seeds), *frozen_points(), *kernel_points()]


def _quadntk_live(seeds: Sequence[int]) -> Sequence[Point]:
    return saddle_points(seeds)


chapter.experiment(
    "quadntk",
    "QuadNTK alone: random signs, the construction, the saddle, sparse and dense targets",
    SEEDS,
    _quadntk_live,
    full_points,
)
