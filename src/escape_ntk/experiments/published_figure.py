"""The published figure at full size, the certificate for the flow, and the forensic hypotheses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from escape_ntk.data import draw_inputs
from escape_ntk.experiments.curves import Curve
from escape_ntk.experiments.sweep import Result
from escape_ntk.network import activation, draw_weights
from escape_ntk.pairs import PairFeatures

LAMBDAS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""The plotted coefficients λ of the published figure.  [C]"""
LIVE_LAMBDAS = (0.0, 1e-3, 1e-2)
"""Coefficients shown at the reduced size."""
LIVE_SIZE = dict(d=40, n=400, m=2000, n_k=40, n_test=4000, t_end=4000)
"""A reduced problem of the same shape (n = 10d), seconds a curve."""


@dataclass(frozen=True)
class Hypothesis:
    """How the plotted λ enters the risk: λ_2 = (n if ``summed`` else 1)·λ, λ_1 = ``population``."""

    name: str
    statement: str
    summed: bool = True
    population: float = 0.0
    n_k: int | None = None

    def curve(self, lam: float, seed: int, **size) -> Curve:
        """The curve that this hypothesis draws for λ."""
        base = Curve(seed=seed, penalty_empirical=0.0, **size)
        return base.at(
            penalty_empirical=(base.n if self.summed else 1) * lam,
            penalty_population=self.population,
            n_k=base.n_k if self.n_k is None else self.n_k,
        )


SUM_NO_R1 = Hypothesis("sum", "λ multiplies the sum over the training set; no R_1")
MEAN_NO_R1 = Hypothesis("mean", "λ multiplies the mean over the training set; no R_1", summed=False)
SUM_R1_ONE = Hypothesis("sum+R1", "λ multiplies the sum; R_1 active with λ_1 = 1", population=1.0)
HYPOTHESES = (SUM_NO_R1, MEAN_NO_R1, SUM_R1_ONE)

R1_ALONE = Hypothesis("R1 alone", "λ = 0; R_1 active with λ_1 = 10", population=10.0)
"""Not a candidate for the figure: what R_1 does by itself."""


def figure_points(
    seeds: Sequence[int], hypothesis: Hypothesis = SUM_NO_R1, lambdas=LAMBDAS, **size
) -> list[Curve]:
    """All curves of a figure, seed by seed."""
    return [hypothesis.curve(lam, seed, **size) for seed in seeds for lam in lambdas]


def certificate_points(**size) -> list[Curve]:
    """One curve by plain gradient descent, every step: the certificate for the flow (λ = 1e-5)."""
    return [SUM_NO_R1.curve(1e-5, 1, **size).at(method="descent")]


@dataclass(frozen=True)
class DroppedConstant:
    """Which Gram eigenvector is the constant function: squared overlaps u_j·1/√n."""

    experiment: ClassVar[str] = "dropped-constant"

    seed: int
    d: int = 100
    n: int = 1000
    m: int = 10_000
    input_law: str = "gaussian"
    activation: str = "sigmoid(z-1)"

    def compute(self, checkpoint=None, progress=None) -> Result:
        """Overlap with the first d eigenvectors together, and with the (d+1)-th."""
        generator = torch.Generator().manual_seed(self.seed)
        weights = draw_weights(self.m, self.d, generator)
        X = draw_inputs(self.n, self.d, self.input_law, generator)
        features = PairFeatures(X, weights, activation(self.activation))
        values, vectors = torch.linalg.eigh(features.cross_gram(features).double())
        values, vectors = 2 * values.flip(0), vectors.flip(1)
        overlap = (vectors.sum(0).square() / self.n).numpy()
        summary = {
            "first_d": float(overlap[: self.d].sum()),
            "next": float(overlap[self.d]),
        }
        return summary, {"eigenvalues": values.numpy(), "overlap": overlap}
