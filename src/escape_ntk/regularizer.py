"""The regularised risk in pair coordinates, and its gradient.

L_λ(W) = (1/n) Σ_i (y_i − f_L(x_i) − f_Q(x_i))² + λ_1R_1 + λ_2R_2 + λ_3R_3 + λ_4R_4
(f_L alone is the NTK model, f_Q alone QuadNTK: ``model``),
R_1 = E_x f_L(x; P_{>k}W)²        population leak            [A][C]
R_2 = (1/n) Σ_i f_L(x_i; P_{>k}W)²  empirical leak             [A][C]
R_3 = ‖P_{≤k}W‖_F² = ½‖P_{≤k}t‖²    size of the low-degree part [R]
R_4 = ‖W‖_{2,4}^8 = (Σ_r ‖u_r‖⁴ + ‖v_r‖⁴)²                      [R]
R_1 is given as a closed form (:class:`GaussianLeak`) or by fresh inputs (:class:`SampledLeak`).
"""

import math
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.directions import TrainingProjector
from escape_ntk.network import Activation, gaussian_mean_square
from escape_ntk.pairs import PairFeatures
from escape_ntk.polynomials import gauss_hermite, hermite_coefficients

MODELS = ("joint", "linear", "quadratic")
"""What fits the labels: f_L + f_Q, f_L alone (NTK), f_Q alone (QuadNTK)."""


@dataclass(frozen=True)
class Penalties:
    """λ_1…λ_4 of the regularised risk, each ≥ 0; each multiplies the R_j of this module.

    The coefficient λ plotted in the published figure multiplies a *sum* over the training set:
    there ``empirical`` = n·λ (see the chapter on that figure).
    """

    population: float = 0.0
    empirical: float = 0.0
    low_degree: float = 0.0
    norm: float = 0.0

    def __post_init__(self):
        for field in fields(self):
            checks.number(f"penalty λ ({field.name})", getattr(self, field.name), least=0)


@runtime_checkable
class PopulationLeak(Protocol):
    """E_x f_L(x; t)² as a quadratic form in t."""

    def value_and_gradient(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(E_x f_L(x; t)², its gradient in t)."""
        ...


class SampledLeak:
    """R_1 from fresh inputs Z: (1/N) Σ_j f_L(z_j; t)².  Unbiased for fixed t; N rows of Z.  [C]"""

    def __init__(self, features: PairFeatures):
        self.features = features

    def value_and_gradient(self, t: Float[Tensor, "p d"]) -> tuple[Tensor, Tensor]:
        """(mean square of f_L over Z, its gradient in t)."""
        f = self.features.linear(t)
        return f.square().mean(), self.features.linear_pullback(2 * f / len(f))


class GaussianLeak:
    """R_1 in closed form for x ~ N(0, I_d) and unit w_r.

    With G = W Wᵀ over the p pairs, ĉ_j = E[σ'(Z) he_j(Z)], D_{rs} = w_r·t_s, τ_r = w_r·t_r:
    m·E f_L² = Σ_{rs} [κ00 t_r·t_s + 2κ20 τ_r D_{rs} + κ11(τ_rτ_s + D_{rs}D_{sr})],
    κ00 = Σ ĉ_j² G^j,  κ11 = Σ (j+1) ĉ_{j+1}² G^j,  κ20 = Σ √((j+1)(j+2)) ĉ_{j+2}ĉ_j G^j,
    entrywise, by Stein's lemma used twice; on the diagonal (G = 1) they are E σ'², E σ''²,
    E σ'σ'''.
    Memory: three (p, p) matrices; a gradient costs three products (p, p)×(p, d).  Source: [D].
    """

    def __init__(
        self,
        weights: Float[Tensor, "p d"],
        activation: Activation,
        *,
        degree: int = 60,
        block: int = 512,
    ):
        checks.array("weights", weights, (None, None))
        off = float((weights.norm(dim=1) - 1).abs().max())
        if off > 1e-4:
            raise checks.InputError(
                checks.message(
                    expected="unit weights w_r (the closed form is for them)",
                    got=f"norms off by up to {off:.2g}",
                    remedy="use SampledLeak with fresh inputs",
                )
            )
        self.weights, self.block = weights, checks.integer("block", block, least=1)
        gram = weights @ weights.T
        self.degree = _series_degree(gram, checks.integer("degree", degree, least=3))
        c = hermite_coefficients(activation.first, degree + 2)
        diagonals = _leak_diagonals(activation)
        _check_series(activation.name, degree, _leak_series(c), diagonals)
        series = _leak_series(c[: self.degree + 3])
        self.k00, self.k11, self.k20 = (
            _entrywise_series(gram, a, diagonal)
            for a, diagonal in zip(series, diagonals, strict=True)
        )

    def value_and_gradient(self, t: Float[Tensor, "p d"]) -> tuple[Tensor, Tensor]:
        """(E f_L(x; t)², its gradient in t), in blocks of ``block`` rows."""
        w, m = self.weights, 2 * len(self.weights)
        tau = torch.einsum("pd,pd->p", w, t)
        gradient = torch.empty_like(t)
        for start in range(0, len(w), self.block):
            rows = slice(start, start + self.block)
            k11, k20 = self.k11[rows], self.k20[rows]
            d = w[rows] @ t.T  # (block, p): D_rs = w_r·t_s
            along = torch.einsum("bp,bp->b", k20, d) + k11 @ tau
            d.mul_(k11).addcmul_(k20, tau[None])
            torch.addmm(d @ w, self.k00[rows], t, out=gradient[rows])
            gradient[rows].addcmul_(along[:, None], w[rows])
        gradient.mul_(2 / m)
        return (t * gradient).sum() / 2, gradient


def _series_degree(gram: Tensor, most: int, tolerance: float = 1e-12) -> int:
    """Smallest J with max_{r≠s}|G_rs|^J below ``tolerance``, at most ``most``."""
    largest = float((gram - torch.diag(gram.diagonal())).abs().max())
    if largest == 0.0:
        return 3
    if largest >= 1.0:
        return most
    return max(3, min(most, math.ceil(math.log(tolerance) / math.log(largest))))


def _check_series(name: str, degree: int, series, diagonals, tolerance: float = 1e-3) -> None:
    """Refuse σ whose series at G = 1 miss E σ'² or E σ''² (Parseval): kinks and steep rises."""
    sums, exact = [sum(a) for a in series[:2]], diagonals[:2]
    gaps = [abs(a - b) / max(a, exact[0]) for a, b in zip(sums, exact, strict=True)]
    if not max(gaps) <= tolerance:
        raise checks.InputError(
            checks.message(
                expected=f"{name!r} smooth enough for a Hermite series of degree {degree}",
                got=f"E σ'² and E σ''² off by {gaps[0]:.1%} and {gaps[1]:.1%}",
                remedy="use SampledLeak with fresh inputs, or raise degree",
            )
        )


def _leak_series(c) -> tuple[list[float], list[float], list[float]]:
    """Power-series coefficients of κ00, κ11, κ20 from ĉ_j."""
    top = len(c) - 2
    k00 = [c[j] ** 2 for j in range(top)]
    k11 = [(j + 1) * c[j + 1] ** 2 for j in range(top)]
    k20 = [math.sqrt((j + 1) * (j + 2)) * c[j + 2] * c[j] for j in range(top)]
    return k00, k11, k20


def _leak_diagonals(activation: Activation) -> tuple[float, float, float]:
    """E σ'², E σ''², and E σ'σ''' = E[Zσ'σ''] − E σ''² (integration by parts)."""
    nodes, weights = (torch.from_numpy(a) for a in gauss_hermite())
    mixed = float((weights * nodes * activation.first(nodes) * activation.second(nodes)).sum())
    curvature = gaussian_mean_square(activation.second)
    return gaussian_mean_square(activation.first), curvature, mixed - curvature


def _entrywise_series(gram: Tensor, coefficients: list[float], diagonal: float) -> Tensor:
    """Σ_j a_j G^j entrywise by Horner's rule, with the given diagonal."""
    total = torch.full_like(gram, coefficients[-1])
    for a in reversed(coefficients[:-1]):
        total.mul_(gram).add_(a)
    total.fill_diagonal_(diagonal)
    return total


def low_degree_size(projector: TrainingProjector, t: Float[Tensor, "p d"]):
    """(R_3, ∇_t R_3): R_3 = ‖P_{≤k}W‖_F² = ½‖P_{≤k}t‖², gradient P_{≤k}t.  [R][D]"""
    low = projector.low(t)
    return low.square().sum() / 2, low


def norm_2_4_to_the_4(state: Float[Tensor, "2 p d"]):
    """(‖W‖_{2,4}^4, its gradient in (s, t)): Σ_r ‖u_r‖⁴ + ‖v_r‖⁴, u, v = (s ± t)/2."""
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
        """L_λ = loss + Σ_j λ_j R_j."""
        return self.loss + sum(
            getattr(penalties, f.name) * getattr(self, f.name) for f in fields(penalties)
        )


class RegularizedRisk:
    """L_λ at fixed training data, with its gradient in (s, t).

    ``model``: ``"joint"`` f_L + f_Q, ``"linear"`` f_L alone, ``"quadratic"`` f_Q alone (the
    penalties on f_L are then refused).  ``features`` at the n training inputs, ``y`` (n,),
    ``projector`` for λ_1, λ_2, λ_3 > 0 and ``population`` for λ_1 > 0.  One gradient costs four
    products (n, d)×(d, p); λ_2 adds O(n n_k).
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
        self.features, self.projector, self.population = features, projector, population
        self.y = checks.array("y", y, (len(features),), like=features.X)
        self.model = checks.one_of("model", model, MODELS)
        self.penalties = penalties if penalties is not None else Penalties()
        p = self.penalties
        if model == "quadratic" and (p.population or p.empirical or p.low_degree):
            raise checks.InputError(
                checks.message(
                    expected="only λ_4 (norm) with f_Q alone: R_1, R_2, R_3 are about f_L",
                    got=p,
                    remedy='set the others to 0, or use model="joint"',
                )
            )
        needed = {
            "projector": p.population or p.empirical or p.low_degree,
            "population": p.population,
        }
        for name, positive in needed.items():
            if positive and getattr(self, name) is None:
                raise checks.InputError(
                    checks.message(
                        expected=f"{name} for the penalties {p}",
                        got=None,
                        remedy=f"pass {name}=…, or set its λ to 0",
                    )
                )
        if p.empirical and projector.features is not features:
            raise checks.InputError(
                checks.message(
                    expected="a projector built from the training features of this risk (λ_2 > 0)",
                    got=f"one built from {len(projector.features)} other inputs",
                    remedy="TrainingProjector(features, n_k) with the same features object",
                )
            )

    def prediction(self, linear: Tensor, quadratic: Tensor) -> Tensor:
        """What ``model`` predicts when the terms are f_L and f_Q."""
        if self.model == "joint":
            return linear + quadratic
        return linear if self.model == "linear" else quadratic

    def value_and_gradient(self, state: Float[Tensor, "2 p d"]):
        """(:class:`RiskValue`, ∇_{(s,t)} L_λ of shape (2, p, d))."""
        p, n = self.penalties, len(self.features)
        linear, quadratic, pullback = self.features.terms_and_pullback(state)
        residual = self.prediction(linear, quadratic) - self.y
        values = {"loss": residual.square().mean()}
        slope = 2 / n * residual
        pull_linear = torch.zeros_like(slope) if self.model == "quadratic" else slope
        pull_quadratic = torch.zeros_like(slope) if self.model == "linear" else slope
        if p.empirical:
            high = self.projector.high_outputs(linear)
            values["empirical"] = high.square().mean()
            pull_linear = pull_linear + 2 * p.empirical / n * high
        gradient = pullback(pull_linear, pull_quadratic)
        if p.population:
            leak, slope = self.population.value_and_gradient(self.projector.high(state[1]))
            values["population"] = leak
            gradient[1].add_(self.projector.high(slope), alpha=p.population)
        if p.low_degree:
            values["low_degree"], slope = low_degree_size(self.projector, state[1])
            gradient[1].add_(slope, alpha=p.low_degree)
        if p.norm:
            fourth, slope = norm_2_4_to_the_4(state)
            values["norm"] = fourth.square()
            gradient.add_(slope, alpha=2 * p.norm * float(fourth))
        return RiskValue(**{name: float(v) for name, v in values.items()}), gradient
