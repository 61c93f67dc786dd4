"""The tangent kernel of the first layer, at finite and at infinite width, and ridge regression.

K(x, y) = φ(x)·φ(y) = (x·y) m^{−1} Σ_r σ'(w_r·x)σ'(w_r·y)  →  (x·y) E_w[σ'(w·x)σ'(w·y)],
at rate m^{−1/2}.  E_w depends on the law of w: uniform on the unit sphere, or N(0, I/d).
Source: [L] for the kernel and its limit; each closed form says its own.
"""

import math
import warnings

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.network import WEIGHT_LAWS, Activation, ActivationLike
from escape_ntk.models.network import activation as as_activation
from escape_ntk.numerics.polynomials import (
    gauss_jacobi,
    gauss_laguerre,
    gegenbauer_coefficients,
    gegenbauer_sum,
    hermite_coefficients,
)

ROUTES = ("auto", "closed", "series", "quadrature")
"""Ways to the infinite kernel, see :func:`infinite_ntk`."""
SERIES_DEGREE = 80
"""Terms of the series; a σ' whose coefficients have not died out by then is refused."""
SERIES_TOLERANCE = 1e-8
"""Part of E σ'² that the series may miss (Parseval)."""
RCOND = 1e-12
"""Kernel eigenvalues below RCOND·λ_max count as zero when the ridge is 0 (float64)."""


def empirical_ntk(
    X: Float[Tensor, "n d"],
    Y: Float[Tensor, "n2 d"],
    weights: Float[Tensor, "p d"],
    activation: ActivationLike,
    *,
    block: int = 8192,
) -> Float[Tensor, "n n2"]:
    """(x·y) p^{−1} Σ_{r ≤ p} σ'(w_r·x)σ'(w_r·y): the kernel of m = 2p paired neurons.

    Arguments:

    * ``X``, ``Y``: inputs (n, d) and (n2, d);
    * ``weights``: frozen weights (p, d);
    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``block``: neurons that are summed at a time: memory O(block·(n + n2) + n·n2).

    Returns a tensor (n, n2).

    Errors: :class:`~escape_ntk.checks.ShapeError` for arrays that do not fit.

    Example:

    >>> X, w = torch.eye(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    >>> empirical_ntk(X, X, w, lambda z: z).tolist()  # σ' = 1: K = x·y
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    activation = as_activation(activation)
    _inputs(X, Y)
    checks.array("weights", weights, (None, X.shape[1]), like=X)
    checks.integer("block", block, least=1)
    total = X.new_zeros(len(X), len(Y))
    for w in weights.split(block):
        total.addmm_(activation.first(X @ w.T), activation.first(Y @ w.T).T)
    return total.mul_(X @ Y.T).div_(len(weights))


def infinite_ntk(
    X: Float[Tensor, "n d"],
    Y: Float[Tensor, "n2 d"],
    activation: ActivationLike,
    *,
    weight_law: str = "sphere",
    route: str = "auto",
) -> Float[Tensor, "n n2"]:
    """(x·y) E_w[σ'(w·x)σ'(w·y)], d ≥ 3: the kernel of infinitely many neurons.

    Arguments:

    * ``X``, ``Y``: inputs (n, d) and (n2, d);
    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``weight_law``: ``"sphere"``, of length 1; or ``"gaussian"``, N(0, I/d);
    * ``route``: ``"closed"`` where one is known (sin, erf with Gaussian w, ReLU); ``"series"`` in
      Gegenbauer polynomials (unit w) or powers (Gaussian w) of x·y/d for |x| = |y| = √d;
      ``"quadrature"`` for any inputs and smooth σ', 4096 evaluations an entry; ``"auto"`` takes
      the first that applies.

    Returns a tensor (n, n2).

    Errors: :class:`~escape_ntk.checks.InputError` for a route that does not apply,
    :class:`~escape_ntk.checks.ShapeError` for arrays that do not fit.

    Example:

    >>> X = 3**0.5 * torch.eye(3, dtype=torch.float64)
    >>> [round(k, 9) for k in infinite_ntk(X, X, "relu").diagonal().tolist()]  # |x|²/2
    [1.5, 1.5, 1.5]
    """
    activation = as_activation(activation)
    _inputs(X, Y)
    checks.one_of("weight_law", weight_law, WEIGHT_LAWS)
    checks.one_of("route", route, ROUTES)
    d, inner = X.shape[1], X @ Y.T
    on_sphere = _on_sphere(X) and _on_sphere(Y)
    if route == "auto":
        known = (activation.name, weight_law) in CLOSED_FORMS
        route = "closed" if known else "series" if on_sphere else "quadrature"
    if route == "closed":
        closed = _closed_form(activation, weight_law)
        return closed(X.square().sum(1)[:, None], Y.square().sum(1), inner, d).mul_(inner)
    if route == "quadrature":
        return _dual_by_quadrature(X, Y, activation, weight_law).mul_(inner)
    if not on_sphere:
        raise checks.InputError(
            checks.message(
                expected=f"inputs of length √d = {math.sqrt(d):.4g} for the series",
                got=f"lengths from {float(X.norm(dim=1).min()):.4g}",
                remedy='route="quadrature"',
            )
        )
    cosine = (inner / d).clamp_(-1, 1)
    return dual_on_sphere(cosine, activation, d, weight_law=weight_law, route="series").mul_(inner)


def dual_on_sphere(
    cosine: Float[Tensor, "*n"],
    activation: ActivationLike,
    d: int,
    *,
    weight_law: str = "sphere",
    route: str = "auto",
) -> Float[Tensor, "*n"]:
    """κ(τ) = E_w[σ'(w·x)σ'(w·y)] for |x| = |y| = √d as a function of τ = x·y/d.

    Routes as in :func:`infinite_ntk`, without ``"quadrature"``.  The series: for unit w
    Σ_j B(d,j) ξ_j(σ')² P_j(τ), by Funk and Hecke; for w ~ N(0, I/d) Σ_j ĉ_j² τ^j with the Hermite
    coefficients ĉ_j = E σ'(Z)he_j(Z).  A route that does not apply, and a series that has not died
    out, raise :class:`~escape_ntk.checks.InputError`.  Source: [L].
    """
    activation = as_activation(activation)
    checks.one_of("weight_law", weight_law, WEIGHT_LAWS)
    known = (activation.name, weight_law) in CLOSED_FORMS
    if checks.one_of("route", route, ROUTES[:3]) == "closed" or (route == "auto" and known):
        square = torch.full_like(cosine, float(d))
        return _closed_form(activation, weight_law)(square, square, d * cosine, d)
    if weight_law == "sphere":
        squares = gegenbauer_coefficients(activation.first, SERIES_DEGREE, d) ** 2
        squares = _truncated(activation.name, squares, _mean_square_on_sphere(activation, d))
        return gegenbauer_sum(cosine, squares, d)
    squares = hermite_coefficients(activation.first, SERIES_DEGREE) ** 2
    more = hermite_coefficients(activation.first, 2 * SERIES_DEGREE) ** 2
    squares = _truncated(activation.name, squares, float(more.sum()))
    total = torch.full_like(cosine, float(squares[-1]))
    for a in squares[-2::-1]:
        total = total.mul_(cosine).add_(float(a))
    return total


def _closed_form(activation: Activation, weight_law: str):
    key = (activation.name, weight_law)
    if key not in CLOSED_FORMS:
        raise checks.InputError(
            checks.message(
                expected="an activation and law with a closed form: "
                + ", ".join(f"{name} ({law})" for name, law in CLOSED_FORMS),
                got=f"{activation.name} ({weight_law})",
                remedy='route="auto"',
            )
        )
    return CLOSED_FORMS[key]


def _mean_square_on_sphere(activation: Activation, d: int) -> float:
    """E σ'(√d τ)² from twice as many coefficients as the series has."""
    c = gegenbauer_coefficients(activation.first, 2 * SERIES_DEGREE, d)
    return float(c @ c)


def _truncated(name: str, squares, total: float):
    """The squared coefficients up to where nothing visible is left; refuse a slow series."""
    missing = total - float(squares.sum())
    if abs(missing) > SERIES_TOLERANCE * total:
        raise checks.InputError(
            checks.message(
                expected=f"σ' of {name!r} smooth enough for {SERIES_DEGREE} terms",
                got=f"{missing / total:.2g} of E σ'² beyond them",
                remedy='route="closed" where there is one, or empirical_ntk at a large width',
            )
        )
    tail = squares[::-1].cumsum()[::-1]
    return squares[: max(1, int((tail > 1e-17 * total).sum()))]


def _dual_by_quadrature(X: Tensor, Y: Tensor, activation: Activation, weight_law: str) -> Tensor:
    """E_w σ'(w·x)σ'(w·y) in polar coordinates of the plane of x and y, entry by entry.

    The projection of w on a plane is rotation invariant: trapezoidal in the angle, Gaussian in
    u = |z|², of density ∝ (1−u)^{(d−4)/2} on [0, 1] for unit w, and 2·Exp(1)/d for Gaussian w.
    Refused when 49 nodes each way differ from 64 on the row of the longest x: a kink of σ'.
    Without a common divisor of the two no angle is missed by the same part of a circle in both.
    """
    fine, coarse = (_polar_rule(n, X, weight_law) for n in (64, 49))
    cosine, length = _cosines(X, Y), Y.norm(dim=1)
    out = torch.empty_like(cosine)
    for i, x in enumerate(X):
        out[i] = _polar_row(activation, x.norm(), length, cosine[i], fine)
    last = int(X.norm(dim=1).argmax())
    check = _polar_row(activation, X[last].norm(), length, cosine[last], coarse)
    gap = float((check - out[last]).abs().max())
    if not gap <= 1e-6 * float(out[last].abs().max()):
        raise checks.InputError(
            checks.message(
                expected=f"σ' of {activation.name!r} smooth enough for quadrature",
                got=f"a change of {gap:.2g} from 49 to 64 nodes",
                remedy='route="closed" where there is one, or empirical_ntk at a large width',
            )
        )
    return out


def _polar_rule(n: int, X: Tensor, weight_law: str) -> tuple[Tensor, Tensor, Tensor]:
    """(z_1, z_2, weight) of n angles times n radii, flattened, with dtype and device of X."""
    d = X.shape[1]
    if weight_law == "sphere":
        u, weights = gauss_jacobi(n, (d - 4) / 2, 0.0)
        radius = np.sqrt((u + 1) / 2)
    else:
        e, weights = gauss_laguerre(n)
        radius = np.sqrt(2 * e / d)
    angle = 2 * math.pi / n * np.arange(n)
    z = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)])[:, None, :]
    rule = (z[0], z[1], np.repeat(weights[:, None] / n, n, axis=1))
    z1, z2, weight = (torch.from_numpy(part.reshape(-1)).to(X) for part in rule)
    return z1, z2, weight


def _polar_row(activation: Activation, x: Tensor, length: Tensor, cosine: Tensor, rule) -> Tensor:
    """E σ'(|x| z_1) σ'(|y| (cosθ z_1 + sinθ z_2)) for one x and all y."""
    z1, z2, weight = rule
    sine = (1 - cosine.square()).clamp(min=0).sqrt()
    plane = cosine[:, None] * z1 + sine[:, None] * z2
    return activation.first(length[:, None] * plane) @ (activation.first(x * z1) * weight)


def _sine_sphere(xx: Tensor, yy: Tensor, xy: Tensor, d: int) -> Tensor:
    """½ Γ(d/2)(2/R)^{d/2−1}J_{d/2−1}(R) = ½ Σ_k (−R²/4)^k/(k! (d/2)_k), R = |x − y|.  [D]

    σ'σ' = ½cos(w·(x−y)) − ½sin(w·(x+y)): the second has mean 0, the first is the characteristic
    function of a unit vector.  64 terms of the series: rounding for R² ≤ 16d, 1e-10 for R² ≤ 32d;
    longer inputs are refused.
    """
    quarter = -(xx + yy - 2 * xy).clamp(min=0) / 4
    if float(quarter.min()) < -8.0 * d:
        raise checks.InputError(
            checks.message(
                expected=f"|x − y|² ≤ 32d = {32 * d} for the closed form",
                got=f"{-4 * float(quarter.min()):.4g}",
                remedy="scale the inputs to |x|² ~ d, or empirical_ntk at a large width",
            )
        )
    total = torch.ones_like(quarter)
    for k in range(64, 0, -1):
        total = total.mul_(quarter).div_(k * (d / 2 + k - 1)).add_(1)
    return total / 2


def _sine_gaussian(xx: Tensor, yy: Tensor, xy: Tensor, d: int) -> Tensor:
    """½ exp(−|x − y|²/(2d)).  [D]"""
    return torch.exp(-(xx + yy - 2 * xy).clamp(min=0) / (2 * d)) / 2


def _erf_gaussian(xx: Tensor, yy: Tensor, xy: Tensor, d: int) -> Tensor:
    """(4/π)((1 + 2|x|²/d)(1 + 2|y|²/d) − 4(x·y/d)²)^{−1/2}.  [L] Williams (1997)"""
    return 4 / math.pi * ((1 + 2 * xx / d) * (1 + 2 * yy / d) - 4 * (xy / d).square()).rsqrt()


def _relu(xx: Tensor, yy: Tensor, xy: Tensor, d: int) -> Tensor:
    """(π − θ)/(2π), θ the angle between x and y; any rotation-invariant w.  [L] Cho, Saul (2009)"""
    squares = (xx * yy).clamp(min=torch.finfo(xy.dtype).tiny)  # 0·∞ for x = 0
    return (math.pi - (xy * squares.rsqrt()).clamp(-1, 1).arccos()) / (2 * math.pi)


CLOSED_FORMS = {
    ("sin(z+pi/4)", "sphere"): _sine_sphere,
    ("sin(z+pi/4)", "gaussian"): _sine_gaussian,
    ("erf", "gaussian"): _erf_gaussian,
    ("relu", "sphere"): _relu,
    ("relu", "gaussian"): _relu,
}
"""E_w σ'(w·x)σ'(w·y) from |x|², |y|², x·y and d, by name of the activation and law of w."""


def ridge_factor(gram: Float[Tensor, "n n"], ridge: float) -> Float[Tensor, "n n"]:
    """The Cholesky factor of K + ridge·I; ``gram`` is overwritten by that matrix.

    :class:`~escape_ntk.checks.RankError` when it is not positive definite to rounding.
    """
    checks.number("ridge", ridge, least=0)
    gram.diagonal().add_(ridge)
    factor, info = torch.linalg.cholesky_ex(gram)
    if int(info):
        raise checks.RankError(
            checks.message(
                expected="K + ridge·I positive definite to rounding",
                got=f"n={len(gram)}, ridge={ridge:g}, a pivot ≤ 0 at row {int(info)}",
                remedy="use ridge > 0, fewer inputs, or float64",
            )
        )
    return factor


class KernelRidge:
    """f(x) = K(x, X) α, α = (K + ridge·I)^{−1} y, for any number of ridges and targets.

    One eigendecomposition in float64, O(n³); each ridge then costs O(n²).  With ridge 0,
    eigenvalues below RCOND·λ_max are cut, with a :class:`~escape_ntk.checks.CutoffWarning`.

    Arguments:

    * ``gram``: K(X, X), (n, n), symmetric: of two opposite entries the mean counts.

    Errors: :class:`~escape_ntk.checks.ShapeError` for what is no finite square matrix.

    Example:

    >>> ridge = KernelRidge(2 * torch.eye(3, dtype=torch.float64))
    >>> ridge, ridge.dual(torch.ones(3), 2.0).tolist()
    (KernelRidge: n = 3, eigenvalues 2 to 2, [0.25, 0.25, 0.25])
    """

    def __init__(self, gram: Float[Tensor, "n n"]):
        checks.array("gram", gram, (None, None))
        checks.array("gram", gram, (len(gram), len(gram)))
        gram = gram.double()
        self.eigenvalues, self.vectors = torch.linalg.eigh((gram + gram.T) / 2)

    def __repr__(self) -> str:
        least, most = (f"{float(self.eigenvalues[i]):.3g}" for i in (0, -1))
        return f"KernelRidge: n = {len(self.eigenvalues)}, eigenvalues {least} to {most}"

    def dual(self, y: Float[Tensor, " n"], ridge: float) -> Float[Tensor, " n"]:
        """α = (K + ridge·I)^{−1} y."""
        checks.number("ridge", ridge, least=0)
        checks.layout("y", y, (len(self.eigenvalues),))
        spectrum = self.eigenvalues.clamp(min=0) + ridge
        inverse = 1 / spectrum
        zero = spectrum <= RCOND * spectrum.max()
        if bool(zero.any()):
            warnings.warn(
                f"{int(zero.sum())} of {len(zero)} kernel eigenvalues below {RCOND:g}·λ_max cut",
                checks.CutoffWarning,
                stacklevel=2,
            )
            inverse[zero] = 0
        return self.vectors @ (inverse * (self.vectors.T @ y.double()))


def _inputs(X: Tensor, Y: Tensor) -> None:
    checks.array("X", X, (None, None))
    checks.array("Y", Y, (None, X.shape[1]), like=X)


def _on_sphere(X: Tensor) -> bool:
    return bool(((X.norm(dim=1) / math.sqrt(X.shape[1]) - 1).abs() < 1e-4).all())


def _cosines(X: Tensor, Y: Tensor) -> Tensor:
    unit_x, unit_y = (Z / Z.norm(dim=1, keepdim=True).clamp(min=1e-300) for Z in (X, Y))
    return (unit_x @ unit_y.T).clamp_(-1, 1)
