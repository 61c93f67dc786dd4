"""Runs about movements for sparse powers: error over d, the trained movement, complexity."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk.models.data import draw_inputs, random_direction, sparse_part
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures, from_pairs
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.risk.constructions import represent_power
from escape_ntk.risk.generalization import attained_complexity
from escape_ntk.risk.problem import mean_square
from escape_ntk.risk.regularizer import RegularizedRisk
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.study.sampling import unit_start
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run

SINE = "sin(z+pi/4)"
F64 = torch.float64


@dataclass(frozen=True)
class ConstructionError(Point):
    """Error of the explicit movement for (β·x)^{k+1} over the dimension, at one width.

    Root of the mean square over inputs x and over ``n_weights`` draws of all frozen weights: on the
    sphere, and for Gaussian inputs.
    """

    experiment: ClassVar[str] = "quadntk-construction-error"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", "gaussian", tools=("represent_power",))

    seed: int
    k: int
    m: int = 8000
    n: int = 1000
    n_weights: int = 2
    dims: tuple[int, ...] = (12, 25, 50, 100, 200)
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Fresh β, weights and inputs at every dimension."""
        generator = torch.Generator().manual_seed(self.seed)
        act, exact = activation(self.activation), {"generator": generator, "dtype": F64}

        def row(d: int, run: Run) -> dict[str, float]:
            beta, squares = random_direction(d, **exact), {"error": [], "error_gaussian": []}
            for _ in range(self.n_weights):
                w = draw_weights(self.m, d, law=self.draws.weights, **exact)
                made = represent_power(w, act, beta, self.k + 1)
                for name, law in zip(squares, (self.draws.inputs, self.draws.beside), strict=True):
                    X = draw_inputs(self.n, d, law, **exact)
                    off = made.terms(X)[1] - (X @ beta) ** (self.k + 1)
                    squares[name].append(float(off.square().mean()))
            return {name: math.sqrt(float(np.mean(values))) for name, values in squares.items()}

        dims = np.array(self.dims, dtype=float)
        return {}, {"d": dims, **run.tabulate(self.dims, row, generator)}


@dataclass(frozen=True)
class TrainedMovement(Point):
    """Which direction the movement of f_Q, trained alone on a sparse cubic, has: over the start.

    For each size of start: the share of ‖W‖² along β, and |cos| between β and the top eigenvector
    of Σ_r u_ru_rᵀ; test error.
    """

    experiment: ClassVar[str] = "quadntk-movement"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("PairFeatures",))

    seed: int
    d: int = 12
    factor: float = 4.0
    m: int = 500
    scales: tuple[float, ...] = (0.01, 0.1, 1.0, 3.0)
    t_end: float = 1000.0
    n_test: int = 1000
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """One network, target and training set; t = 0 and s normal at the start."""
        generator = torch.Generator().manual_seed(self.seed)
        exact, act = {"generator": generator, "dtype": F64}, activation(self.activation)
        n = round(self.factor * cumulative_multiplicity(self.d, 2))
        w = draw_weights(self.m, self.d, law=self.draws.weights, **exact)
        beta = random_direction(self.d, **exact)
        cubic = sparse_part(beta, 3, "sphere")
        X, Z = (draw_inputs(k, self.d, self.draws.inputs, **exact) for k in (n, self.n_test))
        train, test = (PairFeatures(inputs, w, act) for inputs in (X, Z))
        unit = unit_start(train, generator)
        risk = RegularizedRisk(train, cubic(X), model="quadratic")

        def observe(state: Tensor) -> dict[str, float]:
            return {"test": mean_square(test.terms(state)[1] - cubic(Z))}

        def row(scale: float, run: Run) -> dict[str, float]:
            start, end = scale * unit, [self.t_end]
            flow = gradient_flow(
                risk, start, t_end=self.t_end, record_at=end, observe=observe, run=run
            )
            U = from_pairs(flow.state)
            top = torch.linalg.eigh(U.T @ U).eigenvectors[:, -1]
            return {
                "share": float((U @ beta).square().sum() / U.square().sum()),
                "cosine": float((top @ beta).abs()),
                "test": float(flow.values["test"][-1]),
            }

        return {"n": n}, {"scale": np.array(self.scales), **run.tabulate(self.scales, row)}


@dataclass(frozen=True)
class Complexity(Point):
    """Rademacher complexity of {f_Q: ‖W‖_{2,4} ≤ 1}, exactly, over d, n and the number of neurons.

    Three arrays, in which one of the three is varied and the others stand at ``at`` = (d, n, m);
    and a fourth over the n of ``few``, below d.
    """

    experiment: ClassVar[str] = "quadntk-complexity"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("random_signs",))

    seed: int
    dims: tuple[int, ...] = (8, 12, 16, 24, 32)
    sizes: tuple[int, ...] = (200, 400, 800, 1600)
    neurons: tuple[int, ...] = (20, 200, 2000)
    few: tuple[int, ...] = (2, 4, 8)
    at: tuple[int, int, int] = (16, 400, 200)
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Means of five draws of inputs and signs, fresh weights each."""
        generator = torch.Generator().manual_seed(self.seed)
        act, (d, n, m) = activation(self.activation), self.at

        def value(triple: tuple[int, int, int], run: Run) -> dict[str, float]:
            d, n, m = triple
            w = draw_weights(m, d, generator, law=self.draws.weights, dtype=F64)
            return {"value": attained_complexity(w, act, n, generator)}

        grids = {
            "over_d": [(x, n, m) for x in self.dims],
            "over_n": [(d, x, m) for x in self.sizes],
            "over_m": [(d, n, x) for x in self.neurons],
            "over_few": [(d, x, m) for x in self.few],
        }
        return {}, {
            name: run.part(name).tabulate(grid, value, generator)["value"]
            for name, grid in grids.items()
        }
