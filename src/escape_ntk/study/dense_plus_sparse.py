"""The problem of three chapters: a dense harmonic of degree k plus a sparse one of degree k + 1.

f* = (dense + sparse)/√2 on the sphere, k = 1 or 2.  All methods of one (seed, k, d, n) meet the
same target, training, validation and test sets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from escape_ntk import checks
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.data import Target, draw_inputs, draw_target
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.risk.constructions import JointMovement, represent_target
from escape_ntk.risk.generalization import (
    GapBound,
    attained_complexity,
    gap_bound,
    quadratic_complexity,
)
from escape_ntk.risk.problem import Problem
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.training.run import UNSAVED, Run

SINE = "sin(z+pi/4)"
PARTS = ("dense", "sparse", "rest")
"""The three parts of a test error: what is missed of each part of f*, and everything else."""
SIZES = ("R_1", "R_2", "R_3", "norm_fourth")
"""What bounds the gap: both leaks, ‖P_{≤k}W‖_F² and ‖W‖_{2,4}^4."""


@dataclass(frozen=True)
class Data:
    """Target, training set, and what chooses and judges; ``generator`` for what is drawn next.

    ``y`` and ``validation_y`` are the labels that a method sees; it is judged without their noise.
    Target, validation and test sets depend on (seed, k, d) alone, not on n.
    """

    target: Target
    X: Tensor
    y: Tensor
    validation: Tensor
    validation_y: Tensor
    test: Tensor
    generator: torch.Generator


NOISE_STREAM = 10_000
"""Added to a point's seed for the noise of its labels: inputs and weights stay as without it."""


def draw_data(point: "Fit", dtype=torch.float32, label_noise: float = 0.0) -> Data:
    """Target, validation, test and training inputs, in this order, from the point's seed.

    Labels are f* and normal noise of deviation ``label_noise``, on both sets that have labels.
    """
    generator = torch.Generator().manual_seed(point.seed)
    target = draw_target(point.k, point.d, generator, dtype)
    validation, test, X = (
        draw_inputs(n, point.d, point.draws.inputs, generator, dtype=dtype)
        for n in (point.n_validation, point.n_test, point.n)
    )
    y, validation_y = target(X), target(validation)
    if label_noise:
        stream = torch.Generator().manual_seed(point.seed + NOISE_STREAM)
        for labels in (validation_y, y):  # the first does not depend on n
            labels += label_noise * torch.randn(len(labels), generator=stream, dtype=dtype)
    return Data(target, X, y, validation, validation_y, test, generator)


def explicit(weights: Tensor, name: str, target: Target) -> JointMovement:
    """W* of a dense plus sparse target."""
    dense, sparse = target.parts
    return represent_target(weights, activation(name), [dense], sparse)


def error_by_part(prediction: Tensor, parts: Tensor) -> dict[str, float]:
    """Test error and its parts: (1 − c_j)² mean h_j² for f* = h_1 + h_2, and the rest.

    c from least squares of the prediction on (h_1, h_2) over the test set; the rest is what neither
    explains, with the cross term 2(1 − c_1)(1 − c_2) mean h_1h_2, which is 0 over the population.
    """
    f, H = prediction.double(), parts.double()
    c = torch.linalg.solve(H @ H.T, H @ f)
    error = float((f - H.sum(0)).square().mean())
    dense, sparse = (float(x) for x in (1 - c).square() * H.square().mean(1))
    values = {"error": error, "dense": dense, "sparse": sparse, "rest": error - dense - sparse}
    return values | {"c_dense": float(c[0]), "c_sparse": float(c[1])}


@dataclass(frozen=True)
class Fit(Point):
    """What all methods share: the problem of (seed, k, d) with n training inputs."""

    experiment: ClassVar[str]
    draws: ClassVar[Draws] = Draws("sphere", "sphere")

    seed: int
    k: int
    d: int
    n: int
    n_validation: int = 2000
    n_test: int = 8000
    activation: str = SINE

    def __post_init__(self):
        checks.integer("k", self.k, least=1)

    def data(self, dtype: torch.dtype = torch.float32) -> Data:
        """What :func:`draw_data` draws, labels without noise."""
        return draw_data(self, dtype)


class Wide(Fit):
    """A Fit that says how many neurons there are."""

    m: int


def draw_problem(
    point: Wide, kind: type[PairFeatures] = PairFeatures, dtype: torch.dtype = torch.float64
) -> tuple[Problem, torch.Generator]:
    """The problem with its network, weights last; and the generator for what is drawn next."""
    data = draw_data(point, dtype)
    weights = draw_weights(point.m, point.d, data.generator, law=point.draws.weights, dtype=dtype)
    problem = Problem(
        data.target,
        weights,
        activation(point.activation),
        data.X,
        data.test,
        n_k=cumulative_multiplicity(point.d, point.k),
        law=point.draws.inputs,
        kind=kind,
    )
    return problem, data.generator


def measure(problem: Problem, state: Tensor) -> dict[str, float]:
    """Test error by part, training loss, what each term has learned, and the sizes."""
    parts = problem.target.part_values(problem.fresh)
    linear, second = problem.test.terms(state)
    seen = sum(problem.features.terms(state)) - problem.target(problem.X)
    out = error_by_part(linear + second, parts) | {"train": float(seen.square().mean())}
    for name, term in (("linear", linear), ("quadratic", second)):
        shares = error_by_part(term, parts)
        out |= {f"{name}_{part}": shares[f"c_{part}"] for part in PARTS[:2]}
    return out | sizes(problem, state)


def sizes(problem: Problem, state: Tensor) -> dict[str, float]:
    """The four :data:`SIZES`."""
    found = problem.sizes(state)
    found["norm_fourth"] = found["norm_2_4"] ** 4
    return {name: found[name] for name in SIZES}


class ClassSize(Wide):
    """What the bound on the gap knows of the class of f_L + f_Q: of no W, only of the frozen w.

    ``mean_kernel`` = E K(x, x); the Rademacher complexity of f_Q over ‖W‖_{2,4}² exactly,
    ``complexity``, and by the largest neuron, ``largest``: both from the same draws.
    """

    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("random_signs",))

    m: int

    def compute(self, run: Run = UNSAVED) -> Result:
        """At the weights of the problem with the same fields."""
        generator = draw_data(self, torch.float64).generator
        law, kind = self.draws.weights, {"dtype": torch.float64}
        weights, act = draw_weights(self.m, self.d, generator, law=law, **kind), self.activation

        def complexity(measure, _: Run) -> dict[str, float]:
            generator = torch.Generator().manual_seed(4_000_000 + self.seed)
            return {"value": measure(weights, act, self.n, generator)}

        both = run.tabulate((attained_complexity, quadratic_complexity), complexity)["value"]
        names = ("complexity", "largest")
        return {
            "mean_kernel": ntk_spectrum(activation(act), self.d).trace,
            **{name: float(value) for name, value in zip(names, both, strict=True)},
        }, {}


def bound_on_gap(
    sizes: Mapping[str, float],
    known: Mapping[str, float],
    n: int,
    *,
    complexity: str = "complexity",
    cap: float = 1.0,
) -> GapBound:
    """The bound on the gap for a solution of these :func:`sizes`, for losses up to ``cap``.

    ``known``: the summary of the :class:`ClassSize` of its problem; ``complexity``: which of both.
    """
    return gap_bound(
        n=n,
        mean_kernel=known["mean_kernel"],
        complexity=known[complexity],
        population=sizes["R_1"],
        empirical=sizes["R_2"],
        low_degree=sizes["R_3"],
        norm_fourth=sizes["norm_fourth"],
        cap=cap,
    )


def samples(factor: float, d: int, k: int) -> int:
    """n = factor·n_k, rounded."""
    return round(factor * cumulative_multiplicity(d, k))
