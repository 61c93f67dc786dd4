"""R_1 in closed form, Gaussian inputs and the sphere: against quadrature and fresh inputs."""

import itertools
import math

import pytest
import torch

from escape_ntk.checks import InputError
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import ACTIVATIONS, Activation, activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.polynomials import gauss_gegenbauer, gauss_hermite
from escape_ntk.risk.leaks import GaussianLeak, SampledLeak, SphereLeak
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.study.hypotheses import mean_over_sphere

D, P = 3, 4
F64 = torch.float64
SIGMOID, SIN = activation("sigmoid(z-1)"), activation("sin(z+pi/4)")
SMOOTH = [act for act in ACTIVATIONS.values() if act.name != "relu"]  # the closed form needs it
CLOSED = {"gaussian": GaussianLeak, "sphere": SphereLeak}
both_laws = pytest.mark.parametrize("law", CLOSED)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=F64)


WEIGHTS, T = draw_weights(2 * P, D, seeded(), dtype=F64), normal(P, D, seed=2)
Z = draw_inputs(7, D, "gaussian", seeded(7), dtype=F64)


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
    "nearly-parallel-3d": near(1e-3, 3),
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


def sphere_leak_by_quadrature(weights: torch.Tensor, act, t: torch.Tensor) -> float:
    """E f_L(x; t)² over S²(√3): Gauss–Gegenbauer in the height, equal angles around it."""
    tau, w = (torch.from_numpy(a) for a in gauss_gegenbauer(3, 40))
    angle = torch.arange(80, dtype=F64) * (2 * math.pi / 80)
    side = (1 - tau.square()).sqrt()
    columns = (side[:, None] * angle.cos(), side[:, None] * angle.sin(), tau[:, None] + 0 * angle)
    nodes = math.sqrt(3) * torch.stack(columns, dim=-1).reshape(-1, 3)
    slopes = act.first(nodes @ weights.T) / math.sqrt(2 * len(weights))
    return float((w / 80).repeat_interleave(80) @ (slopes * (nodes @ t.T)).sum(1).square())


IN_SPACE = [name for name, weights in CONFIGURATIONS.items() if weights.shape[1] == 3]


@pytest.mark.parametrize("name", IN_SPACE)
@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_closed_form_on_the_sphere_against_quadrature(name, act):
    weights = CONFIGURATIONS[name]
    t = normal(*weights.shape, seed=8)
    value, _ = SphereLeak(weights, act).value_and_gradient(t)
    assert float(value) == pytest.approx(sphere_leak_by_quadrature(weights, act, t), rel=1e-10)


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_closed_form_against_tensor_quadrature(name, act):
    """For erf 40 nodes miss E(σ'(z)z)² by 1e-6; 80, as here, by 1e-13."""
    weights = CONFIGURATIONS[name]
    t = normal(*weights.shape, seed=8)
    value, _ = GaussianLeak(weights, act).value_and_gradient(t)
    nodes = {2: 120, 3: 80}[weights.shape[1]]
    assert float(value) == pytest.approx(leak_by_quadrature(weights, act, t, nodes), rel=1e-10)


@both_laws
def test_closed_form_refuses_a_kink(law):
    """The series of a step: per cents of E σ'² are still missing at degree 60."""
    with pytest.raises(InputError, match="smooth enough"):
        CLOSED[law](WEIGHTS, activation("relu"))


@both_laws
def test_one_weight_of_another_length_is_refused(law):
    for factor in (0.9, 1.1):
        weights = WEIGHTS.clone()
        weights[1] *= factor
        with pytest.raises(InputError, match="unit weights"):
            CLOSED[law](weights, SIGMOID)


@both_laws
@pytest.mark.parametrize("name", IN_SPACE)
@pytest.mark.parametrize("power", [3, 4, 5])
def test_a_polynomial_needs_no_more_terms_than_its_degree(power, name, law):
    """σ = z^power: exact from the degree on at which no term is left; 60 are no better."""
    act, weights = Activation.from_function("power", lambda z: z**power), CONFIGURATIONS[name]
    t, degree = normal(*weights.shape, seed=8), max(3, power - (law == "gaussian"))
    if law == "gaussian":
        exact = leak_by_quadrature(weights, act, t, 12)
    else:
        exact = sphere_leak_by_quadrature(weights, act, t)
    for terms in (degree, 60):
        value, _ = CLOSED[law](weights, act, degree=terms).value_and_gradient(t)
        assert float(value) == pytest.approx(exact, rel=1e-10)


@both_laws
def test_weights_far_apart_need_fewer_terms(law):
    few, many = (
        CLOSED[law](CONFIGURATIONS[name], SIN).degree
        for name in ("orthogonal", "nearly-parallel-3d")
    )
    assert 3 <= few < many <= 60 and few < 30


@both_laws
@pytest.mark.parametrize("kernel", ["k00", "k11", "k20"])
def test_control_dropping_a_kernel_fails(kernel, law):
    weights = CONFIGURATIONS["random-3d"]
    t, leak = normal(*weights.shape, seed=8), CLOSED[law](weights, SIN)
    setattr(leak, kernel, torch.zeros_like(getattr(leak, kernel)))
    if law == "gaussian":
        exact = leak_by_quadrature(weights, SIN, t, 60)
    else:
        exact = sphere_leak_by_quadrature(weights, SIN, t)
    assert abs(float(leak.value_and_gradient(t)[0]) / exact - 1) > 1e-2


@both_laws
@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_closed_form_against_monte_carlo(act, law):
    """At d = 20, out of reach of quadrature: within four standard errors of 100 000 inputs."""
    d, p = 20, 6
    weights, t = draw_weights(2 * p, d, seeded(1), dtype=F64), normal(p, d, seed=3)
    features = PairFeatures(draw_inputs(100_000, d, law, seeded(2), dtype=F64), weights, act)
    squares = features.linear(t).square()
    error = float(squares.std()) / math.sqrt(len(squares))
    exact = float(CLOSED[law](weights, act).value_and_gradient(t)[0])
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
    features, t = PairFeatures(Z, WEIGHTS, SIGMOID), T
    value, gradient = SampledLeak(features).value_and_gradient(t)

    def definition(t):
        return ((features.first * (Z @ t.T)).sum(1)).square().mean()

    assert float(value) == pytest.approx(float(definition(t)), rel=1e-13)
    expected = torch.func.grad(definition)(t)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-13)


@both_laws
@pytest.mark.parametrize("block", [1, 3, 8, 512])
def test_block_size_changes_nothing(block, law):
    weights, t = draw_weights(16, D, seeded(1), dtype=F64), normal(8, D, seed=3)
    value, gradient = CLOSED[law](weights, SIGMOID, block=block).value_and_gradient(t)
    expected = CLOSED[law](weights, SIGMOID).value_and_gradient(t)
    torch.testing.assert_close((value, gradient), expected, rtol=1e-13, atol=1e-15)


LEAKS = {
    "gaussian": lambda: GaussianLeak(WEIGHTS, SIGMOID),
    "sphere": lambda: SphereLeak(WEIGHTS, SIGMOID),
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


@both_laws
def test_rotation_invariance(law):
    q = torch.linalg.qr(normal(D, D, seed=6))[0]
    value, gradient = CLOSED[law](WEIGHTS, SIGMOID).value_and_gradient(T)
    turned = CLOSED[law](WEIGHTS @ q, SIGMOID).value_and_gradient(T @ q)
    torch.testing.assert_close(turned, (value, gradient @ q), rtol=1e-11, atol=1e-13)


@both_laws
def test_closed_form_in_single_precision(law):
    double, single = (CLOSED[law](WEIGHTS.to(d), SIGMOID) for d in (F64, torch.float32))
    value, gradient = single.value_and_gradient(T.float())
    expected = double.value_and_gradient(T)
    assert gradient.dtype == torch.float32
    torch.testing.assert_close((value.double(), gradient.double()), expected, rtol=1e-4, atol=1e-5)


def test_leak_of_the_laboratory_activation_has_its_textbook_kernel():
    """E σ'(p)σ'(q) = E σ''(p)σ''(q) = ½e^{ρ−1} for σ(z) = sin(z + π/4)."""
    leak = GaussianLeak(WEIGHTS, activation("sin(z+pi/4)"))
    expected = ((WEIGHTS @ WEIGHTS.T) - 1).exp() / 2
    torch.testing.assert_close(leak.k00, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(leak.k11, expected, rtol=1e-12, atol=0)


def test_the_sphere_tends_to_gaussian_inputs():
    """Relative differences of order 1/d: halved when d doubles."""
    gaps = []
    for d in (100, 200):
        w, t = draw_weights(40, d, seeded(1), dtype=F64), normal(20, d, seed=3)
        gaussian, sphere = (leak(w, SIN).value_and_gradient(t)[0] for leak in CLOSED.values())
        gaps.append(abs(float(sphere / gaussian) - 1))
    assert 0 < gaps[1] < 0.7 * gaps[0] < 0.02


@both_laws
def test_all_kernels_are_symmetric_and_of_the_stated_size(law):
    leak = CLOSED[law](WEIGHTS, SIGMOID)
    for kernel, (i, j) in itertools.product((leak.k00, leak.k11, leak.k20), [(0, 1), (2, 3)]):
        assert kernel.shape == (P, P)
        assert float(kernel[i, j]) == pytest.approx(float(kernel[j, i]), rel=1e-14)


def test_random_signs_are_harmless_in_any_projector():
    """E_S E_x f_L(PSt)² ≤ max|t_r|² tr Σ over all signs; with equal signs it is exceeded."""
    d, pairs, g = 4, 10, torch.Generator().manual_seed(2)
    w = draw_weights(2 * pairs, d, g, dtype=F64)
    act = SIGMOID
    projector = TrainingProjector(
        PairFeatures(draw_inputs(40, d, "sphere", g, dtype=F64), w, act), 1
    )
    leak, t = SphereLeak(w, act), torch.zeros(pairs, d, dtype=F64)
    t[:, 0] = 1.0
    trace = d * mean_over_sphere(act, 1, d, power=2) / 2

    def seen(signs) -> float:
        S = torch.tensor(signs, dtype=F64)[:, None]
        return float(leak.value_and_gradient(projector.high(S * t))[0])

    mean = sum(map(seen, itertools.product((1, -1), repeat=pairs))) / 2**pairs
    assert 0 < mean <= trace
    assert float(leak.value_and_gradient(t)[0]) > trace  # the control: equal signs, no projector
