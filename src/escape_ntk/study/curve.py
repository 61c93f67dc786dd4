"""One training curve of the joint model f_L + f_Q on f* = ((β·x)² − 1 + β·x)/√3.

The unit of the published figure: its data, its network and its measurements, by gradient flow or
by plain gradient descent, with any λ_1 and λ_2.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.data import draw_inputs, published_target, random_direction
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures, from_pairs
from escape_ntk.risk.problem import Problem, mean_square
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk, norm_2_4_to_the_4
from escape_ntk.study.point import PROJECTED, Draws, Point, Result
from escape_ntk.training import trajectory
from escape_ntk.training.descent import gradient_descent
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run

METHODS = ("flow", "descent")
AT_ONCE = 14
"""States of a curve that are measured together: more of them cost memory, fewer time."""
KERNEL_ROWS = 250
"""Fresh inputs whose kernel with the training inputs is computed at a time."""


@dataclass(frozen=True)
class Curve(Point):
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
    def draws(self) -> Draws:  # pyright: ignore
        """The laws of the configuration."""
        return Draws(self.input_law, self.weight_law, tools=PROJECTED)

    @property
    def record_times(self) -> np.ndarray:
        """0 and whole times spaced evenly in log t."""
        return trajectory.integer_times(trajectory.log_times(self.t_end, self.n_times))

    def compute(self, run: Run = UNSAVED) -> Result:
        """Train and measure: (summary, arrays) for the record."""
        problem = draw_problem(self)
        risk, start, times = self.risk(problem), problem.zero_state(), self.record_times
        observe = Observer(problem)
        if self.method == "descent":
            trained = gradient_descent(
                risk,
                start,
                step=self.step,
                n_steps=self.t_end,
                record_at=times,
                observe=observe,
                run=run,
            )
        else:
            trained = gradient_flow(
                risk,
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

    def risk(self, problem: Problem) -> RegularizedRisk:
        """L_λ with the λ of this curve."""
        return problem.risk(Penalties(self.penalty_population, self.penalty_empirical))

    def at(self, **changes) -> "Curve":
        """The same curve with some fields changed."""
        return dataclasses.replace(self, **changes)


def draw_problem(c: Curve) -> Problem:
    """β, w_r, training and fresh inputs in this order from one generator."""
    kind = {"generator": torch.Generator().manual_seed(c.seed), "dtype": getattr(torch, c.dtype)}
    target = published_target(random_direction(c.d, **kind), c.input_law)
    weights = draw_weights(c.m, c.d, law=c.draws.weights, **kind)
    X, fresh = (draw_inputs(n, c.d, c.draws.inputs, **kind) for n in (c.n, c.n_test))
    act = activation(c.activation)
    return Problem(target, weights, act, X, fresh, c.n_k, c.draws.inputs)


class Observer:
    """Losses, leaks, sizes, and how much of each part of f* each term carries on fresh inputs.

    Named as by :class:`~escape_ntk.risk.problem.Problem`; R_1 is the mean over the fresh inputs.
    ``test_linear`` and ``test_quadratic``: mean squares of f_L and f_Q there.

    The features of the fresh inputs, most of what a curve would hold, are computed anew in blocks
    of a few rows, for all states that are measured together: an
    :class:`~escape_ntk.training.trajectory.ObservesMany`.
    """

    at_once: int = AT_ONCE

    def __init__(self, problem: Problem):
        self.problem = problem
        parts = problem.target.part_values(problem.fresh)  # (parts, n_test)
        self.shares = parts / parts.square().mean(1, keepdim=True)
        self.goal = parts.sum(0)
        # (n_test, n): fresh outputs of Aᵀc
        self.kept = problem.X.new_empty(len(problem.fresh), len(problem.X))
        for rows, features in self._fresh(KERNEL_ROWS):
            self.kept[rows] = features.cross_gram(problem.features)

    def __call__(self, state: Tensor) -> dict[str, float]:
        """All measurements of one state."""
        return self.many([state])[0]

    def many(self, states: Sequence[Tensor]) -> list[dict[str, float]]:
        """All measurements of each state; the features of the fresh inputs are computed once."""
        terms = self.goal.new_empty(len(states), 2, len(self.goal))
        for rows, features in self._fresh(self.problem.features.chunk):
            for state, (linear, quadratic) in zip(states, terms, strict=True):
                linear[rows], quadratic[rows] = features.terms(state)
        return [self._measured(*one) for one in zip(states, terms, strict=True)]

    def _fresh(self, size: int) -> Iterator[tuple[slice, PairFeatures]]:
        """Blocks of the fresh inputs, with their features."""
        p = self.problem
        for start in range(0, len(p.fresh), size):
            rows = slice(start, start + size)
            yield rows, p.kind(p.fresh[rows], p.weights, p.activation)

    def _measured(self, state: Tensor, fresh: Tensor) -> dict[str, float]:
        problem, (fresh_linear, fresh_quadratic) = self.problem, fresh
        linear, quadratic = problem.features.terms(state)
        leak = fresh_linear - self.kept @ problem.projector.dual_coefficients(linear)
        out = {
            "train": mean_square(linear + quadratic - problem.y),
            "test": mean_square(fresh_linear + fresh_quadratic - self.goal),
            "R_2": mean_square(problem.projector.high_outputs(linear)),
            "R_1": mean_square(leak),
            "test_linear": mean_square(fresh_linear),
            "test_quadratic": mean_square(fresh_quadratic),
            "norm_F": float(from_pairs(state).norm()),
            "norm_2_4": float(norm_2_4_to_the_4(state)[0]) ** 0.25,
        }
        for j, share in enumerate(self.shares):
            out[f"linear_{j}"] = float((fresh_linear * share).mean())
            out[f"quadratic_{j}"] = float((fresh_quadratic * share).mean())
        return out
