"""The published figure at full size, the certificate for the flow, and the forensic hypotheses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypedDict

import torch

from escape_ntk.chapters.published_figure import chapter
from escape_ntk.chapters.published_figure.noisy_leak import NoisyLeakCurve
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.study.curve import Curve
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.training.run import UNSAVED, Run

LAMBDAS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""The plotted coefficients λ of the published figure.  [C]"""
LIVE_LAMBDAS = (0.0, 1e-3, 1e-2)
"""Coefficients shown at the reduced size."""


class Size(TypedDict):
    """Fields of a curve that say how large it is."""

    d: int
    n: int
    m: int
    n_k: int
    n_test: int
    t_end: int


LIVE_SIZE: Size = {"d": 40, "n": 400, "m": 2000, "n_k": 40, "n_test": 4000, "t_end": 4000}
"""A reduced problem of the same shape (n = 10d), seconds a curve."""


@dataclass(frozen=True)
class Hypothesis:
    """How the plotted λ enters the risk: λ_1 = population + λ·population_slope, λ_2 likewise."""

    name: str
    statement: str
    population: float = 0.0
    population_slope: float = 0.0
    empirical: float = 0.0
    empirical_slope: float = 0.0
    lambdas: tuple[float, ...] = LAMBDAS
    n_seeds: int = 3
    """Run on so many of the first seeds."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The first ``n_seeds`` seeds."""
        return tuple(range(1, self.n_seeds + 1))

    def curve(self, lam: float, seed: int, **size) -> Curve:
        """The curve that this hypothesis draws for λ."""
        return Curve(
            seed=seed,
            penalty_population=self.population + self.population_slope * lam,
            penalty_empirical=self.empirical + self.empirical_slope * lam,
            **size,
        )


N_TRAIN = Curve.n
"""n of the published figure: a coefficient of the sum is n times one of the mean."""
SUM_NO_R1 = Hypothesis("sum", "λ₂ = nλ, no R₁", empirical_slope=N_TRAIN, n_seeds=10)
MEAN_NO_R1 = Hypothesis("mean", "λ₂ = λ, no R₁", empirical_slope=1.0)
SUM_UNIT_R1 = Hypothesis(
    "sum + R₁",
    "λ₂ = nλ, and R₁ active with the fixed λ₁ = 1",
    population=1.0,
    empirical_slope=N_TRAIN,
    lambdas=(1e-5, 1e-2),
)
SUM_SCALED_R1 = Hypothesis(
    "sum + λR₁",
    "λ₂ = nλ and λ₁ = λ: one coefficient for both leaks",
    population_slope=1.0,
    empirical_slope=N_TRAIN,
    n_seeds=10,
)
SUM_SMALL_R1 = Hypothesis(
    "sum + R₁/10",
    "λ₂ = nλ, and R₁ active with the fixed small λ₁ = 0.1",
    population=0.1,
    empirical_slope=N_TRAIN,
    n_seeds=10,
)
AS_PRINTED = Hypothesis(
    "as printed",
    "λ₁ = λ, λ₂ = 0.01: the notebook with its commented-out R₁ restored",
    population_slope=1.0,
    empirical=0.01,
    lambdas=(0.0, 1e-1),
)
HYPOTHESES = (SUM_NO_R1, MEAN_NO_R1, SUM_UNIT_R1, SUM_SMALL_R1, SUM_SCALED_R1, AS_PRINTED)
"""Candidates for what was run; those that few curves refute are run where they differ most.  [C]"""

R1_ALONE = Hypothesis("R₁ alone", "λ₁ = 10, λ₂ = 0", population=10.0)
"""Not a candidate for the figure: what R_1 does by itself."""


def figure_points(
    seeds: Sequence[int], hypothesis: Hypothesis = SUM_NO_R1, lambdas=LAMBDAS, **size
) -> list[Curve]:
    """All curves of a figure, seed by seed."""
    return [hypothesis.curve(lam, seed, **size) for seed in seeds for lam in lambdas]


def live_points(seeds: Sequence[int], lambdas=LIVE_LAMBDAS) -> list[Curve]:
    """The figure at the reduced size, with the same λ as a coefficient of the sum."""
    n = LIVE_SIZE["n"]
    return [Curve(seed, n * lam, **LIVE_SIZE) for seed in seeds for lam in lambdas]


def certificate_points() -> list[Curve]:
    """One curve by plain gradient descent, every step: the certificate for the flow (λ = 1e-5)."""
    return [SUM_NO_R1.curve(1e-5, 1).at(method="descent")]


def reduced_certificate_points() -> list[Curve]:
    """Flow and descent at the reduced size and the largest λ, where the risk is stiffest."""
    (flow,) = live_points((1,), LAMBDAS[-1:])
    return [flow, flow.at(method="descent")]


def noisy_points() -> list[NoisyLeakCurve]:
    """λ(nR_2 + R_1) at λ = 0.1, R_1 from 100 fresh inputs a step; at the reduced size."""
    return [NoisyLeakCurve.beside(curve) for curve in noiseless_points(LAMBDAS[-1])]


def noiseless_points(population: float) -> list[Curve]:
    """The same by flow with the exact R_1, times ``population``."""
    empirical = LIVE_SIZE["n"] * LAMBDAS[-1]
    return [Curve(seed, empirical, population, **LIVE_SIZE) for seed in SEEDS[:3]]


@dataclass(frozen=True)
class DroppedConstant(Point):
    """Which Gram eigenvector is the constant function: squared overlaps u_j·1/√n."""

    experiment: ClassVar[str] = "dropped-constant"

    seed: int
    d: int = 100
    n: int = 1000
    m: int = 10_000
    input_law: str = "gaussian"
    activation: str = "sigmoid(z-1)"

    @property
    def draws(self) -> Draws:  # pyright: ignore
        """The inputs' law is the configuration's."""
        return Draws(self.input_law, "sphere", tools=("PairFeatures",))

    def compute(self, run: Run = UNSAVED) -> Result:
        """Overlap with the first d eigenvectors together, and with the (d+1)-th."""
        generator = torch.Generator().manual_seed(self.seed)
        weights = draw_weights(self.m, self.d, generator, law=self.draws.weights)
        X = draw_inputs(self.n, self.d, self.draws.inputs, generator)
        features = PairFeatures(X, weights, activation(self.activation))
        values, vectors = torch.linalg.eigh(features.cross_gram(features).double())
        values, vectors = 2 * values.flip(0), vectors.flip(1)
        overlap = (vectors.sum(0).square() / self.n).numpy()
        summary = {
            "first_d": float(overlap[: self.d].sum()),
            "next": float(overlap[self.d]),
        }
        return summary, {"eigenvalues": values.numpy(), "overlap": overlap}


SEEDS = tuple(range(1, 11))


def _figure_live(seeds: Sequence[int]) -> list[Point]:
    return [*live_points(seeds), *reduced_certificate_points()]


def _figure_full(seeds: Sequence[int]) -> list[Point]:
    return [
        *figure_points(seeds),
        *certificate_points(),
        *reduced_certificate_points(),
        *(DroppedConstant(seed) for seed in seeds),
    ]


chapter.experiment(
    "published-figure",
    "The published figure: six λ, and one curve by plain gradient descent",
    SEEDS,
    _figure_live,
    _figure_full,
)


def _forensics_full(seeds: Sequence[int]) -> list[Point]:
    others = (h for h in HYPOTHESES if h is not SUM_NO_R1)
    cases = [(h, lam) for h in others for lam in h.lambdas] + [(R1_ALONE, 0.0)]
    return [h.curve(lam, seed) for seed in seeds for h, lam in cases if seed in h.seeds]


def _forensics_live(seeds: Sequence[int]) -> list[Point]:
    return [R1_ALONE.curve(0.0, seed, **LIVE_SIZE) for seed in seeds if seed in R1_ALONE.seeds]


chapter.experiment(
    "figure-forensics",
    "How λ entered the published runs; what R_1 does alone",
    SEEDS,
    _forensics_live,
    _forensics_full,
)


def _noise(seeds: Sequence[int]) -> list[Point]:
    exact = noiseless_points(LAMBDAS[-1])
    return [p for p in (*noisy_points(), *exact, *noiseless_points(0.0)) if p.seed in seeds]


chapter.experiment(
    "figure-noise",
    "R_1 from 100 fresh inputs a step, as in the notebook, against the exact one",
    SEEDS[:3],
    _noise,
    _noise,
)
