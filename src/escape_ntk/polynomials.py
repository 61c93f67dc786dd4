"""Hermite and Gegenbauer polynomials in the normalisation of the book, and their quadratures.

Two laws of the inputs, two families of orthogonal polynomials of a single projection β·x, |β| = 1:

* ``"gaussian"``: x ~ N(0, I_d), probabilists' Hermite polynomials He_ℓ(β·x), E[He_ℓ²] = ℓ!;
* ``"sphere"``:   x uniform on S^{d−1}(√d), Gegenbauer polynomials Q_ℓ(√d β·x), Q_ℓ(d) = 1,
  E[Q_ℓ²] = 1/B(d, ℓ) with the multiplicity B(d, ℓ) of degree-ℓ harmonics.

Source: [L] Szegő, *Orthogonal Polynomials*; conventions of the book's notation page.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks

LAWS = ("gaussian", "sphere")


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
    """n_k = Σ_{j ≤ k} B(d, j), the number of good directions of degree ≤ k; ~ d^k/k!.  [L]"""
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


def gauss_hermite(n_nodes: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Nodes z_i and weights w_i with Σ w_i g(z_i) = E[g(Z)], Z ~ N(0,1), exact to degree 2n−1."""
    z, w = np.polynomial.hermite_e.hermegauss(checks.integer("n_nodes", n_nodes, least=1))
    return z, w / math.sqrt(2 * math.pi)


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
