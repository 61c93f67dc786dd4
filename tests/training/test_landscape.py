"""Hessian–vector products against differences of the gradient; the lowest curvature, dense."""

import itertools

import pytest
import torch

from escape_ntk.checks import InputError
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights, paired_network
from escape_ntk.models.pairs import PairFeatures, from_pairs
from escape_ntk.models.taylor import linear_term, quadratic_term
from escape_ntk.risk.leaks import SampledLeak
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk, norm_2_4_to_the_4
from escape_ntk.training import curvature as landscape
from escape_ntk.training.curvature import (
    curvature_floor,
    gradient_norm,
    hessian_vector,
    lowest_curvature,
    mean_curvature,
    perturbed_descent,
    random_sign_balance,
    stationary_balance,
)

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


# ---------------------------------------------------------------- a certificate of flatness


@pytest.mark.parametrize(("model", "penalties"), CASES)
def test_the_floor_lies_below_the_whole_spectrum(model, penalties):
    """Against the dense Hessian, twice that in (s, t)."""
    risk, state, _ = made(model, penalties)
    lowest = 2 * float(torch.linalg.eigvalsh(dense(risk, state))[0])
    floor = curvature_floor(risk, state)
    assert floor <= lowest + 1e-12
    if model == "linear":
        assert floor == 0.0


def test_the_floor_is_the_lowest_eigenvalue_of_the_second_term():
    """∇² Σ_i (2/n) r_i f_Q(x_i) with r frozen, by automatic differentiation in all weights."""
    risk, state, _ = made("joint", Penalties(0.7, 1.3, 0.4, 0.01))
    network = paired_network(risk.features.weights, ACT)
    U = from_pairs(state)
    linear, quadratic = risk.features.terms(state)
    weight = 2 / N * (linear + quadratic - risk.y)

    def second(flat):
        return weight @ quadratic_term(network, risk.features.X, flat.view_as(U))

    H = torch.autograd.functional.hessian(second, U.flatten())
    expected = float(torch.linalg.eigvalsh(H)[0])
    assert curvature_floor(risk, state) == pytest.approx(expected, rel=1e-10)


def test_the_floor_is_attained_at_the_saddle_and_control_not_with_a_linear_term():
    risk, state, _ = made("quadratic")
    zero = torch.zeros_like(state)
    low = lowest_curvature(risk, zero, tolerance=1e-10).eigenvalue
    assert curvature_floor(risk, zero) == pytest.approx(low, rel=1e-8)
    assert curvature_floor(risk, zero) / 2 > low  # control: the factor of pairs is no bound
    joint, _, _ = made("joint", Penalties(empirical=1.0))
    raised = lowest_curvature(joint, zero, tolerance=1e-10).eigenvalue
    assert curvature_floor(joint, zero) == pytest.approx(low, rel=1e-8)
    assert raised > 0.99 * low  # the same floor, and f_L lies above it


def test_the_floor_does_not_depend_on_its_blocks(monkeypatch):
    risk, state, _ = made()
    whole = curvature_floor(risk, state)
    monkeypatch.setattr(landscape, "FLOOR_BLOCK", 1)
    assert curvature_floor(risk, state) == pytest.approx(whole, rel=1e-12)


def test_the_floor_falls_with_the_risk():
    """‖M_r‖ ≤ ⟨r²⟩^{1/2} max_e ⟨(e·x)⁴⟩^{1/2} for |σ''| ≤ 1; e runs over a fine net, d = 2."""
    g = torch.Generator().manual_seed(3)
    w, X = draw_weights(20, 2, g, dtype=F64), draw_inputs(15, 2, "sphere", g, dtype=F64)
    risk = RegularizedRisk(PairFeatures(X, w, ACT), torch.randn(15, generator=g, dtype=F64))
    state = torch.randn(2, 10, 2, generator=g, dtype=F64)
    angle = torch.linspace(0, torch.pi, 10_001, dtype=F64)
    e = torch.stack([angle.cos(), angle.sin()])
    fourth = float((X @ e).pow(4).mean(0).max())
    loss = risk.value_and_gradient(state)[0].loss
    assert -curvature_floor(risk, state) <= 2 / 20**0.5 * (loss * fourth) ** 0.5


def test_most_directions_that_curve_down_stay_while_the_fit_is_not_exact():
    """At least Σ_r rank M_r − 2n negative eigenvalues in (s, t), at λ_1 = λ_4 = 0; m d large."""
    g = torch.Generator().manual_seed(2)
    w, X = draw_weights(40, 3, g, dtype=F64), draw_inputs(6, 3, "sphere", g, dtype=F64)
    features = PairFeatures(X, w, ACT)
    y, state = torch.randn(6, generator=g, dtype=F64), torch.randn(2, 20, 3, generator=g, dtype=F64)
    projector = TrainingProjector(features, 2)
    risk = RegularizedRisk(features, y, penalties=Penalties(empirical=1.0), projector=projector)
    negative = int((torch.linalg.eigvalsh(dense(risk, state)) < -1e-12).sum())
    assert 20 * 3 - 2 * 6 <= negative <= 20 * 3
    exact = RegularizedRisk(features, sum(features.terms(state)))
    assert float(torch.linalg.eigvalsh(dense(exact, state))[0]) > -1e-12  # control: a perfect fit


# ---------------------------------------------------------------- stationary points


def test_a_scale_lets_a_flat_minimum_be_judged():
    """Tolerance relative to |λ_min| + scale: fewer products, the same answer to that tolerance."""
    risk, state, _ = made("quadratic")
    exact = lowest_curvature(risk, state, tolerance=1e-10).eigenvalue
    near = lowest_curvature(risk, state, scale=1.0, tolerance=1e-3)
    assert near.eigenvalue == pytest.approx(exact, abs=2e-3 * (1 + abs(exact)))


def test_gradient_norm_is_that_of_all_weights():
    risk, state, _ = made("joint", Penalties(empirical=0.5))
    U = from_pairs(state).requires_grad_()
    network = paired_network(risk.features.weights, ACT)
    linear = linear_term(network, risk.features.X, U)
    fit = (linear + quadratic_term(network, risk.features.X, U) - risk.y).square().mean()
    leak = risk.projector.high_outputs(linear).square().mean()
    (gradient,) = torch.autograd.grad(fit + 0.5 * leak, U)
    assert gradient_norm(risk, state) == pytest.approx(float(gradient.norm()), rel=1e-12)


def test_perturbed_descent_leaves_the_saddle_and_plain_flow_does_not():
    risk, state, _ = made("quadratic")
    zero = torch.zeros_like(state)
    settings = dict(
        gradient_tolerance=1e-3, curvature_tolerance=1e-2, round_time=300.0, max_rounds=20
    )
    point = perturbed_descent(risk, zero, radius=1e-2, **settings)
    assert point.reached and point.perturbations >= 1
    assert point.gradient <= 1e-3 and point.curvature.eigenvalue >= -1e-2
    assert point.value < 0.5 * float(risk.y.square().mean())
    stuck = perturbed_descent(risk, zero, radius=1e-300, **(settings | {"max_rounds": 2}))
    assert not stuck.reached and stuck.value == pytest.approx(float(risk.y.square().mean()))


def sides(penalties: Penalties):
    """A risk, a state, and a comparison (t_L, W_Q)."""
    risk, state, _ = made("joint", penalties)
    g = torch.Generator().manual_seed(7)
    t_linear, quadratic = (
        torch.randn(*shape, generator=g, dtype=F64) for shape in ((P, D), (2, P, D))
    )
    return risk, state, t_linear, quadratic


ALL_FOUR = Penalties(0.7, 1.3, 0.4, 0.003)


@pytest.mark.parametrize(
    "penalties",
    [Penalties(), Penalties(empirical=0.7), Penalties(0.7, low_degree=0.3), ALL_FOUR],
)
def test_random_sign_identity(penalties):
    """L_λ is the sum of its parts at any state; R_4's belong to it."""
    b = random_sign_balance(*sides(penalties))
    right = b.comparison + b.first_order + b.coupling + b.cross - b.curvature - b.distance
    own = b.norm + b.norm_curvature + b.norm_slope
    assert b.value == pytest.approx(right + own, rel=1e-12)
    for part in ("first_order", "coupling", "cross", "curvature", "distance"):
        assert abs(getattr(b, part)) > 1e-3 * abs(b.value)  # each is needed
    if penalties.norm:
        assert b.value != pytest.approx(right + b.norm, rel=1e-2)  # control: R_4's two terms


def total(b) -> float:
    """The right side of the identity of :class:`StationaryBalance`, distance included."""
    more = b.missed + b.mean_penalty + b.inner + b.leak + b.first_order + b.coupling + b.cross
    return more - b.curvature + b.norm_curvature + b.norm_slope - b.distance


@pytest.mark.parametrize("seed", range(40))
def test_what_the_conditions_add_up_to(seed):
    """At forty states, of all sizes, with all four penalties."""
    risk, state, t_linear, quadratic = sides(ALL_FOUR)
    g = torch.Generator().manual_seed(100 + seed)
    moved = torch.randn(state.shape, generator=g, dtype=F64) * 2.0 ** (seed % 5 - 3)
    b = stationary_balance(risk, moved, t_linear, quadratic)
    value = risk.value_and_gradient(moved)[0]
    p = risk.penalties
    left = value.total(p) + p.low_degree * value.low_degree + 3 * p.norm * value.norm
    assert b.value == pytest.approx(left, rel=1e-12)
    assert total(b) == pytest.approx(left, rel=1e-10, abs=1e-12)
    assert left != pytest.approx(total(b) - b.leak, rel=1e-8)  # control: leave one out


def test_curvature_of_the_balance_is_the_mean_over_all_signs():
    risk, state, t_linear, quadratic = sides(Penalties(empirical=0.7, low_degree=0.3))
    total = 0.0
    for signs in itertools.product((1.0, -1.0), repeat=P):
        v = quadratic * torch.tensor(signs, dtype=F64)[None, :, None]
        total += float((v * hessian_vector(risk, state, v)).sum()) / 2
    b = random_sign_balance(risk, state, t_linear, quadratic)
    assert b.curvature == pytest.approx(total / 2**P, rel=1e-10)


@pytest.mark.parametrize(
    "penalties",
    [Penalties(empirical=0.7, low_degree=0.3), Penalties(0.7, 1.3, 0.4, 1e-4)],
)
def test_rows_of_a_hadamard_matrix_are_as_good_as_all_signs(penalties):
    """:func:`mean_curvature` against the balance, which does not see the Hessian."""
    risk, state, t_linear, quadratic = sides(penalties)
    b = random_sign_balance(risk, state, t_linear, quadratic)
    found = mean_curvature(risk, state, quadratic)
    assert found == pytest.approx(b.curvature, rel=1e-10)
    one = float((quadratic * hessian_vector(risk, state, quadratic)).sum()) / 2
    assert one != pytest.approx(b.curvature, rel=0.1)  # control: one choice of signs


def test_the_bound_holds_and_needs_its_curvature():
    """At W = 0 with W_L = 0 the value exceeds what is left of the bound without λ_min."""
    risk, state, t_linear, quadratic = sides(Penalties(empirical=0.7))
    low = lowest_curvature(risk, state, tolerance=1e-8).eigenvalue
    size = float(quadratic.square().sum()) / 2
    b = random_sign_balance(risk, state, t_linear, quadratic)
    assert b.value <= b.bound(low, size) and low < 0
    assert b.bound(low, size) > b.bound(0.0, size)
    zero = torch.zeros_like(state)
    features = risk.features
    y = features.terms(quadratic)[1] * 100  # a target that W_Q, ten times as far, makes
    alone = RegularizedRisk(features, y, projector=risk.projector)
    far = random_sign_balance(alone, zero, torch.zeros_like(t_linear), 10 * quadratic)
    steep = lowest_curvature(alone, zero, tolerance=1e-8).eigenvalue
    assert far.value <= far.bound(steep, 100 * size)
    assert far.value > far.bound(0.0, 100 * size)  # control: without the curvature it fails


def test_cross_and_coupling_are_bounded_by_norms_alone():
    """With ‖W_Q‖_{2,4} = c, ‖W‖_{2,4} = c_W, ‖t_L‖ = c_L on the sphere, at any state."""
    risk, state, t_linear, quadratic = sides(Penalties())
    m, size = 2 * P, [float(norm_2_4_to_the_4(v)[0]) ** 0.25 for v in (quadratic, state)]
    for shrink in (1.0, 1e-3):  # cross is led by its second part, then by its first
        b = random_sign_balance(risk, shrink * state, t_linear, quadratic)
        c, c_w = size[0], shrink * size[1]
        assert b.cross <= 4 * c**2 * D / m**0.5 + 4 * c**2 * c_w**2 * D**2 / m
        loss = risk.value_and_gradient(shrink * state)[0].loss
        bound = 2**0.5 * float(t_linear.norm()) * c_w * D / m**0.25 * loss**0.5
        assert abs(b.coupling) <= bound
        assert abs(b.coupling) > 1e-3 * bound and b.cross > 1e-3 * c**2 * D / m**0.5  # of its order


def test_the_balances_refuse_what_they_are_not_for():
    risk, state, t_linear, quadratic = sides(Penalties(norm=0.1))
    alone = RegularizedRisk(risk.features, risk.y, model="quadratic")
    for balance in (random_sign_balance, stationary_balance):
        with pytest.raises(InputError, match='model="joint"'):
            balance(alone, state, t_linear, quadratic)
    without = RegularizedRisk(risk.features, risk.y, penalties=Penalties(norm=0.1))
    assert random_sign_balance(without, state, t_linear, quadratic).norm > 0
    with pytest.raises(InputError, match="projector"):
        stationary_balance(without, state, t_linear, quadratic)
