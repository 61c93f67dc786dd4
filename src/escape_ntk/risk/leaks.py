"""The population leak E_x f_L(x; t)² as a quadratic form in t: in closed form, or by fresh inputs.

For unit weights symmetry leaves three functions of G_rq = w_r·w_q, on both laws of the inputs:
E[σ'(w_r·x)σ'(w_q·x) xxᵀ] = κ00 I + κ20 (w_rw_rᵀ + w_qw_qᵀ) + κ11 (w_rw_qᵀ + w_qw_rᵀ).
With D_rq = w_r·t_q, r and q over the p = m/2 pairs,
m·E f_L² = Σ_rq [κ00 t_r·t_q + 2κ20 D_rr D_rq + κ11(D_rrD_qq + D_rqD_qr)].
Its gradient is 2Σt, with the population covariance Σ = E φφᵀ of the features of t.  Source: [D].
"""

import math
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.network import Activation, ActivationLike, gaussian_mean_square
from escape_ntk.models.network import activation as as_activation
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.polynomials import (
    gauss_gegenbauer,
    gauss_hermite,
    gegenbauer,
    gegenbauer_coefficients,
    gegenbauer_sum,
    hermite_coefficients,
)


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


class _ClosedFormLeak:
    """E_x f_L(x; t)² from the matrices κ00, κ20, κ11 (p, p) of this module, at unit weights.

    A gradient costs three products (p, p)×(p, d).
    """

    k00: Tensor
    k20: Tensor
    k11: Tensor

    def __init__(self, weights: Tensor, activation: Activation, block: int):
        checks.without_gradient("weights", checks.array("weights", weights, (None, None)))
        self.activation = activation
        off = float((weights.norm(dim=1) - 1).abs().max())
        if off > 1e-4:
            raise checks.InputError(
                checks.message(
                    expected="unit weights w_r (the closed form is for them)",
                    got=f"norms off by up to {off:.2g}",
                    remedy="escape_ntk.risk.leaks.SampledLeak(features) at fresh inputs",
                )
            )
        self.weights, self.block = weights, checks.integer("block", block, least=1)

    def __repr__(self) -> str:
        (pairs, d), name = self.weights.shape, type(self).__name__
        return f"{name}: m = {2 * pairs} neurons in R^{d}, {self.activation.name}"

    def value_and_gradient(self, t: Float[Tensor, "p d"]) -> tuple[Tensor, Tensor]:
        """(E f_L(x; t)², its gradient in t), in blocks of ``block`` rows."""
        checks.layout("t", t, tuple(self.weights.shape), like=self.weights)
        w, m = self.weights, 2 * len(self.weights)
        tau = torch.einsum("pd,pd->p", w, t)
        gradient = torch.empty_like(t)
        for start in range(0, len(w), self.block):
            rows = slice(start, start + self.block)
            k11, k20 = self.k11[rows], self.k20[rows]
            d = w[rows] @ t.T  # (block, p): D_rq = w_r·t_q
            along = torch.einsum("bp,bp->b", k20, d) + k11 @ tau
            d.mul_(k11).addcmul_(k20, tau[None])
            torch.addmm(d @ w, self.k00[rows], t, out=gradient[rows])
            gradient[rows].addcmul_(along[:, None], w[rows])
        gradient.mul_(2 / m)
        return (t * gradient).sum() / 2, gradient


class GaussianLeak(_ClosedFormLeak):
    """R_1 in closed form for x ~ N(0, I_d) and unit w_r.

    With ĉ_j = E[σ'(Z) he_j(Z)], entrywise by Stein's lemma used twice: κ00 = Σ ĉ_j² G^j,
    κ11 = Σ (j+1) ĉ_{j+1}² G^j,  κ20 = Σ √((j+1)(j+2)) ĉ_{j+2}ĉ_j G^j;
    on the diagonal (G = 1) they are E σ'², E σ''², E σ'σ'''.
    Memory: three (p, p) matrices.  Source: [D].

    Arguments:

    * ``weights``: w_r (p, d), of length 1;
    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``degree``: terms of the series, at most;
    * ``block``: rows of the matrices that are used at a time.

    Errors: :class:`~escape_ntk.checks.InputError` for weights that are not of length 1, and for σ
    with kinks or rises too steep for the series.

    Example:

    >>> leak = GaussianLeak(torch.eye(3)[:2], "erf")
    >>> value, gradient = leak.value_and_gradient(torch.ones(2, 3))
    >>> leak, bool(value > 0), gradient.shape
    (GaussianLeak: m = 4 neurons in R^3, erf, True, torch.Size([2, 3]))
    """

    def __init__(
        self,
        weights: Float[Tensor, "p d"],
        activation: ActivationLike,
        *,
        degree: int = 60,
        block: int = 512,
    ):
        activation = as_activation(activation)
        super().__init__(weights, activation, block)
        gram = weights @ weights.T
        self.degree = _series_degree(gram, checks.integer("degree", degree, least=3))
        c = hermite_coefficients(activation.first, degree + 2)
        diagonals = _leak_diagonals(activation)
        sums = [sum(a) for a in _leak_series(c)[:2]]
        _check_series(activation.name, degree, sums, diagonals[:2], "E σ'² and E σ''²")
        series = _leak_series(c[: self.degree + 3])
        self.k00, self.k11, self.k20 = (
            _entrywise_series(gram, a, diagonal)
            for a, diagonal in zip(series, diagonals, strict=True)
        )


class SphereLeak(_ClosedFormLeak):
    """R_1 in closed form for x uniform on S^{d−1}(√d) and unit w_r, d ≥ 3.

    E[σ'(w·x)σ'(v·x) xxᵀ] = ∂_w∂_vᵀ E[σ(w·x)σ(v·x)], and by Funk and Hecke the last is
    Σ_j B ξ_j(|w|)ξ_j(|v|) P_j(ŵ·v̂) with ξ_j(a) = E[σ(a√d τ)P_j(τ)].  At |w| = |v| = 1, with
    ξ̇_j = E[√d τ σ'(√d τ)P_j(τ)]:
    κ00 = Σ B ξ_j² P_j'(G),  κ11 = Σ B ξ_j² P_j''(G),
    κ20 = Σ B ξ_jξ̇_j P_j'(G) − κ00 − G∘κ11.
    On the diagonal xxᵀ averages to κ00 I + 2(κ20 + κ11) wwᵀ: κ00 = (d E σ'² − E z²σ'²)/(d−1),
    z = √d τ, the other two from their sum.  Memory: three (p, p) matrices.  Source: [D].

    Arguments:

    * ``weights``: w_r (p, d), of length 1;
    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``degree``: terms of the series, at most;
    * ``block``: rows of the matrices that are used at a time.

    Errors: :class:`~escape_ntk.checks.InputError` for weights that are not of length 1, and for σ
    with kinks or rises too steep for the series.

    Example:

    >>> leak = SphereLeak(torch.eye(3)[:2], "erf")
    >>> value, gradient = leak.value_and_gradient(torch.ones(2, 3))
    >>> leak, bool(value > 0), gradient.shape
    (SphereLeak: m = 4 neurons in R^3, erf, True, torch.Size([2, 3]))
    """

    def __init__(
        self,
        weights: Float[Tensor, "p d"],
        activation: ActivationLike,
        *,
        degree: int = 60,
        block: int = 512,
    ):
        activation = as_activation(activation)
        super().__init__(weights, activation, block)
        d, checked = weights.shape[1], checks.integer("degree", degree, least=3)
        series = _sphere_series(activation, checked, d)
        flat, along = _sphere_diagonal(activation, d)
        sums = [float(series[0].sum()), 2 * float((series[2] - series[0]).sum())]
        _check_series(activation.name, degree, sums, [flat, along], "κ00 and 2(κ20 + κ11) on w = v")
        gram = (weights @ weights.T).clamp_(-1, 1)
        top = self.degree = _sphere_degree(gram, series, d)
        self.k00 = gegenbauer_sum(gram, series[0][:top], d + 2)
        self.k11 = gegenbauer_sum(gram, series[1][:top], d + 4)
        self.k20 = gegenbauer_sum(gram, series[2][:top], d + 2).sub_(self.k00)
        self.k20.addcmul_(gram, self.k11, value=-1)
        for kappa, diagonal in ((self.k00, flat), (self.k11, 0.0), (self.k20, along / 2)):
            kappa.fill_diagonal_(diagonal)


def _sphere_series(activation: Activation, degree: int, d: int) -> tuple[np.ndarray, ...]:
    """Coefficients of κ00 (in P_j of d+2), κ11 (d+4) and Σ B ξξ̇ P' (d+2), j = 0…degree−1.

    P_j' = j(j+d−2)/(d−1) P_{j−1} of dimension d+2.  [L]
    """
    eta = gegenbauer_coefficients(activation.value, degree, d)  # √B ξ_j
    dot = gegenbauer_coefficients(lambda z: z * activation.first(z), degree, d)
    j = np.arange(1, degree + 1)
    first = j * (j + d - 2) / (d - 1)
    second = (j - 1) * (j + d - 1) / (d + 1)
    k00, mixed = eta[1:] ** 2 * first, eta[1:] * dot[1:] * first
    return k00, np.append((k00 * second)[1:], 0.0), mixed


def _sphere_diagonal(activation: Activation, d: int) -> tuple[float, float]:
    """(κ00, b) with E[σ'(w·x)² xxᵀ] = κ00 I + b wwᵀ."""
    tau, weights = gauss_gegenbauer(d)
    z = torch.from_numpy(math.sqrt(d) * tau)
    square = weights * activation.first(z).square().numpy()
    along = float((square * z.numpy() ** 2).sum())
    flat = (d * float(square.sum()) - along) / (d - 1)
    return flat, along - flat


def _sphere_degree(gram: Tensor, series, d: int, tolerance: float = 1e-13) -> int:
    """Terms that the off-diagonal entries of κ00, κ11 and κ20 need: the most of the three."""
    largest, most = torch.tensor(_largest_off_diagonal(gram), dtype=torch.float64), 3
    for coefficients, dimension in zip(series, (d + 2, d + 4, d + 2), strict=True):
        values = [float(gegenbauer(largest, j, dimension)) for j in range(len(coefficients))]
        tails = np.cumsum(np.abs(values * coefficients)[::-1])[::-1]
        most = max(most, int((tails > tolerance * tails[0]).sum()))
    return most


def _largest_off_diagonal(gram: Tensor) -> float:
    return float((gram - torch.diag(gram.diagonal())).abs().max())


def _series_degree(gram: Tensor, most: int, tolerance: float = 1e-12) -> int:
    """Smallest J with max_{r≠q}|G_rq|^J below ``tolerance``, at most ``most``."""
    largest = _largest_off_diagonal(gram)
    if largest == 0.0:
        return 3
    if largest >= 1.0:
        return most
    return max(3, min(most, math.ceil(math.log(tolerance) / math.log(largest))))


def _check_series(name: str, degree: int, sums, exact, what: str, tolerance=1e-3) -> None:
    """Refuse σ whose series at G = 1 miss their exact values (Parseval): kinks and steep rises."""
    gaps = [abs(a - b) / max(a, exact[0]) for a, b in zip(sums, exact, strict=True)]
    if not max(gaps) <= tolerance:
        raise checks.InputError(
            checks.message(
                expected=f"{name!r} smooth enough for a series of degree {degree}",
                got=f"{what} off by {' and '.join(f'{gap:.1%}' for gap in gaps)}",
                remedy="raise degree, or escape_ntk.risk.leaks.SampledLeak(features)",
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
