"""Experiments behind the chapters *The regulariser* and *Landscape*: one small problem, any λ."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from escape_ntk.data import RidgeSum, Target, draw_inputs, random_direction, sparse_part
from escape_ntk.directions import TrainingProjector
from escape_ntk.experiments.sweep import Result
from escape_ntk.flow import gradient_flow
from escape_ntk.leaks import SphereLeak
from escape_ntk.network import activation, draw_weights
from escape_ntk.pairs import PairFeatures
from escape_ntk.polynomials import cumulative_multiplicity
from escape_ntk.regularizer import Penalties, RegularizedRisk, low_degree_size, norm_2_4_to_the_4
from escape_ntk.trajectory import log_times

SINE, SIGMOID = "sin(z+pi/4)", "sigmoid(z-1)"
F64 = torch.float64
BASE = {"population": 1.0, "empirical": 10.0, "low_degree": 1e-3, "norm": 1e-6}
"""λ_1…λ_4 of the on/off table, and the centre of the sensitivity scans."""


@dataclass(frozen=True)
class Size:
    """A small problem: f* = (linear + sparse quadratic)/√2 in two directions, on the sphere."""

    d: int = 20
    n: int = 200
    m: int = 1000
    n_test: int = 5000
    activation: str = SINE


@dataclass(frozen=True)
class Problem:
    """Everything drawn from one seed at one :class:`Size`."""

    seed: int
    size: Size
    n_k: int

    @cached_property
    def drawn(self):
        """(features, fresh features, target)."""
        s, generator = self.size, torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        weights, act = draw_weights(s.m, s.d, **exact), activation(s.activation)
        directions = (random_direction(s.d, **exact) for _ in range(2))
        parts = [sparse_part(b, ell, "sphere") for ell, b in enumerate(directions, start=1)]
        target = Target(tuple(part.scaled_to(math.sqrt(0.5)) for part in parts))
        X, Z = (draw_inputs(n, s.d, "sphere", **exact) for n in (s.n, s.n_test))
        return PairFeatures(X, weights, act), PairFeatures(Z, weights, act), target

    @cached_property
    def projector(self) -> TrainingProjector:
        """P_{≤k} of the training set."""
        return TrainingProjector(self.drawn[0], self.n_k)

    @cached_property
    def leak(self) -> SphereLeak:
        """E f_L² over the population, in closed form."""
        features = self.drawn[0]
        return SphereLeak(features.weights, activation(self.size.activation))

    def risk(self, penalties: Penalties) -> RegularizedRisk:
        """L_λ of the joint model."""
        features, _, target = self.drawn
        return RegularizedRisk(
            features,
            target(features.X),
            penalties=penalties,
            projector=self.projector,
            population=self.leak,
        )

    def measure(self, state: Tensor) -> dict[str, float]:
        """Losses, leaks and norms at ``state``, and how much of each part each term has learned.

        ``share_quadratic``: coefficient of the sparse quadratic in f_Q; ``share_linear``: of the
        linear part in f_L.  Over the fresh inputs.
        """
        features, fresh, target = self.drawn
        linear, curved = features.terms(state)
        test_linear, test_curved = fresh.terms(state)
        first, second = target.part_values(fresh.X)
        goal, high = first + second, self.projector.high(state[1])
        return {
            "train_loss": float((linear + curved - target(features.X)).square().mean()),
            "test_loss": float((test_linear + test_curved - goal).square().mean()),
            "population_leak": float(self.leak.value_and_gradient(high)[0]),
            "empirical_leak": float(self.projector.high_outputs(linear).square().mean()),
            "low_degree": float(low_degree_size(self.projector, state[1])[0]),
            "norm_2_4": float(norm_2_4_to_the_4(state)[0]) ** 0.25,
            "share_quadratic": float(test_curved @ second / (second @ second)),
            "share_linear": float(test_linear @ first / (first @ first)),
        }


@dataclass(frozen=True)
class Regularized:
    """Gradient flow from W = 0 with the given λ_1…λ_4 and n_k (theory's n_1 = d + 1 by default)."""

    experiment: ClassVar[str] = "regularizer-small"

    seed: int
    population: float = 0.0
    empirical: float = 0.0
    low_degree: float = 0.0
    norm: float = 0.0
    n_k: int | None = None
    d: int = 20
    n: int = 200
    m: int = 1000
    n_test: int = 5000
    activation: str = SINE
    t_end: float = 20_000.0
    n_times: int = 31

    def compute(self, checkpoint=None, progress=None) -> Result:
        """Final values as the summary; all of them over time as arrays."""
        size = Size(self.d, self.n, self.m, self.n_test, self.activation)
        n_k = self.n_k or cumulative_multiplicity(self.d, 1)
        problem = Problem(self.seed, size, n_k)
        penalties = Penalties(self.population, self.empirical, self.low_degree, self.norm)
        run = gradient_flow(
            problem.risk(penalties),
            problem.drawn[0].zero_state(),
            t_end=self.t_end,
            record_at=log_times(self.t_end, self.n_times),
            observe=problem.measure,
            progress=progress,
        )
        gram = problem.projector.eigenvalues
        summary = {name: float(values[-1]) for name, values in run.values.items()}
        summary |= {"outcome": str(run.outcome), "n_gradients": run.n_gradients}
        return summary, {"times": run.times, "gram": gram.numpy(), **run.values}


@dataclass(frozen=True)
class ClosedForms:
    """R_1 in closed form against fresh inputs, both laws: z-scores, and without the κ20 term."""

    experiment: ClassVar[str] = "regularizer-closed-forms"

    seed: int
    m: int = 400
    d: int = 12
    n_fresh: int = 1_000_000
    activation: str = SINE

    def compute(self, checkpoint=None, progress=None) -> Result:
        """For each law: |closed form − mean over fresh inputs| in standard errors."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        act, out = activation(self.activation), {}
        weights = draw_weights(self.m, self.d, **exact)
        t = weights + 0.5 * torch.randn(weights.shape, **exact)
        for law, closed in (("gaussian", GaussianLeak), ("sphere", SphereLeak)):
            means = []
            for _ in range(self.n_fresh // 10_000):
                fresh = PairFeatures(draw_inputs(10_000, self.d, law, **exact), weights, act)
                means.append(float(SampledLeak(fresh).value_and_gradient(t)[0]))
            error = float(np.std(means, ddof=1)) / math.sqrt(len(means))
            leak = closed(weights, act)
            out[law] = abs(float(leak.value_and_gradient(t)[0]) - np.mean(means)) / error
            leak.k20.zero_()
            broken = abs(float(leak.value_and_gradient(t)[0]) - np.mean(means)) / error
            out[f"{law}_without_k20"] = float(broken)
        return {name: float(value) for name, value in out.items()}, {}


@dataclass(frozen=True)
class Landscape:
    """Gradient and lowest curvature along a run, and the random-sign balance at its end.

    Flow from W = 0 with λ_2 and λ_3, then rounds of perturbed descent to a point that is
    stationary to second order.  The comparison W* is the explicit one: the least-norm linear part
    inside P_{≤k}, and the rank-one construction for the sparse quadratic.
    """

    experiment: ClassVar[str] = "landscape-run"

    seed: int
    empirical: float = 10.0
    low_degree: float = 0.0
    d: int = 20
    n: int = 200
    m: int = 1000
    n_test: int = 2000
    activation: str = SINE
    t_end: float = 20_000.0
    n_times: int = 13
    perturbed: bool = False
    round_time: float = 2000.0
    max_rounds: int = 20

    def compute(self, checkpoint=None, progress=None) -> Result:
        """Curvature at W = 0 and over time; the end; every part of the balance there."""
        size = Size(self.d, self.n, self.m, self.n_test, self.activation)
        problem = Problem(self.seed, size, cumulative_multiplicity(self.d, 1))
        penalties = Penalties(empirical=self.empirical, low_degree=self.low_degree)
        risk, start = problem.risk(penalties), problem.drawn[0].zero_state()

        def observe(state: Tensor) -> dict[str, float]:
            return {
                "gradient": gradient_norm(risk, state),
                "lowest": lowest_curvature(risk, state).eigenvalue,
                "value": risk.value_and_gradient(state)[0].total(penalties),
                **problem.measure(state),
            }

        run = gradient_flow(
            risk,
            start,
            t_end=self.t_end,
            record_at=log_times(self.t_end, self.n_times),
            observe=observe,
            progress=progress,
        )
        state, extra = run.state, {}
        if self.perturbed:
            scale = abs(float(run.values["lowest"][0]))
            point = perturbed_descent(
                risk,
                state,
                radius=1e-3,
                gradient_tolerance=1e-4 * float(run.values["gradient"][0]),
                curvature_tolerance=0.05 * scale,
                round_time=self.round_time,
                max_rounds=self.max_rounds,
                seed=self.seed,
            )
            state = point.state
            extra = {"reached": float(point.reached), "perturbations": float(point.perturbations)}
        end = observe(state)
        summary = {name: float(value) for name, value in end.items()} | extra
        summary |= {f"start_{k}": float(run.values[k][0]) for k in ("gradient", "lowest", "value")}
        summary |= self._balance(problem, risk, state, end)
        return summary, {"times": run.times, **run.values}

    def _balance(self, problem: Problem, risk, state: Tensor, end: Mapping) -> dict[str, float]:
        t_linear, quadratic = comparison(problem)
        parts = random_sign_balance(risk, state, t_linear, quadratic)
        size = float(quadratic.square().sum()) / 2
        names = "comparison first_order coupling cross curvature distance".split()
        out = {name: getattr(parts, name) for name in names}
        out["bound"] = parts.bound(end["lowest"], size)
        out["bound_flat"] = parts.bound(0.0, size)
        return out


def comparison(problem: Problem) -> tuple[Tensor, Tensor]:
    """(t_L, (s, t) of W_Q): f_L(·; t_L) fits all of f* but the quadratic part, which W_Q makes.

    √½ ζ_2(β·x) = c((β·x)² − 1) with the constant left to t_L; t_L is the least-norm fit on the
    training outputs inside P_{≤k}.
    """
    features, _, target = problem.drawn
    part = target.parts[1]
    act, beta = activation(problem.size.activation), part.directions[0]
    made = represent_power(features.weights, act, beta, 2)
    movement = to_pairs(made.movement()) * math.sqrt(_coefficient(part))
    left = target(features.X) - features.terms(movement)[1]
    return features.linear_pullback(problem.projector.dual_coefficients(left)), movement


def _coefficient(part: RidgeSum) -> float:
    """c > 0 in c((β·x)² − 1): from the values along β and across it."""
    beta, d = part.directions[0], part.directions.shape[1]
    across = torch.linalg.svd(beta[None])[2][1]
    ends = part(math.sqrt(d) * torch.stack([beta, across]))
    return float(ends[0] - ends[1]) / d
