"""Small experiments behind the chapter *Setup*: each point measures a claim and its broken twin."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk.chapters.setup import chapter
from escape_ntk.models import taylor
from escape_ntk.models.data import draw_inputs, published_target, random_direction
from escape_ntk.models.network import (
    TwoLayerNetwork,
    activation,
    draw_weights,
    paired_network,
)
from escape_ntk.models.pairs import STEP_FACTOR, PairFeatures, from_pairs, to_pairs
from escape_ntk.numerics.stats import rms
from escape_ntk.risk.leaks import GaussianLeak
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.study.point import PROJECTED, Draws, Point, Result
from escape_ntk.study.sampling import leak_by_sampling
from escape_ntk.training.descent import gradient_descent
from escape_ntk.training.run import UNSAVED, Run


def _draw(point) -> tuple[TwoLayerNetwork, Tensor, torch.Generator]:
    """The paired network of a point's seed, m, d and activation, n inputs, and the generator."""
    generator = torch.Generator().manual_seed(point.seed)
    law = point.draws.weights
    weights = draw_weights(point.m, point.d, generator, law=law, dtype=torch.float64)
    X = draw_inputs(point.n, point.d, point.draws.inputs, generator, dtype=torch.float64)
    return paired_network(weights, activation(point.activation)), X, generator


@dataclass(frozen=True)
class Initialization(Point):
    """max_i |f(x_i; 0)|: zero with paired neurons, of order one with independent ones."""

    experiment: ClassVar[str] = "setup-initialization"
    draws: ClassVar[Draws] = Draws("gaussian", "sphere", tools=("paired_network",))

    seed: int
    m: int = 10_000
    d: int = 100
    n: int = 1000
    activation: str = "sigmoid(z-1)"

    def compute(self, run: Run = UNSAVED) -> Result:
        """Both networks on the same inputs."""
        network, X, generator = _draw(self)
        law = self.draws.weights
        free = draw_weights(2 * self.m, self.d, generator, law=law, dtype=torch.float64)
        unpaired = TwoLayerNetwork(free, network.signs, network.activation)
        return {
            "paired": float(network(X).abs().max()),
            "unpaired": float(unpaired(X).abs().max()),
        }, {}


@dataclass(frozen=True)
class RemainderOrder(Point):
    """rms remainder against the size of a random movement; slope 3, and 2 when f_Q is left out."""

    experiment: ClassVar[str] = "setup-remainder-order"
    draws: ClassVar[Draws] = Draws("gaussian", "sphere", tools=("paired_network",))

    seed: int
    m: int = 400
    d: int = 20
    n: int = 500
    activation: str = "sigmoid(z-1)"

    def compute(self, run: Run = UNSAVED) -> Result:
        """Remainders of both expansions along one random direction (float64)."""
        network, X, generator = _draw(self)
        direction = torch.randn(self.m, self.d, generator=generator, dtype=torch.float64)
        sizes = np.geomspace(1e-3, 1e-1, 9)
        second, first = [], []
        for size in sizes:
            U = size * direction / math.sqrt(self.d)
            rest = taylor.remainder(network, X, U)
            second.append(rms(rest))
            first.append(rms(rest + taylor.quadratic_term(network, X, U)))
        return {}, {"size": sizes, "second_order": np.array(second), "first_order": np.array(first)}


@dataclass(frozen=True)
class QuadraticScale(Point):
    """Terms of the expansion for the movement u_r = m^{−1/4} c β that makes f_Q = (β·x)².

    On the neurons of one sign a_r, inputs on the sphere; with all signs equal, and with random
    signs S_r on the movements.  Shapes: one value for each width.
    """

    experiment: ClassVar[str] = "setup-quadratic-scale"
    draws: ClassVar[Draws] = Draws("sphere", "sphere")

    seed: int
    d: int = 100
    n: int = 300
    activation: str = "sin(z+pi/4)"
    widths: tuple[int, ...] = (4096, 16_384, 65_536, 262_144)

    def compute(self, run: Run = UNSAVED) -> Result:
        """rms of f_L, f_Q and of the remainder, and the error of f_Q, for both sign patterns."""
        generator = torch.Generator().manual_seed(self.seed)
        act = activation(self.activation)
        beta = random_direction(self.d, generator, dtype=torch.float64)
        X = draw_inputs(self.n, self.d, self.draws.inputs, generator, dtype=torch.float64)
        goal = (X @ beta).square()

        def row(m: int, run: Run) -> dict[str, float]:
            law = self.draws.weights
            weights = draw_weights(m, self.d, generator, law=law, dtype=torch.float64)
            signs = torch.randint(0, 2, (m // 2, 1), generator=generator) * 2.0 - 1
            return {
                f"{name}_{label}": rms(f - goal) if name == "quadratic" else rms(f)
                for label, s in (("same", torch.ones_like(signs)), ("random", signs))
                for name, f in _terms_along(weights, X, beta, s.double(), act).items()
            }

        widths = np.array(self.widths, dtype=float)
        return {}, {"width": widths, **run.tabulate(self.widths, row, generator)}


def _terms_along(weights: Tensor, X: Tensor, beta: Tensor, signs: Tensor, act) -> dict[str, Tensor]:
    """f_L, f_Q and remainder for u_r = S_r m^{−1/4} c β on the neurons with a_r = sign E σ''.

    c² = 4/|E_w σ''(w·x)|, estimated from the weights and inputs at hand.
    """
    m = 2 * len(weights)
    mean = float(act.second(X[:20] @ weights.T).mean())
    side, c = math.copysign(1.0, mean), 2 / math.sqrt(abs(mean))
    u = signs[:, 0] * c * m**-0.25  # (p,): length of u_r along β
    along = X @ beta
    linear, quadratic, moved = (torch.zeros_like(along) for _ in range(3))
    for rows in torch.arange(len(weights)).split(8192):
        z = X @ weights[rows].T
        shift = along[:, None] * u[rows]
        linear += (act.first(z) * shift).sum(1)
        quadratic += (act.second(z) * shift.square()).sum(1) / 2
        moved += (act.value(z + shift) - act.value(z)).sum(1)
    linear, quadratic, moved = (side * f / math.sqrt(m) for f in (linear, quadratic, moved))
    return {"linear": linear, "quadratic": quadratic, "remainder": moved - linear - quadratic}


@dataclass(frozen=True)
class PairDescent(Point):
    """Gradient descent on all weights by automatic differentiation, against pair coordinates.

    Largest relative difference of the movement after ``n_steps``; the broken twin uses step η
    instead of 2η in (s, t).
    """

    experiment: ClassVar[str] = "setup-pair-descent"
    draws: ClassVar[Draws] = Draws("gaussian", "sphere", tools=("paired_network", *PROJECTED))

    seed: int
    m: int = 60
    d: int = 8
    n: int = 40
    n_steps: int = 200
    step: float = 0.5
    penalty_empirical: float = 2.0
    activation: str = "sigmoid(z-1)"

    def compute(self, run: Run = UNSAVED) -> Result:
        """Relative differences with the right step and with the wrong one."""
        network, X, generator = _draw(self)
        weights = network.weights[: self.m // 2]
        target = published_target(random_direction(self.d, generator, dtype=torch.float64))
        start = 0.1 * torch.randn(self.m, self.d, generator=generator, dtype=torch.float64)
        features = PairFeatures(X, weights, network.activation)
        projector = TrainingProjector(features, self.d)
        penalties = Penalties(empirical=self.penalty_empirical)
        risk = RegularizedRisk(features, target(X), penalties=penalties, projector=projector)
        full = self._descend_all_weights(network, X, risk, start)
        out = {}
        for name, step in (("right", self.step), ("wrong", self.step / STEP_FACTOR)):
            trained = gradient_descent(
                risk,
                to_pairs(start),
                step=step,
                n_steps=self.n_steps,
                record_at=[self.n_steps],
                observe=lambda state: {},
            )
            gap = (from_pairs(trained.state) - full).norm() / (full - start).norm()
            out[name] = float(gap)
        return out, {}

    def _descend_all_weights(self, network, X, risk: RegularizedRisk, start: Tensor) -> Tensor:
        """Descent from the definitions alone: taylor terms on m neurons and autograd."""
        U = start.clone().requires_grad_()
        for _ in range(self.n_steps):
            linear = taylor.linear_term(network, X, U)
            residual = linear + taylor.quadratic_term(network, X, U) - risk.y
            leak = risk.projector.high_outputs(linear).square().mean()
            loss = residual.square().mean() + self.penalty_empirical * leak
            (gradient,) = torch.autograd.grad(loss, U)
            U = (U - self.step * gradient).detach().requires_grad_()
        return U.detach()


@dataclass(frozen=True)
class LeakClosedForm(Point):
    """Closed-form R_1 against fresh inputs: z-score of the difference, and without its κ20 term."""

    experiment: ClassVar[str] = "setup-leak-closed-form"
    draws: ClassVar[Draws] = Draws("gaussian", "sphere", tools=("paired_network", *PROJECTED))

    seed: int
    m: int = 400
    d: int = 12
    n: int = 60
    n_fresh: int = 1_000_000
    activation: str = "sigmoid(z-1)"

    def compute(self, run: Run = UNSAVED) -> Result:
        """Closed form, Monte Carlo mean, its standard error, and the broken closed form."""
        network, X, generator = _draw(self)
        weights = network.weights[: self.m // 2]
        projector = TrainingProjector(PairFeatures(X, weights, network.activation), self.d)
        t = weights + 0.5 * torch.randn(weights.shape, generator=generator, dtype=torch.float64)
        t = projector.high(t)
        exact = GaussianLeak(weights, network.activation)
        value = float(exact.value_and_gradient(t)[0])
        exact.k20.zero_()
        broken = float(exact.value_and_gradient(t)[0])
        mean, error = leak_by_sampling(
            weights, network.activation, t, self.draws.inputs, self.n_fresh, generator
        )
        return {
            "closed_form": value,
            "monte_carlo": mean,
            "standard_error": error,
            "without_k20": broken,
        }, {}


@dataclass(frozen=True)
class DenseProjector(Point):
    """P_{>k}t through the Gram matrix against the dense SVD of the features, and with n_k − 1."""

    experiment: ClassVar[str] = "setup-dense-projector"
    draws: ClassVar[Draws] = Draws("gaussian", "sphere", tools=("paired_network", *PROJECTED))

    seed: int
    m: int = 80
    d: int = 15
    n: int = 60
    activation: str = "sigmoid(z-1)"

    def compute(self, run: Run = UNSAVED) -> Result:
        """Relative errors of P_{>k}t with the right n_k and with one direction too few."""
        network, X, generator = _draw(self)
        weights = network.weights[: self.m // 2]
        t = torch.randn(weights.shape, generator=generator, dtype=torch.float64)
        features = PairFeatures(X, weights, network.activation)
        A = (features.first[:, :, None] * X[:, None, :]).flatten(1)  # (n, p·d), dense
        basis = torch.linalg.svd(A, full_matrices=False)[2][: self.d]
        dense = t - (basis.T @ (basis @ t.flatten())).view_as(t)
        out = {}
        for name, n_k in (("right", self.d), ("one_too_few", self.d - 1)):
            high = TrainingProjector(features, n_k).high(t)
            out[name] = float((high - dense).norm() / dense.norm())
        return out, {}


POINTS = (
    Initialization,
    RemainderOrder,
    QuadraticScale,
    PairDescent,
    LeakClosedForm,
    DenseProjector,
)
"""Everything that the claims of the chapter *Setup* rest on."""


def foundation_points(seeds) -> list:
    """All points of the chapter, for each seed."""
    return [point(seed) for point in POINTS for seed in seeds]


SEEDS = tuple(range(1, 11))
chapter.experiment(
    "setup",
    "Checks behind the chapter Setup: Taylor terms, pairs, projector, closed-form R_1",
    SEEDS,
    foundation_points,
    foundation_points,
)
