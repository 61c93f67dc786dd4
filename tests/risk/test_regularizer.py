"""The penalties R_1…R_4 and the regularised risk: values and gradients by two routes each."""

import pytest
import torch

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import ACTIVATIONS, activation, draw_weights, paired_network
from escape_ntk.models.pairs import PairFeatures, from_pairs
from escape_ntk.models.taylor import linear_term, quadratic_term
from escape_ntk.risk.leaks import GaussianLeak, SampledLeak
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import (
    MODELS,
    Penalties,
    RegularizedRisk,
    low_degree_size,
    norm_2_4_to_the_4,
)

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
