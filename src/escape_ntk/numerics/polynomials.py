"""Hermite and Gegenbauer polynomials in the normalisation of the book, and their quadratures.

Two laws of the inputs, two families of orthogonal polynomials of a single projection β·x, |β| = 1:

* ``"gaussian"``: x ~ N(0, I_d), probabilists' Hermite polynomials He_ℓ(β·x), E[He_ℓ²] = ℓ!;
* ``"sphere"``:   x uniform on S^{d−1}(√d), Gegenbauer polynomials Q_ℓ(√d β·x), Q_ℓ(d) = 1,
  E[Q_ℓ²] = 1/B(d, ℓ) with the multiplicity B(d, ℓ) of degree-ℓ harmonics.

Source: [L] Szegő, *Orthogonal Polynomials*; conventions of the book's notation page.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks

LAWS = ("gaussian", "sphere")
"""Laws of the inputs: N(0, I_d), and uniform on S^{d−1}(√d)."""


def multiplicity(d: int, degree: int) -> int:
    """B(d, ℓ) = (2ℓ+d−2)/(d−2) · C(ℓ+d−3, ℓ): independent degree-ℓ harmonics on S^{d−1}.

    Needs d ≥ 3, where Gegenbauer polynomials are defined by this formula.  Source: [L].

    >>> [multiplicity(100, ell) for ell in range(3)]
    [1, 100, 5049]
    """
    _gegenbauer_dimension(d)
    checks.integer("degree", degree, least=0)
    return (2 * degree + d - 2) * math.comb(degree + d - 3, degree) // (d - 2)


def cumulative_multiplicity(d: int, k: int) -> int:
    """n_k = Σ_{j ≤ k} B(d, j), the number of learnable directions: degrees ≤ k; ~ d^k/k!.  [L]"""
    return sum(multiplicity(d, j) for j in range(checks.integer("k", k, least=0) + 1))


def normalized_hermite(z: Float[Tensor, "*n"], degree: int) -> Float[Tensor, "*n"]:
    """he_ℓ(z) = He_ℓ(z)/√ℓ!, orthonormal under N(0,1).  Three-term recurrence, any shape."""
    checks.integer("degree", degree, least=0)
    before, now = torch.zeros_like(z), torch.ones_like(z)
    for j in range(degree):
        before, now = now, (z * now - math.sqrt(j) * before) / math.sqrt(j + 1)
    return now


def gegenbauer(tau: Float[Tensor, "*n"], degree: int, d: int) -> Float[Tensor, "*n"]:
    """P_ℓ(τ) = Q_ℓ(dτ) for τ ∈ [−1, 1], with P_ℓ(1) = 1 (d ≥ 3).

    (ℓ+d−2) P_{ℓ+1} = (2ℓ+d−2) τ P_ℓ − ℓ P_{ℓ−1}.  Source: [L].
    """
    _gegenbauer_dimension(d)
    checks.integer("degree", degree, least=0)
    before, now = torch.zeros_like(tau), torch.ones_like(tau)
    for j in range(degree):
        before, now = now, ((2 * j + d - 2) * tau * now - j * before) / (j + d - 2)
    return now


def zonal(z: Float[Tensor, "*n"], degree: int, d: int, law: str) -> Float[Tensor, "*n"]:
    """The degree-ℓ polynomial of the projection z = β·x with population mean square 1.

    he_ℓ(z) for Gaussian inputs, √B(d,ℓ) P_ℓ(z/√d) on the sphere of radius √d.
    """
    checks.one_of("law", law, LAWS)
    if law == "gaussian":
        return normalized_hermite(z, degree)
    return math.sqrt(multiplicity(d, degree)) * gegenbauer(z / math.sqrt(d), degree, d)


def zonal_overlap(cosine: Float[Tensor, "*n"], degree: int, d: int, law: str):
    """E[zonal_ℓ(β·x) zonal_ℓ(β'·x)] as a function of β·β': ρ^ℓ (Gaussian) or P_ℓ(ρ) (sphere)."""
    checks.one_of("law", law, LAWS)
    return cosine**degree if law == "gaussian" else gegenbauer(cosine, degree, d)


def gegenbauer_sum(
    tau: Float[Tensor, "*n"], coefficients: Sequence[float] | np.ndarray, d: int
) -> Float[Tensor, "*n"]:
    """Σ_ℓ c_ℓ P_ℓ(τ), any shape of τ, by the recurrence of :func:`gegenbauer` in one sweep."""
    _gegenbauer_dimension(d)
    total = torch.full_like(tau, float(coefficients[0]))
    before, now = torch.zeros_like(tau), torch.ones_like(tau)
    for j, c in enumerate(coefficients[1:]):
        after = (tau * now).mul_((2 * j + d - 2) / (j + d - 2))
        after.sub_(before, alpha=j / (j + d - 2))
        before, now = now, after
        total.add_(now, alpha=float(c))
    return total


def gauss_jacobi(n_nodes: int, alpha: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the probability density ∝ (1−τ)^α (1+τ)^β on [−1, 1], α, β > −1.

    Σ w_i g(τ_i) = E g(τ) exactly to degree 2n−1.  Golub and Welsch: eigenvalues of the Jacobi
    matrix, weights from its eigenvectors' first entries; accurate at α in the thousands, where
    ``scipy.special.roots_jacobi`` returns NaN.  Source: [L].
    """
    nodes, vectors = _jacobi_eigensystem(n_nodes, alpha, beta)
    return nodes.copy(), vectors[0] ** 2


def gauss_gegenbauer(d: int, n_nodes: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Nodes τ_i, weights w_i: Σ w_i g(τ_i) = E g(τ), τ = first coordinate of a point of S^{d−1}."""
    half = (_gegenbauer_dimension(d) - 3) / 2
    return gauss_jacobi(n_nodes, half, half)


def gegenbauer_coefficients(
    function: Callable[[Tensor], Tensor], degree: int, d: int, *, n_nodes: int = 200
) -> np.ndarray:
    """E[g(√d τ) √B(d,j) P_j(τ)] for j = 0…degree: √B(d,j) times the book's ξ_j(g).

    Parseval: Σ_j (·)² = E g(√d τ)².  Quadrature in float64, for smooth g; √w_i times the
    orthonormal polynomials at the nodes are the eigenvectors themselves, so nothing overflows.
    A degree ≥ ``n_nodes`` raises :class:`~escape_ntk.checks.InputError`.
    """
    half = (_gegenbauer_dimension(d) - 3) / 2
    if checks.integer("degree", degree, least=0) >= checks.integer("n_nodes", n_nodes, least=1):
        raise checks.InputError(
            checks.message(
                expected=f"degree below the number of nodes {n_nodes}",
                got=degree,
                remedy=f"n_nodes={2 * degree + 2}",
            )
        )
    tau, vectors = _jacobi_eigensystem(n_nodes, half, half)
    values = function(torch.from_numpy(math.sqrt(d) * tau)).numpy()
    return vectors[: degree + 1] @ (vectors[0] * values)


def _jacobi_eigensystem(n_nodes: int, alpha: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes τ_i, and √w_i p_j(τ_i) in row j, with the orthonormal polynomials p_j; read-only."""
    checks.integer("n_nodes", n_nodes, least=1)
    checks.number("alpha", alpha, least=-1, strict=True)
    checks.number("beta", beta, least=-1, strict=True)
    return _golub_welsch(int(n_nodes), float(alpha), float(beta))


@functools.lru_cache(maxsize=32)  # of 400 nodes: 1.3 MB each
def _golub_welsch(n_nodes: int, alpha: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    from scipy.linalg import eigh_tridiagonal  # scipy takes longer to import than this package

    j, total = np.arange(1, n_nodes, dtype=float), alpha + beta
    first = (beta - alpha) / (total + 2)
    diagonal = (beta**2 - alpha**2) / ((2 * j + total) * (2 * j + total + 2))
    ratio = np.ones_like(j)  # (j+α+β)/(2j+α+β−1) is 1 at j = 1, also where it reads 0/0
    ratio[1:] = (j[1:] + total) / (2 * j[1:] + total - 1)
    below = 4 * j * (j + alpha) * (j + beta) * ratio / ((2 * j + total) ** 2 * (2 * j + total + 1))
    nodes, vectors = eigh_tridiagonal(np.concatenate([[first], diagonal]), np.sqrt(below))
    vectors = vectors * np.where(vectors[0] < 0, -1.0, 1.0)
    for array in (nodes, vectors):
        array.flags.writeable = False
    return nodes, vectors


def gauss_hermite(n_nodes: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Nodes z_i and weights w_i with Σ w_i g(z_i) = E[g(Z)], Z ~ N(0,1), exact to degree 2n−1."""
    z, w = np.polynomial.hermite_e.hermegauss(checks.integer("n_nodes", n_nodes, least=1))
    return z, w / math.sqrt(2 * math.pi)


def gauss_laguerre(n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights with Σ w_i g(e_i) = E g(E), E ~ Exp(1), exact to degree 2n−1.  [L]"""
    return np.polynomial.laguerre.laggauss(checks.integer("n_nodes", n_nodes, least=1))


def hermite_coefficients(
    function: Callable[[Tensor], Tensor], degree: int, *, n_nodes: int = 200
) -> np.ndarray:
    """E[g(Z) he_j(Z)] for j = 0…degree (so E[g(Z) He_j(Z)]² / j! is its square).

    Gauss–Hermite quadrature in float64; Parseval: Σ_j (·)² = E[g(Z)²].
    """
    z, w = gauss_hermite(n_nodes)
    nodes = torch.from_numpy(z)
    weighted = torch.from_numpy(w) * function(nodes)
    return np.array(
        [float((weighted * normalized_hermite(nodes, j)).sum()) for j in range(degree + 1)]
    )


def _gegenbauer_dimension(d: int) -> int:
    remedy = "use d ≥ 3, or Gaussian inputs with Hermite polynomials"
    return checks.integer("d", d, least=3, remedy=remedy)
