"""Explicit movements that represent a target: the expressivity of f_L and f_Q, written out.

(β·x)^{k+1} = f_Q(x; W) with rank-one movements u_r ∝ m^{−1/4}β: the neuron's own curvature
supplies the missing (β·x)^{k−1}.  For several directions each pair moves along two eigenvectors of
a small matrix.  f_L makes harmonics with the least norm.  Together they make dense plus sparse
targets.  Source: [D], after the construction of Bai and Lee [L].
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
    zonal_overlap,
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

    def pair_projections(self, X: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(s_r·x, t_r·x), each (n, rows), of some pairs; S = 1."""
        s = self.lengths[rows] * (X @ self.beta)[:, None]
        return s, self.h.sign()[rows] * s

    def _along(self, signs: Tensor | None) -> Tensor:
        if signs is None:
            return self.lengths
        checks.array("signs", signs, (len(self.h),), like=self.h)
        return signs * self.lengths


@dataclass(frozen=True, repr=False, eq=False)
class PairMovement:
    """u_r on the neuron of pair r with a = +1, v_r on the one with a = −1, both times S_r.

    f_Q(x) = (2√m)^{−1} Σ_{r≤p} σ''(w_r·x)[(u_r·x)² − (v_r·x)²], p = m/2, whatever the signs S_r.
    Shapes: ``weights``, ``up`` = u and ``down`` = v are (p, d).  [D]
    """

    weights: Tensor
    activation: Activation
    up: Tensor
    down: Tensor

    def __post_init__(self):
        w = checks.array("weights", self.weights, (None, None))
        for name in ("up", "down"):
            checks.array(name, getattr(self, name), tuple(w.shape), like=w)

    def __repr__(self) -> str:
        pairs, d = self.weights.shape
        return f"PairMovement: m = {2 * pairs} neurons in R^{d}, {self.activation.name}"

    @property
    def norm_2_4_to_the_4(self) -> float:
        """‖W‖_{2,4}^4 = Σ_r |u_r|⁴ + |v_r|⁴."""
        return float(sum(z.norm(dim=1).pow(4).sum() for z in (self.up, self.down)))

    def movement(self, signs: Float[Tensor, " p"] | None = None) -> Float[Tensor, "m d"]:
        """W (m, d) for :func:`~escape_ntk.models.network.paired_network`; S_r = 1 by default."""
        both = (self.up, self.down)
        if signs is not None:
            checks.array("signs", signs, (len(self.up),), like=self.up)
            both = tuple(signs[:, None] * z for z in both)
        return torch.cat(both)

    def terms(
        self, X: Float[Tensor, "n d"], signs: Float[Tensor, " p"] | None = None, block: int = 8192
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(f_L, f_Q, E_S f_L²) at the rows of X, each (n,), ``block`` pairs at a time.

        E_S f_L² = m^{−1} Σ_r (σ'(w_r·x) (u_r − v_r)·x)², exactly: over independent signs of pairs.
        """
        checks.array("X", X, (None, self.weights.shape[1]), like=self.weights)
        root, pairs = math.sqrt(2 * len(self.up)), len(self.up)
        sign = X.new_ones(pairs) if signs is None else signs
        checks.array("signs", sign, (pairs,), like=self.up)
        linear, quadratic, leak = (X.new_zeros(len(X)) for _ in range(3))
        for rows in torch.arange(pairs, device=X.device).split(block):
            z, (s, t) = X @ self.weights[rows].T, self.pair_projections(X, rows)
            own = self.activation.first(z) * t
            linear += own @ sign[rows] / root
            leak += own.square().sum(1) / root**2
            quadratic += (self.activation.second(z) * s * t).sum(1) / (2 * root)
        return linear, quadratic, leak

    def pair_projections(self, X: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(s_r·x, t_r·x), each (n, rows), of some pairs; S = 1."""
        u, v = X @ self.up[rows].T, X @ self.down[rows].T
        return u + v, u - v


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
    d = weights.shape[1]
    h = gegenbauer_sum(weights @ beta, _shape_of_h(activation, d, degree), d)
    return RankOneMovement(weights, activation, beta, h)


def _shape_of_h(activation: Activation, d: int, degree: int) -> list[float]:
    """e_j/ξ_j(σ''), j ≤ degree − 2: h(w) = Σ_j (·) P_j(β·w)."""
    power = checks.integer("degree", degree, least=2) - 2
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
    return ratio


GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples modulo 1 fill [0, 1) evenly: they share out pairs among eigenvectors."""


def represent_powers(
    weights: Float[Tensor, "p d"],
    activation: ActivationLike,
    betas: Float[Tensor, "q d"],
    coefficients: Float[Tensor, " q"],
    degree: int,
    block: int = 8192,
) -> PairMovement:
    """Movement with f_Q → Σ_j c_j (β_j·x)^degree on S^{d−1}(√d), at rate m^{−1/2}; degree ≥ 2.

    With h of :func:`represent_power` let H(w) = Σ_j c_j h(β_j·w) β_jβ_jᵀ = Σ_i α_i e_ie_iᵀ, and
    H_± its positive and negative part.  Pair r moves its neuron with a = +1 by
    u_r = 2(tr H_+)^{1/2} m^{−1/4} e_i, where i is taken from the α_i > 0 with frequencies
    α_i/tr H_+, and the other by v_r likewise from the α_i < 0.  Then
    ‖W‖_{2,4}^4 = 8·mean_r((tr H_+)² + (tr H_−)²), the least of all movements with
    E[u uᵀ − v vᵀ | w] = 4m^{−1/2}H(w), and at most 8(Σ|c_j|)² E h², the cost of a share of the
    neurons for each direction.  Which i is no matter of chance: pair r takes the quantile
    frac(r(√5−1)/2).  Directions need not be orthogonal.  [D]

    Arguments: ``weights`` (p, d) and ``betas`` (q, d) of length 1, ``coefficients`` (q,),
    ``degree`` = k + 1; ``block`` pairs at a time.

    Errors: :class:`~escape_ntk.checks.InputError` for other lengths, a degree below 2, or an
    activation whose σ'' lacks a degree that is needed.
    """
    activation = as_activation(activation)
    checks.array("weights", weights, (None, None))
    checks.array("betas", betas, (None, weights.shape[1]), like=weights)
    checks.array("coefficients", coefficients, (len(betas),), like=weights)
    _unit("weights", weights.norm(dim=1))
    _unit("betas", betas.norm(dim=1))
    d, ratio = weights.shape[1], _shape_of_h(activation, weights.shape[1], degree)
    basis, R = torch.linalg.qr(betas.T)  # H(w) = basis · R diag(c_j h_j) Rᵀ · basisᵀ
    up, down = torch.zeros_like(weights), torch.zeros_like(weights)
    quantile = (torch.arange(len(weights), device=weights.device).double() * GOLDEN) % 1
    for rows in torch.arange(len(weights), device=weights.device).split(block):
        h = gegenbauer_sum(weights[rows] @ betas.T, ratio, d) * coefficients
        alpha, vectors = torch.linalg.eigh(torch.einsum("ij,pj,kj->pik", R, h, R))
        for side, size in ((up, alpha), (down, -alpha)):
            lengths = 2 * size.clamp(min=0).sum(1).sqrt() * (2 * len(weights)) ** -0.25
            at = _taken(size.clamp(min=0), quantile[rows])
            e = vectors[torch.arange(len(rows)), :, at] @ basis.T
            side[rows] = lengths[:, None] * e
    return PairMovement(weights, activation, up, down)


def _taken(shares: Float[Tensor, "p q"], quantile: Float[Tensor, " p"]) -> Tensor:
    """Index of the share in which the quantile lies, row by row."""
    sums = shares.double().cumsum(1)
    return (sums <= quantile[:, None] * sums[:, -1:]).sum(1).clamp(max=shares.shape[1] - 1)


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
    tau, share = gauss_gegenbauer(d, nodes)
    blocks, across = _curvatures(activation, d, degree, tau, nodes)
    values = np.column_stack([np.linalg.eigvalsh(blocks), across])
    top, low = values.max(1).clip(min=0), (-values.min(1)).clip(min=0)
    wanted = gegenbauer_coefficients(lambda z: z**degree, degree, d)[degree]
    return float(4 * wanted**2 / (share @ (top**2 + low**2) / 2))


def least_norm_of_powers(
    weights: Float[Tensor, "p d"],
    activation: ActivationLike,
    betas: Float[Tensor, "q d"],
    coefficients: Float[Tensor, " q"],
    degree: int,
    *,
    nodes: int = 40,
) -> float:
    """A lower bound on ‖W‖_{2,4}^4 of every W of this network with f_Q = Σ_j c_j (β_j·x)^degree.

    As :func:`least_norm_to_the_4` with g = Σ_j sign(c_j) p(β_j·x) in the place of p: with
    c = E[f_Q g] and T_r = E_x[σ''(w_r·x) g xxᵀ] it is
    4c²/mean_r[½ λ_max⁺(T_r)² + ½ λ_max⁺(−T_r)²], for pairs.  Any directions, d ≥ 4.  [D]

    Arguments: as for :func:`represent_powers`; ``nodes`` of the quadrature a variable.

    Errors: :class:`~escape_ntk.checks.InputError` for d < 4, a degree below 2 and other lengths.
    """
    activation = as_activation(activation)
    checks.array("weights", weights, (None, None))
    checks.array("betas", betas, (None, weights.shape[1]), like=weights)
    checks.array("coefficients", coefficients, (len(betas),), like=weights)
    d = checks.integer("d", weights.shape[1], least=4)
    checks.integer("degree", degree, least=2)
    for name, rows in (("weights", weights), ("betas", betas)):
        _unit(name, rows.norm(dim=1))
    w, b, c = (z.double().cpu() for z in (weights, betas, coefficients))
    eye, T = torch.eye(d, dtype=w.dtype), torch.zeros(len(w), d, d, dtype=w.dtype)
    for beta, sign in zip(b, c.sign(), strict=True):
        cosine = (w @ beta).clamp(-1, 1)
        blocks, across = map(
            torch.from_numpy, _curvatures(activation, d, degree, cosine.numpy(), nodes)
        )
        rest = w - cosine[:, None] * beta
        rest = rest / rest.norm(dim=1, keepdim=True).clamp(min=1e-12)
        plane = torch.stack([beta.expand_as(rest), rest], dim=1)  # (p, 2, d)
        inner = blocks - across[:, None, None] * torch.eye(2, dtype=w.dtype)
        own = across[:, None, None] * eye + plane.mT @ inner @ plane
        T += sign * own
    values = torch.linalg.eigvalsh(T)
    size = (values[:, -1].clamp(min=0).square() + (-values[:, 0]).clamp(min=0).square()).mean() / 2
    wanted = gegenbauer_coefficients(lambda z: z**degree, degree, d)[degree]
    overlap = zonal_overlap((b @ b.T).clamp(-1, 1), degree, d, "sphere")
    return float(4 * (wanted * float(c @ overlap @ c.sign())) ** 2 / size)


def _curvatures(
    activation: Activation, d: int, degree: int, cosines: np.ndarray, nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """E_x[σ''(w·x) p(β·x) xxᵀ] for each β·w: its block (·, 2, 2) in span(β, w), its value across.

    The block is in β and the part of w across it, normalised.
    """
    (tau, p_tau), (eta, p_eta) = gauss_gegenbauer(d, nodes), gauss_gegenbauer(d - 1, nodes)
    x1 = math.sqrt(d) * tau[:, None] + 0 * eta  # along β
    x2 = math.sqrt(d) * np.sqrt(1 - tau**2)[:, None] * eta  # along the rest of w
    harmonic = gegenbauer(torch.from_numpy(tau), degree, d).numpy() * multiplicity(d, degree) ** 0.5
    law = (p_tau * harmonic)[:, None] * p_eta
    blocks, across = np.empty((len(cosines), 2, 2)), np.empty(len(cosines))
    for at, cosine in enumerate(cosines):
        z = torch.from_numpy(cosine * x1 + math.sqrt(1 - cosine**2) * x2)
        g = law * activation.second(z).numpy()
        blocks[at] = [[(g * a * b).sum() for a in (x1, x2)] for b in (x1, x2)]
        across[at] = (g * (d - x1**2 - x2**2)).sum() / (d - 2)
    return blocks, across


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
    quadratic: RankOneMovement | PairMovement

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
        root = math.sqrt(2 * len(q.weights))
        mean, variance, coherent = (X.new_zeros(len(X)) for _ in range(3))
        for rows in torch.arange(len(q.weights), device=X.device).split(block):
            z, low = X @ q.weights[rows].T, X @ self.t_linear[rows].T
            first, second = q.activation.first(z), q.activation.second(z)
            s, t = q.pair_projections(X, rows)
            mean += (first * low + second * s * t / 2).sum(1) / root
            signed = (first * t + second * s * low / 2) / root
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

    ``low``: harmonics of degree ≤ k.  ``sparse`` = Σ_i a_i p_{k+1}(β_i·x): with
    z^{k+1} = Σ_j e_j p_j(z), f_Q makes Σ_i (a_i/e_{k+1})(β_i·x)^{k+1}, and f_L makes
    ``low`` − Σ_i Σ_{j≤k} (a_i e_j/e_{k+1}) p_j(β_i·x).  Then ‖W_L‖_F² → Σ_ℓ ‖h_ℓ‖²/ζ_ℓ over what
    f_L makes, ~ d^{k−1}, and ‖W*‖_{2,4}^4 ~ (Σ|a_i|)² d^{k−1}: linear in the number of orthogonal
    directions, all of one size, when ``sparse`` keeps its norm.  [D]

    Arguments:

    * ``weights``: frozen weights (p, d), of length 1;
    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``low``: a sequence of :class:`~escape_ntk.models.data.RidgeSum` on the sphere;
    * ``sparse``: one RidgeSum of one direction or several, of a higher degree than those.

    Returns a :class:`JointMovement`; its ``state()`` (2, p, d) is what features take.

    Errors: :class:`~escape_ntk.checks.InputError` for a sparse part that is not of the highest
    degree, or of a degree below 2, or an activation that lacks a degree.

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
    if any(part.degree >= top for part in low):
        raise checks.InputError(
            checks.message(
                expected="a sparse part above the degree of the others",
                got=f"one of degree {top}, others of degrees {[part.degree for part in low]}",
                remedy=f"{_SPARSE}, and harmonics of degree ≤ k",
            )
        )
    powers = gegenbauer_coefficients(lambda z: z**top, top, d)
    lead = sparse.coefficients.double() / float(powers[top])
    below = [
        RidgeSum(sparse.directions, (-lead * float(powers[j])).to(weights.dtype), j, "sphere")
        for j in range(top % 2, top, 2)
    ]
    if len(lead) == 1:
        beta, size = sparse.directions[0], float(lead)
        quadratic = represent_power(weights, activation, beta, top).scaled(size)
    else:
        size = lead.to(weights.dtype)
        quadratic = represent_powers(weights, activation, sparse.directions, size, top)
    parts = (represent_harmonic(weights, activation, part) for part in (*low, *below))
    return JointMovement(sum(parts, start=torch.zeros_like(weights)), quadratic)


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
