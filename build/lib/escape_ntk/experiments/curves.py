"""One training curve of the joint model f_L + f_Q on f* = ((β·x)² − 1 + β·x)/√3.

The unit of the published figure: its data, its network and its measurements, by gradient flow or
by plain gradient descent, with any λ_1 and λ_2.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk import checks, trajectory
from escape_ntk.data import Target, draw_inputs, published_target, random_direction
from escape_ntk.descent import gradient_descent
from escape_ntk.directions import TrainingProjector
from escape_ntk.experiments.sweep import Result
from escape_ntk.flow import gradient_flow
from escape_ntk.leaks import GaussianLeak
from escape_ntk.network import activation, draw_weights
from escape_ntk.pairs import PairFeatures, from_pairs
from escape_ntk.regularizer import Penalties, RegularizedRisk, norm_2_4_to_the_4
from escape_ntk.run import UNSAVED, Run

METHODS = ("flow", "descent")


@dataclass(frozen=True)
class Curve:
    """Configuration of one curve; the defaults are the published figure's.  [C]

    ``penalty_population`` and ``penalty_empirical`` are λ_1 and λ_2 of the regularised risk;
    ``n_k`` directions are kept by P_{≤k}; ``step`` counts for descent, ``rtol`` and ``atol`` for
    flow.  Time is in steps of size 1.
    """

    experiment: ClassVar[str] = "curves"

    seed: int
    penalty_empirical: float
    penalty_population: float = 0.0
    d: int = 100
    n: int = 1000
    m: int = 10_000
    n_k: int = 100
    n_test: int = 10_000
    input_law: str = "gaussian"
    weight_law: str = "sphere"
    activation: str = "sigmoid(z-1)"
    dtype: str = "float32"
    method: str = "flow"
    t_end: int = 20_000
    n_times: int = 41
    step: float = 1.0
    rtol: float = 1.5e-3
    atol: float = 1.5e-5

    def __post_init__(self):
        for name in ("penalty_empirical", "penalty_population", "step", "rtol", "atol"):
            object.__setattr__(self, name, checks.number(name, getattr(self, name), least=0))
        checks.integer("seed", self.seed, least=0)
        checks.one_of("method", self.method, METHODS)
        checks.one_of("dtype", self.dtype, ("float32", "float64"))
        checks.even_width(self.m)
        for name in ("d", "n", "n_test", "t_end"):
            checks.integer(name, getattr(self, name), least=1)

    @property
    def record_times(self) -> np.ndarray:
        """0 and whole times spaced evenly in log t."""
        return trajectory.integer_times(trajectory.log_times(self.t_end, self.n_times))

    def compute(self, run: Run = UNSAVED) -> Result:
        """Train and measure: (summary, arrays) for the record."""
        problem = Problem.draw(self)
        start, times = problem.features.zero_state(), self.record_times
        observe = problem.observer()
        if self.method == "descent":
            trained = gradient_descent(
                problem.risk,
                start,
                step=self.step,
                n_steps=self.t_end,
                record_at=times,
                observe=observe,
                run=run,
            )
        else:
            trained = gradient_flow(
                problem.risk,
                start,
                t_end=self.t_end,
                record_at=times,
                observe=observe,
                rtol=self.rtol,
                atol=self.atol,
                run=run,
            )
        summary = {
            "outcome": str(trained.outcome),
            "gradients": trained.n_gradients,
            "steps": trained.n_steps,
            "rejected": trained.n_rejected,
            "kernel_rank": problem.projector.rank,
        }
        kernel = problem.projector.eigenvalues.cpu().numpy()
        return summary, {"times": trained.times, "kernel_eigenvalues": kernel, **trained.values}

    def at(self, **changes) -> "Curve":
        """The same curve with some fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class Problem:
    """Everything drawn from the seed: f*, frozen weights, training and test inputs, the risk."""

    target: Target
    weights: Tensor
    features: PairFeatures
    test: PairFeatures
    projector: TrainingProjector
    risk: RegularizedRisk

    @staticmethod
    def draw(c: Curve) -> "Problem":
        """Draw β, w_r, training and test inputs in this order from one generator."""
        dtype = getattr(torch, c.dtype)
        generator = torch.Generator().manual_seed(c.seed)
        target = published_target(random_direction(c.d, generator, dtype=dtype), c.input_law)
        act = activation(c.activation)
        weights = draw_weights(c.m, c.d, generator, law=c.weight_law, dtype=dtype)
        X = draw_inputs(c.n, c.d, c.input_law, generator, dtype=dtype)
        X_test = draw_inputs(c.n_test, c.d, c.input_law, generator, dtype=dtype)
        features = PairFeatures(X, weights, act)
        projector = TrainingProjector(features, c.n_k)
        leak = GaussianLeak(weights, act) if c.penalty_population else None
        risk = RegularizedRisk(
            features,
            target(X),
            penalties=Penalties(c.penalty_population, c.penalty_empirical),
            projector=projector,
            population=leak,
        )
        test = PairFeatures(X_test, weights, act, chunk=256)
        return Problem(target, weights, features, test, projector, risk)

    def observer(self) -> Callable[[Tensor], dict[str, float]]:
        """Measurements of a state: see :meth:`measure`."""
        parts = self.target.part_values(self.test.X)  # (parts, n_test)
        shares = parts / parts.square().mean(1, keepdim=True)
        kept = self.test.cross_gram(self.features)  # (n_test, n): test outputs of Aᵀc

        def observe(state: Tensor) -> dict[str, float]:
            return self.measure(state, parts.sum(0), shares, kept)

        return observe

    def measure(self, state: Tensor, y_test: Tensor, shares: Tensor, kept: Tensor):
        """Losses, leaks, sizes, and how much of each part of f* each term carries on test.

        ``linear_on_part0`` is E[f_L p_0]/E[p_0²] over the test set, and so on: 1 is learned.
        """
        linear, quadratic = self.features.terms(state)
        test_linear, test_quadratic = self.test.terms(state)
        leak = test_linear - kept @ self.projector.dual_coefficients(linear)
        out = {
            "train_loss": mean_square(linear + quadratic - self.risk.y),
            "test_loss": mean_square(test_linear + test_quadratic - y_test),
            "empirical_leak": mean_square(self.projector.high_outputs(linear)),
            "population_leak": mean_square(leak),
            "test_linear": mean_square(test_linear),
            "test_quadratic": mean_square(test_quadratic),
            "norm_frobenius": float(from_pairs(state).norm()),
            "norm_2_4": float(norm_2_4_to_the_4(state)[0]) ** 0.25,
        }
        for j, share in enumerate(shares):
            out[f"linear_on_part{j}"] = float((test_linear * share).mean())
            out[f"quadratic_on_part{j}"] = float((test_quadratic * share).mean())
        return out


def mean_square(f: Tensor) -> float:
    """(1/n) Σ f_i²."""
    return float(f.square().mean())
