"""The tangent kernel of the first layer, at finite and at infinite width, and ridge regression.

K(x, y) = φ(x)·φ(y) = (x·y) m^{−1} Σ_r σ'(w_r·x)σ'(w_r·y)  →  (x·y) E_w[σ'(w·x)σ'(w·y)],
at rate m^{−1/2}.  E_w depends on the law of w: uniform on the unit sphere, or N(0, I/d).
Source: [L] for the kernel and its limit; each closed form says its own.
"""

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from escape_ntk import checks
from escape_ntk.models.data import SPHERE_TOLERANCE
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
_BLOCK = 2**16
"""Entries of the kernel that are computed at a time."""
SERIES_DEGREE = 80
"""Terms of the series; a σ' whose coefficients have not died out by then is refused."""
SERIES_TOLERANCE = 1e-8
"""Part of E σ'² that the series may miss (Parseval)."""
RCOND = 1e-12
"""Eigenvalues of K + ridge·I below RCOND·λ_max count as zero (K in float64)."""
RCOND_SINGLE = 1e-6
"""The same for a K in float32, whose entries are rounded to 6e-8."""
_ASYMMETRY = 1e-5
"""Part of max |K| by which K and Kᵀ may differ: rounding and quadrature stay below it."""


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

    Returns a tensor (n, n2), differentiable in X and Y.

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
    return _finite(total.mul_(X @ Y.T).div_(len(weights)))


def infinite_ntk(
    X: Float[Tensor, "n d"],
    Y: Float[Tensor, "n2 d"],
    activation: ActivationLike,
    *,
    weight_law: str = "sphere",
    route: str = "auto",
) -> Float[Tensor, "n n2"]:
    """(x·y) E_w[σ'(w·x)σ'(w·y)]: the kernel of infinitely many neurons.

    Series and quadrature of unit weights are for d ≥ 3, closed forms for any d.

    Arguments:

    * ``X``, ``Y``: inputs (n, d) and (n2, d);
    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``weight_law``: ``"sphere"``, of length 1; or ``"gaussian"``, N(0, I/d);
    * ``route``: ``"closed"`` where one is known (sin, erf with Gaussian w, ReLU); ``"series"`` in
      Gegenbauer polynomials (unit w) or powers (Gaussian w) of x·y/d for |x| = |y| = √d;
      ``"quadrature"`` for any inputs and smooth σ', 4096 evaluations an entry; ``"auto"`` takes
      the first that applies.

    Returns a tensor (n, n2), computed in float64 and rounded to the dtype of X.

    Gradients in X and Y: first derivatives on every route but the series, which knows x·y alone;
    ``"auto"`` then takes quadrature, and the series is refused.  Closed forms have higher ones too,
    ReLU's but at x ∥ y, where g has a kink, |θ|: there its slope is taken as 0, the mean of those
    on both sides, so that ∇_x K(x, x) = x is right and ∂K(x, y)/∂x at y = x is y/2.

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
    dtype, off = X.dtype, max(_off_sphere(X), _off_sphere(Y))
    differentiated = _differentiated(X, Y)
    on_sphere = off <= SPHERE_TOLERANCE[dtype]
    if route == "auto":
        known = (activation.name, weight_law) in CLOSED_FORMS
        smooth = "series" if on_sphere and not differentiated else "quadrature"
        route = "closed" if known else smooth
    X, Y = X.double(), Y.double()
    d = X.shape[1]
    if weight_law == "sphere" and route != "closed":
        remedy = 'weight_law="gaussian", or empirical_ntk at a large width'
        checks.integer("d, the dimension of the inputs,", d, least=3, remedy=remedy)
    if route == "quadrature":
        K = _dual_by_quadrature(X, Y, activation, weight_law) * (X @ Y.T)
        return _finite(K.to(dtype))
    if route == "closed":
        closed, sizes = _closed_form(activation, weight_law), Y.square().sum(1)

        def dual(x: Tensor, inner: Tensor) -> Tensor:
            return closed(x.square().sum(1)[:, None], sizes, inner, d)
    else:
        _refuse_series(d, off if not on_sphere else 0.0, differentiated)
        series = _series(activation, d, weight_law)

        def dual(x: Tensor, inner: Tensor) -> Tensor:
            return series((inner / d).clamp_(-1, 1))

    blocks = []
    for x in X.split(max(1, _BLOCK // len(Y))):  # what is done entry by entry stays in a cache
        inner = x @ Y.T
        blocks.append((dual(x, inner) * inner).to(dtype))
    return _finite(torch.cat(blocks))


def _refuse_series(d: int, off: float, differentiated: bool) -> None:
    """The series holds on the sphere alone, and its slope in x·y is no gradient in x."""
    if not (off or differentiated):
        return
    expected = f"inputs of length √d = {math.sqrt(d):.4g} for the series"
    got = f"|x|/√d off by up to {off:.2g}"
    if differentiated:
        expected, got = "inputs without gradient for the series", "inputs that carry one"
    raise checks.InputError(checks.message(expected=expected, got=got, remedy='route="quadrature"'))


def dual_on_sphere(
    cosine: Float[Tensor, "*n"],
    activation: ActivationLike,
    d: int,
    *,
    weight_law: str = "sphere",
    route: str = "auto",
) -> Float[Tensor, "*n"]:
    """g(τ) = E_w[σ'(w·x)σ'(w·y)] for |x| = |y| = √d as a function of τ = x·y/d.

    Routes as in :func:`infinite_ntk`, without ``"quadrature"``.  The series: for unit w
    Σ_j B(d,j) ξ_j(σ')² P_j(τ), by Funk and Hecke; for w ~ N(0, I/d) Σ_j ĉ_j² τ^j with the Hermite
    coefficients ĉ_j = E σ'(Z)he_j(Z).  A route that does not apply, a series that has not died
    out, |τ| > 1 and ReLU's slope at τ = ±1, which is infinite, raise
    :class:`~escape_ntk.checks.InputError`.  Source: [L].
    """
    activation = as_activation(activation)
    checks.array("cosine", cosine, (None,) * getattr(cosine, "ndim", 1))
    checks.one_of("weight_law", weight_law, WEIGHT_LAWS)
    checks.one_of("route", route, ROUTES[:3])
    top = float(cosine.detach().abs().max())
    if top > 1 + SPHERE_TOLERANCE[cosine.dtype]:
        expected, remedy = "cosines τ = x·y/d in [−1, 1]", "divide x·y by |x||y|"
        raise checks.InputError(checks.message(expected=expected, got=top, remedy=remedy))
    known = (activation.name, weight_law) in CLOSED_FORMS
    if route == "series" or (route == "auto" and not known):
        return _series(activation, d, weight_law)(cosine)
    closed = _closed_form(activation, weight_law)
    if activation.name == "relu" and top >= 1 and _differentiated(cosine):
        expected, got = "|τ| < 1 where ReLU's g is differentiated", "τ = ±1, an infinite slope"
        raise checks.InputError(checks.message(expected=expected, got=got, remedy="leave it out"))
    square = torch.full_like(cosine, float(d))
    return closed(square, square, d * cosine, d)


def _series(activation: Activation, d: int, weight_law: str) -> Callable[[Tensor], Tensor]:
    """Gegenbauer polynomials (unit w) or powers (Gaussian w) of τ: a function of τ."""
    if weight_law == "sphere":
        squares = gegenbauer_coefficients(activation.first, SERIES_DEGREE, d) ** 2
        squares = _truncated(activation.name, squares, _mean_square_on_sphere(activation, d))
        return partial(gegenbauer_sum, coefficients=squares, d=d)
    squares = hermite_coefficients(activation.first, SERIES_DEGREE) ** 2
    more = hermite_coefficients(activation.first, 2 * SERIES_DEGREE) ** 2
    squares = _truncated(activation.name, squares, float(more.sum()))

    def powers(cosine: Tensor) -> Tensor:
        total = torch.full_like(cosine, float(squares[-1]))
        for a in squares[-2::-1]:
            total = total.mul_(cosine).add_(float(a))
        return total

    return powers


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
    if _forward_mode(X, Y):
        expected, got = "a kernel by quadrature differentiated backwards", "forward mode"
        remedy = "torch.autograd.grad, or torch.func.jacrev"
        raise checks.InputError(checks.message(expected=expected, got=got, remedy=remedy))
    fine, coarse = (_polar_rule(n, X, weight_law) for n in (64, 49))
    out = cast(Tensor, _Quadrature.apply(X, Y, activation, fine, coarse))
    X, Y = X.detach(), Y.detach()
    last = int(X.norm(dim=1).argmax())
    check = _polar_row(activation, X[last].norm(), Y.norm(dim=1), _cosines(X, Y)[last], coarse)
    _refuse_a_kink(activation, out[last].detach(), check)
    return out


def _refuse_a_kink(activation: Activation, fine: Tensor, coarse: Tensor) -> None:
    """Refuse σ' when many nodes and fewer do not agree to 1e-6."""
    gap = float((coarse - fine).abs().max())
    if not gap <= 1e-6 * float(fine.abs().max()):
        raise checks.InputError(
            checks.message(
                expected=f"σ' of {activation.name!r} smooth enough for quadrature",
                got=f"a change of {gap:.2g} from 49 to 64 nodes",
                remedy='route="closed" where there is one, or empirical_ntk at a large width',
            )
        )


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


class _Quadrature(torch.autograd.Function):
    """g(x_i, y_j) by quadrature, with ∇_x g = E w σ''(w·x)σ'(w·y) and ∇_y g by the same rule.

    Automatic differentiation fails at x ∥ y, where sin θ has no slope; these have one.
    """

    @staticmethod
    def forward(X, Y, activation, rule, coarse):
        cosine, length = _cosines(X, Y), Y.norm(dim=1)
        out = torch.empty_like(cosine)
        for i, x in enumerate(X):
            out[i] = _polar_row(activation, x.norm(), length, cosine[i], rule)
        return out

    @staticmethod
    def setup_context(ctx, inputs, output):
        X, Y, *ctx.rest = inputs
        ctx.save_for_backward(X, Y)

    @staticmethod
    def backward(ctx, *grad_outputs):
        X, Y = ctx.saved_tensors
        return *_FirstOnly.apply(X, Y, grad_outputs[0], *ctx.rest), None, None, None


class _FirstOnly(torch.autograd.Function):
    """Σ_ij c_ij ∇g(x_i, y_j) in X and in Y; differentiated once more, it refuses."""

    @staticmethod
    def forward(X, Y, g, activation, rule, coarse):
        longest = X[int(X.norm(dim=1).argmax())]
        ends = (torch.cat(_polar_slopes(activation, longest, Y, r)) for r in (rule, coarse))
        _refuse_a_kink(activation, *ends)
        along_x, along_y = torch.zeros_like(X), torch.zeros_like(Y)
        for i, x in enumerate(X):
            rows_x, rows_y = _polar_slopes(activation, x, Y, rule)
            along_x[i] = g[i] @ rows_x
            along_y += g[i][:, None] * rows_y
        return along_x, along_y

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, *grad_outputs):
        expected, got = "first derivatives of a kernel by quadrature", "second ones"
        remedy = 'an activation and law with route="closed", or empirical_ntk'
        raise checks.InputError(checks.message(expected=expected, got=got, remedy=remedy))


def _polar_slopes(activation: Activation, x: Tensor, Y: Tensor, rule) -> tuple[Tensor, Tensor]:
    """∇_x g(x, y_j) and ∇_y g(x, y_j), each (n2, d), for one x and all y.

    In the plane of e = x/|x| and of e', the unit vector of y − (y·e)e, which is 0 for y ∥ x:
    there the parts along e' vanish by symmetry.
    """
    z1, z2, weight = rule
    tiny = torch.finfo(x.dtype).tiny
    length, e = Y.norm(dim=1, keepdim=True), x / x.norm().clamp(min=tiny)
    unit = Y / length.clamp(min=tiny)
    cosine = (unit @ e).clamp(-1, 1)[:, None]
    rest = unit - cosine * e
    sine = rest.norm(dim=1, keepdim=True)  # √(1 − cos²) would be 1e-8 in place of 0
    across = rest / sine.clamp(min=tiny)
    u, v = x.norm() * z1, length * (cosine * z1 + sine * z2)
    first_x, second_x = activation.first(u) * weight, activation.second(u) * weight
    first_y, second_y = activation.first(v), activation.second(v)
    moments = torch.stack([z1, z2], dim=1)  # (nodes, 2): coordinates along e and e'
    in_x = first_y @ (second_x[:, None] * moments)
    in_y = second_y @ (first_x[:, None] * moments)
    along_x, along_y = (c[:, :1] * e + c[:, 1:] * across for c in (in_x, in_y))
    return along_x, along_y


def _sine_sphere(xx: Tensor, yy: Tensor, xy: Tensor, d: int) -> Tensor:
    """½ Γ(d/2)(2/R)^{d/2−1}J_{d/2−1}(R) = ½ Σ_k (−R²/4)^k/(k! (d/2)_k), R = |x − y|.  [D]

    σ'σ' = ½cos(w·(x−y)) − ½sin(w·(x+y)): the second has mean 0, the first is the characteristic
    function of a unit vector.  64 terms of the series: rounding for R² ≤ 16d, 1e-10 for R² ≤ 32d;
    longer inputs are refused.
    """
    quarter = -_squared_distance(xx, yy, xy) / 4
    longest = -4 * float(quarter.detach().min())
    if longest > 32.0 * d:
        raise checks.InputError(
            checks.message(
                expected=f"|x − y|² ≤ 32d = {32 * d} for the closed form",
                got=f"{longest:.4g}",
                remedy="scale the inputs to |x|² ~ d, or empirical_ntk at a large width",
            )
        )
    total = torch.ones_like(quarter)
    for k in range(64, 0, -1):
        total = total.mul_(quarter).div_(k * (d / 2 + k - 1)).add_(1)
    return total / 2


def _sine_gaussian(xx: Tensor, yy: Tensor, xy: Tensor, d: int) -> Tensor:
    """½ exp(−|x − y|²/(2d)).  [D]"""
    return torch.exp(-_squared_distance(xx, yy, xy) / (2 * d)) / 2


def _squared_distance(xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """|x − y|² ≥ 0, differentiable as often as one likes also where rounding made it negative."""
    square = xx + yy - 2 * xy
    return square - square.detach().clamp(max=0)


def _erf_gaussian(xx: Tensor, yy: Tensor, xy: Tensor, d: int) -> Tensor:
    """(4/π)((1 + 2|x|²/d)(1 + 2|y|²/d) − 4(x·y/d)²)^{−1/2}.  [L] Williams (1997)"""
    return 4 / math.pi * ((1 + 2 * xx / d) * (1 + 2 * yy / d) - 4 * (xy / d).square()).rsqrt()


def _relu(xx: Tensor, yy: Tensor, xy: Tensor, d: int) -> Tensor:
    """(π − θ)/(2π), θ the angle between x and y; any rotation-invariant w.  [L] Cho, Saul (2009)"""
    tiny = torch.finfo(xy.dtype).tiny  # 0·∞ for x = 0
    over_x, over_y = (z.masked_fill(z < tiny, 1.0).rsqrt() for z in (xx, yy))
    cosine = (xy * over_x * over_y).clamp(-1, 1)
    kink = cosine.detach().abs() == 1
    angle = cosine.masked_fill(kink, 0).arccos()  # of slope 0 at the kink
    angle = torch.where(kink, (1 - cosine.detach()) * (math.pi / 2), angle)
    return (math.pi - angle) / (2 * math.pi)


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

    :class:`~escape_ntk.checks.RankError` when it is not positive definite to rounding; a ``gram``
    that is not square (:class:`~escape_ntk.checks.ShapeError`) or not symmetric
    (:class:`~escape_ntk.checks.InputError`) is refused as by :class:`KernelRidge`.
    """
    checks.number("ridge", ridge, least=0)
    _gram(gram)
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

    One eigendecomposition in float64, O(n³); each ridge then costs O(n²).  Eigenvalues of
    K + ridge·I below ``rcond``·λ_max are cut, with a :class:`~escape_ntk.checks.CutoffWarning`:
    RCOND for a K in float64, RCOND_SINGLE for one in float32, whose rounding they are.  Those of K
    between −rcond·λ_max and 0 count as 0.  One further below is no rounding: K is no kernel matrix;
    α solves the equations as they stand, and a CutoffWarning says so.

    Arguments:

    * ``gram``: K(X, X), (n, n), symmetric to 1e-5 of its largest entry: the mean of two opposite
      entries counts.

    Errors: :class:`~escape_ntk.checks.ShapeError` for what is no finite square matrix,
    :class:`~escape_ntk.checks.InputError` for one that is not symmetric or carries a gradient;
    from ``dual``, :class:`~escape_ntk.checks.RankError` when no eigenvalue is positive.

    Example:

    >>> ridge = KernelRidge(2 * torch.eye(3, dtype=torch.float64))
    >>> ridge, ridge.dual(torch.ones(3), 2.0).tolist()
    (KernelRidge: n = 3, eigenvalues 2 to 2, [0.25, 0.25, 0.25])
    """

    def __init__(self, gram: Float[Tensor, "n n"]):
        _gram(gram)
        if _differentiated(gram):
            expected, got = "a Gram matrix without gradient", "one that carries it"
            remedy = "gram.detach(); or torch.linalg.solve(K + ridge·I, y), which has gradients"
            raise checks.InputError(checks.message(expected=expected, got=got, remedy=remedy))
        self.rcond = RCOND if gram.dtype == torch.float64 else RCOND_SINGLE
        gram = gram.double()
        self.eigenvalues, self.vectors = torch.linalg.eigh((gram + gram.T) / 2)

    def __repr__(self) -> str:
        least, most = (f"{float(self.eigenvalues[i]):.3g}" for i in (0, -1))
        return f"KernelRidge: n = {len(self.eigenvalues)}, eigenvalues {least} to {most}"

    def dual(self, y: Float[Tensor, " n"], ridge: float) -> Float[Tensor, " n"]:
        """α = (K + ridge·I)^{−1} y, in float64."""
        checks.number("ridge", ridge, least=0)
        y = checks.layout("y", y, (len(self.eigenvalues),))
        checks.array("y", y, tuple(y.shape), like=self.eigenvalues.to(y.dtype))
        values, cut = self.eigenvalues, self.rcond * float(self.eigenvalues.abs().max())
        negative = values < -cut
        spectrum = torch.where(negative, values, values.clamp(min=0)) + ridge
        if not bool((spectrum > 0).any()):
            raise checks.RankError(
                checks.message(
                    expected="K + ridge·I with a positive eigenvalue",
                    got=f"none: {float(spectrum.min()):.3g} to {float(spectrum.max()):.3g}",
                    remedy="a kernel matrix K(X, X), or ridge > 0",
                )
            )
        zero = spectrum.abs() <= self.rcond * spectrum.abs().max()
        if bool(negative.any()):
            self._warn(
                f"{int(negative.sum())} of {len(values)} eigenvalues are negative beyond rounding, "
                f"down to {float(values.min()):.3g} (λ_max {float(values.max()):.3g}): "
                "this is no kernel matrix; α solves the equations as they stand"
            )
        if bool(zero.any()):
            self._warn(
                f"{int(zero.sum())} of {len(zero)} kernel eigenvalues below "
                f"{self.rcond:g}·λ_max cut"
            )
        inverse = torch.where(zero, 0.0, 1 / spectrum)
        return self.vectors @ (inverse * (self.vectors.T @ y.double()))

    @staticmethod
    def _warn(words: str) -> None:
        warnings.warn(words, checks.CutoffWarning, stacklevel=3)


def _gram(gram: Tensor) -> None:
    """Refuse what is no Gram matrix: not square, not finite, not symmetric."""
    remedy = "pass K(X, X) of the training inputs; a test–train block K(Z, X) only predicts"
    checks.array("gram", gram, (None, None))
    if len(gram) != gram.shape[1]:
        expected, got = "gram of shape (n, n)", tuple(gram.shape)
        raise checks.ShapeError(checks.message(expected=expected, got=got, remedy=remedy))
    gram = gram.detach()
    blocks = zip(gram.split(1024), gram.T.split(1024), strict=True)
    gap = max(float((rows - columns).abs().max()) for rows, columns in blocks)
    if gap > _ASYMMETRY * float(gram.abs().max()):
        expected, got = "a symmetric Gram matrix", f"|K − Kᵀ| up to {gap:.3g}"
        raise checks.InputError(checks.message(expected=expected, got=got, remedy=remedy))


def _inputs(X: Tensor, Y: Tensor) -> None:
    checks.array("X", X, (None, None))
    checks.array("Y", Y, (None, X.shape[1]), like=X)


def _differentiated(*tensors: Tensor) -> bool:
    """Whether a derivative in one of them may be asked for, backwards or forwards."""
    backwards = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return backwards or _forward_mode(*tensors)


def _forward_mode(*tensors: Tensor) -> bool:
    return any(forward_ad.unpack_dual(t).tangent is not None for t in tensors)


def _finite(K: Tensor) -> Tensor:
    """K, or :class:`~escape_ntk.checks.NonFiniteError` where it overflowed."""
    return checks.array("the kernel", K, (None, None))


def _off_sphere(X: Tensor) -> float:
    """The largest | |x|/√d − 1 |."""
    lengths = X.detach().double().norm(dim=1)
    return float((lengths / math.sqrt(X.shape[1]) - 1).abs().max())


def _cosines(X: Tensor, Y: Tensor) -> Tensor:
    tiny = torch.finfo(X.dtype).tiny
    unit_x, unit_y = (Z / Z.norm(dim=1, keepdim=True).clamp(min=tiny) for Z in (X, Y))
    return (unit_x @ unit_y.T).clamp_(-1, 1)
