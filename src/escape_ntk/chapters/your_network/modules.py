"""Experiment behind the page *Use it on your own network*: are the generic Taylor terms right?

On a two-layer network they are held against the closed forms; on deeper networks, against the order
of the remainder that they leave.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from escape_ntk import checks
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.modules import ModuleFeatures, empirical_leak
from escape_ntk.models.network import Activation, activation, draw_weights, paired_network
from escape_ntk.models.pairs import PairFeatures, to_pairs
from escape_ntk.models.taylor import linear_term, quadratic_term
from escape_ntk.numerics.stats import log_slope, rms
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.study.point import PROJECTED, Draws, Point, Result
from escape_ntk.training.run import UNSAVED, Run

ACTIVATIONS = {"tanh": nn.Tanh, "softplus": nn.Softplus, "relu": nn.ReLU}
SMOOTH = ("tanh", "softplus")


def default_module(build: Callable[[], nn.Module], generator: torch.Generator) -> nn.Module:
    """The module with torch's default initialisation, drawn from ``generator`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        return build()


class TwoLayer(nn.Module):
    """The paired two-layer network as a module: its weights are parameters, its signs are not."""

    signs: Tensor

    def __init__(self, weights: Tensor, act: Activation):
        super().__init__()
        network = paired_network(weights, act)
        self.first = nn.Parameter(network.weights.clone())
        self.register_buffer("signs", network.signs)
        self.act = act

    def forward(self, X: Tensor) -> Tensor:
        """f(x_i), (n,)."""
        return self.act.value(X @ self.first.T) @ self.signs / math.sqrt(len(self.signs))


def relative(got: Tensor, wanted: Tensor) -> float:
    """‖got − wanted‖/‖wanted‖."""
    return float((got - wanted).norm() / wanted.norm())


@dataclass(frozen=True)
class ClosedForm(Point):
    """Generic f_L, f_Q, K and R_2 of a two-layer network against its closed forms, in float64."""

    experiment: ClassVar[str] = "modules-closed-form"
    draws: ClassVar[Draws] = Draws("gaussian", "sphere", tools=("paired_network", *PROJECTED))

    seed: int
    d: int = 6
    pairs: int = 8
    n: int = 20
    n_k: int = 5
    activation: str = "sin(z+pi/4)"

    def compute(self, run: Run = UNSAVED) -> Result:
        """Relative differences; ``unhalved`` compares f_Q with Δᵀ∇²fΔ, a factor 2 too large."""
        generator = torch.Generator().manual_seed(self.seed)
        act, kind = activation(self.activation), {"generator": generator, "dtype": torch.float64}
        weights = draw_weights(2 * self.pairs, self.d, law=self.draws.weights, **kind)
        X = draw_inputs(self.n, self.d, self.draws.inputs, **kind)
        U = torch.randn(2 * self.pairs, self.d, **kind)
        features = ModuleFeatures(TwoLayer(weights, act), X)
        network, pairs = paired_network(weights, act), PairFeatures(X, weights, act)
        linear, quadratic = features.terms(U.flatten())
        kernel = pairs.kernel_factor * pairs.cross_gram(pairs)
        generic, special = TrainingProjector(features, self.n_k), TrainingProjector(pairs, self.n_k)
        leak = empirical_leak(features, generic, U.flatten())
        wanted = special.high_outputs(pairs.linear(to_pairs(U)[1])).square().mean()
        f_q = quadratic_term(network, X, U)
        return {
            "linear": relative(linear, linear_term(network, X, U)),
            "quadratic": relative(quadratic, f_q),
            "kernel": relative(features.cross_gram(features), kernel),
            "leak": relative(leak, wanted),
            "unhalved": relative(2 * quadratic, f_q),
        }, {}


def deep_module(kind: str, name: str) -> nn.Module:
    """A three-layer network on 5 inputs ("mlp"), or a small convolutional one ("cnn"), float64."""
    act = ACTIVATIONS[name]
    if kind == "mlp":
        layers = (nn.Linear(5, 12), act(), nn.Linear(12, 9), act(), nn.Linear(9, 1))
    else:
        layers = (
            *(nn.Conv2d(1, 4, 3, padding=1), act(), nn.AvgPool2d(2)),
            *(nn.Conv2d(4, 6, 3, padding=1), act(), nn.AdaptiveAvgPool2d(1)),
            *(nn.Flatten(), nn.Linear(6, 1)),
        )
    return nn.Sequential(*layers).double()


SHAPES = {"mlp": (5,), "cnn": (1, 8, 8)}


@dataclass(frozen=True)
class Remainder(Point):
    """How fast f − f(θ₀) − f_L − f_Q falls with the movement, along one random direction."""

    experiment: ClassVar[str] = "modules-remainder"
    draws: ClassVar[Draws] = Draws("gaussian")

    seed: int
    network: str
    activation: str
    n: int = 2000
    largest: float = 0.02
    halvings: int = 5

    def __post_init__(self):
        checks.one_of("network", self.network, tuple(SHAPES))
        checks.one_of("activation", self.activation, tuple(ACTIVATIONS))
        checks.integer("halvings", self.halvings, least=2)

    def compute(self, run: Run = UNSAVED) -> Result:
        """Slopes of the rms over the inputs, of the median, and of the rms with f_Q left out."""
        generator = torch.Generator().manual_seed(self.seed)
        kind = {"generator": generator, "dtype": torch.float64}
        module = default_module(lambda: deep_module(self.network, self.activation), generator)
        shape = SHAPES[self.network]
        X = draw_inputs(self.n, math.prod(shape), self.draws.inputs, **kind)
        features = ModuleFeatures(module, X.view(self.n, *shape))
        direction = torch.randn(features.size, **kind)
        sizes = [self.largest * 2.0**-j for j in range(self.halvings)]
        left = [features.remainder(h * direction) for h in sizes]
        curved = [features.terms(h * direction)[1] for h in sizes]
        rows = {
            "remainder": [rms(r) for r in left],
            "median": [float(r.abs().median()) for r in left],
            "without_quadratic": [rms(r + q) for r, q in zip(left, curved, strict=True)],
        }
        slopes = {f"slope_{name}": log_slope(sizes, values) for name, values in rows.items()}
        arrays = {name: np.array(values) for name, values in rows.items()}
        return slopes, {"sizes": np.array(sizes), **arrays}


FORM_SEEDS = tuple(range(1, 11))
SEEDS = (1, 2, 3, 4, 5)


def form_points() -> list[ClosedForm]:
    """Ten random networks."""
    return [ClosedForm(seed) for seed in FORM_SEEDS]


def remainder_points(names: Sequence[str] = tuple(ACTIVATIONS)) -> list[Remainder]:
    """Both networks with these activations."""
    return [Remainder(s, kind, name) for name in names for kind in SHAPES for s in SEEDS]


def points() -> list[Point]:
    """All of them: seconds."""
    return [*form_points(), *remainder_points()]
