"""Eigenvalues of the infinite tangent kernel by degree, and what kernel ridge regression learns.

On S^{d−1}(√d) the kernel is K(x, y) = Σ_ℓ ζ_ℓ B(d,ℓ) P_ℓ(x·y/d): it multiplies a harmonic of
degree ℓ by ζ_ℓ.  Source: [L] for the theory of ridge regression, [D] for the formula of ζ_ℓ.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.kernels.ntk import dual_on_sphere, infinite_ntk, ridge_factor
from escape_ntk.models.data import SPHERE_TOLERANCE, Target
from escape_ntk.models.network import WEIGHT_LAWS, Activation, ActivationLike
from escape_ntk.models.network import activation as as_activation
from escape_ntk.numerics.polynomials import (
    gauss_gegenbauer,
    gegenbauer_coefficients,
    gegenbauer_sum,
    multiplicity,
)

DEGREE = 12
"""Degrees kept by default; what is beyond them enters as its trace."""
NODES = 400
"""Nodes of the quadrature: exact for polynomials of degree 799."""
_MOST_DEGREE = 150


@dataclass(frozen=True, repr=False, eq=False)
class Spectrum:
    """Eigenvalues ζ_0…ζ_J of a zonal kernel on S^{d−1}(√d), and the trace beyond J.

    ``rest`` = Σ_{j>J} ζ_j B(d,j), that is K(x, x) − Σ_{j≤J} ζ_j B(d,j).  [L]
    """

    d: int
    eigenvalues: np.ndarray
    rest: float

    def __repr__(self) -> str:
        first = ", ".join(f"{value:.3g}" for value in self.eigenvalues[:4])
        more = ", …" * (len(self.eigenvalues) > 4)
        top = len(self.eigenvalues) - 1
        return f"Spectrum: d = {self.d}, degrees 0 to {top}, eigenvalues {first}{more}"

    @functools.cached_property
    def multiplicities(self) -> np.ndarray:
        """B(d, ℓ), ℓ = 0…J."""
        return np.array([float(multiplicity(self.d, j)) for j in range(len(self.eigenvalues))])

    @property
    def trace(self) -> float:
        """K(x, x) = Σ_j ζ_j B(d,j)."""
        return float(self.eigenvalues @ self.multiplicities) + self.rest

    @property
    def shares(self) -> np.ndarray:
        """ζ_ℓ B(d,ℓ) / trace."""
        return self.eigenvalues * self.multiplicities / self.trace

    def bulk(self, k: int) -> float:
        """γ_{>k} = Σ_{j>k} ζ_j B(d,j): what the high degrees add to the diagonal of K."""
        above = slice(checks.integer("k", k, least=0) + 1, None)
        return float(self.eigenvalues[above] @ self.multiplicities[above]) + self.rest

    def effective_ridge(self, n: int, ridge: float = 0.0) -> float:
        """κ > 0 with Σ_j B(d,j) ζ_j/(ζ_j + κ) + ridge/κ = n.  [L]

        The degrees beyond J, whose eigenvalues lie far below κ, add rest/κ.  More samples than the
        kernel has functions, and no ridge: :class:`~escape_ntk.checks.InputError`.
        """
        checks.integer("n", n, least=1)
        flat = checks.number("ridge", ridge, least=0) + self.rest
        lam, count = self.eigenvalues, self.multiplicities
        excess = functools.partial(self._excess, n, flat)
        top = math.log((self.trace + ridge) / n) + 1
        bottom = top
        while excess(bottom) < 0 and bottom > -600:
            bottom -= 5
        if excess(bottom) < 0:
            raise checks.InputError(
                checks.message(
                    expected=f"a ridge, or n ≤ the kernel's {count[lam > 0].sum():.0f} functions",
                    got=f"n={n}, ridge={ridge:g}",
                    remedy="keep more degrees, or use ridge > 0",
                )
            )
        from scipy.optimize import brentq  # slow to import

        return math.exp(cast(float, brentq(excess, bottom, top, xtol=1e-12)))

    def _excess(self, n: int, flat: float, log_kappa: float) -> float:
        kappa, lam = math.exp(log_kappa), self.eigenvalues
        return float((self.multiplicities * lam / (lam + kappa)).sum()) + flat / kappa - n

    def learned(self, n: int, ridge: float = 0.0) -> np.ndarray:
        """ζ_ℓ/(ζ_ℓ + κ): the share of a degree-ℓ harmonic that n samples teach.  [L]"""
        return self.eigenvalues / (self.eigenvalues + self.effective_ridge(n, ridge))

    def gram_eigenvalues(self, n: int, k: int) -> np.ndarray:
        """Predicted eigenvalues (n,) of the Gram matrix K of n > n_k inputs, those of P_{≤k} first.

        Degree ℓ ≤ k: nζ_ℓ times quantiles of Marchenko and Pastur's law of ratio B/n, plus γ_{>k};
        the other n − n_k: ζ_{k+1}B(d,k+1) times those of ratio (n−n_k)/B(d,k+1), plus γ_{>k+1}.
        Each part descends.  Good for d^k ≪ n ≪ d^{k+1}, where they do not overlap.  [L]
        """
        self.check_degree(checks.integer("k", k, least=0) + 1)
        lam, count = self.eigenvalues, [round(b) for b in self.multiplicities]
        low = [n * lam[ell] * marchenko_pastur(count[ell] / n, count[ell]) for ell in range(k + 1)]
        n_high = checks.integer("n", n, least=sum(count[: k + 1]) + 1) - sum(count[: k + 1])
        width = float(count[k + 1])
        high = lam[k + 1] * width * marchenko_pastur(n_high / width, n_high)
        together = np.sort(np.concatenate(low))[::-1] + self.bulk(k)
        return np.concatenate([together, high + self.bulk(k + 1)])

    def check_degree(self, degree: int) -> int:
        """``degree`` if its eigenvalue is kept; else :class:`~escape_ntk.checks.InputError`."""
        if checks.integer("degree", degree, least=0) >= len(self.eigenvalues):
            raise checks.InputError(
                checks.message(
                    expected=f"a degree ≤ {len(self.eigenvalues) - 1}, the highest one kept",
                    got=degree,
                    remedy="ntk_spectrum(…, degree=…) keeps more",
                )
            )
        return degree

    def predicted_error(self, n: int, powers: Sequence[float], ridge: float = 0.0) -> float:
        """Σ_ℓ ‖P_ℓf*‖²(1 − c_ℓ)² / (1 − Σ_j B c_j²/n) with c = :meth:`learned`, no noise.  [L]"""
        self.check_degree(len(powers) - 1)
        c = self.learned(n, ridge)
        spread = 1 - float(self.multiplicities @ c**2) / n
        left = sum(p * (1 - c[ell]) ** 2 for ell, p in enumerate(powers))
        return float(left) / spread


def marchenko_pastur(ratio: float, count: int) -> np.ndarray:
    """Quantiles (count,), descending, of the law of Marchenko and Pastur, mean 1, at (i−½)/count.

    Eigenvalues of ZᵀZ/n for Z (n, p) with independent entries of variance 1, p/n = ratio ≤ 1; for
    ratio > 1 those of ZZᵀ/n, the nonzero ones.  With x = 1 + c − 2√c cos θ the density is
    2 sin²θ/(πx) dθ.  [L]
    """
    checks.number("ratio", ratio, least=0, strict=True)
    checks.integer("count", count, least=1)
    if ratio > 1:
        return ratio * marchenko_pastur(1 / ratio, count)
    theta = np.linspace(0, math.pi, 4001)
    x = 1 + ratio - 2 * math.sqrt(ratio) * np.cos(theta)
    density = 2 * np.sin(theta) ** 2 / np.maximum(x, 1e-300)
    if ratio == 1:
        density[0] = 2.0  # the limit of 2 sin²θ/(2 − 2 cos θ) at θ = 0
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    levels = (np.arange(count, 0, -1) - 0.5) / count
    return np.interp(levels, mass / mass[-1], x)


def ntk_spectrum(
    activation: ActivationLike, d: int, *, degree: int = DEGREE, weight_law: str = "sphere"
) -> Spectrum:
    """ζ_0…ζ_degree of the infinite-width kernel of :func:`escape_ntk.kernels.ntk.infinite_ntk`.

    Unit w and smooth σ':  ζ_ℓ = d[ℓ/(2ℓ+d−2) ξ_{ℓ−1}² + (ℓ+d−2)/(2ℓ+d−2) ξ_{ℓ+1}²] with
    ξ_j = E[σ'(√d τ)P_j(τ)].  [D]  Otherwise ζ_ℓ = E[K P_ℓ] over the kernel's closed form or series.

    Arguments:

    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``d``: dimension of the inputs, ≥ 3;
    * ``degree``: the highest that is kept, ≤ 150; default 12;
    * ``weight_law``: ``"sphere"``, of length 1; or ``"gaussian"``, N(0, I/d).

    Returns a :class:`Spectrum`: ``eigenvalues`` (degree + 1,), ``multiplicities``, ``trace``, and
    what they foresee.

    Errors: :class:`~escape_ntk.checks.InputError` for sizes that cannot be.

    Example:

    >>> spectrum = ntk_spectrum("erf", 10, degree=3)
    >>> spectrum.d, spectrum.eigenvalues.shape, bool(spectrum.eigenvalues[1] > 0)
    (10, (4,), True)
    """
    activation = as_activation(activation)
    degree = _kept_degree(degree)
    checks.one_of("weight_law", weight_law, WEIGHT_LAWS)
    if weight_law == "gaussian" or activation.name == "relu":
        return _spectrum_of_kernel(activation, d, degree, weight_law)
    xi2, square = _squared_coefficients(activation.first, d, degree + 1)
    return _with_rest(d, d * _times_cosine(xi2, d), d * square)


def frozen_start_spectrum(activation: ActivationLike, d: int, *, degree: int = DEGREE) -> Spectrum:
    """Eigenvalues of f_Q's kernel at t = 0 and large s, as m → ∞, for E|s_r|² = 1 and unit w.

    f_Q is linear in t while s does not move:  K_Q = (x·y)²/(8d) E_w[σ''(w·x)σ''(w·y)].  [D]
    A start of size c multiplies all by c².  A ``degree`` beyond 150 raises
    :class:`~escape_ntk.checks.InputError`.
    """
    activation = as_activation(activation)
    degree = _kept_degree(degree)
    xi2, square = _squared_coefficients(activation.second, d, degree + 2)
    lam = d / 8 * _times_cosine(_times_cosine(xi2, d), d)
    return _with_rest(d, lam, d / 8 * square)


def _kept_degree(degree: int) -> int:
    """The highest degree kept, if the quadrature carries it."""
    if checks.integer("degree", degree, least=0) > _MOST_DEGREE:
        raise checks.InputError(
            checks.message(
                expected=f"degree ≤ {_MOST_DEGREE}, what the quadrature carries",
                got=degree,
                remedy="what lies beyond the degrees kept is in ntk_spectrum(…).rest",
            )
        )
    return int(degree)


def _squared_coefficients(function, d: int, degree: int) -> tuple[np.ndarray, float]:
    """ξ_j(g)², j = 0…degree: eigenvalues of τ ↦ E_w[g(w·x)g(w·y)]; and E g(w·x)²."""
    c = gegenbauer_coefficients(function, 2 * NODES // 5, d, n_nodes=NODES)
    return np.array([c[j] ** 2 / multiplicity(d, j) for j in range(degree + 1)]), float(c @ c)


def _times_cosine(lam: np.ndarray, d: int) -> np.ndarray:
    """Eigenvalues of τ·g(τ) from those of g, one degree fewer: the three-term recurrence.

    (2ℓ+d−2) τP_ℓ = ℓP_{ℓ−1} + (ℓ+d−2)P_{ℓ+1}.
    """
    ell = np.arange(len(lam) - 1)
    below = np.concatenate([[0.0], lam[:-2]])
    return (ell * below + (ell + d - 2) * lam[1:]) / (2 * ell + d - 2)


def _spectrum_of_kernel(activation: Activation, d: int, degree: int, weight_law: str) -> Spectrum:
    """ζ_ℓ = E[K(τ)P_ℓ(τ)] = E[dτg(τ)P_ℓ(τ)] by quadrature over τ.

    Good to about 1e-15·d in absolute terms: smaller ζ_ℓ (high degrees) read 0, and what they add to
    the trace is in ``rest``.
    """
    tau, weights = (torch.from_numpy(a) for a in gauss_gegenbauer(d, NODES))
    weighted = weights * d * tau * dual_on_sphere(tau, activation, d, weight_law=weight_law)
    rows = np.eye(degree + 1)
    lam = np.array([float((weighted * gegenbauer_sum(tau, row, d)).sum()) for row in rows])
    lam[np.abs(lam) < 1e-15 * d] = 0.0  # rounding of a ζ_ℓ that is zero, as for ReLU
    one = torch.ones(1, dtype=torch.float64)
    return _with_rest(d, lam, d * float(dual_on_sphere(one, activation, d, weight_law=weight_law)))


def _with_rest(d: int, lam: np.ndarray, trace: float) -> Spectrum:
    kept = sum(value * multiplicity(d, j) for j, value in enumerate(lam))
    return Spectrum(d, lam, max(0.0, trace - float(kept)))


class SphereRidge:
    """Ridge regression with the infinite kernel at inputs X on the sphere, judged with no test set.

    f̂(x) = Σ_i α_i K(x, x_i), α = (K + ridge·I)^{−1}y.  Because ⟨K(·, x_i), h⟩ = ζ_ℓ h(x_i) for a
    harmonic h of degree ℓ, population inner products and norms of f̂ are finite sums.  O(n³) once.
    Inputs off the sphere raise :class:`~escape_ntk.checks.InputError`.  Source: [D].
    """

    def __init__(self, X: Float[Tensor, "n d"], activation: ActivationLike, *, ridge: float = 0.0):
        activation = as_activation(activation)
        self.X = X
        gram = infinite_ntk(X.detach(), X.detach(), activation)
        off = float((X.detach().double().square().mean(1) - 1).abs().max())
        if off > 2 * SPHERE_TOLERANCE[X.dtype]:
            raise checks.InputError(
                checks.message(
                    expected="inputs of length √d",
                    got=f"|x|²/d off by up to {off:.2g}",
                    remedy='draw_inputs(n, d, "sphere", generator)',
                )
            )
        self.spectrum = ntk_spectrum(activation, X.shape[1])
        self.factor = ridge_factor(gram, ridge)
        self.cosine = (X @ X.T).div_(X.shape[1]).clamp_(-1, 1)

    def learned(self, degrees: Sequence[int]) -> np.ndarray:
        """Share with which a harmonic of degree ℓ is learned, averaged over all of that degree.

        ⟨f̂, h⟩ for y = h(X), E h² = 1, averaged over an orthonormal basis: by the addition theorem
        ζ_ℓ tr[(K + ridge·I)^{−1} P_ℓ(XXᵀ/d)].
        """
        inverse = torch.cholesky_inverse(self.factor)
        d, out = self.X.shape[1], []
        for ell in map(self.spectrum.check_degree, degrees):
            row = np.eye(ell + 1)[ell]
            overlap = (inverse * gegenbauer_sum(self.cosine, row, d)).sum()
            out.append(float(self.spectrum.eigenvalues[ell] * overlap))
        return np.array(out)

    def expected_error(self, powers: Sequence[float]) -> float:
        """E(f̂ − f*)² over the sphere, averaged over all f* with ‖P_ℓf*‖² = powers[ℓ], no noise.

        Σ_ℓ powers[ℓ](1 − 2c_ℓ + tr[A K² A P_ℓ(XXᵀ/d)]), A = (K + ridge·I)^{−1}, with the shares
        c_ℓ of :meth:`learned` and K² the zonal kernel of eigenvalues ζ_ℓ².  O(n³).
        """
        self.spectrum.check_degree(len(powers) - 1)
        inverse, d = torch.cholesky_inverse(self.factor), self.X.shape[1]
        middle, total = inverse @ self._square @ inverse, 0.0
        for ell, power in enumerate(powers):
            zonal = gegenbauer_sum(self.cosine, np.eye(ell + 1)[ell], d)
            share = float(self.spectrum.eigenvalues[ell] * (inverse * zonal).sum())
            total += power * (1 - 2 * share + float((middle * zonal).sum()))
        return total

    def error(self, target: Target) -> float:
        """E(f̂ − f*)² over the sphere for y = f*(X): no test set, no noise.

        ‖f*‖² − 2 Σ_parts ζ_ℓ α·h(X) + αᵀK²α, K² the zonal kernel of eigenvalues ζ_ℓ².  Parts that
        are not harmonics on the sphere raise :class:`~escape_ntk.checks.InputError`.
        """
        for part in target.parts:
            self.spectrum.check_degree(part.degree)
            if part.law != "sphere":
                raise checks.InputError(
                    checks.message(
                        expected="a target made of harmonics on the sphere",
                        got=f'a part with law="{part.law}"',
                        remedy='build its parts with law="sphere"',
                    )
                )
        parts = target.part_values(self.X)
        alpha = torch.cholesky_solve(parts.sum(0)[:, None], self.factor)[:, 0]
        lam = self.spectrum.eigenvalues
        cross = sum(
            float(lam[part.degree] * (alpha @ values))
            for part, values in zip(target.parts, parts, strict=True)
        )
        return sum(x**2 for x in target.norms) - 2 * cross + float(alpha @ (self._square @ alpha))

    @functools.cached_property
    def _square(self) -> Tensor:
        """K² at the inputs, kept for further targets."""
        coefficients = self.spectrum.eigenvalues**2 * self.spectrum.multiplicities
        return gegenbauer_sum(self.cosine, coefficients, self.X.shape[1])
