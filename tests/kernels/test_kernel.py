"""The tangent kernel: finite width by autograd, infinite width by three routes and a library."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special

from escape_ntk.checks import InputError
from escape_ntk.kernels.ntk import (
    CLOSED_FORMS,
    KernelRidge,
    dual_on_sphere,
    empirical_ntk,
    infinite_ntk,
)
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import (
    ACTIVATIONS,
    WEIGHT_LAWS,
    Activation,
    activation,
    draw_weights,
    paired_network,
)
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.polynomials import LAWS

D = 5
F64 = torch.float64
SIN, ERF, RELU = (activation(name) for name in ("sin(z+pi/4)", "erf", "relu"))
SMOOTH = [act for act in ACTIVATIONS.values() if act is not RELU]
LIBRARY = Path(__file__).parents[1] / "reference" / "neural_tangents_kernels.json"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair_of_inputs(law: str, d: int = D) -> tuple[torch.Tensor, torch.Tensor]:
    X = draw_inputs(7, d, law, seeded(), dtype=F64)
    return X[:4], X[4:]


def routes_apart(act: Activation, law: str, weight_law: str) -> tuple[list[str], float]:
    """The routes that apply, and the largest difference between them."""
    X, Y = pair_of_inputs(law)
    routes = ["quadrature"]
    routes += ["series"] if law == "sphere" else []
    routes += ["closed"] if (act.name, weight_law) in CLOSED_FORMS else []
    values = [infinite_ntk(X, Y, act, weight_law=weight_law, route=route) for route in routes]
    return routes, max(float((v - values[0]).abs().max()) for v in values)


# ---------------------------------------------------------------- finite width


@pytest.mark.parametrize("act", ACTIVATIONS.values(), ids=lambda act: act.name)
def test_empirical_kernel_is_the_gram_of_the_jacobian(act):
    """∂f/∂W at W = 0 of the paired network, by automatic differentiation."""
    (X, Y), weights = pair_of_inputs("gaussian"), draw_weights(14, D, seeded(1), dtype=F64)
    network, zero = paired_network(weights, act), torch.zeros(14, D, dtype=F64)
    jx, jy = (
        torch.autograd.functional.jacobian(lambda U, Z=Z: network(Z, U), zero).flatten(1)
        for Z in (X, Y)
    )
    ours = empirical_ntk(X, Y, weights, act)
    torch.testing.assert_close(ours, jx @ jy.T, rtol=1e-12, atol=1e-13)


def test_empirical_kernel_is_twice_the_gram_of_the_pair_features():
    (X, Y), weights = pair_of_inputs("gaussian"), draw_weights(14, D, seeded(1), dtype=F64)
    gram = PairFeatures(X, weights, SIN).cross_gram(PairFeatures(Y, weights, SIN))
    ours = empirical_ntk(X, Y, weights, SIN)
    torch.testing.assert_close(ours, 2 * gram, rtol=1e-13, atol=1e-14)
    assert float((ours - gram).abs().max()) > 0.1  # control: without the factor 2


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_block_size_changes_nothing(block):
    (X, Y), weights = pair_of_inputs("gaussian"), draw_weights(14, D, seeded(1), dtype=F64)
    expected = empirical_ntk(X, Y, weights, SIN)
    ours = empirical_ntk(X, Y, weights, SIN, block=block)
    torch.testing.assert_close(ours, expected, rtol=1e-13, atol=1e-14)


def standard_errors_apart(act: Activation, drawn: str, assumed: str, law="sphere") -> float:
    """|K_m − K_∞| in standard errors of the mean over neurons, at the worst of 12 entries."""
    X, Y = pair_of_inputs(law)
    weights = draw_weights(80_000, D, seeded(2), law=drawn, dtype=F64)
    terms = act.first(X @ weights.T)[:, None] * act.first(Y @ weights.T)[None]
    terms = terms * (X @ Y.T)[..., None]
    error = terms.std(-1) / math.sqrt(len(weights))
    gap = terms.mean(-1) - infinite_ntk(X, Y, act, weight_law=assumed)
    torch.testing.assert_close(terms.mean(-1), empirical_ntk(X, Y, weights, act))
    return float((gap.abs() / error).max())


@pytest.mark.parametrize("weight_law", WEIGHT_LAWS)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("act", ACTIVATIONS.values(), ids=lambda act: act.name)
def test_wide_networks_tend_to_the_infinite_kernel(act, law, weight_law):
    assert standard_errors_apart(act, weight_law, weight_law, law) < 4


@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_control_wide_networks_miss_the_kernel_of_the_other_law(act):
    assert standard_errors_apart(act, "gaussian", "sphere") > 6
    assert standard_errors_apart(act, "sphere", "gaussian") > 6


def test_the_limit_is_approached_at_rate_one_over_root_m():
    X, _ = pair_of_inputs("sphere")
    exact, widths = infinite_ntk(X, X, SIN), np.array([200, 2_000, 20_000])
    gaps = [
        np.mean(
            [
                float((empirical_ntk(X, X, draw_weights(m, D, g, dtype=F64), SIN) - exact).norm())
                for g in map(seeded, range(20))
            ]
        )
        for m in widths.tolist()
    ]
    assert np.polyfit(np.log(widths), np.log(gaps), 1)[0] == pytest.approx(-0.5, abs=0.06)


# ---------------------------------------------------------------- infinite width, by routes


@pytest.mark.parametrize("weight_law", WEIGHT_LAWS)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_all_routes_agree(act, law, weight_law):
    """Off the sphere and without a closed form one is left: see the wide networks above."""
    routes, gap = routes_apart(act, law, weight_law)
    assert gap < 1e-10
    assert len(routes) == 1 + (law == "sphere") + ((act.name, weight_law) in CLOSED_FORMS)


@pytest.mark.parametrize("weight_law", WEIGHT_LAWS)
def test_control_routes_to_different_laws_are_apart(weight_law):
    X, Y = pair_of_inputs("sphere")
    (other,) = set(WEIGHT_LAWS) - {weight_law}
    ours = infinite_ntk(X, Y, SIN, weight_law=weight_law, route="closed")
    theirs = infinite_ntk(X, Y, SIN, weight_law=other, route="quadrature")
    assert float((ours - theirs).abs().max()) > 1e-2


@pytest.mark.parametrize("act", ACTIVATIONS.values(), ids=lambda act: act.name)
def test_the_kernel_is_rotation_invariant_and_symmetric(act):
    X, Y = pair_of_inputs("gaussian")
    q = torch.linalg.qr(torch.randn(D, D, generator=seeded(3), dtype=F64))[0]
    ours = infinite_ntk(X, Y, act)
    torch.testing.assert_close(infinite_ntk(X @ q, Y @ q, act), ours, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(infinite_ntk(Y, X, act).T, ours, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("weight_law", WEIGHT_LAWS)
@pytest.mark.parametrize("act", ACTIVATIONS.values(), ids=lambda act: act.name)
def test_zonal_form_is_the_kernel_on_the_sphere(act, weight_law):
    X, Y = pair_of_inputs("sphere")
    tau = (X @ Y.T) / D
    ours = D * tau * dual_on_sphere(tau, act, D, weight_law=weight_law)
    expected = infinite_ntk(X, Y, act, weight_law=weight_law)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("d", [3, 10, 50])
def test_sine_kernel_is_a_bessel_function(d):
    """E cos(w·v) = Γ(d/2)(2/R)^{d/2−1}J_{d/2−1}(R), R = |v|, for unit w."""
    R = np.array([0.1, 0.5, 1.0, 1.5, 2.0]) * math.sqrt(d)
    cosine = torch.from_numpy(1 - R**2 / (2 * d))  # |x − y|² = 2d(1 − τ)
    nu = d / 2 - 1
    expected = 0.5 * np.exp(special.gammaln(d / 2) + nu * np.log(2 / R)) * special.jv(nu, R)
    ours = dual_on_sphere(cosine, SIN, d, route="closed").numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-13)
    gaussian = dual_on_sphere(cosine, SIN, d, weight_law="gaussian").numpy()
    np.testing.assert_allclose(gaussian, np.exp(-(R**2) / (2 * d)) / 2, rtol=0, atol=1e-13)
    assert np.abs(gaussian - expected).max() > 0.1 / d  # control: the other law


def test_arc_cosine_kernel_of_degree_zero():
    """Cho and Saul: E 1[w·x > 0]1[w·y > 0] = ½ − θ/(2π): ½, ¼, 0 at θ = 0, π/2, π."""
    cosine = torch.tensor([1.0, 0.0, -1.0], dtype=F64)
    for weight_law in WEIGHT_LAWS:
        ours = dual_on_sphere(cosine, RELU, D, weight_law=weight_law)
        torch.testing.assert_close(ours, torch.tensor([0.5, 0.25, 0], dtype=F64))


def test_erf_kernel_against_the_derivative_of_williams_formula():
    """E erf(u)erf(v) = (2/π) arcsin(2s/√((1+2a)(1+2b))), a, b, s the covariances of u, v.

    By Price's theorem its derivative in s is E σ'(u)σ'(v).
    """
    X, Y = pair_of_inputs("gaussian")
    a, b = (Z.square().sum(1) / D for Z in (X, Y))
    s = (X @ Y.T / D).requires_grad_()
    williams = 2 / math.pi * torch.arcsin(2 * s / ((1 + 2 * a[:, None]) * (1 + 2 * b)).sqrt())
    slope = torch.autograd.grad(williams.sum(), s)[0]
    ours = infinite_ntk(X, Y, ERF, weight_law="gaussian", route="closed")
    torch.testing.assert_close(ours, X @ Y.T * slope, rtol=1e-12, atol=1e-13)


def test_single_precision_agrees():
    X, Y = pair_of_inputs("sphere")
    for act in ACTIVATIONS.values():
        single = infinite_ntk(X.float(), Y.float(), act)
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), infinite_ntk(X, Y, act), rtol=1e-4, atol=1e-5)


def test_kinks_are_refused_by_series_and_quadrature():
    X, Y = pair_of_inputs("sphere")
    for route in ("series", "quadrature"):
        with pytest.raises(InputError, match="smooth enough"):
            infinite_ntk(X, Y, RELU, route=route)


def test_a_kink_is_refused_on_any_single_entry():
    """Few nodes lie above many for some pairs and below for others; either way they are apart."""
    for x, y in draw_inputs(80, D, "gaussian", seeded(), dtype=F64).view(40, 2, 1, D):
        with pytest.raises(InputError, match="from 49 to 64 nodes"):
            infinite_ntk(x, y, RELU, route="quadrature")


# ---------------------------------------------------------------- infinite width, by a library


REFERENCE = json.loads(LIBRARY.read_text(encoding="utf-8"))


def by_library(name: str, inputs: str, weight_law: str) -> float:
    """Largest difference from the stored kernel, relative to its entry."""
    X, Y = (torch.tensor(REFERENCE["inputs"][inputs][side], dtype=F64) for side in "XY")
    stored = torch.tensor(REFERENCE["kernels"][name][inputs], dtype=F64)
    ours = infinite_ntk(X, Y, activation(name), weight_law=weight_law)
    return float(((ours - stored) / stored).abs().max())


@pytest.mark.parametrize("inputs", REFERENCE["inputs"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kernels_of_neural_tangents(name, inputs):
    """The library in float64 and ours differ by rounding, 2e-14 at most; see tests/reference."""
    assert by_library(name, inputs, "gaussian") < 1e-12


@pytest.mark.parametrize("inputs", REFERENCE["inputs"])
@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_control_unit_weights_miss_neural_tangents(act, inputs):
    assert by_library(act.name, inputs, "sphere") > 1e-3


# ---------------------------------------------------------------- ridge regression


def ridge_case():
    X = draw_inputs(12, D, "sphere", seeded(), dtype=F64)
    return infinite_ntk(X, X, SIN), torch.randn(12, generator=seeded(1), dtype=F64)


@pytest.mark.parametrize("ridge", [0.0, 0.3, 10])
def test_kernel_ridge_solves_its_equations(ridge):
    gram, y = ridge_case()
    alpha = KernelRidge(gram).dual(y, ridge)
    torch.testing.assert_close(gram @ alpha + ridge * alpha, y, rtol=0, atol=1e-10)


def test_kernel_ridge_takes_labels_in_single_precision():
    gram, y = ridge_case()
    alpha = KernelRidge(gram.float()).dual(y.float(), 0.3)
    assert alpha.dtype == F64
    torch.testing.assert_close(alpha, KernelRidge(gram).dual(y, 0.3), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore::escape_ntk.checks.CutoffWarning")
def test_kernel_ridge_of_a_singular_kernel_is_the_pseudoinverse():
    """More inputs than features: least squares of least norm."""
    A = torch.randn(9, 4, generator=seeded(2), dtype=F64)
    y = torch.randn(9, generator=seeded(3), dtype=F64)
    alpha = KernelRidge(A @ A.T).dual(y, 0.0)
    torch.testing.assert_close(A.T @ alpha, torch.linalg.pinv(A) @ y, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("below", [0.0, 0.5, 0.9])
def test_what_rounding_pushed_below_zero_counts_as_zero(below):
    """(K + ridge·I)^{−1} of a kernel is at most 1/ridge, also along −0.9·ridge."""
    ridge, y = 1e-9, torch.ones(2, dtype=F64)
    alpha = KernelRidge(torch.tensor([1.0, -below * ridge], dtype=F64).diag()).dual(y, ridge)
    torch.testing.assert_close(alpha, torch.tensor([1 / (1 + ridge), 1 / ridge], dtype=F64))
