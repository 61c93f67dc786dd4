"""The penalties R_1…R_4 and the regularised risk: values and gradients by two routes each."""

import itertools
import math

import pytest
import torch

from escape_ntk.checks import InputError
from escape_ntk.data import draw_inputs
from escape_ntk.directions import TrainingProjector
from escape_ntk.leaks import GaussianLeak, SampledLeak
from escape_ntk.network import ACTIVATIONS, activation, draw_weights, paired_network
from escape_ntk.pairs import PairFeatures, from_pairs
from escape_ntk.polynomials import gauss_hermite
from escape_ntk.regularizer import (
    MODELS,
    Penalties,
    RegularizedRisk,
    low_degree_size,
    norm_2_4_to_the_4,
)
from escape_ntk.taylor import linear_term, quadratic_term

N, D, P, N_K = 9, 3, 4, 3
F64 = torch.float64
SIGMOID = activation("sigmoid(z-1)")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]
SMOOTH = [act for act in ACTIVATIONS.values() if act.name != "relu"]  # the closed form needs it
ALL = Penalties(0.7, 1.3, 0.4, 0.2)
SINGLE = [Penalties(**{name: 1.5}) for name in ("population", "empirical", "low_degree", "norm")]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=F64)


WEIGHTS = draw_weights(2 * P, D, seeded(), dtype=F64)
X, Z = (draw_inputs(n, D, "gaussian", seeded(n), dtype=F64) for n in (N, 7))
Y, STATE = normal(N, seed=1), normal(2, P, D, seed=2)


def pair_risk(penalties: Penalties, device: str = "cpu", dtype=F64) -> RegularizedRisk:
    """The risk in pair coordinates; R_1 over the inputs Z."""
    x, z, y, weights = (a.to(device, dtype) for a in (X, Z, Y, WEIGHTS))
    features = PairFeatures(x, weights, SIGMOID)
    return RegularizedRisk(
        features,
        y,
        penalties=penalties,
        projector=TrainingProjector(features, N_K),
        population=SampledLeak(PairFeatures(z, weights, SIGMOID)),
    )


# ---------------------------------------------------------------- by definition, on all weights


def all_features(X: torch.Tensor) -> torch.Tensor:
    """∂f_L/∂W on all m neurons, (n, m·d)."""
    network = paired_network(WEIGHTS, SIGMOID)
    columns = torch.eye(2 * P * D, dtype=F64).reshape(-1, 2 * P, D)
    return torch.stack([linear_term(network, X, column) for column in columns], dim=1)


def low_projector() -> torch.Tensor:
    """P_{≤k} as an (md, md) matrix, from the SVD of the training features."""
    vh = torch.linalg.svd(all_features(X), full_matrices=False)[2][:N_K]
    return vh.T @ vh


def terms_by_definition(U: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(loss, R_1, R_2, R_3, R_4) from the movement U of all weights."""
    network = paired_network(WEIGHTS, SIGMOID)
    low = (low_projector() @ U.flatten()).reshape(U.shape)
    residual = Y - linear_term(network, X, U) - quadratic_term(network, X, U)
    return (
        residual.square().mean(),
        linear_term(network, Z, U - low).square().mean(),
        linear_term(network, X, U - low).square().mean(),
        low.square().sum(),
        U.norm(dim=1).pow(4).sum() ** 2,
    )


def risk_by_definition(state: torch.Tensor, penalties: Penalties) -> torch.Tensor:
    p = penalties
    loss, *r = terms_by_definition(from_pairs(state))
    lambdas = (p.population, p.empirical, p.low_degree, p.norm)
    return loss + sum(a * b for a, b in zip(lambdas, r, strict=True))


def autograd(function, state: torch.Tensor) -> torch.Tensor:
    variable = state.clone().requires_grad_()
    return torch.autograd.grad(function(variable), variable)[0]


# ---------------------------------------------------------------- the risk


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("penalties", [Penalties(), *SINGLE, ALL], ids=str)
def test_risk_and_gradient_against_autograd_on_all_weights(penalties, device):
    value, gradient = pair_risk(penalties, device).value_and_gradient(STATE.to(device))
    expected = risk_by_definition(STATE, penalties)
    assert value.total(penalties) == pytest.approx(float(expected), rel=1e-12)
    slope = autograd(lambda state: risk_by_definition(state, penalties), STATE)
    torch.testing.assert_close(gradient.cpu(), slope, rtol=1e-11, atol=1e-11)


MODEL_TERMS = {
    "joint": lambda *args: linear_term(*args) + quadratic_term(*args),
    "linear": linear_term,
    "quadratic": quadratic_term,
}


def model_gap(model: str, assumed: str, penalties: Penalties) -> float:
    """Largest difference of ∇L_λ from automatic differentiation of the ``assumed`` definition."""
    features, network = PairFeatures(X, WEIGHTS, SIGMOID), paired_network(WEIGHTS, SIGMOID)
    risk = RegularizedRisk(
        features, Y, model=model, penalties=penalties, projector=TrainingProjector(features, N_K)
    )

    def definition(state):
        U = from_pairs(state)
        _, _, empirical, low, norm = terms_by_definition(U)
        loss = (Y - MODEL_TERMS[assumed](network, X, U)).square().mean()
        p = penalties
        return loss + p.empirical * empirical + p.low_degree * low + p.norm * norm

    value, gradient = risk.value_and_gradient(STATE)
    if model == assumed:
        assert value.total(penalties) == pytest.approx(float(definition(STATE)), rel=1e-12)
    return float((gradient - autograd(definition, STATE)).abs().max())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("penalties", [Penalties(), Penalties(norm=0.2)], ids=str)
def test_each_model_has_the_gradient_of_its_definition(model, penalties):
    assert model_gap(model, model, penalties) < 1e-11
    for other in set(MODELS) - {model}:  # control
        assert model_gap(model, other, penalties) > 1e-3


def test_the_linear_model_takes_penalties_on_the_linear_term():
    penalties = Penalties(empirical=1.3, low_degree=0.4, norm=0.2)
    assert model_gap("linear", "linear", penalties) < 1e-11
    assert model_gap("linear", "joint", penalties) > 1e-3


def test_no_movement_is_a_saddle_of_the_quadratic_model_only():
    features = PairFeatures(X, WEIGHTS, SIGMOID)
    for model in MODELS:
        risk = RegularizedRisk(features, Y, model=model)
        value, gradient = risk.value_and_gradient(features.zero_state())
        assert value.loss == pytest.approx(float(Y.square().mean()), rel=1e-14)
        assert bool((gradient == 0).all()) == (model == "quadratic")


@pytest.mark.parametrize("model", MODELS)
def test_the_prediction_is_that_of_the_model(model):
    features, U = PairFeatures(X, WEIGHTS, SIGMOID), from_pairs(STATE)
    ours = RegularizedRisk(features, Y, model=model).prediction(*features.terms(STATE))
    expected = MODEL_TERMS[model](paired_network(WEIGHTS, SIGMOID), X, U)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("wrong", SINGLE, ids=str)
def test_control_a_missing_penalty_is_caught(wrong):
    _, gradient = pair_risk(Penalties()).value_and_gradient(STATE)
    slope = autograd(lambda state: risk_by_definition(state, wrong), STATE)
    assert float((gradient - slope).abs().max()) > 1e-3


def test_each_term_has_its_definition():
    value, _ = pair_risk(ALL).value_and_gradient(STATE)
    got = (value.loss, value.population, value.empirical, value.low_degree, value.norm)
    expected = [float(term) for term in terms_by_definition(from_pairs(STATE))]
    assert got == pytest.approx(expected, rel=1e-12)


def test_terms_without_a_penalty_are_not_computed():
    value, _ = pair_risk(Penalties(empirical=1.0)).value_and_gradient(STATE)
    assert value.empirical > 0 and value.population == value.low_degree == value.norm == 0


def test_single_precision_agrees():
    _, gradient = pair_risk(ALL, dtype=torch.float32).value_and_gradient(STATE.float())
    _, expected = pair_risk(ALL).value_and_gradient(STATE)
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-3, atol=1e-3)


def test_population_leak_enters_through_the_projector():
    """∇_t R_1 = P_{>k} ∇Q(P_{>k}t) with the closed form Q, against differences in t."""
    features = PairFeatures(X, WEIGHTS, SIGMOID)
    projector, leak = TrainingProjector(features, N_K), GaussianLeak(WEIGHTS, SIGMOID)
    options = dict(projector=projector, population=leak)
    risk = RegularizedRisk(features, Y, penalties=Penalties(population=1.0), **options)
    plain = RegularizedRisk(features, Y)
    slope = risk.value_and_gradient(STATE)[1] - plain.value_and_gradient(STATE)[1]
    v, h = normal(P, D, seed=5), 1e-3
    ahead, behind = (
        float(leak.value_and_gradient(projector.high(STATE[1] + sign * h * v))[0])
        for sign in (1, -1)
    )
    assert float((slope[1] * v).sum()) == pytest.approx((ahead - behind) / (2 * h), rel=1e-9)
    torch.testing.assert_close(slope[0], torch.zeros_like(slope[0]), rtol=0, atol=1e-15)


def test_low_degree_size_is_that_of_all_weights():
    """‖P_{≤k}W‖_F² = ½‖P_{≤k}t‖²; control: without the ½ it is another number."""
    projector = TrainingProjector(PairFeatures(X, WEIGHTS, SIGMOID), N_K)
    value, gradient = low_degree_size(projector, STATE[1])
    expected = float((low_projector() @ from_pairs(STATE).flatten()).square().sum())
    assert float(value) == pytest.approx(expected, rel=1e-12)
    assert float(gradient.square().sum()) == pytest.approx(2 * expected, rel=1e-12)


def test_norm_2_4_against_autograd():
    value, gradient = norm_2_4_to_the_4(STATE)

    def definition(state):
        return from_pairs(state).norm(dim=1).pow(4).sum()

    assert float(value) == pytest.approx(float(definition(STATE)), rel=1e-13)
    torch.testing.assert_close(gradient, autograd(definition, STATE), rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------- R_1 in closed form


def near(angle: float, d: int) -> torch.Tensor:
    """Two unit weights at the given angle, then their opposites turned by 0.3."""
    angles = torch.tensor([0.2, 0.2 + angle, math.pi + 0.5, math.pi + 0.5 + angle], dtype=F64)
    columns = [angles.cos(), angles.sin()] + [torch.zeros_like(angles)] * (d - 2)
    return torch.stack(columns, dim=1)


CONFIGURATIONS = {
    "random": draw_weights(8, 2, seeded(3), dtype=F64),
    "random-3d": draw_weights(6, 3, seeded(4), dtype=F64),
    "one-pair": draw_weights(2, 2, seeded(5), dtype=F64),
    "two-pairs": draw_weights(4, 2, seeded(6), dtype=F64),
    "nearly-parallel": near(1e-3, 2),
    "parallel-within-0.2": near(0.2, 2),
    "orthogonal": torch.eye(3, dtype=F64),
    "opposite": torch.tensor([[1.0, 0], [-1, 0], [0, 1]], dtype=F64),
}


def leak_by_quadrature(weights: torch.Tensor, act, t: torch.Tensor, n_nodes: int) -> float:
    """E f_L(x; t)² over N(0, I_d) by a tensor product of Gauss–Hermite rules."""
    d = weights.shape[1]
    z, w = (torch.from_numpy(a) for a in gauss_hermite(n_nodes))
    nodes = torch.cartesian_prod(*[z] * d)
    mass = torch.cartesian_prod(*[w] * d).prod(1)
    slopes = act.first(nodes @ weights.T) / math.sqrt(2 * len(weights))
    return float(mass @ (slopes * (nodes @ t.T)).sum(1).square())


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_closed_form_against_tensor_quadrature(name, act):
    """For erf 40 nodes miss E(σ'(z)z)² by 1e-6; 80, as here, by 1e-13."""
    weights = CONFIGURATIONS[name]
    t = normal(*weights.shape, seed=8)
    value, _ = GaussianLeak(weights, act).value_and_gradient(t)
    nodes = {2: 120, 3: 80}[weights.shape[1]]
    assert float(value) == pytest.approx(leak_by_quadrature(weights, act, t, nodes), rel=1e-10)


def test_closed_form_refuses_a_kink():
    """Hermite series of a step: 2% of E σ'² is still missing at degree 60."""
    with pytest.raises(InputError, match="smooth enough"):
        GaussianLeak(WEIGHTS, activation("relu"))


@pytest.mark.parametrize("kernel", ["k00", "k11", "k20"])
def test_control_dropping_a_kernel_fails(kernel):
    weights = CONFIGURATIONS["random"]
    t, leak = normal(*weights.shape, seed=8), GaussianLeak(weights, SIGMOID)
    setattr(leak, kernel, torch.zeros_like(getattr(leak, kernel)))
    exact = leak_by_quadrature(weights, SIGMOID, t, 60)
    assert abs(float(leak.value_and_gradient(t)[0]) / exact - 1) > 1e-2


@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_closed_form_against_monte_carlo(act):
    """At d = 20, out of reach of quadrature: within four standard errors of 100 000 inputs."""
    d, p = 20, 6
    weights, t = draw_weights(2 * p, d, seeded(1), dtype=F64), normal(p, d, seed=3)
    features = PairFeatures(draw_inputs(100_000, d, "gaussian", seeded(2), dtype=F64), weights, act)
    squares = features.linear(t).square()
    error = float(squares.std()) / math.sqrt(len(squares))
    exact = float(GaussianLeak(weights, act).value_and_gradient(t)[0])
    assert abs(float(squares.mean()) - exact) < 4 * error
    assert error < 0.01 * exact  # so that a mistake of a few per cent would be seen


def test_closed_form_gradient_against_sampled_leak():
    weights, t = draw_weights(2 * P, D, seeded(1), dtype=F64), normal(P, D, seed=3)
    Z = draw_inputs(200_000, D, "gaussian", seeded(2), dtype=F64)
    sampled = SampledLeak(PairFeatures(Z, weights, SIGMOID))
    value, gradient = GaussianLeak(weights, SIGMOID).value_and_gradient(t)
    estimate, slope = sampled.value_and_gradient(t)
    assert float(estimate) == pytest.approx(float(value), rel=0.02)
    torch.testing.assert_close(slope, gradient, rtol=0, atol=0.02 * float(gradient.norm()))


def test_sampled_leak_gradient_against_autograd():
    features, t = PairFeatures(Z, WEIGHTS, SIGMOID), STATE[1]
    value, gradient = SampledLeak(features).value_and_gradient(t)

    def definition(t):
        return ((features.first * (Z @ t.T)).sum(1)).square().mean()

    assert float(value) == pytest.approx(float(definition(t)), rel=1e-13)
    torch.testing.assert_close(gradient, autograd(definition, t), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("block", [1, 3, 8, 512])
def test_block_size_changes_nothing(block):
    weights, t = draw_weights(16, D, seeded(1), dtype=F64), normal(8, D, seed=3)
    value, gradient = GaussianLeak(weights, SIGMOID, block=block).value_and_gradient(t)
    expected = GaussianLeak(weights, SIGMOID).value_and_gradient(t)
    torch.testing.assert_close((value, gradient), expected, rtol=1e-13, atol=1e-15)


LEAKS = {
    "closed": lambda: GaussianLeak(WEIGHTS, SIGMOID),
    "sampled": lambda: SampledLeak(PairFeatures(Z, WEIGHTS, SIGMOID)),
}


@pytest.mark.parametrize("build", LEAKS.values(), ids=LEAKS)
def test_leak_is_a_quadratic_form(build):
    """value = tᵀMt ≥ 0, gradient = 2Mt: linear, symmetric, and half of tᵀ∇ is the value."""
    leak = build()
    t, r = normal(P, D, seed=3), normal(P, D, seed=4)
    (value, g), (_, h) = leak.value_and_gradient(t), leak.value_and_gradient(r)
    _, both = leak.value_and_gradient(2 * t - 3 * r)
    torch.testing.assert_close(both, 2 * g - 3 * h, rtol=1e-11, atol=1e-12)
    assert float((g * r).sum()) == pytest.approx(float((h * t).sum()), rel=1e-11)
    assert float((g * t).sum()) / 2 == pytest.approx(float(value), rel=1e-12)
    assert float(value) > 0


def test_rotation_invariance():
    q = torch.linalg.qr(normal(D, D, seed=6))[0]
    t = STATE[1]
    value, gradient = GaussianLeak(WEIGHTS, SIGMOID).value_and_gradient(t)
    turned = GaussianLeak(WEIGHTS @ q, SIGMOID).value_and_gradient(t @ q)
    torch.testing.assert_close(turned, (value, gradient @ q), rtol=1e-11, atol=1e-13)


def test_closed_form_in_single_precision():
    double, single = (GaussianLeak(WEIGHTS.to(d), SIGMOID) for d in (F64, torch.float32))
    value, gradient = single.value_and_gradient(STATE[1].float())
    expected = double.value_and_gradient(STATE[1])
    assert gradient.dtype == torch.float32
    torch.testing.assert_close((value.double(), gradient.double()), expected, rtol=1e-4, atol=1e-5)


def test_leak_of_the_laboratory_activation_has_its_textbook_kernel():
    """E σ'(p)σ'(q) = E σ''(p)σ''(q) = ½e^{ρ−1} for σ(z) = sin(z + π/4)."""
    leak = GaussianLeak(WEIGHTS, activation("sin(z+pi/4)"))
    expected = ((WEIGHTS @ WEIGHTS.T) - 1).exp() / 2
    torch.testing.assert_close(leak.k00, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(leak.k11, expected, rtol=1e-12, atol=0)


def test_penalties_that_need_nothing_more():
    """R_4 and the loss need neither projector nor population leak."""
    features = PairFeatures(X, WEIGHTS, SIGMOID)
    risk = RegularizedRisk(features, Y, penalties=Penalties(norm=0.2))
    _, gradient = risk.value_and_gradient(STATE)
    expected = pair_risk(Penalties(norm=0.2)).value_and_gradient(STATE)[1]
    assert torch.equal(gradient, expected)


def test_gradient_vanishes_at_a_perfect_fit():
    """y = f_L + f_Q: no residual, no gradient; control: y moved by one."""
    features = PairFeatures(X, WEIGHTS, SIGMOID)
    y = sum(features.terms(STATE))
    sizes = [
        float(RegularizedRisk(features, target).value_and_gradient(STATE)[1].abs().max())
        for target in (y, y + 1)
    ]
    assert sizes[0] < 1e-14 < 1e-2 < sizes[1]


def test_all_kernels_are_symmetric_and_of_the_stated_size():
    leak = GaussianLeak(WEIGHTS, SIGMOID)
    for kernel, (i, j) in itertools.product((leak.k00, leak.k11, leak.k20), [(0, 1), (2, 3)]):
        assert kernel.shape == (P, P)
        assert float(kernel[i, j]) == pytest.approx(float(kernel[j, i]), rel=1e-14)
