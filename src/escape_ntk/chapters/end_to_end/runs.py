"""Experiments behind the chapter *Gradient descent end to end*: from W = 0 to a solution like W*.

The problems are those of the sample-complexity experiment: same targets, training and test sets.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk import checks
from escape_ntk.chapters.end_to_end import chapter
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.data import random_signs
from escape_ntk.models.network import activation
from escape_ntk.models.pairs import NetworkFeatures, PairFeatures, to_pairs
from escape_ntk.numerics.polynomials import gegenbauer_coefficients, multiplicity
from escape_ntk.numerics.stats import rms
from escape_ntk.risk.constructions import JointMovement
from escape_ntk.risk.guarantee import (
    NORM_SHARE,
    guarantee,
    required_samples,
    required_width,
)
from escape_ntk.risk.problem import Problem
from escape_ntk.risk.regularizer import (
    Penalties,
    RegularizedRisk,
    low_degree_size,
    norm_2_4_to_the_4,
)
from escape_ntk.study.dense_plus_sparse import (
    PARTS,
    SINE,
    ClassSize,
    Wide,
    draw_problem,
    error_by_part,
    explicit,
    measure,
    samples,
)
from escape_ntk.study.point import PROJECTED, Draws, Point, Result
from escape_ntk.training.curvature import (
    curvature_floor,
    gradient_norm,
    perturbed_descent,
    random_sign_balance,
    stationary_balance,
)
from escape_ntk.training.descent import gradient_descent
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import integer_times, log_times

METHODS = ("flow", "descent", "perturbed")
SIGMOID = "sigmoid(z-1)"


@dataclass(frozen=True)
class Descent(Wide):
    """From W = 0 by gradient flow, by plain descent, or by perturbed descent; the end against W*.

    ``penalties`` are λ_1…λ_4.  Plain descent takes ``t_end``/``step`` steps.
    """

    experiment: ClassVar[str] = "end-to-end"
    draws: ClassVar[Draws] = Draws(
        "sphere", "sphere", tools=(*PROJECTED, "random_signs", "represent_power")
    )

    method: str = "flow"
    m: int = 2000
    penalties: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 0.0)
    step: float = 1.0
    t_end: float = 10_000.0
    n_times: int = 41
    n_signs: int = 10

    def __post_init__(self):
        super().__post_init__()
        checks.one_of("method", self.method, METHODS)

    def compute(self, run: Run = UNSAVED) -> Result:
        """Everything over time; the end, W*, the guarantee's terms, the zero predictor's error."""
        problem, generator = draw_problem(self)
        risk = problem.risk(Penalties(*self.penalties))
        start = problem.zero_state()
        state, summary, arrays = self._train(problem, risk, start, run)
        summary |= {f"end_{name}": value for name, value in measure(problem, state).items()}
        scale = -curvature_floor(risk, start)
        summary |= {
            "value": risk.value_and_gradient(state)[0].total(risk.penalties),
            "start_value": risk.value_and_gradient(start)[0].total(risk.penalties),
            "gradient": gradient_norm(risk, state) / gradient_norm(risk, start),
            "flatness": -curvature_floor(risk, state) / scale,
        }
        made = explicit(problem.weights, self.activation, problem.target)
        summary |= self._explicit(problem, risk, made, generator)
        if self.penalties[0] == self.penalties[3] == 0:
            summary |= self._balance(risk, state, made, scale * summary["flatness"])
        goal = problem.target(problem.fresh)
        return summary | {"zero": float(goal.abs().clamp(max=1.0).mean())}, arrays

    def _train(self, problem: Problem, risk, start: Tensor, run: Run):
        """(end state, summary, arrays over time) by the method."""
        times = log_times(self.t_end, self.n_times)
        if self.method == "perturbed":
            scale = -curvature_floor(risk, start)
            point = perturbed_descent(
                risk,
                start,
                radius=1e-3,
                gradient_tolerance=1e-3 * gradient_norm(risk, start),
                curvature_tolerance=0.05 * scale,
                round_time=self.t_end / 10,
                seed=self.seed,
                run=run,
            )
            facts = {"reached": point.reached, "perturbations": point.perturbations}
            return point.state, facts | {"rounds": point.rounds}, {}
        observed = {"observe": partial(measure, problem), "run": run}
        if self.method == "flow":
            trained = gradient_flow(risk, start, t_end=self.t_end, record_at=times, **observed)
        else:
            steps = integer_times(times / self.step)
            trained = gradient_descent(
                risk, start, step=self.step, n_steps=int(steps[-1]), record_at=steps, **observed
            )
        facts = {"outcome": str(trained.outcome), "n_gradients": trained.n_gradients}
        return trained.state, facts, {"times": trained.times, **trained.values}

    def _explicit(self, problem: Problem, risk, made: JointMovement, generator) -> dict[str, float]:
        """L_λ, test error and sizes of W*, means over drawn signs."""
        rows = []
        for _ in range(self.n_signs):
            state = made.state(random_signs(len(made.t_linear), generator))
            value = risk.value_and_gradient(state)[0].total(risk.penalties)
            rows.append(measure(problem, state) | {"value": value})
        return {f"explicit_{name}": float(np.mean([r[name] for r in rows])) for name in rows[0]}

    @staticmethod
    def _balance(risk, state: Tensor, made: JointMovement, depth: float) -> dict[str, float]:
        """The parts of the bound for flat stationary points, and what is left of its hypotheses."""
        quadratic = to_pairs(made.quadratic.movement())
        b = random_sign_balance(risk, state, made.t_linear, quadratic)
        size = float(quadratic.square().sum()) / 2
        names = ("comparison", "first_order", "coupling", "cross")
        out = {f"guarantee_{name}": getattr(b, name) for name in names}
        out["guarantee_curvature"] = depth * size / 2
        return out | {"guarantee": b.bound(-depth, size)}


@dataclass(frozen=True)
class DescentClass(ClassSize):
    """The class that a :class:`Descent` is one of."""

    experiment: ClassVar[str] = "end-to-end-complexity"

    m: int = Descent.m


@dataclass(frozen=True)
class Noisy(Descent):
    """Flow with R_2 on noisy labels, and fewer weights than labels: the end is far above 0.

    ``linear_``: where f_L alone comes to rest, so ∇_tL_λ = 0 and the saddle of f_Q is untouched.
    """

    experiment: ClassVar[str] = "end-to-end-noisy"

    m: int = 200
    n_validation: int = 1
    n_test: int = 1000
    activation: str = SIGMOID
    label_noise: float = 0.5

    def compute(self, run: Run = UNSAVED) -> Result:
        """L_λ at W = 0, of W*, at rest without f_Q and at the end; the bound's terms at both."""
        clean, generator = draw_problem(self)
        noise = torch.Generator().manual_seed(2_000_000 + self.seed)
        added = torch.randn(self.n, generator=noise, dtype=clean.X.dtype)
        labels = clean.target(clean.X) + self.label_noise * added
        problem = replace(clean, labels=labels)
        risk, start = problem.risk(Penalties(*self.penalties)), problem.zero_state()
        linear = RegularizedRisk(
            problem.features,
            problem.y,
            model="linear",
            penalties=risk.penalties,
            projector=problem.projector,
        )
        made = explicit(problem.weights, self.activation, problem.target)
        scale = -curvature_floor(risk, start)
        summary = {"start_value": risk.value_and_gradient(start)[0].total(risk.penalties)}
        for when, one in (("linear_", linear), ("end_", risk)):
            state = gradient_flow(
                one,
                start,
                t_end=self.t_end,
                record_at=[self.t_end],
                observe=lambda state: {},
                run=run.part(when),
            ).state
            depth = -curvature_floor(risk, state)
            seen = {
                "value": risk.value_and_gradient(state)[0].total(risk.penalties),
                "gradient": gradient_norm(risk, state) / gradient_norm(risk, start),
                "flatness": depth / scale,
                **self._balance(risk, state, made, depth),
            }
            summary |= {when + name: value for name, value in seen.items()}
        return summary | self._explicit(problem, risk, made, generator), {}


@dataclass(frozen=True)
class Wider(Wide):
    """The Taylor model over the width for one λ_2: test error, its parts, what each term learned.

    The problem, and the flow, are those of :class:`FullNetwork`.
    """

    experiment: ClassVar[str] = "end-to-end-wider"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=PROJECTED)

    m: int = 1000
    empirical: float = 1.0
    t_end: float = 10_000.0

    def compute(self, run: Run = UNSAVED) -> Result:
        """Everything that is measured at the end."""
        problem, _ = draw_problem(self, dtype=torch.float32)
        trained = gradient_flow(
            problem.risk(Penalties(empirical=self.empirical)),
            problem.zero_state(),
            t_end=self.t_end,
            record_at=[self.t_end],
            observe=lambda state: {},
            rtol=0.002,  # that of the network's
            run=run,
        )
        parts = problem.target.part_values(problem.fresh)
        linear, second = problem.test.terms(trained.state)
        out: dict = error_by_part(linear + second, parts)
        for name, term in (("linear", linear), ("quadratic", second)):
            shares = error_by_part(term, parts)
            out |= {f"{name}_{part}": shares[f"c_{part}"] for part in PARTS[:2]}
        return out | {"outcome": str(trained.outcome), "n_gradients": trained.n_gradients}, {}


@dataclass(frozen=True)
class FullNetwork(Wide):
    """The network f itself trained with the same regulariser, beside its Taylor model, at one m."""

    experiment: ClassVar[str] = "end-to-end-network"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=PROJECTED)

    m: int = 2000
    empirical: float = 1.0
    norm: float = 0.0
    t_end: float = 10_000.0

    def compute(self, run: Run = UNSAVED) -> Result:
        """Test errors of both, of the network without R_2, and how far they are apart.

        ``difference``: rms over the test inputs between the two; ``remainder``: between the trained
        network and its own f_L + f_Q.
        """
        runs = {
            "taylor": (PairFeatures, self.empirical),
            "network": (NetworkFeatures, self.empirical),
            "free": (NetworkFeatures, 0.0),
        }
        out, predictions = {}, {}
        for name, (kind, weight) in runs.items():
            problem, _ = draw_problem(self, kind, torch.float32)
            trained = gradient_flow(
                problem.risk(Penalties(empirical=weight, norm=self.norm)),
                problem.zero_state(),
                t_end=self.t_end,
                record_at=[self.t_end],
                observe=lambda state: {},
                rtol=2e-3,
                run=run,
            )
            predictions[name] = sum(problem.test.terms(trained.state))
            parts = problem.target.part_values(problem.fresh)
            errors = error_by_part(predictions[name], parts)
            out |= {f"{name}_{key}": errors[key] for key in ("error", *PARTS)}
            out |= {
                f"{name}_outcome": str(trained.outcome),
                f"{name}_norm_fourth": float(norm_2_4_to_the_4(trained.state)[0]),
                f"{name}_farthest": float(trained.state.norm(dim=2).max()),
            }
            if name == "network":
                own = PairFeatures(problem.fresh, problem.weights, problem.activation)
                out["remainder"] = rms(predictions[name] - sum(own.terms(trained.state)))
        return out | {"difference": rms(predictions["network"] - predictions["taylor"])}, {}


@dataclass(frozen=True)
class Guaranteed(Wide):
    """Flow from W = 0 with λ_1…λ_4, and every term of the guarantee: measured, and in advance.

    The comparison: W_Q makes the power, t_L inside the training set's P_{≤k} fits what is left.
    """

    experiment: ClassVar[str] = "end-to-end-guarantee"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=(*PROJECTED, "represent_power"))

    m: int = 1000
    penalties: tuple[float, float, float, float] = (1e-3, 1.0, 1e-5, 1e-4)
    t_end: float = 10_000.0
    n_times: int = 25

    def compute(self, run: Run = UNSAVED) -> Result:
        """L_λ and ‖W‖_{2,4} over time; what the conditions add up to, and Ξ's terms."""
        problem, _ = draw_problem(self)
        risk = problem.risk(Penalties(*self.penalties))

        def observe(state: Tensor) -> dict[str, float]:
            return {
                "value": risk.value_and_gradient(state)[0].total(risk.penalties),
                "norm_2_4": float(norm_2_4_to_the_4(state)[0]) ** 0.25,
                "gradient": gradient_norm(risk, state),
                "floor": curvature_floor(risk, state),
            }

        trained = gradient_flow(
            risk,
            problem.zero_state(),
            t_end=self.t_end,
            record_at=log_times(self.t_end, self.n_times),
            observe=observe,
            run=run,
        )
        summary: dict = {"outcome": str(trained.outcome)}
        if min(self.penalties) > 0:
            made = explicit(problem.weights, self.activation, problem.target)
            summary |= self._terms(problem, risk, made, trained)
        return summary, {"times": trained.times, **trained.values}

    def _terms(self, problem: Problem, risk, made: JointMovement, trained) -> dict[str, float]:
        """What the conditions add up to at W = 0 and at the end; each term there, and in Ξ."""
        quadratic = to_pairs(made.quadratic.movement())
        left = problem.y - problem.features.terms(quadratic)[1]
        t_linear = problem.features.linear_pullback(problem.projector.dual_coefficients(left))
        low = float(low_degree_size(problem.projector, t_linear)[0])
        at = {"start": problem.zero_state(), "end": trained.state}
        balances = {k: stationary_balance(risk, s, t_linear, quadratic) for k, s in at.items()}
        depth, gradient = (float(trained.values[name][-1]) for name in ("floor", "gradient"))
        known = {
            "start": float(trained.values["value"][0]),
            "norm": made.quadratic.norm_2_4_to_the_4**0.25,
            "missed": balances["end"].missed,
            "low": float(left.square().mean()),
            "inverse": len(left) / float(problem.projector.eigenvalues[problem.n_k - 1]),
            "stretch": float(torch.linalg.matrix_norm(problem.X, 2)) ** 2 / len(left),
            "depth": -depth,
            "gradient": gradient,
        }
        terms = guarantee(d=self.d, m=self.m, penalties=risk.penalties, **known)
        out = {f"known_{name}": value for name, value in known.items()}
        out |= {f"advance_{name}": value for name, value in asdict(terms).items()}
        for when, balance in balances.items():
            out |= {f"{when}_{name}": value for name, value in asdict(balance).items()}
        size = float(quadratic.square().sum()) / 2
        sizes = problem.sizes(trained.state)
        loss = risk.value_and_gradient(trained.state)[0].loss
        return out | {
            "end_loss": loss,
            "end_deepest": -depth * size / 2,
            "end_low_degree": risk.penalties.low_degree * low,
            **{f"end_{name}": value for name, value in sizes.items()},
        }


@dataclass(frozen=True)
class Required(Point):
    """Width and samples that the guarantee asks for over the dimension, by its formulas.

    f* = (dense + sparse)/√2, λ_1 = λ_2 = 1; λ_3 and λ_4 such that their terms are e² each, what is
    missed is e², and so is everything that falls with the width: Ξ = 4e², e = ``error``/10.
    W* and Γ = 2/min_{ℓ≤k} ζ_ℓ are those of infinite width.
    """

    experiment: ClassVar[str] = "end-to-end-required"
    draws: ClassVar[Draws] = Draws()

    k: int = 2
    dims: tuple[int, ...] = (16, 32, 64, 128, 256)
    errors: tuple[float, ...] = (0.5, 0.1)
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """``width`` and ``samples``, (error, dimension); c⁴, Γ and ⟨g²⟩ over the dimension."""
        rows = [self._comparison(d) for d in self.dims]
        width, samples = (np.empty((len(self.errors), len(self.dims))) for _ in range(2))
        for i, error in enumerate(self.errors):
            for j, (d, (fourth, inverse, low)) in enumerate(zip(self.dims, rows, strict=True)):
                share = (error / 10) ** 2
                norms = share / (inverse * low), share / (NORM_SHARE * fourth**2)
                known = {
                    "d": d,
                    "penalties": (p := Penalties(1.0, 1.0, *norms)),
                    "start": 1.0,
                    "norm": fourth**0.25,
                    "missed": share,
                    "low": low,
                    "inverse": inverse,
                    "stretch": 2.0,
                }
                at = partial(guarantee, **known)
                width[i, j] = required_width(lambda m, at=at: at(m=m), 4 * share)
                m = 2 * round(width[i, j] / 2)
                sizes = at(m=m).sizes(p)
                samples[i, j] = required_samples(sizes, d=d, m=m, target=error / 10, stretch=2.0)
        names = ("norm_fourth", "inverse", "low")
        columns = {
            name: np.array(v) for name, v in zip(names, zip(*rows, strict=True), strict=True)
        }
        return {}, {"width": width, "samples": samples, **columns}

    def _comparison(self, d: int) -> tuple[float, float, float]:
        """(‖W_Q‖_{2,4}^4, Γ, ‖y − f_Q(·; W_Q)‖²) at infinite width."""
        act, top = activation(self.activation), self.k + 1
        powers = gegenbauer_coefficients(lambda z: z**top, top, d)
        lead = math.sqrt(0.5) / float(powers[top])
        wanted = gegenbauer_coefficients(lambda z: z ** (self.k - 1), self.k - 1, d)
        have = gegenbauer_coefficients(act.second, self.k - 1, d)
        rest = sum(float(powers[j]) ** 2 for j in range(top % 2, top, 2))
        square = sum(
            (float(wanted[j]) / float(have[j])) ** 2 * multiplicity(d, j)
            for j in range((self.k - 1) % 2, self.k, 2)
        )
        least = float(ntk_spectrum(act, d).eigenvalues[: self.k + 1].min())
        return 8 * lead**2 * square, 2 / least, 0.5 + lead**2 * rest


SEEDS = (1, 2, 3, 4, 5)
DIM, FACTOR = 16, 3.0
ALL_FOUR = (1e-3, 1.0, 1e-5, 1e-7)
"""λ_1…λ_4 with every penalty on."""
WIDTHS = (250, 1000, 4000, 16_000)
WIDTH_DIM = 12
NORM = 1e-6
"""λ_4 of the runs that stay where the Taylor model is good."""
NOISY_DIM, NOISY_SAMPLES, NOISY_WIDTHS = 10, 3000, (200, 800)
"""k = 1: fewer weights than pairs of labels need, md < 2n, and labels with noise."""
WIDER = (1000, 4000, 16_000)
WEIGHTS = (1.0, 10.0)
"""λ_2 of the runs that ask why wider is not better."""
GUARANTEED_DIM, STRONG = 10, 1e-4
"""d and λ_4 of the runs whose every term of the guarantee is measured."""


def descent_points(seeds: Sequence[int]) -> list[Descent]:
    """Flow, plain and perturbed descent with R_2 alone, and flow with all four."""
    n = samples(FACTOR, DIM, 2)
    alone = [Descent(seed, 2, DIM, n, method=method) for method in METHODS for seed in seeds]
    return alone + [Descent(seed, 2, DIM, n, penalties=ALL_FOUR) for seed in seeds]


def class_points(seeds: Sequence[int]) -> list[DescentClass]:
    """The classes of those runs, one for each seed."""
    return [DescentClass(seed, 2, DIM, samples(FACTOR, DIM, 2)) for seed in seeds]


def network_points(seeds: Sequence[int], norm: float) -> list[FullNetwork]:
    """The full network over the width, for one λ_4."""
    n = samples(FACTOR, WIDTH_DIM, 2)
    return [FullNetwork(seed, 2, WIDTH_DIM, n, m=m, norm=norm) for m in WIDTHS for seed in seeds]


def noisy_points(seeds: Sequence[int]) -> list[Noisy]:
    """Noisy labels at two widths, k = 1."""
    return [Noisy(seed, 1, NOISY_DIM, NOISY_SAMPLES, m=m) for m in NOISY_WIDTHS for seed in seeds]


def wider_points(seeds: Sequence[int], weight: float) -> list[Wider]:
    """The Taylor model over the width, for one λ_2."""
    n = samples(FACTOR, WIDTH_DIM, 2)
    return [Wider(seed, 2, WIDTH_DIM, n, m=m, empirical=weight) for m in WIDER for seed in seeds]


def guaranteed_points(seeds: Sequence[int], norm: float = STRONG) -> list[Guaranteed]:
    """All four penalties, for one λ_4."""
    n = samples(FACTOR, GUARANTEED_DIM, 2)
    weights = (*ALL_FOUR[:3], norm)
    return [Guaranteed(seed, 2, GUARANTEED_DIM, n, penalties=weights) for seed in seeds]


def full_points(seeds: Sequence[int]) -> list[Point]:
    """Everything that the chapter rests on."""
    networks = [p for norm in (0.0, NORM) for p in network_points(seeds, norm)]
    guaranteed = [p for norm in (STRONG, 0.0) for p in guaranteed_points(seeds, norm)]
    wider = [p for weight in WEIGHTS for p in wider_points(seeds, weight)]
    long = [*networks, *guaranteed, *noisy_points(seeds), *wider]
    return [*descent_points(seeds), *class_points(seeds), *long, Required()]


def live_points(seeds: Sequence[int]) -> list[Point]:
    """A small network beside its Taylor model."""
    n = samples(FACTOR, 8, 2)
    small = [FullNetwork(seed, 2, 8, n, n_test=2000, m=400) for seed in seeds]
    return [*small, *(Guaranteed(seed, 2, 8, n, n_test=2000, m=400) for seed in seeds), Required()]


chapter.experiment(
    "end-to-end",
    "From W = 0 to a solution like W*: flow and descent; the full network over the width",
    SEEDS,
    live_points,
    full_points,
)
