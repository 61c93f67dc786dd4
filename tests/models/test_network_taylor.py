"""The network and its Taylor terms: f(x; 0) = 0, two routes to f_L and f_Q, remainder slope 3."""

import math

import numpy as np
import pytest
import torch

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import (
    ACTIVATIONS,
    Activation,
    TwoLayerNetwork,
    activation,
    draw_weights,
    gaussian_mean_square,
    paired_network,
)
from escape_ntk.models.taylor import linear_term, quadratic_term, remainder

N, D, M = 6, 5, 12
F64 = torch.float64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def case(act: Activation, seed: int = 0):
    """A paired network, inputs and a movement, in float64."""
    g = generator(seed)
    network = paired_network(draw_weights(M, D, g, dtype=F64), act)
    X = draw_inputs(N, D, "gaussian", g, dtype=F64)
    return network, X, torch.randn(M, D, generator=g, dtype=F64)


def by_definition(network: TwoLayerNetwork, X: torch.Tensor):
    """U ↦ f(x_i; U), neuron by neuron, to be differentiated automatically."""

    def f(U):
        neurons = [
            a * network.activation.value(X @ (w + u))
            for a, w, u in zip(network.signs, network.weights, U, strict=True)
        ]
        return sum(neurons) / math.sqrt(len(U))

    return f


def slope(x, y) -> float:
    """Exponent of y ∝ x^slope by regression of logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


# ---------------------------------------------------------------- f(x; 0) = 0


def test_paired_network_vanishes_at_the_start_exactly():
    """With whole numbers every sum is exact in float64, and so is the cancellation."""
    cubic = Activation("cubic", lambda z: z**3, lambda z: 3 * z**2, lambda z: 6 * z)
    whole = torch.arange(1, 16, dtype=F64).reshape(5, 3)
    network = paired_network(whole, cubic)
    assert torch.equal(network(whole), torch.zeros(5, dtype=F64))
    assert bool((network(whole, torch.ones(10, 3, dtype=F64)) == 0).all())  # equal movements, too
    alone = TwoLayerNetwork(whole, torch.ones(5, dtype=F64), cubic)
    assert bool((alone(whole) != 0).all())  # control: unpaired neurons do not cancel


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_paired_network_vanishes_at_the_start_to_rounding(name, dtype):
    """Sums of m terms of either sign round by at most about √m ulp of their partial sums."""
    m, g = 2_000, generator()
    network = paired_network(draw_weights(m, D, g, dtype=dtype), activation(name))
    X = draw_inputs(20, D, "gaussian", g, dtype=dtype)
    assert float(network(X).abs().max()) < torch.finfo(dtype).eps * m / 2


# ---------------------------------------------------------------- Taylor terms


@pytest.mark.parametrize("act", ACTIVATIONS.values(), ids=lambda act: act.name)
def test_the_network_is_its_definition(act):
    network, X, U = case(act)
    torch.testing.assert_close(network(X, U), by_definition(network, X)(U), rtol=0, atol=1e-13)


@pytest.mark.parametrize("act", ACTIVATIONS.values(), ids=lambda act: act.name)
def test_taylor_terms_against_automatic_differentiation(act):
    """f_L = d/dε f(εU), f_Q = ½ d²/dε² f(εU) at ε = 0, by nested forward mode."""
    network, X, U = case(act)
    f, zero = by_definition(network, X), torch.zeros_like(U)

    def first(V):
        return torch.func.jvp(f, (V,), (U,))[1]

    second = torch.func.jvp(first, (zero,), (U,))[1]
    torch.testing.assert_close(linear_term(network, X, U), first(zero), rtol=0, atol=1e-12)
    torch.testing.assert_close(quadratic_term(network, X, U), second / 2, rtol=0, atol=1e-12)
    assert float((linear_term(network, X, U) - second / 2).abs().max()) > 1e-3  # control: swapped


def test_terms_are_homogeneous_of_degree_one_and_two():
    network, X, U = case(activation("sigmoid(z-1)"))
    torch.testing.assert_close(linear_term(network, X, 3 * U), 3 * linear_term(network, X, U))
    torch.testing.assert_close(quadratic_term(network, X, 3 * U), 9 * quadratic_term(network, X, U))


SMOOTH = [act for act in ACTIVATIONS.values() if act.name != "relu"]


@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_remainder_has_slope_three(act):
    """Control: with f_Q left out the slope is two."""
    network, X, U = case(act)
    sizes = np.geomspace(1e-3, 1e-1, 9)
    whole, without = [], []
    for size in sizes:
        V = U * float(size / U.norm())
        rest = remainder(network, X, V)
        whole.append(float(rest.norm()))
        without.append(float((rest + quadratic_term(network, X, V)).norm()))
    assert slope(sizes, whole) == pytest.approx(3, abs=0.03)
    assert slope(sizes, without) == pytest.approx(2, abs=0.03)


# ---------------------------------------------------------------- the user's own


def test_activation_from_a_function_alone():
    act = Activation.from_function("tanh", torch.tanh)
    z = torch.linspace(-3, 3, 31, dtype=F64)
    tanh = torch.tanh(z)
    torch.testing.assert_close(act.first(z), 1 - tanh**2, rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(act.second(z), -2 * tanh * (1 - tanh**2), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    "function", [torch.erf, torch.relu, lambda z: z, lambda z: z**2], ids=["erf", "relu", "z", "z²"]
)
def test_taylor_terms_of_a_users_function(function):
    network, X, U = case(Activation.from_function("mine", function))
    f, zero = by_definition(network, X), torch.zeros_like(U)
    expected = torch.func.jvp(f, (zero,), (U,))[1]
    torch.testing.assert_close(linear_term(network, X, U), expected, rtol=0, atol=1e-12)
    small = remainder(network, X, 1e-3 * U)
    assert float(small.abs().max()) < 1e-6 * float(U.norm()) ** 3


def test_users_own_weights_and_signs():
    """Unequal norms, no pairs, odd width: the terms are defined for any two-layer network."""
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=(7, D)) * 2)
    signs = torch.tensor([1.0, -1, 1, 1, -1, 1, 1], dtype=F64)
    network = TwoLayerNetwork(weights, signs, activation("sin(z+pi/4)"))
    X = draw_inputs(N, D, "sphere", generator(), dtype=F64)
    U = torch.randn(7, D, generator=generator(1), dtype=F64)
    f = by_definition(network, X)
    expected = torch.func.jvp(f, (torch.zeros_like(U),), (U,))[1]
    torch.testing.assert_close(network(X, U), f(U), rtol=0, atol=1e-13)
    torch.testing.assert_close(linear_term(network, X, U), expected, rtol=0, atol=1e-12)


# ---------------------------------------------------------------- drawn weights


def test_weights_on_the_sphere_have_norm_one():
    norms = draw_weights(20, D, generator(), dtype=F64).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-15, atol=1e-15)


def test_gaussian_weights_have_mean_square_one():
    squares = draw_weights(40_000, D, generator(), law="gaussian", dtype=F64).square().sum(1)
    error = float(squares.std()) / math.sqrt(len(squares))
    assert abs(float(squares.mean()) - 1) < 4 * error
    assert float(squares.std()) > 0.1  # control: not the sphere


@pytest.mark.parametrize("law", ["sphere", "gaussian"])
def test_both_precisions_draw_the_same_weights(law):
    double = draw_weights(8, D, generator(), law=law, dtype=F64)
    assert torch.equal(draw_weights(8, D, generator(), law=law), double.float())


def test_pairs_share_weights_and_differ_in_sign():
    weights = draw_weights(M, D, generator())
    network = paired_network(weights, activation("sigmoid(z-1)"))
    assert network.width == M
    assert torch.equal(network.weights[: M // 2], network.weights[M // 2 :])
    assert torch.equal(network.signs[: M // 2], -network.signs[M // 2 :])


def test_gaussian_mean_square_of_the_laboratory_activation():
    """E sin²(Z + π/4) = E cos²(Z + π/4) = ½, since E cos(2Z + π/2) = 0."""
    act = activation("sin(z+pi/4)")
    for function in (act.value, act.first, act.second):
        assert gaussian_mean_square(function) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "heavy", "one neuron"])
def test_the_network_is_near_its_taylor_model_on_the_whole_ball(kind):
    """|f − f_L − f_Q| ≤ sup|σ'''| |x|³ m^(−1/4) ‖W‖_{2,4}³/6, large movements included."""
    act = activation("sin(z+pi/4)")  # sup|σ'''| = 1
    for m in (16, 256):
        g = generator(m)
        net = paired_network(draw_weights(m, D, g, dtype=F64), act)
        X, U = draw_inputs(N, D, "sphere", g, dtype=F64), torch.randn(m, D, generator=g, dtype=F64)
        if kind == "heavy":
            U /= torch.rand(m, 1, generator=g, dtype=F64)
        if kind == "one neuron":
            U[1:] = 0
        norm = float(U.norm(dim=1).pow(4).sum()) ** 0.25
        bound = D**1.5 * m**-0.25 * norm**3 / 6
        assert float(remainder(net, X, U).abs().max()) <= bound


def test_no_smaller_constant_bounds_the_remainder_on_the_ball():
    """The control: equality for σ = z³/6, signs and movements equal, along the input."""
    cube, m = Activation.from_function("z^3/6", lambda z: z**3 / 6), 8
    net = TwoLayerNetwork(torch.ones(m, D, dtype=F64), torch.ones(m, dtype=F64), cube)
    X = draw_inputs(1, D, "sphere", generator(), dtype=F64)
    U = 0.3 * X.expand(m, D)
    norm = float(U.norm(dim=1).pow(4).sum()) ** 0.25
    bound = D**1.5 * m**-0.25 * norm**3 / 6
    rest = net(X, U) - net(X) - linear_term(net, X, U) - quadratic_term(net, X, U)
    assert float(rest) == pytest.approx(bound, rel=1e-10)
