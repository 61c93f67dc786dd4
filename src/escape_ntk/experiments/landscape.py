"""Experiments behind the chapter *Landscape*: curvature along runs, escapes, many starts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk.constructions import represent_power
from escape_ntk.data import RidgeSum, draw_inputs, random_direction, sparse_part
from escape_ntk.experiments import curves
from escape_ntk.experiments.curves import Curve
from escape_ntk.experiments.regularizer import F64, SIGMOID, SINE, Problem
from escape_ntk.experiments.sweep import Point, Result
from escape_ntk.flow import gradient_flow
from escape_ntk.landscape import (
    gradient_norm,
    lowest_curvature,
    perturbed_descent,
    random_sign_balance,
)
from escape_ntk.network import activation, draw_weights
from escape_ntk.pairs import PairFeatures, to_pairs
from escape_ntk.polynomials import cumulative_multiplicity
from escape_ntk.regularizer import Penalties, RegularizedRisk
from escape_ntk.trajectory import log_times


@dataclass(frozen=True)
class Landscape:
    """Gradient and lowest curvature along a run, and the random-sign balance at its end.

    Flow from W = 0 with λ_2 and λ_3, then rounds of perturbed descent to a point that is
    stationary to second order.  The comparison W* is the explicit one: the least-norm linear part
    inside P_{≤k}, and the rank-one construction for the sparse quadratic.
    """

    experiment: ClassVar[str] = "landscape-run"

    seed: int
    m: int = 1500
    empirical: float = 10.0
    low_degree: float = 0.0
    d: int = 30
    n: int = 250
    n_test: int = 2000
    activation: str = SIGMOID
    t_end: float = 20_000.0
    n_times: int = 9
    round_time: float = 5000.0
    max_rounds: int = 10

    def compute(self, checkpoint=None, progress=None) -> Result:
        """Curvature at W = 0 and over time; the end; every part of the balance there."""
        problem = Problem(self, cumulative_multiplicity(self.d, 1))
        penalties = Penalties(empirical=self.empirical, low_degree=self.low_degree)
        risk, start = problem.risk(penalties), problem.drawn[0].zero_state()

        scale = abs(lowest_curvature(risk, start).eigenvalue)

        def observe(state: Tensor) -> dict[str, float]:
            lowest = lowest_curvature(risk, state, scale=scale, tolerance=1e-2)
            return {
                "gradient": gradient_norm(risk, state),
                "lowest": lowest.eigenvalue,
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
        point = perturbed_descent(
            risk,
            run.state,
            radius=1e-3,
            gradient_tolerance=1e-4 * float(run.values["gradient"][0]),
            curvature_tolerance=0.05 * scale,
            round_time=self.round_time,
            max_rounds=self.max_rounds,
            seed=self.seed,
        )
        end = observe(point.state)
        summary = {name: float(value) for name, value in end.items()}
        summary |= {"reached": point.reached, "perturbations": point.perturbations}
        summary |= {f"start_{k}": float(run.values[k][0]) for k in ("gradient", "lowest", "value")}
        summary |= self._balance(problem, risk, point.state, end)
        start_parts = self._balance(problem, risk, start, {"lowest": -scale})
        summary |= {f"start_{name}": value for name, value in start_parts.items()}
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


@dataclass(frozen=True)
class PublishedLandscape:
    """Gradient and lowest curvature at four times of a run of the published size."""

    experiment: ClassVar[str] = "landscape-published"

    seed: int
    empirical: float = 10.0
    population: float = 0.0
    times: tuple[float, ...] = (0.0, 100.0, 1000.0, 20_000.0)

    def compute(self, checkpoint=None, progress=None) -> Result:
        """Value, gradient and lowest curvature, each over time, and the losses at the end."""
        curve = Curve(self.seed, self.empirical, self.population, n_test=2000)
        problem = curves.Problem.draw(curve)
        risk, start, losses = problem.risk, problem.features.zero_state(), problem.observer()
        scale = abs(lowest_curvature(risk, start, tolerance=1e-2).eigenvalue)

        def observe(state: Tensor) -> dict[str, float]:
            return {
                "gradient": gradient_norm(risk, state),
                "lowest": lowest_curvature(risk, state, scale=scale, tolerance=1e-2).eigenvalue,
                "value": risk.value_and_gradient(state)[0].total(risk.penalties),
                **losses(state),
            }

        run = gradient_flow(
            risk,
            start,
            t_end=self.times[-1],
            record_at=self.times,
            observe=observe,
            rtol=curve.rtol,
            atol=curve.atol,
            progress=progress,
        )
        return {"outcome": str(run.outcome)}, {"times": run.times, **run.values}


def comparison(problem: Problem) -> tuple[Tensor, Tensor]:
    """(t_L, (s, t) of W_Q): f_L(·; t_L) fits all of f* but the quadratic part, which W_Q makes.

    √½ ζ_2(β·x) = c((β·x)² − 1) with the constant left to t_L; t_L is the least-norm fit on the
    training outputs inside P_{≤k}.
    """
    features, _, target = problem.drawn
    part = target.parts[1]
    act, beta = activation(problem.config.activation), part.directions[0]
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


@dataclass(frozen=True)
class Escape:
    """f_Q alone from starts of size ε along random directions: when the training loss first moves.

    The time at which the loss has fallen by 1 %, over ε; and λ_min(∇²L) at W = 0.
    """

    experiment: ClassVar[str] = "landscape-escape"

    seed: int
    d: int = 12
    n: int = 300
    m: int = 400
    sizes: tuple[float, ...] = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
    fall: float = 0.01
    activation: str = SINE

    def compute(self, checkpoint=None, progress=None) -> Result:
        """Escape times, and the curvature that foresees their slope."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        weights, act = draw_weights(self.m, self.d, **exact), activation(self.activation)
        part = sparse_part(random_direction(self.d, **exact), 2, "sphere")
        features = PairFeatures(draw_inputs(self.n, self.d, "sphere", **exact), weights, act)
        risk = RegularizedRisk(features, part(features.X), model="quadratic")
        zero = features.zero_state()
        lowest = lowest_curvature(risk, zero, tolerance=1e-6).eigenvalue
        unit = torch.randn(zero.shape, **exact)
        unit = unit * (math.sqrt(2) / float(unit.norm()))  # ‖W‖_F = 1
        start_loss = float(risk.y.square().mean())
        times = []
        for size in self.sizes:
            guess = (math.log(1 / size) + 5) / abs(lowest)
            at = np.linspace(0, 2 * guess, 4001)[1:]
            run = gradient_flow(
                risk,
                size * unit,
                t_end=float(at[-1]),
                record_at=at,
                observe=lambda state: {"loss": risk.value_and_gradient(state)[0].loss},
                atol=1e-3 * size / math.sqrt(zero.numel()),
            )
            fallen = run.values["loss"] < (1 - self.fall) * start_loss
            times.append(float(at[int(fallen.argmax())]) if fallen.any() else math.nan)
        return {"lowest": lowest}, {"size": np.array(self.sizes), "time": np.array(times)}


@dataclass(frozen=True)
class ManyStarts:
    """L_λ at the end of gradient flow from W = 0 and from many random starts."""

    experiment: ClassVar[str] = "landscape-starts"

    seed: int
    n_starts: int = 8
    start_size: float = 0.3
    empirical: float = 10.0
    d: int = 20
    n: int = 150
    m: int = 1000
    n_test: int = 2000
    activation: str = SIGMOID
    t_end: float = 20_000.0

    def compute(self, checkpoint=None, progress=None) -> Result:
        """Final values and test losses, the start at W = 0 first; L_λ(0) as the scale."""
        problem = Problem(self, cumulative_multiplicity(self.d, 1))
        penalties = Penalties(empirical=self.empirical)
        risk, zero = problem.risk(penalties), problem.drawn[0].zero_state()
        generator = torch.Generator().manual_seed(1_000_000 + self.seed)
        values, tests = [], []
        for start in range(self.n_starts):
            noise = torch.randn(zero.shape, generator=generator, dtype=F64)
            scale = self.start_size * self.m**-0.25 / math.sqrt(self.d) if start else 0.0
            run = gradient_flow(
                risk,
                scale * noise,
                t_end=self.t_end,
                record_at=[self.t_end],
                observe=problem.measure,
            )
            values.append(risk.value_and_gradient(run.state)[0].total(penalties))
            tests.append(float(run.values["test_loss"][-1]))
        zero_value = risk.value_and_gradient(zero)[0].total(penalties)
        return {"zero": zero_value}, {"value": np.array(values), "test": np.array(tests)}


WIDTHS = (750, 1500, 3000, 6000, 12_000)


def width_points(seeds: Sequence[int]) -> list[Landscape]:
    """Runs to second-order stationary points, over the width."""
    return [Landscape(seed, m) for m in WIDTHS for seed in seeds]


def published_points(seeds: Sequence[int]) -> list[PublishedLandscape]:
    """Runs of the published size, R_2 without and with R_1."""
    return [PublishedLandscape(s, population=one) for one in (0.0, 1.0) for s in seeds]


def landscape_points(seeds: Sequence[int]) -> list[Point]:
    """Everything that the chapter *Landscape* rests on."""
    points: list[Point] = [kind(seed) for kind in (Escape, ManyStarts) for seed in seeds]
    return [*points, *width_points(seeds), *published_points(seeds[:3])]
