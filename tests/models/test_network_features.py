"""The network itself in pair coordinates: values, gradients, and descent against torch's own."""

import math

import pytest
import torch
from test_pairs import F64, SIGMOID, case

from escape_ntk import checks
from escape_ntk.models.network import Activation, activation, paired_network
from escape_ntk.models.pairs import STEP_FACTOR, NetworkFeatures, PairFeatures, from_pairs, to_pairs
from escape_ntk.numerics.stats import log_slope, rms
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.training.curvature import curvature_floor, hessian_vector, random_sign_balance


@pytest.mark.parametrize("chunk", [1, 3, 1024])
@pytest.mark.parametrize("name", ["sigmoid(z-1)", "sin(z+pi/4)", "relu"])
def test_the_terms_sum_to_the_network(name, chunk):
    X, weights, state = case(n=8, d=3, p=6, seed=2)
    act = activation(name)
    features = NetworkFeatures(X, weights, act, chunk=chunk)
    linear, rest = features.terms(state)
    again, rest_again, _ = features.terms_and_pullback(state)
    torch.testing.assert_close(linear, PairFeatures(X, weights, act).terms(state)[0])
    torch.testing.assert_close(linear + rest, paired_network(weights, act)(X, from_pairs(state)))
    torch.testing.assert_close((linear, rest), (again, rest_again))


@pytest.mark.parametrize("kind", [PairFeatures, NetworkFeatures])
def test_no_block_is_longer_than_the_chunk(kind):
    """Memory: σ and its derivatives see ``chunk`` rows at a time; the default sees all at once."""
    X, weights, state = case(n=8)

    def longest(**options) -> int:
        seen = []

        def watched(function):
            return lambda z: (seen.append(len(z)), function(z))[1]

        derivatives = (SIGMOID.value, SIGMOID.first, SIGMOID.second)
        act = Activation("watched", *(watched(f) for f in derivatives))
        seen.clear()  # what its own check at birth saw
        kind(X, weights, act, **options).terms(state)
        return max(seen)

    assert longest(chunk=3) == 3
    assert longest() == 8


def test_the_pullback_is_the_gradient_of_torch():
    X, weights, state = case(seed=3)
    g = torch.Generator().manual_seed(1)
    pull = torch.randn(2, len(X), generator=g, dtype=F64)
    features = NetworkFeatures(X, weights, SIGMOID)
    state = state.requires_grad_()
    linear = PairFeatures(X, weights, SIGMOID).linear(state[1])
    rest = paired_network(weights, SIGMOID)(X, from_pairs(state)) - linear
    (wanted,) = torch.autograd.grad(pull[0] @ linear + pull[1] @ rest, state)
    _, _, pullback = features.terms_and_pullback(state.detach())
    torch.testing.assert_close(pullback(*pull), wanted)


def test_least_squares_of_the_network_against_torch():
    """Control: those of f_L + f_Q, which the class below it has, are others."""
    X, weights, state = case(seed=3)
    y = torch.linspace(-1, 1, len(X), dtype=F64)
    variable = state.clone().requires_grad_()
    wanted = paired_network(weights, SIGMOID)(X, from_pairs(variable)) - y
    (expected,) = torch.autograd.grad(wanted.square().mean(), variable)
    own = NetworkFeatures(X, weights, SIGMOID).least_squares(state, y)
    torch.testing.assert_close(own, (wanted.detach(), expected))
    taylor = PairFeatures(X, weights, SIGMOID).least_squares(state, y)
    assert float((taylor[1] - expected).norm()) > 1e-3 * float(expected.norm())


def test_a_step_of_descent_is_one_of_the_network_in_all_weights():
    """With R_2 on its linear term, against torch's own gradient in the m weights."""
    X, weights, state = case(n=9, seed=4)
    y = torch.randn(9, generator=torch.Generator().manual_seed(5), dtype=F64)
    features, step = NetworkFeatures(X, weights, SIGMOID), 0.1
    projector = TrainingProjector(features, 4)
    risk = RegularizedRisk(features, y, penalties=Penalties(empirical=2.0), projector=projector)
    value, gradient = risk.value_and_gradient(state)
    U = from_pairs(state).requires_grad_()
    linear = features.linear(to_pairs(U)[1])
    high = projector.high_outputs(linear)
    loss = (paired_network(weights, SIGMOID)(X, U) - y).square().mean()
    total = loss + 2.0 * high.square().mean()
    (slope,) = torch.autograd.grad(total, U)
    assert value.total(risk.penalties) == pytest.approx(float(total.detach()), rel=1e-12)
    torch.testing.assert_close(
        from_pairs(state - STEP_FACTOR * step * gradient), (U - step * slope).detach()
    )


def test_beyond_second_order_it_differs_from_the_taylor_model_by_the_cube():
    """Slope 3 in the size of the movement; f_L alone is left with slope 2."""
    X, weights, state = case(n=30, d=5, p=20, seed=6)
    network, taylor = (kind(X, weights, SIGMOID) for kind in (NetworkFeatures, PairFeatures))
    sizes = [0.04 * 2**-j for j in range(5)]
    beyond = [rms(network.terms(h * state)[1] - taylor.terms(h * state)[1]) for h in sizes]
    second = [rms(network.terms(h * state)[1]) for h in sizes]
    assert log_slope(sizes, beyond) == pytest.approx(3, abs=0.1)
    assert log_slope(sizes, second) == pytest.approx(2, abs=0.1)


def test_second_derivatives_of_the_network_are_refused():
    X, weights, state = case()
    risk = RegularizedRisk(NetworkFeatures(X, weights, SIGMOID), X[:, 0])
    for call in (
        lambda: hessian_vector(risk, state, state),
        lambda: curvature_floor(risk, state),
        lambda: random_sign_balance(risk, state, state[1], state),
    ):
        with pytest.raises(checks.InputError, match="expected a risk over PairFeatures"):
            call()


def test_a_state_of_another_shape_is_refused():
    X, weights, state = case()
    features = NetworkFeatures(X, weights, SIGMOID)
    for evaluate in (features.terms, features.terms_and_pullback):
        with pytest.raises(checks.ShapeError):
            evaluate(state[:, :, :2])
    assert math.isnan(float(features.terms(state * math.nan)[0].sum()))
