"""Second-order information: exact Hessian–vector products of the risk, and its lowest curvature.

f_L + f_Q is bilinear plus linear in (s, t), so that products with ∇²L_λ need no differentiation:
four evaluations of the features each.  No Hessian is formed.  Source: [D]; Lanczos [L].
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from escape_ntk import checks
from escape_ntk.pairs import STEP_FACTOR
from escape_ntk.regularizer import RegularizedRisk, low_degree_size, norm_2_4_to_the_4


def hessian_vector(
    risk: RegularizedRisk, state: Float[Tensor, "2 p d"], v: Float[Tensor, "2 p d"]
) -> Float[Tensor, "2 p d"]:
    """∇²_{(s,t)} L_λ(state) v, exactly.

    With predictions f, residuals r and Jacobian J: (2/n)[Jᵀ(Jv) + Σ_i r_i ∇²f_i v] + penalties.
    f_Q is bilinear, so its part of Jv is f_Q(state + v) − f_Q(state) − f_Q(v), and Σ_i r_i ∇²f_i v
    is the gradient of Σ_i r_i f_Q(x_i) at v.
    """
    features, p, n = risk.features, risk.penalties, len(risk.features)
    features.check_state(state)
    features.check_state(v)
    linear_v, quadratic_v, pullback = features.terms_and_pullback(v)
    linear, quadratic = features.terms(state)
    residual = risk.prediction(linear, quadratic) - risk.y
    zero = torch.zeros_like(residual)
    curved = risk.model != "linear"
    out = pullback(zero, 2 / n * residual if curved else zero)
    _, together = features.terms(state + v)
    along = risk.prediction(linear_v, together - quadratic - quadratic_v)
    _, _, pullback = features.terms_and_pullback(state)
    slope = 2 / n * along
    pull_linear = zero if risk.model == "quadratic" else slope
    if p.empirical:
        pull_linear = pull_linear + 2 * p.empirical / n * risk.projector.high_outputs(linear_v)
    out += pullback(pull_linear, slope if curved else zero)
    if p.population:
        _, leak = risk.population.value_and_gradient(risk.projector.high(v[1]))
        out[1].add_(risk.projector.high(leak), alpha=p.population)
    if p.low_degree:
        out[1].add_(low_degree_size(risk.projector, v[1])[1], alpha=p.low_degree)
    if p.norm:
        out.add_(_norm_hessian(state, v), alpha=p.norm)
    return out


def _norm_hessian(state: Tensor, v: Tensor) -> Tensor:
    """∇²(N²) v = 2N ∇²N v + 2(∇N·v)∇N for N = ‖W‖_{2,4}^4, in (s, t)."""
    size, slope = norm_2_4_to_the_4(state)
    curvature = []
    for sign in (1.0, -1.0):
        w, dw = (state[0] + sign * state[1]) / 2, (v[0] + sign * v[1]) / 2
        inner = (w * dw).sum(1, keepdim=True)
        curvature.append(2 * (w.square().sum(1, keepdim=True) * dw + 2 * inner * w))
    turned = torch.stack([curvature[0] + curvature[1], curvature[0] - curvature[1]])
    return 2 * size * turned + 2 * (slope * v).sum() * slope


@dataclass(frozen=True)
class Curvature:
    """The lowest eigenvalue of ∇²_W L_λ in the coordinates of all weights, with its direction.

    ``residual`` = ‖∇²L v − λ v‖ for the unit direction v, (2, p, d) in pair coordinates.
    """

    eigenvalue: float
    direction: Tensor
    residual: float
    n_products: int


def lowest_curvature(
    risk: RegularizedRisk,
    state: Float[Tensor, "2 p d"],
    *,
    tolerance: float = 1e-3,
    max_products: int = 2000,
    seed: int = 0,
) -> Curvature:
    """λ_min(∇²_W L_λ) at ``state`` by Lanczos (ARPACK) on exact Hessian–vector products.

    Eigenvalues in all weights are twice those in (s, t).  ``tolerance`` is relative; when
    ``max_products`` are not enough, :class:`~escape_ntk.checks.InputError` says so.
    """
    risk.features.check_state(state)
    checks.number("tolerance", tolerance, least=0, strict=True)
    checks.integer("max_products", max_products, least=20)
    calls = 0

    def product(x: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        v = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)).to(state)
        return hessian_vector(risk, state, v.view_as(state)).flatten().double().cpu().numpy()

    size = state.numel()
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = np.random.default_rng(seed).standard_normal(size)
    basis = min(size - 1, 20)
    try:
        values, vectors = eigsh(
            operator,
            k=1,
            which="SA",
            v0=start,
            ncv=basis,
            tol=tolerance,
            maxiter=max(1, max_products // basis),
        )
    except ArpackNoConvergence as error:
        raise checks.InputError(
            checks.message(
                expected=f"an eigenvalue to {tolerance:g} within {max_products} products",
                got=f"none after {calls}",
                remedy="raise max_products or tolerance",
            )
        ) from error
    gap = float(np.linalg.norm(product(vectors[:, 0]) - values[0] * vectors[:, 0]))
    direction = torch.from_numpy(vectors[:, 0].copy()).to(state).view_as(state)
    return Curvature(STEP_FACTOR * float(values[0]), direction, STEP_FACTOR * gap, calls)
