"""Pair coordinates: the same model and the same gradient descent on half the neurons."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import Activation, activation, draw_weights, paired_network
from escape_ntk.models.pairs import PairFeatures, from_pairs, to_pairs
from escape_ntk.models.taylor import linear_term, quadratic_term
from escape_ntk.risk.regularizer import RegularizedRisk
from escape_ntk.training.descent import gradient_descent, stability_limit

F64 = torch.float64
SIGMOID = activation("sigmoid(z-1)")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]


def case(n=7, d=4, p=5, *, seed=0, device="cpu", dtype=F64):
    """Inputs X, weights, and a random pair state."""
    g = torch.Generator(device=device).manual_seed(seed)
    weights = draw_weights(2 * p, d, g, dtype=dtype)
    X = draw_inputs(n, d, "gaussian", g, dtype=dtype)
    return X, weights, torch.randn(2, p, d, generator=g, dtype=dtype, device=device)


def all_weights_terms(X, weights, state, act=SIGMOID):
    """(f_L, f_Q) by their definitions on all m neurons."""
    network, U = paired_network(weights, act), from_pairs(state)
    return linear_term(network, X, U), quadratic_term(network, X, U)


def explicit_features(X, weights, act=SIGMOID):
    """∂f_L/∂t as a dense (n, p·d) matrix."""
    scale = 1 / math.sqrt(2 * len(weights))
    return torch.einsum("np,nd->npd", act.first(X @ weights.T) * scale, X).flatten(1)


# ---------------------------------------------------------------- coordinates


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 100))
def test_round_trip(p, d, seed):
    U = torch.randn(2 * p, d, generator=torch.Generator().manual_seed(seed), dtype=F64)
    torch.testing.assert_close(from_pairs(to_pairs(U)), U, rtol=1e-15, atol=1e-15)
    state = to_pairs(U)
    torch.testing.assert_close(state[0], U[:p] + U[p:])
    torch.testing.assert_close(state[1], U[:p] - U[p:])
    assert float(U.norm() ** 2) == pytest.approx(float(state.norm() ** 2) / 2, rel=1e-14)


@settings(max_examples=40)
@given(
    st.integers(1, 6), st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.integers(0, 99)
)
def test_terms_are_those_of_all_weights(n, d, p, chunk, seed):
    X, weights, state = case(n, d, p, seed=seed)
    linear, quadratic = PairFeatures(X, weights, SIGMOID, chunk=chunk).terms(state)
    expected = all_weights_terms(X, weights, state)
    torch.testing.assert_close(linear, expected[0], rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(quadratic, expected[1], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("wide", [False, True])
def test_a_block_has_twice_as_many_rows_as_a_row_has_numbers(wide):
    """However many neurons there are; few neurons take more (the control)."""
    p, d = (20_000, 30) if wide else (50, 30)
    features = PairFeatures(torch.ones(1, d), torch.eye(1, d).repeat(p, 1), "erf")
    assert (features.chunk == 2 * d) == (features._rows_pulled == 2 * d) == wide
    assert min(features.chunk, features._rows_pulled) >= 2 * d


def test_the_last_short_block_fits_its_buffers():
    """7 = 3 + 3 + 1 rows; torch warns when it has to resize what it writes into."""
    X, weights, state = case(n=7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PairFeatures(X, weights, SIGMOID, chunk=3).terms(state)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_devices_and_precisions_agree(device, dtype):
    X, weights, state = case()
    features = PairFeatures(X.to(device, dtype), weights.to(device, dtype), SIGMOID)
    for got, expected in zip(
        features.terms(state.to(device, dtype)), all_weights_terms(X, weights, state), strict=True
    ):
        assert got.dtype == dtype and got.device.type == device
        tolerance = 1e-5 if dtype == torch.float32 else 1e-13
        torch.testing.assert_close(got.cpu().double(), expected, rtol=tolerance, atol=tolerance)


def test_swapping_s_and_t_is_caught():
    """Control: f_L sees t alone."""
    X, weights, state = case()
    linear, quadratic = PairFeatures(X, weights, SIGMOID).terms(state.flip(0))
    expected = all_weights_terms(X, weights, state)
    assert float((linear - expected[0]).abs().max()) > 1e-3
    torch.testing.assert_close(quadratic, expected[1])  # f_Q is symmetric in s and t


@pytest.mark.parametrize("chunk", [1, 3, 6, 7, 1024])
def test_chunk_size_changes_nothing(chunk):
    X, weights, state = case()
    small, whole = (PairFeatures(X, weights, SIGMOID, chunk=c) for c in (chunk, 7))
    torch.testing.assert_close(small.first, whole.first, rtol=1e-14, atol=1e-15)
    for got, expected in zip(small.terms(state), whole.terms(state), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-13, atol=1e-14)


def test_activation_that_returns_a_shared_tensor():
    """Derivatives may be views, or the argument itself: the features must not write into them."""
    one = torch.ones((), dtype=F64)
    square = Activation("z²/2", lambda z: z**2 / 2, lambda z: z, lambda z: one.expand_as(z))
    X, weights, state = case()
    got = PairFeatures(X, weights, square).terms(state)
    expected = all_weights_terms(X, weights, state, square)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-13)


# ---------------------------------------------------------------- derivatives


@pytest.mark.parametrize("device", DEVICES)
def test_pullback_against_autograd(device):
    X, weights, state = case(device=device)
    g = torch.randn(2, len(X), generator=torch.Generator().manual_seed(1), dtype=F64).to(device)
    linear, quadratic, pullback = PairFeatures(X, weights, SIGMOID).terms_and_pullback(state)
    gradient = pullback(g[0], g[1])

    variable = state.clone().requires_grad_()
    f_linear, f_quadratic = all_weights_terms(X, weights, variable)
    (expected,) = torch.autograd.grad(g[0] @ f_linear + g[1] @ f_quadratic, variable)
    torch.testing.assert_close((linear, quadratic), (f_linear.detach(), f_quadratic.detach()))
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("chunk", [1, 3, 1024])
def test_least_squares_against_autograd(device, chunk):
    """In one pass as by f_L, f_Q and their pullback.  Control: of f_L alone it is another one."""
    X, weights, state = case(device=device)
    y = torch.randn(len(X), generator=torch.Generator().manual_seed(1), dtype=F64).to(device)
    features = PairFeatures(X, weights, SIGMOID, chunk=chunk)
    residual, gradient = features.least_squares(state, y)

    variable = state.clone().requires_grad_()
    f_linear, f_quadratic = all_weights_terms(X, weights, variable)
    wanted = f_linear + f_quadratic - y
    (expected,) = torch.autograd.grad(wanted.square().mean(), variable, retain_graph=True)
    torch.testing.assert_close(residual, wanted.detach(), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-13)
    (other,) = torch.autograd.grad((f_linear - y).square().mean(), variable)
    assert float((gradient - other).norm()) > 1e-2 * float(gradient.norm())


def test_features_stay_as_they_were():
    """The pullback works in its buffers: a second evaluation gives the same numbers."""
    X, weights, state = case()
    features = PairFeatures(X, weights, SIGMOID)
    before = features.terms(state)
    g = torch.ones(len(X), dtype=F64)
    gradients = [features.terms_and_pullback(state)[2](g, g) for _ in range(2)]
    assert torch.equal(*gradients)
    assert torch.equal(*(features.least_squares(state, g)[1] for _ in range(2)))
    assert torch.equal(torch.stack(features.terms(state)), torch.stack(before))


def test_linear_map_and_its_adjoint_are_the_explicit_features():
    X, weights, state = case()
    features, A = PairFeatures(X, weights, SIGMOID), explicit_features(X, weights)
    c = torch.randn(len(X), generator=torch.Generator().manual_seed(2), dtype=F64)
    torch.testing.assert_close(features.linear(state[1]), A @ state[1].flatten())
    torch.testing.assert_close(features.linear_pullback(c).flatten(), A.T @ c)


@pytest.mark.parametrize("device", DEVICES)
def test_cross_gram_against_explicit_features(device):
    X, weights, _ = case(device=device)
    Z = case(n=3, seed=5, device=device)[0]
    gram = PairFeatures(X, weights, SIGMOID).cross_gram(PairFeatures(Z, weights, SIGMOID))
    expected = explicit_features(X, weights) @ explicit_features(Z, weights).T
    torch.testing.assert_close(gram, expected, rtol=1e-12, atol=1e-13)


def test_gram_is_half_the_tangent_kernel_of_all_weights():
    """K = JJᵀ with the Jacobian of the network itself in the movement of all m neurons."""
    X, weights, _ = case()
    network = paired_network(weights, SIGMOID)

    def f(U):
        return SIGMOID.value(X @ (network.weights + U).T) @ network.signs / math.sqrt(10)

    J = torch.func.jacrev(f)(torch.zeros(10, 4, dtype=F64)).flatten(1)
    features = PairFeatures(X, weights, SIGMOID)
    torch.testing.assert_close(2 * features.cross_gram(features), J @ J.T, rtol=1e-12, atol=1e-13)


# ---------------------------------------------------------------- gradient descent


def descend_on_all_weights(X, y, weights, U, step: float, n_steps: int):
    """W ← W − step·∇_W (1/n)Σ(y_i − f_L − f_Q)² by automatic differentiation."""
    network = paired_network(weights, SIGMOID)
    for _ in range(n_steps):
        U = U.detach().requires_grad_()
        residual = y - linear_term(network, X, U) - quadratic_term(network, X, U)
        (gradient,) = torch.autograd.grad(residual.square().mean(), U)
        U = U - step * gradient
    return U.detach()


def test_descent_in_pairs_is_descent_on_all_weights():
    """Control: step η in place of 2η in (s, t) ends elsewhere."""
    X, weights, state = case(n=9)
    y = torch.randn(9, generator=torch.Generator().manual_seed(3), dtype=F64)
    risk = RegularizedRisk(PairFeatures(X, weights, SIGMOID), y)
    step = 0.5 * stability_limit(risk, state)

    def in_pairs(step):
        run = gradient_descent(
            risk, state, step=step, n_steps=50, record_at=[0], observe=lambda s: {}
        )
        return from_pairs(run.state)

    expected = descend_on_all_weights(X, y, weights, from_pairs(state), step, 50)
    torch.testing.assert_close(in_pairs(step), expected, rtol=1e-12, atol=1e-12)
    assert float((in_pairs(step / 2) - expected).norm()) > 1e-2
    assert float((expected - from_pairs(state)).norm()) > 1e-2  # it moved


def test_start_is_a_saddle_of_the_quadratic_term():
    """At W = 0 f_Q has zero gradient: only f_L moves, and it moves t alone."""
    X, weights, state = case()
    features = PairFeatures(X, weights, SIGMOID)
    g = torch.ones(len(X), dtype=F64)
    _, _, pullback = features.terms_and_pullback(torch.zeros_like(state))
    gradient = pullback(g, g)
    assert torch.equal(gradient[0], torch.zeros_like(gradient[0]))
    torch.testing.assert_close(gradient[1], features.linear_pullback(g))
