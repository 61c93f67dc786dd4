"""Explicit movements that represent a target: the expressivity of f_L and f_Q, written out.

(β·x)^{k+1} = f_Q(x; W) with rank-one movements u_r ∝ m^{−1/4}β: the neuron's own curvature
supplies the missing (β·x)^{k−1}.  f_L makes harmonics with the least norm.  Together they make
dense plus sparse targets.  Source: [D], after the construction of Bai and Lee [L].
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.data import RidgeSum
from escape_ntk.models.network import Activation, ActivationLike
from escape_ntk.models.network import activation as as_activation
from escape_ntk.models.pairs import to_pairs
from escape_ntk.numerics.polynomials import (
    gauss_gegenbauer,
    gegenbauer,
    gegenbauer_coefficients,
    gegenbauer_sum,
    multiplicity,
)

_SPARSE = "escape_ntk.models.data.sparse_part(beta, k + 1, 'sphere')"
LEAST_COEFFICIENT = 1e-10
"""A normalised Gegenbauer coefficient of σ'' below this counts as zero."""


@dataclass(frozen=True, repr=False, eq=False)
class RankOneMovement:
    """u_r = S_r g_r β, g_r = 2|h_r|^{1/2} m^{−1/4}, on the neuron of pair r with a = sign h_r.

    The pair's other neuron rests.  Then f_Q(x) = (β·x)² · p^{−1} Σ_{r≤p} h_r σ''(w_r·x), p = m/2,
    whatever the signs S_r.  Shapes: ``weights`` (p, d), ``beta`` (d,), ``h`` (p,).  [D]
    """

    weights: Tensor
    activation: Activation
    beta: Tensor
    h: Tensor

    def __post_init__(self):
        w = checks.array("weights", self.weights, (None, None))
        checks.array("beta", self.beta, (w.shape[1],), like=w)
        checks.array("h", self.h, (len(w),), like=w)

    def __repr__(self) -> str:
        pairs, d = self.weights.shape
        return f"RankOneMovement: m = {2 * pairs} neurons in R^{d}, {self.activation.name}"

    @property
    def lengths(self) -> Float[Tensor, " p"]:
        """g_r: how far the moving neuron of each pair moves."""
        return 2 * self.h.abs().sqrt() * (2 * len(self.h)) ** -0.25

    @property
    def norm_2_4_to_the_4(self) -> float:
        """‖W‖_{2,4}^4 = Σ_r g_r⁴ = 8·mean(h²): free of the width."""
        return 8 * float(self.h.square().mean())

    def scaled(self, factor: float) -> "RankOneMovement":
        """The movement whose f_Q is ``factor`` times this one's."""
        return RankOneMovement(self.weights, self.activation, self.beta, factor * self.h)

    def movement(self, signs: Float[Tensor, " p"] | None = None) -> Float[Tensor, "m d"]:
        """W (m, d) for :func:`~escape_ntk.models.network.paired_network`; S_r = 1 by default."""
        u = (self._along(signs))[:, None] * self.beta
        positive = (self.h > 0)[:, None]
        return torch.cat([u * positive, u * ~positive])

    def terms(
        self, X: Float[Tensor, "n d"], signs: Float[Tensor, " p"] | None = None, block: int = 8192
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(f_L, f_Q, E_S f_L²) at the rows of X, each (n,), ``block`` pairs at a time.

        E_S f_L² = m^{−1} Σ_r (σ'(w_r·x) g_r β·x)², exactly: the mean over independent signs.
        """
        checks.array("X", X, (None, self.weights.shape[1]), like=self.weights)
        root = math.sqrt(2 * len(self.h))
        linear, quadratic, leak = (X.new_zeros(len(X)) for _ in range(3))
        along, side = self._along(signs), self.h.sign()
        for rows in torch.arange(len(self.h), device=X.device).split(block):
            z = X @ self.weights[rows].T
            first, u, a = self.activation.first(z), along[rows], side[rows]
            linear += first @ (a * u) / root
            leak += first.square() @ u.square() / root**2
            quadratic += self.activation.second(z) @ (a * u.square()) / (2 * root)
        x = X @ self.beta
        return linear * x, quadratic * x.square(), leak * x.square()

    def _along(self, signs: Tensor | None) -> Tensor:
        if signs is None:
            return self.lengths
        checks.array("signs", signs, (len(self.h),), like=self.h)
        return signs * self.lengths


def represent_power(
    weights: Float[Tensor, "p d"],
    activation: ActivationLike,
    beta: Float[Tensor, " d"],
    degree: int,
) -> RankOneMovement:
    """Movement with f_Q → (β·x)^degree on S^{d−1}(√d), at rate m^{−1/2}; degree = k + 1 ≥ 2.

    With (√d τ)^{k−1} = Σ_j e_j P_j(τ), h(w) = Σ_j (e_j/ξ_j(σ'')) P_j(β·w) has
    E_w[h(w)σ''(w·x)] = (β·x)^{k−1} for unit w, by Funk and Hecke.  Only j ≡ k−1 mod 2 occur; each
    needs ξ_j(σ'') ≠ 0, or :class:`~escape_ntk.checks.InputError`.  ‖W‖_{2,4}^4 ~ d^{k−1}.  [D]
    """
    activation = as_activation(activation)
    checks.array("weights", weights, (None, None))
    checks.array("beta", beta, (weights.shape[1],), like=weights)
    _unit("weights", weights.norm(dim=1))
    _unit("beta", beta.norm())
    power, d = checks.integer("degree", degree, least=2) - 2, weights.shape[1]
    wanted = gegenbauer_coefficients(lambda z: z**power, power, d)  # √B e_j/B
    have = gegenbauer_coefficients(activation.second, power, d)  # √B ξ_j
    ratio = [0.0] * (power + 1)
    for j in range(power % 2, power + 1, 2):
        if abs(have[j]) < LEAST_COEFFICIENT:
            raise checks.InputError(
                checks.message(
                    expected=f"σ'' of {activation.name!r} with a component of degree {j}",
                    got=f"{have[j]:.2g}",
                    remedy="an activation that has it, for example sin(z+pi/4)",
                )
            )
        ratio[j] = float(wanted[j] / have[j]) * multiplicity(d, j)
    h = gegenbauer_sum(weights @ beta, ratio, d)
    return RankOneMovement(weights, activation, beta, h)


def least_norm_to_the_4(
    activation: ActivationLike, d: int, degree: int, *, nodes: int = 60
) -> float:
    """A lower bound on ‖W‖_{2,4}^4 of every W with f_Q = (β·x)^degree on S^{d−1}(√d), wide limit.

    With p the normalised zonal harmonic of that degree, c = E[(β·x)^degree p(β·x)] and
    T(w) = E_x[σ''(w·x) p(β·x) xxᵀ] it is 4c²/E_w[½ λ_max⁺(T)² + ½ λ_max⁺(−T)²]: signs and
    directions of the movement are free.  Quadrature with ``nodes`` a variable, d ≥ 4.  [D]
    """
    activation = as_activation(activation)
    checks.integer("d", d, least=4)
    checks.integer("degree", degree, least=2)
    (tau, p_tau), (eta, p_eta) = gauss_gegenbauer(d, nodes), gauss_gegenbauer(d - 1, nodes)
    x1 = math.sqrt(d) * tau[:, None] + 0 * eta  # along β
    x2 = math.sqrt(d) * np.sqrt(1 - tau**2)[:, None] * eta  # along the rest of w
    harmonic = gegenbauer(torch.from_numpy(tau), degree, d).numpy() * multiplicity(d, degree) ** 0.5
    law, total = (p_tau * harmonic)[:, None] * p_eta, 0.0
    for cosine, share in zip(tau, p_tau, strict=True):
        z = torch.from_numpy(cosine * x1 + math.sqrt(1 - cosine**2) * x2)
        g = law * activation.second(z).numpy()
        block = np.array([[(g * a * b).sum() for a in (x1, x2)] for b in (x1, x2)])
        across = float((g * (d - x1**2 - x2**2)).sum()) / (d - 2)
        values = np.append(np.linalg.eigvalsh(block), across)
        total += share * (max(values.max(), 0) ** 2 + max(-values.min(), 0) ** 2) / 2
    wanted = gegenbauer_coefficients(lambda z: z**degree, degree, d)[degree]
    return float(4 * wanted**2 / total)


def represent_harmonic(
    weights: Float[Tensor, "p d"], activation: ActivationLike, part: RidgeSum
) -> Float[Tensor, "p d"]:
    """t_r = 2m^{−1/2} g(w_r) with f_L(·; t) → ``part`` =: h, of degree ℓ, at rate m^{−1/2}.

    The shortest one at infinite width: g(w) = E_x[h(x)σ'(w·x)x]/ζ_ℓ = ∇_w[ξ_ℓ(|w|) h(√d ŵ)]/ζ_ℓ by
    Funk and Hecke, ξ_ℓ(a) = E[σ(a√d τ)P_ℓ(τ)], so that ‖W‖_F² = ½‖t‖² → ‖h‖²/ζ_ℓ with the
    eigenvalue ζ_ℓ = ξ_ℓ'(1)² + ℓ(ℓ+d−2)ξ_ℓ(1)² of the infinite kernel.  For unit weights and
    inputs on the sphere; ζ_ℓ = 0 raises :class:`~escape_ntk.checks.InputError`.  Source: [D].
    """
    activation = as_activation(activation)
    d = part.directions.shape[1]
    checks.array("weights", weights, (None, d), like=part.directions)
    checks.one_of("law of the part", part.law, ("sphere",))
    _unit("weights", weights.norm(dim=1))
    ell, root = part.degree, math.sqrt(multiplicity(d, part.degree))
    size = float(gegenbauer_coefficients(activation.value, ell, d)[ell]) / root
    slope = gegenbauer_coefficients(lambda z: z * activation.first(z), ell, d)
    rise = float(slope[ell]) / root
    eigenvalue = rise**2 + ell * (ell + d - 2) * size**2
    if eigenvalue < LEAST_COEFFICIENT**2:
        raise checks.InputError(
            checks.message(
                expected=f"an activation whose tangent kernel sees degree {ell}",
                got=f"{activation.name!r}, ζ_{ell} = {eigenvalue:.2g}",
                remedy="an activation that does, for example sin(z+pi/4)",
            )
        )
    w = weights.detach().clone().requires_grad_()
    values = part(math.sqrt(d) * w / w.norm(dim=1, keepdim=True))
    turning = torch.autograd.grad(values.sum(), w)[0] if ell else torch.zeros_like(weights)
    g = (rise * values.detach()[:, None] * weights + size * turning) / eigenvalue
    return g * (2 / math.sqrt(2 * len(weights)))


@dataclass(frozen=True, repr=False, eq=False)
class JointMovement:
    """W* = W_L + S W_Q: ``t_linear`` (p, d) moves f_L, ``quadratic`` with signs S f_Q.  [D]"""

    t_linear: Tensor
    quadratic: RankOneMovement

    def __repr__(self) -> str:
        (pairs, d), sigma = self.t_linear.shape, self.quadratic.activation.name
        return f"JointMovement: m = {2 * pairs} neurons in R^{d}, {sigma}"

    def state(self, signs: Float[Tensor, " p"] | None = None) -> Float[Tensor, "2 p d"]:
        """(s, t) of W_L + S W_Q; S = 1 without ``signs``."""
        state = to_pairs(self.quadratic.movement(signs))
        state[1] += self.t_linear
        return state

    def moments(self, X: Float[Tensor, "n d"], block: int = 8192) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance over S of f_L + f_Q at the rows of X, and what S = 1 adds to the mean.

        W_L moves the two neurons of a pair oppositely, so that f_Q(·; W_L) = 0.  With S_r come
        j_r = m^{−1/2}[σ'(w_r·x) t_r·x + ½σ''(w_r·x)(s_r·x)(t_{L,r}·x)] for W_Q = (s, t): the
        variance is Σ_r j_r², the third result Σ_r j_r.  Exact; ``block`` pairs at a time.
        """
        q = self.quadratic
        checks.array("X", X, (None, q.weights.shape[1]), like=q.weights)
        root, x = math.sqrt(2 * len(q.h)), X @ q.beta
        mean, variance, coherent = (X.new_zeros(len(X)) for _ in range(3))
        lengths, side = q.lengths, q.h.sign()
        for rows in torch.arange(len(q.h), device=X.device).split(block):
            z, low = X @ q.weights[rows].T, X @ self.t_linear[rows].T
            first, second = q.activation.first(z), q.activation.second(z)
            u = lengths[rows] * x[:, None]  # s_r·x; t_r = a_r s_r
            mean += ((first * low).sum(1) + (second * u.square()) @ side[rows] / 2) / root
            signed = u * (first * side[rows] + second * low / 2) / root
            variance += signed.square().sum(1)
            coherent += signed.sum(1)
        return mean, variance, coherent


def represent_target(
    weights: Float[Tensor, "p d"],
    activation: ActivationLike,
    low: Sequence[RidgeSum],
    sparse: RidgeSum,
) -> JointMovement:
    """W* with f_L + f_Q → Σ ``low`` + ``sparse`` on S^{d−1}(√d): mean square at rate m^{−1/2}.

    ``low``: harmonics of degree ≤ k.  ``sparse`` = a p_{k+1}(β·x): with z^{k+1} = Σ_j e_j p_j(z),
    f_Q makes (a/e_{k+1})(β·x)^{k+1}, and f_L makes ``low`` − Σ_{j≤k} (a e_j/e_{k+1}) p_j(β·x).
    Then ‖W_L‖_F² → Σ_ℓ ‖h_ℓ‖²/ζ_ℓ over what f_L makes, ~ d^{k−1}, and ‖W*‖_{2,4}^4 ~ d^{k−1}.  [D]

    Arguments:

    * ``weights``: frozen weights (p, d), of length 1;
    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``low``: a sequence of :class:`~escape_ntk.models.data.RidgeSum` on the sphere;
    * ``sparse``: one RidgeSum of one direction, of a higher degree than those.

    Returns a :class:`JointMovement`; its ``state()`` (2, p, d) is what features take.

    Errors: :class:`~escape_ntk.checks.InputError` for a sparse part of several directions, or one
    that is not of the highest degree, or an activation that lacks a degree.

    Example:

    >>> from escape_ntk.models.data import draw_target
    >>> from escape_ntk.models.network import draw_weights
    >>> g = torch.Generator().manual_seed(0)
    >>> dense, sparse = draw_target(1, 5, g).parts
    >>> made = represent_target(draw_weights(40, 5, g), "sin(z+pi/4)", [dense], sparse)
    >>> made, made.state().shape
    (JointMovement: m = 40 neurons in R^5, sin(z+pi/4), torch.Size([2, 20, 5]))
    """
    activation = as_activation(activation)
    checks.without_gradient("weights", checks.array("weights", weights, (None, None)))
    low = checks.items("low", low, RidgeSum, "target.parts[:-1], all but the sparse part")
    checks.instance("sparse", sparse, RidgeSum, _SPARSE)
    checks.one_of("law of the sparse part", sparse.law, ("sphere",))
    top, d = sparse.degree, sparse.directions.shape[1]
    one = len(sparse.directions) == 1
    if not one or any(part.degree >= top for part in low):
        raise checks.InputError(
            checks.message(
                expected="a sparse part of one direction, above the degree of the others",
                got=f"{len(sparse.directions)} directions of degree {top}, others of degrees "
                f"{[part.degree for part in low]}",
                remedy=f"{_SPARSE}, and harmonics of degree ≤ k",
            )
        )
    beta, size = sparse.directions[0], float(sparse.coefficients[0])
    powers = gegenbauer_coefficients(lambda z: z**top, top, d)
    lead = size / float(powers[top])
    below = [
        RidgeSum(sparse.directions, sparse.coefficients * 0 - lead * float(powers[j]), j, "sphere")
        for j in range(top % 2, top, 2)
    ]
    parts = (represent_harmonic(weights, activation, part) for part in (*low, *below))
    t_linear = sum(parts, start=torch.zeros_like(weights))
    return JointMovement(t_linear, represent_power(weights, activation, beta, top).scaled(lead))


def _unit(name: str, lengths: Tensor) -> None:
    off = float((lengths - 1).abs().max())
    if off > 1e-4:
        raise checks.InputError(
            checks.message(
                expected=f"{name} of length 1",
                got=f"lengths off by up to {off:.2g}",
                remedy="divide by the norm",
            )
        )
