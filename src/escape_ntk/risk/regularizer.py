"""The regularised risk in pair coordinates, and its gradient.

L_λ(W) = (1/n) Σ_i (y_i − f_L(x_i) − f_Q(x_i))² + λ_1R_1 + λ_2R_2 + λ_3R_3 + λ_4R_4
(f_L alone is the NTK model, f_Q alone QuadNTK: ``model``),
R_1 = E_x f_L(x; P_{>k}W)²        population leak            [A][C]
R_2 = (1/n) Σ_i f_L(x_i; P_{>k}W)²  empirical leak             [A][C]
R_3 = ‖P_{≤k}W‖_F² = ½‖P_{≤k}t‖²    size of the low-degree part [R]
R_4 = ‖W‖_{2,4}^8 = (Σ_r ‖u_r‖⁴ + ‖v_r‖⁴)²                      [R]
R_1 comes from :mod:`escape_ntk.risk.leaks`: in closed form, or by fresh inputs.
"""

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.risk.leaks import PopulationLeak
from escape_ntk.risk.projectors import TrainingProjector

_Part = TypeVar("_Part")
MODELS = ("joint", "linear", "quadratic")
"""What fits the labels: f_L + f_Q, f_L alone (NTK), f_Q alone (QuadNTK)."""


@dataclass(frozen=True)
class Penalties:
    """λ_1…λ_4 of the regularised risk, each ≥ 0; each multiplies the R_j of this module.

    The coefficient λ plotted in the published figure multiplies a *sum* over the training set:
    there ``empirical`` = n·λ (see the chapter on that figure).  Source: [A][C] for
    λ_1 and λ_2, [R] for λ_3 and λ_4, [M] for the sum.

    Arguments, numbers ≥ 0, each 0 by default:

    * ``population``: λ_1, of R_1, E_x f_L(x; P_{>k}W)² over the law of the inputs;
    * ``empirical``: λ_2, of R_2, its mean over the training set;
    * ``low_degree``: λ_3, of R_3 = ‖P_{≤k}W‖_F²;
    * ``norm``: λ_4, of R_4 = ‖W‖_{2,4}^8.

    Errors: :class:`~escape_ntk.checks.InputError` for what is no number ≥ 0.

    Example:

    >>> Penalties(empirical=10.0)
    Penalties(population=0.0, empirical=10.0, low_degree=0.0, norm=0.0)
    """

    population: float = 0.0
    empirical: float = 0.0
    low_degree: float = 0.0
    norm: float = 0.0

    def __post_init__(self):
        for field in fields(self):
            given = getattr(self, field.name)
            value = checks.number(f"penalty λ ({field.name})", given, least=0)
            object.__setattr__(self, field.name, value)


def as_penalties(given: Penalties | None) -> Penalties:
    """``given``; without penalties, None, all are 0.

    Other objects raise :class:`~escape_ntk.checks.InputError`.
    """
    p = Penalties() if given is None else given
    return checks.instance("penalties", p, Penalties, "Penalties(empirical=1.0)")


def low_degree_size(projector: TrainingProjector, t: Float[Tensor, "p d"]):
    """(R_3, ∇_t R_3): R_3 = ‖P_{≤k}W‖_F² = ½‖P_{≤k}t‖², gradient P_{≤k}t.  [R][D]"""
    low = projector.low(t)
    return low.square().sum() / 2, low


def norm_2_4_to_the_4(state: Float[Tensor, "2 p d"]):
    """(‖W‖_{2,4}^4, its gradient in (s, t)): Σ_r ‖u_r‖⁴ + ‖v_r‖⁴, u, v = (s ± t)/2.  [R][D]"""
    u, v = (state[0] + state[1]) / 2, (state[0] - state[1]) / 2
    nu, nv = u.square().sum(1, keepdim=True), v.square().sum(1, keepdim=True)
    gu, gv = 2 * nu * u, 2 * nv * v  # half of 4‖u‖²u: the chain rule through u = (s+t)/2
    return (nu.square() + nv.square()).sum(), torch.stack([gu + gv, gu - gv])


@dataclass(frozen=True)
class RiskValue:
    """The unregularised training loss and each R_j whose λ_j is positive (else 0)."""

    loss: float
    population: float = 0.0
    empirical: float = 0.0
    low_degree: float = 0.0
    norm: float = 0.0

    def total(self, penalties: Penalties) -> float:
        """L_λ = loss + Σ_j λ_j R_j.  [A][C][R]"""
        return self.loss + sum(
            getattr(penalties, f.name) * getattr(self, f.name) for f in fields(penalties)
        )


class RegularizedRisk:
    """L_λ at fixed training data, with its gradient in (s, t).  [A][C][R]

    :meth:`~escape_ntk.risk.problem.Problem.risk` puts one together.  One gradient costs four
    products (n, d)×(d, p); λ_2 adds O(n n_k), λ_1 the three (p, p)×(p, d) of a closed form and four
    more of the first kind.

    Arguments:

    * ``features``: at the n training inputs;
    * ``y``: what is fitted, (n,);
    * ``model``: ``"joint"`` f_L + f_Q, ``"linear"`` f_L alone, ``"quadratic"`` f_Q alone;
    * ``penalties``: λ_1…λ_4; None: all 0;
    * ``projector``: a TrainingProjector of these features, for λ_1, λ_2, λ_3 > 0;
    * ``population``: R_1, such as :class:`~escape_ntk.risk.leaks.SphereLeak`, for λ_1 > 0.

    Errors: :class:`~escape_ntk.checks.InputError` when one of these is missing, when the projector
    is that of other features, and for penalties on f_L where f_Q alone is the model;
    :class:`~escape_ntk.checks.ShapeError` for a ``y`` or a leak that does not fit.

    Example:

    >>> features = PairFeatures(torch.ones(3, 4), torch.eye(4)[:2], "erf")
    >>> risk = RegularizedRisk(features, torch.ones(3), penalties=Penalties(norm=0.1))
    >>> value, gradient = risk.value_and_gradient(features.zero_state())
    >>> value.loss, gradient.shape
    (1.0, torch.Size([2, 2, 4]))
    """

    def __init__(
        self,
        features: PairFeatures,
        y: Float[Tensor, " n"],
        *,
        model: str = "joint",
        penalties: Penalties | None = None,
        projector: TrainingProjector | None = None,
        population: PopulationLeak | None = None,
    ):
        remedy = "PairFeatures(X, weights, activation)"
        self.features = checks.instance("features", features, PairFeatures, remedy)
        for name, part, kind, remedy in (
            ("projector", projector, TrainingProjector, "TrainingProjector(features, n_k)"),
            ("population", population, PopulationLeak, "SphereLeak(weights, activation)"),
        ):
            if part is not None:
                checks.instance(name, part, kind, remedy)
        self._projector, self._population = projector, population
        checks.array("y", y, (len(features),), like=features.X)
        self.y = checks.without_gradient("y", y)
        self.model = checks.one_of("model", model, MODELS)
        self.penalties = p = as_penalties(penalties)
        if model == "quadratic" and (p.population or p.empirical or p.low_degree):
            raise checks.InputError(
                checks.message(
                    expected="only λ_4 (norm) with f_Q alone: R_1, R_2, R_3 are about f_L",
                    got=str(p),
                    remedy='set the others to 0, or use model="joint"',
                )
            )
        if p.population or p.empirical or p.low_degree:
            _same_weights("projector", _given("projector", projector, p), features)
        if p.population:
            _same_weights("population", _given("population", population, p), features)
        if p.empirical and self.projector.features is not features:
            raise checks.InputError(
                checks.message(
                    expected="a projector built from the training features of this risk (λ_2 > 0)",
                    got=f"one built from {len(self.projector.features)} other inputs",
                    remedy="TrainingProjector(features, n_k) with the same features object",
                )
            )

    def __repr__(self) -> str:
        return f"RegularizedRisk: {self.model} model over {self.features!r}; {self.penalties}"

    @property
    def projector(self) -> TrainingProjector:
        """The projector it was given; :class:`~escape_ntk.checks.InputError` if there was none."""
        return _given("projector", self._projector, self.penalties)

    @property
    def population(self) -> PopulationLeak:
        """The leak it was given; :class:`~escape_ntk.checks.InputError` if there was none."""
        return _given("population", self._population, self.penalties)

    def prediction(self, linear: Tensor, quadratic: Tensor) -> Tensor:
        """What ``model`` predicts when the terms are f_L and f_Q."""
        if self.model == "joint":
            return linear + quadratic
        return linear if self.model == "linear" else quadratic

    def population_leak(self, t: Float[Tensor, "p d"]) -> tuple[Tensor, Tensor]:
        """(R_1, ∇_t R_1) at P_{>k}t: the form of :attr:`population` between two projections."""
        value, slope = self.population.value_and_gradient(self.projector.high(t))
        return value, self.projector.high(slope)

    def without_population(self) -> "RegularizedRisk":
        """L_λ without λ_1R_1: all that costs four products a gradient."""
        penalties = replace(self.penalties, population=0.0)
        projector = self._projector
        return RegularizedRisk(
            self.features, self.y, model=self.model, penalties=penalties, projector=projector
        )

    def value_and_gradient(self, state: Float[Tensor, "2 p d"]):
        """(:class:`RiskValue`, ∇_{(s,t)} L_λ of shape (2, p, d))."""
        p = self.penalties
        if self.model == "joint" and not p.empirical:
            residual, gradient = self.features.least_squares(state, self.y)
            values = {"loss": residual.square().mean()}
        else:
            values, gradient = self._by_terms(state)
        if p.population:
            values["population"], slope = self.population_leak(state[1])
            gradient[1].add_(slope, alpha=p.population)
        if p.low_degree:
            values["low_degree"], slope = low_degree_size(self.projector, state[1])
            gradient[1].add_(slope, alpha=p.low_degree)
        if p.norm:
            fourth, slope = norm_2_4_to_the_4(state)
            values["norm"] = fourth.square()
            gradient.add_(slope, alpha=2 * p.norm * float(fourth))
        return RiskValue(**{name: float(v) for name, v in values.items()}), gradient

    def _by_terms(self, state: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Values and the gradient of loss + λ_2R_2: where f_L and f_Q have slopes of their own."""
        n, weight = len(self.features), self.penalties.empirical
        linear, quadratic, pullback = self.features.terms_and_pullback(state)
        residual = self.prediction(linear, quadratic) - self.y
        values = {"loss": residual.square().mean()}
        slope = 2 / n * residual
        pull_linear = torch.zeros_like(slope) if self.model == "quadratic" else slope
        pull_quadratic = torch.zeros_like(slope) if self.model == "linear" else slope
        if weight:
            high = self.projector.high_outputs(linear)
            values["empirical"] = high.square().mean()
            pull_linear = pull_linear + 2 * weight / n * high
        return values, pullback(pull_linear, pull_quadratic)


def _same_weights(name: str, part: object, features: PairFeatures) -> None:
    """Refuse a projector or leak of weights that are not like those of the features."""
    owner = part if hasattr(part, "weights") else getattr(part, "features", None)
    if owner is not None:
        own = getattr(owner, "weights", None)
        shape = tuple(features.weights.shape)
        checks.layout(f"weights of the {name}", own, shape, like=features.weights)


def _given(name: str, part: _Part | None, penalties: Penalties) -> _Part:
    """``part``, unless it is None: that is refused."""
    if part is None:
        raise checks.InputError(
            checks.message(
                expected=f"{name} for the penalties {penalties}",
                got=None,
                remedy=f"pass {name}=…, or set its λ to 0",
            )
        )
    return part
