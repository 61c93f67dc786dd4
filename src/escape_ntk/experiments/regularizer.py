"""Experiments behind the chapters *The regulariser* and *Landscape*: one small problem, any λ."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from escape_ntk.data import Target, draw_inputs, random_direction, sparse_part
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
