"""Hessian–vector products against differences of the gradient; the lowest curvature, dense."""

import pytest
import torch

from escape_ntk.checks import InputError
from escape_ntk.data import draw_inputs
from escape_ntk.directions import TrainingProjector
from escape_ntk.landscape import hessian_vector, lowest_curvature
from escape_ntk.leaks import SampledLeak
from escape_ntk.network import activation, draw_weights
from escape_ntk.pairs import PairFeatures
from escape_ntk.regularizer import Penalties, RegularizedRisk

N, D, P = 12, 4, 5
F64 = torch.float64
ACT = activation("sin(z+pi/4)")


def made(model: str = "joint", penalties: Penalties | None = None):
    """A small risk, a state and a direction."""
    g = torch.Generator().manual_seed(1)
    w = draw_weights(2 * P, D, g, dtype=F64)
    X, Z = (draw_inputs(n, D, "sphere", g, dtype=F64) for n in (N, 9))
    y, state, v = (torch.randn(*s, generator=g, dtype=F64) for s in ((N,), (2, P, D), (2, P, D)))
    features = PairFeatures(X, w, ACT)
    risk = RegularizedRisk(
        features,
        y,
        model=model,
        penalties=penalties,
        projector=TrainingProjector(features, 3),
        population=SampledLeak(PairFeatures(Z, w, ACT)),
    )
    return risk, state, v


def difference(risk, state, v, h: float = 1e-5):
    """Central difference of the gradient along v."""
    ahead, behind = (risk.value_and_gradient(state + s * h * v)[1] for s in (1, -1))
    return (ahead - behind) / (2 * h)


CASES = [
    ("joint", None),
    ("linear", None),
    ("quadratic", None),
    ("quadratic", Penalties(norm=0.01)),
    ("joint", Penalties(0.7, 1.3, 0.4, 0.01)),
]


@pytest.mark.parametrize(("model", "penalties"), CASES)
def test_product_is_the_derivative_of_the_gradient(model, penalties):
    risk, state, v = made(model, penalties)
    expected = difference(risk, state, v)
    torch.testing.assert_close(hessian_vector(risk, state, v), expected, rtol=1e-6, atol=1e-6)


def test_control_the_gradient_at_another_point_disagrees():
    risk, state, v = made()
    assert not torch.allclose(hessian_vector(risk, state, v), difference(risk, 1.1 * state, v))


def dense(risk, state):
    """∇²L in (s, t), column by column."""
    eye = torch.eye(state.numel(), dtype=F64)
    return torch.stack([hessian_vector(risk, state, e.view_as(state)).flatten() for e in eye])


@pytest.mark.parametrize(("model", "penalties"), CASES)
def test_lowest_curvature_is_twice_the_lowest_eigenvalue_in_pairs(model, penalties):
    risk, state, _ = made(model, penalties)
    H = dense(risk, state)
    torch.testing.assert_close(H, H.T)
    low = lowest_curvature(risk, state, tolerance=1e-10)
    assert low.eigenvalue == pytest.approx(2 * float(torch.linalg.eigvalsh(H)[0]), abs=1e-8)
    assert low.residual < 1e-6


def test_the_saddle_of_the_quadratic_model_in_closed_form():
    """At W = 0: −max_r ‖A_r‖, A_r = (2/(n√m)) Σ_i y_i σ''(w_r·x_i) x_i x_iᵀ."""
    risk, state, _ = made("quadratic")
    X, w, m = risk.features.X, risk.features.weights, 2 * P
    A = torch.einsum("i,ir,ij,ik->rjk", risk.y, ACT.second(X @ w.T), X, X) * 2 / (N * m**0.5)
    rate = float(torch.linalg.eigvalsh(A).abs().max())
    low = lowest_curvature(risk, torch.zeros_like(state), tolerance=1e-10)
    assert low.eigenvalue == pytest.approx(-rate, rel=1e-8)


def test_too_few_products_are_refused():
    risk, state, _ = made()
    with pytest.raises(InputError, match=r"expected an eigenvalue.*remedy"):
        lowest_curvature(risk, state, tolerance=1e-14, max_products=20)
