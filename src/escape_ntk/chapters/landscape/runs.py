"""Experiments behind the chapter *Landscape*: curvature along runs, escapes, many starts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk.chapters.landscape import chapter
from escape_ntk.chapters.regularizer.runs import (
    BASE,
    F64,
    SEEDS,
    SIGMOID,
    SINE,
    Regularized,
    draw_problem,
    four,
    measure,
    settings,
)
from escape_ntk.models.data import RidgeSum, draw_inputs, random_direction, sparse_part
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures, to_pairs
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.risk.constructions import represent_power
from escape_ntk.risk.problem import Problem
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.study import curve as curves
from escape_ntk.study.curve import Curve
from escape_ntk.study.point import PROJECTED, Draws, Point, Result
from escape_ntk.training.curvature import (
    StationaryPoint,
    curvature_floor,
    gradient_norm,
    lowest_curvature,
    mean_curvature,
    perturbed_descent,
    random_sign_balance,
)
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import Observe, Trajectory, log_times


@dataclass(frozen=True)
class Landscape(Point):
    """Gradient and lowest curvature along a run, and the random-sign balance at its end.

    Flow from W = 0 with λ_2 and λ_3, then rounds of perturbed descent to a point that is
    stationary to second order.  The comparison W* is the explicit one: the least-norm linear part
    inside P_{≤k}, and the rank-one construction for the sparse quadratic.
    """

    experiment: ClassVar[str] = "landscape-run"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=(*PROJECTED, "represent_power"))

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

    def compute(self, run: Run = UNSAVED) -> Result:
        """Curvature at W = 0 and over time; the end; every part of the balance there."""
        problem, risk = self.setting()
        start = problem.zero_state()
        scale = abs(lowest_curvature(risk, start).eigenvalue)

        def observe(state: Tensor) -> dict[str, float]:
            lowest = lowest_curvature(risk, state, scale=scale, tolerance=1e-2)
            return {
                "gradient": gradient_norm(risk, state),
                "lowest": lowest.eigenvalue,
                "value": risk.value_and_gradient(state)[0].total(risk.penalties),
                **measure(problem, state),
            }

        trained = self.follow(risk, observe, run)
        point = self.settle(risk, trained, scale, run)
        end = observe(point.state)
        summary = {name: float(value) for name, value in end.items()}
        summary |= {"reached": point.reached, "perturbations": point.perturbations}
        summary |= {
            f"start_{k}": float(trained.values[k][0]) for k in ("gradient", "lowest", "value")
        }
        summary |= self._balance(problem, risk, point.state, end)
        start_parts = self._balance(problem, risk, start, {"lowest": -scale})
        summary |= {f"start_{name}": value for name, value in start_parts.items()}
        return summary, {"times": trained.times, **trained.values}

    def setting(self) -> tuple[Problem, RegularizedRisk]:
        """The problem and its L_λ."""
        problem = draw_problem(self, cumulative_multiplicity(self.d, 1))
        return problem, problem.risk(
            Penalties(empirical=self.empirical, low_degree=self.low_degree)
        )

    def follow(self, risk: RegularizedRisk, observe: Observe, run: Run, **asked) -> Trajectory:
        """Gradient flow from W = 0."""
        return gradient_flow(
            risk,
            risk.features.zero_state(),
            t_end=self.t_end,
            record_at=log_times(self.t_end, self.n_times),
            observe=observe,
            run=run,
            **asked,
        )

    def settle(
        self, risk: RegularizedRisk, trained: Trajectory, scale: float, run: Run
    ) -> StationaryPoint:
        """Perturbed descent from the end of the flow; tolerances relative to W = 0."""
        return perturbed_descent(
            risk,
            trained.state,
            radius=1e-3,
            gradient_tolerance=1e-4 * float(trained.values["gradient"][0]),
            curvature_tolerance=0.05 * scale,
            round_time=self.round_time,
            max_rounds=self.max_rounds,
            seed=self.seed,
            run=run,
        )

    def _balance(self, problem: Problem, risk, state: Tensor, end: Mapping) -> dict[str, float]:
        t_linear, quadratic = comparison(problem)
        parts = random_sign_balance(risk, state, t_linear, quadratic)
        size = float(quadratic.square().sum()) / 2
        names = "comparison first_order coupling cross curvature distance".split()
        out = {name: getattr(parts, name) for name in names}
        out["bound"] = parts.bound(end["lowest"], size)
        out["bound_flat"] = parts.bound(0.0, size)
        return out


def certificate(risk: RegularizedRisk) -> Observe:
    """What is measured of a state: L_λ, the loss alone, the gradient, the floor under λ_min."""

    def observe(state: Tensor) -> dict[str, float]:
        value = risk.value_and_gradient(state)[0]
        return {
            "value": value.total(risk.penalties),
            "loss": value.loss,
            "gradient": gradient_norm(risk, state),
            "floor": curvature_floor(risk, state),
        }

    return observe


@dataclass(frozen=True)
class Certified(Landscape):
    """The run of :class:`Landscape` again: the floor under λ_min along it, at its end, and why.

    ``plateau`` numbers the time at which the parts of the balance are taken on the way.
    """

    experiment: ClassVar[str] = "landscape-certified"

    plateau: int = 5

    def compute(self, run: Run = UNSAVED) -> Result:
        """λ_min at W = 0; floors over time and at the end; the balance on the plateau and there."""
        problem, risk = self.setting()
        scale = abs(lowest_curvature(risk, risk.features.zero_state()).eigenvalue)
        trained = self.certified(risk, run)
        point = self.settle(risk, trained, scale, run)
        summary = {"start_lowest": -scale, "start_value": float(trained.values["value"][0])}
        summary |= {name: getattr(point, name) for name in ("reached", "perturbations", "rounds")}
        for when, state in (("plateau_", trained.kept[str(self.plateau)]), ("end_", point.state)):
            seen = certificate(risk)(state)
            parts = self._balance(problem, risk, state, {"lowest": seen["floor"]})
            summary |= {when + name: value for name, value in {**seen, **parts}.items()}
        return summary, {"times": trained.times, **trained.values}

    def certified(self, risk: RegularizedRisk, run: Run) -> Trajectory:
        """The flow with its certificate; its states at the start and on the plateau are kept."""
        return self.follow(risk, certificate(risk), run, keep=(0, self.plateau))


@dataclass(frozen=True)
class SignMean(Certified):
    """The identity with its curvature from Hessian–vector products alone: W = 0, plateau, end."""

    experiment: ClassVar[str] = "landscape-signs"

    m: int = 750

    def compute(self, run: Run = UNSAVED) -> Result:
        """L_λ, its parts, and the mean curvature by a Hadamard matrix of signs, at three states."""
        problem, risk = self.setting()
        trained = self.certified(risk, run)
        _, quadratic = comparison(problem)
        summary = {}
        names = {"start_": "0", "plateau_": str(self.plateau)}
        at = {when: trained.kept[name] for when, name in names.items()} | {"end_": trained.state}
        for when, state in at.items():
            parts = {"value": risk.value_and_gradient(state)[0].total(risk.penalties)}
            parts |= self._balance(problem, risk, state, {"lowest": 0.0})
            parts["curvature_by_products"] = mean_curvature(risk, state, quadratic)
            summary |= {when + name: value for name, value in parts.items()}
        return summary, {"times": trained.times, **trained.values}


@dataclass(frozen=True)
class Noisy(Landscape):
    """Noisy labels and fewer weights than labels, md < 2n: no run fits them, so the end is high.

    Besides the end of the flow, where f_L alone comes to rest (``linear_``): ∇_tL_λ = 0 there, and
    the saddle of f_Q is left untouched.  λ_2 = 1 alone.
    """

    experiment: ClassVar[str] = "landscape-noisy"

    m: int = 200
    empirical: float = 1.0
    d: int = 10
    n: int = 3000
    n_test: int = 1
    label_noise: float = 0.5

    def compute(self, run: Run = UNSAVED) -> Result:
        """At W = 0, at rest without f_Q, and at the end: certificate and balance."""
        n_k = cumulative_multiplicity(self.d, 1)
        problem = draw_problem(self, n_k, self.label_noise)
        risk = problem.risk(Penalties(empirical=self.empirical))
        linear = RegularizedRisk(
            problem.features,
            problem.y,
            model="linear",
            penalties=risk.penalties,
            projector=problem.projector,
        )
        start, at_end = problem.zero_state(), {"t_end": self.t_end, "record_at": [self.t_end]}
        states = {"start_": start}
        for name, one in (("linear_", linear), ("end_", risk)):
            states[name] = gradient_flow(
                one, start, observe=lambda state: {}, run=run.part(name), **at_end
            ).state
        scale = abs(lowest_curvature(risk, start).eigenvalue)
        summary = {"start_lowest": -scale}
        for when, state in states.items():
            seen = certificate(risk)(state)
            parts = self._balance(problem, risk, state, {"lowest": seen["floor"]})
            summary |= {when + name: float(value) for name, value in {**seen, **parts}.items()}
        return summary, {}


@dataclass(frozen=True)
class CertifiedSwitches(Regularized):
    """A run of the on/off settings again: λ_min at W = 0, and the floor under it along the run."""

    experiment: ClassVar[str] = "landscape-switches"

    def compute(self, run: Run = UNSAVED) -> Result:
        """Certificates over time."""
        penalties = Penalties(self.population, self.empirical, self.low_degree, self.norm)
        risk = self.problem().risk(penalties)
        start = risk.features.zero_state()
        lowest = lowest_curvature(risk, start, tolerance=1e-2).eigenvalue
        trained = gradient_flow(
            risk,
            start,
            t_end=self.t_end,
            record_at=log_times(self.t_end, self.n_times),
            observe=certificate(risk),
            run=run,
        )
        summary = {"outcome": str(trained.outcome), "start_lowest": lowest}
        return summary, {"times": trained.times, **trained.values}


@dataclass(frozen=True)
class PublishedLandscape(Point):
    """Gradient and lowest curvature at four times of a run of the published size."""

    experiment: ClassVar[str] = "landscape-published"
    draws: ClassVar[Draws] = Draws(Curve.input_law, Curve.weight_law, tools=PROJECTED)

    seed: int
    empirical: float = 10.0
    population: float = 0.0
    times: tuple[float, ...] = (0.0, 100.0, 1000.0, 20_000.0)

    def curve(self, n_test: int) -> Curve:
        """The curve that is followed."""
        return Curve(
            self.seed,
            self.empirical,
            self.population,
            n_test=n_test,
            input_law=self.draws.inputs,
            weight_law=self.draws.weights,
        )

    def compute(self, run: Run = UNSAVED) -> Result:
        """Value, gradient and lowest curvature, each over time, and the losses at the end."""
        curve = self.curve(n_test=2000)
        problem = curves.draw_problem(curve)
        risk, start, losses = curve.risk(problem), problem.zero_state(), curves.Observer(problem)
        scale = abs(lowest_curvature(risk, start, tolerance=1e-2).eigenvalue)

        def observe(state: Tensor) -> dict[str, float]:
            return {
                "gradient": gradient_norm(risk, state),
                "lowest": lowest_curvature(risk, state, scale=scale, tolerance=1e-2).eigenvalue,
                "value": risk.value_and_gradient(state)[0].total(risk.penalties),
                **losses(state),
            }

        trained = gradient_flow(
            risk,
            start,
            t_end=self.times[-1],
            record_at=self.times,
            observe=observe,
            rtol=curve.rtol,
            atol=curve.atol,
            run=run,
        )
        return {"outcome": str(trained.outcome)}, {"times": trained.times, **trained.values}


@dataclass(frozen=True)
class CertifiedPublished(PublishedLandscape):
    """A run of the published size again: λ_min at W = 0, and the floor under it along the run."""

    experiment: ClassVar[str] = "landscape-published-certified"

    def compute(self, run: Run = UNSAVED) -> Result:
        """Certificates over time.  A rough Ritz value at W = 0: |λ_min| is not below it."""
        curve = self.curve(n_test=1)
        risk = curve.risk(curves.draw_problem(curve))
        start = risk.features.zero_state()
        lowest = lowest_curvature(risk, start, tolerance=0.1).eigenvalue
        trained = gradient_flow(
            risk,
            start,
            t_end=self.times[-1],
            record_at=self.times,
            observe=certificate(risk),
            rtol=curve.rtol,
            atol=curve.atol,
            run=run,
        )
        summary = {"outcome": str(trained.outcome), "start_lowest": lowest}
        return summary, {"times": trained.times, **trained.values}


def comparison(problem: Problem) -> tuple[Tensor, Tensor]:
    """(t_L, (s, t) of W_Q): f_L(·; t_L) fits all of f* but the quadratic part, which W_Q makes.

    √½ ζ_2(β·x) = c((β·x)² − 1) with the constant left to t_L; t_L is the least-norm fit on the
    training outputs inside P_{≤k}.
    """
    part, features = problem.target.parts[1], problem.features
    made = represent_power(problem.weights, problem.activation, part.directions[0], 2)
    movement = to_pairs(made.movement()) * math.sqrt(_coefficient(part))
    left = problem.target(problem.X) - features.terms(movement)[1]
    return features.linear_pullback(problem.projector.dual_coefficients(left)), movement


def _coefficient(part: RidgeSum) -> float:
    """c > 0 in c((β·x)² − 1): from the values along β and across it."""
    beta, d = part.directions[0], part.directions.shape[1]
    across = torch.linalg.svd(beta[None])[2][1]
    ends = part(math.sqrt(d) * torch.stack([beta, across]))
    return float(ends[0] - ends[1]) / d


@dataclass(frozen=True)
class Escape(Point):
    """f_Q alone from starts of size ε along random directions: when the training loss first moves.

    The time at which the loss has fallen by 1 %, over ε; and λ_min(∇²L) at W = 0.
    """

    experiment: ClassVar[str] = "landscape-escape"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("PairFeatures",))

    seed: int
    d: int = 12
    n: int = 300
    m: int = 400
    sizes: tuple[float, ...] = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
    fall: float = 0.01
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Escape times, and the curvature that foresees their slope."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        weights = draw_weights(self.m, self.d, law=self.draws.weights, **exact)
        act = activation(self.activation)
        part = sparse_part(random_direction(self.d, **exact), 2, "sphere")
        X = draw_inputs(self.n, self.d, self.draws.inputs, **exact)
        features = PairFeatures(X, weights, act)
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
            trained = gradient_flow(
                risk,
                size * unit,
                t_end=float(at[-1]),
                record_at=at,
                observe=lambda state: {"loss": risk.value_and_gradient(state)[0].loss},
                atol=1e-3 * size / math.sqrt(zero.numel()),
            )
            fallen = trained.values["loss"] < (1 - self.fall) * start_loss
            times.append(float(at[int(fallen.argmax())]) if fallen.any() else math.nan)
        return {"lowest": lowest}, {"size": np.array(self.sizes), "time": np.array(times)}


@dataclass(frozen=True)
class ManyStarts(Point):
    """L_λ at the end of gradient flow from W = 0 and from many random starts."""

    experiment: ClassVar[str] = "landscape-starts"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=PROJECTED)

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

    def compute(self, run: Run = UNSAVED) -> Result:
        """Final values and test losses, the start at W = 0 first; L_λ(0) as the scale."""
        problem = draw_problem(self, cumulative_multiplicity(self.d, 1))
        penalties = Penalties(empirical=self.empirical)
        risk, zero = problem.risk(penalties), problem.zero_state()
        generator = torch.Generator().manual_seed(1_000_000 + self.seed)
        values, tests = [], []
        for start in range(self.n_starts):
            noise = torch.randn(zero.shape, generator=generator, dtype=F64)
            scale = self.start_size * self.m**-0.25 / math.sqrt(self.d) if start else 0.0
            trained = gradient_flow(
                risk,
                scale * noise,
                t_end=self.t_end,
                record_at=[self.t_end],
                observe=partial(measure, problem),
            )
            values.append(risk.value_and_gradient(trained.state)[0].total(penalties))
            tests.append(float(trained.values["test"][-1]))
        zero_value = risk.value_and_gradient(zero)[0].total(penalties)
        return {"zero": zero_value}, {"value": np.array(values), "test": np.array(tests)}


WIDTHS = (750, 1500, 3000, 6000, 12_000)
NOISY_WIDTHS = (200, 800)


def width_points(seeds: Sequence[int]) -> list[Landscape]:
    """Runs to second-order stationary points, over the width."""
    return [Landscape(seed, m) for m in WIDTHS for seed in seeds]


def certified_points(seeds: Sequence[int]) -> list[Certified]:
    """The same runs with their certificates."""
    return [Certified(seed, m) for m in WIDTHS for seed in seeds]


def noisy_points(seeds: Sequence[int]) -> list[Noisy]:
    """Noisy labels at two widths."""
    return [Noisy(seed, m) for m in NOISY_WIDTHS for seed in seeds]


def start_points(seeds: Sequence[int]) -> list[ManyStarts]:
    """Many starts."""
    return [ManyStarts(seed) for seed in seeds]


def plateau_points(seeds: Sequence[int]) -> list[Certified]:
    """The runs of :func:`start_points` from W = 0, with what they pass on the way."""
    return [Certified(p.seed, p.m, p.empirical, d=p.d, n=p.n) for p in start_points(seeds)]


def switch_points(seeds: Sequence[int]) -> list[CertifiedSwitches]:
    """All sixteen settings of R_1 … R_4."""
    return [
        CertifiedSwitches(seed, *four({name: BASE[name] for name in on}))
        for on in settings()
        for seed in seeds
    ]


def published_points(seeds: Sequence[int]) -> list[PublishedLandscape]:
    """Runs of the published size, R_2 without and with R_1."""
    return [PublishedLandscape(s, population=one) for one in (0.0, 1.0) for s in seeds]


def certified_published_points(seeds: Sequence[int]) -> list[CertifiedPublished]:
    """The same runs with their certificates."""
    return [CertifiedPublished(s, population=one) for one in (0.0, 1.0) for s in seeds]


def landscape_points(seeds: Sequence[int]) -> list[Point]:
    """Everything that the chapter *Landscape* rests on."""
    points: list[Point] = [kind(seed) for kind in (Escape, ManyStarts, SignMean) for seed in seeds]
    points += [*plateau_points(seeds), *width_points(seeds), *certified_points(seeds)]
    points += noisy_points(seeds)
    points += [*switch_points(seeds), *published_points(seeds[:3])]
    return [*points, *certified_published_points(seeds[:3])]


def _landscape_live(seeds: Sequence[int]) -> list[Point]:
    return [Escape(seed) for seed in seeds]


chapter.experiment(
    "landscape",
    "Landscape: curvature along runs, escape from W = 0, many starts, the random-sign bound",
    SEEDS,
    _landscape_live,
    landscape_points,
)
