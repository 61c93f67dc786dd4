"""The tangent kernel: finite width by autograd, infinite width by three routes and a library."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special

from escape_ntk.checks import CutoffWarning, InputError
from escape_ntk.kernels.ntk import (
    CLOSED_FORMS,
    RCOND,
    RCOND_SINGLE,
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
@pytest.mark.parametrize(("dtype", "cut"), [(F64, RCOND), (torch.float32, RCOND_SINGLE)])
def test_what_rounding_pushed_below_zero_counts_as_zero(below, dtype, cut):
    """(K + ridge·I)^{−1} of a kernel is at most 1/ridge, also along what the precision allows."""
    ridge, y = 2 * cut, torch.ones(2, dtype=F64)
    alpha = KernelRidge(torch.tensor([1.0, -below * cut], dtype=dtype).diag()).dual(y, ridge)
    torch.testing.assert_close(alpha, torch.tensor([1 / (1 + ridge), 1 / ridge], dtype=F64))


@pytest.mark.parametrize("ridge", [0.0, 0.1, 0.999, 5.0])
@pytest.mark.parametrize("dtype", [F64, torch.float32])
def test_an_indefinite_matrix_is_solved_as_it_stands_and_named(ridge, dtype):
    """Eigenvalues −1, 1 and 3."""
    K = torch.eye(3, dtype=F64)
    K[0, 1] = K[1, 0] = 2.0
    y = torch.tensor([1.0, -1.0, 0.0], dtype=F64)
    with pytest.warns(CutoffWarning, match=r"1 of 3 eigenvalues are negative .*-1 \(λ_max 3\)"):
        alpha = KernelRidge(K.to(dtype)).dual(y, ridge)
    torch.testing.assert_close(K @ alpha + ridge * alpha, y)


def test_a_ridge_that_cancels_a_negative_eigenvalue_is_cut():
    K, y = torch.diag(torch.tensor([2.0, -1.0], dtype=F64)), torch.ones(2, dtype=F64)
    with pytest.warns(CutoffWarning, match="1 of 2 eigenvalues are negative"):
        with pytest.warns(CutoffWarning, match="1 of 2 kernel eigenvalues below"):
            alpha = KernelRidge(K).dual(y, 1.0)
    assert alpha.tolist() == pytest.approx([1 / 3, 0])


def test_a_kernel_in_single_precision_is_cut_at_its_rounding():
    """Ridgeless on a spectrum that dies out: cut at RCOND, rounding would be inverted."""
    X, Z = (draw_inputs(n, 3, "sphere", seeded(s), dtype=F64) for n, s in ((200, 0), (50, 1)))
    y, want = ((3 * points[:, 0]).sin() for points in (X, Z))
    y = y + 0.1 * torch.randn(200, generator=seeded(2), dtype=F64)

    def error(dtype) -> tuple[float, int, float]:
        K, across = (infinite_ntk(A.to(dtype), X.to(dtype), SIN) for A in (X, Z))
        fit = KernelRidge(K)
        small = int((fit.eigenvalues <= fit.rcond * fit.eigenvalues.max()).sum())
        with pytest.warns(CutoffWarning, match=f"{small} of 200 kernel eigenvalues below") as said:
            gap = across.double() @ fit.dual(y, 0.0) - want
        assert len(said) == 1
        return float(gap.square().mean().sqrt()), small, fit.rcond

    single, cut, rcond = error(torch.float32)
    double, fewer, _ = error(F64)
    assert cut > fewer and rcond == RCOND_SINGLE and single < 1.5 * double
    K = infinite_ntk(X.float(), X.float(), SIN).double()  # control: the cut of float64 on it
    with pytest.warns(CutoffWarning):
        alpha = KernelRidge(K).dual(y, 0.0)
    assert float((infinite_ntk(Z, X, SIN) @ alpha - want).square().mean().sqrt()) > 3 * single


# ---------------------------------------------------------------- gradients in the inputs


def central(function, Z: torch.Tensor, h: float = 1e-5) -> torch.Tensor:
    """∇function by central differences."""
    steps = h * torch.eye(Z.numel(), dtype=F64).view(-1, *Z.shape)
    with torch.no_grad():
        slopes = [float(function(Z + e) - function(Z - e)) / (2 * h) for e in steps]
    return torch.tensor(slopes, dtype=F64).view_as(Z)


def hard_pairs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """X on the sphere and 0; Y with x, 2x, −x, 0 and another; random weights of the entries."""
    X = draw_inputs(2, 3, "sphere", seeded(), dtype=F64)
    zero, other = torch.zeros(1, 3, dtype=F64), draw_inputs(1, 3, "gaussian", seeded(1), dtype=F64)
    X, Y = torch.cat([X, zero]), torch.cat([X[:1], 2 * X[:1], -X[1:], zero, other])
    return X, Y, torch.randn(len(X), len(Y), generator=seeded(2), dtype=F64)


@pytest.mark.parametrize("route", ["auto", "quadrature"])
@pytest.mark.parametrize("weight_law", WEIGHT_LAWS)
@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_gradients_in_the_inputs_also_where_inputs_are_parallel_or_zero(act, weight_law, route):
    X, Y, c = hard_pairs()

    def total(A, B):
        return (c * infinite_ntk(A, B, act, weight_law=weight_law, route=route)).sum()

    A, B = X.clone().requires_grad_(), Y.clone().requires_grad_()
    in_x, in_y = torch.autograd.grad(total(A, B), (A, B))
    close = dict(rtol=0, atol=2e-7)
    torch.testing.assert_close(in_x, central(lambda Z: total(Z, Y), X), **close)
    torch.testing.assert_close(in_y, central(lambda Z: total(X, Z), Y), **close)
    torch.testing.assert_close(torch.func.grad(lambda Z: total(Z, Y))(X), in_x, rtol=0, atol=0)


@pytest.mark.parametrize("weight_law", WEIGHT_LAWS)
def test_gradients_on_the_sphere_know_the_lengths_of_the_inputs(weight_law):
    """The series would give the slope in x·y/d alone: without its part along x."""
    act, (X, Y) = activation("sigmoid(z-1)"), pair_of_inputs("sphere")
    A = X.clone().requires_grad_()
    ours = torch.autograd.grad(infinite_ntk(A, Y, act, weight_law=weight_law).sum(), A)[0]
    expected = central(
        lambda Z: infinite_ntk(Z, Y, act, weight_law=weight_law, route="quadrature").sum(), X
    )
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-8)
    tau = (A @ Y.T) / D
    kernel = D * tau * dual_on_sphere(tau, act, D, weight_law=weight_law)
    by_series = torch.autograd.grad(kernel.sum(), A)[0]
    assert float((by_series - ours).norm() / ours.norm()) > 0.01  # control


def test_gradients_of_the_relu_kernel():
    X, _, c = hard_pairs()
    c, act = c[:2, :2], RELU
    Z = X[:2].clone().requires_grad_()
    K = infinite_ntk(Z, Z, act)
    rows = torch.autograd.grad(K.diagonal().sum(), Z, retain_graph=True)[0]  # K(x, x) = |x|²/2
    torch.testing.assert_close(rows, X[:2], rtol=0, atol=1e-6)
    one = torch.autograd.grad(infinite_ntk(Z, X[:2], act).diagonal().sum(), Z)[0]
    torch.testing.assert_close(one, X[:2] / 2, rtol=0, atol=1e-6)  # mean of both sides of a kink
    apart = torch.autograd.grad(K[0, 1], Z)[0]
    expected = central(lambda W: infinite_ntk(W, W, act)[0, 1], X[:2])
    torch.testing.assert_close(apart, expected, rtol=0, atol=1e-8)
    for Y in (0 * X[:1], X[:1], -X[:1]):
        for W in (X[:2], X):
            A = W.clone().requires_grad_()
            gradient = torch.autograd.grad(infinite_ntk(A, Y, act).sum(), A)[0]
            assert bool(gradient.isfinite().all())
            tangent = torch.func.jvp(lambda V, Y=Y: infinite_ntk(V, Y, act).sum(), (W,), (W,))[1]
            assert float(tangent) == pytest.approx(float((gradient * W).sum()), abs=1e-6)


@pytest.mark.parametrize("law", WEIGHT_LAWS)
def test_second_derivatives_of_a_closed_form_at_equal_inputs(law):
    """∇_x∇_yᵀ K at x = y, where rounding may have made |x − y|² negative."""
    X = draw_inputs(6, 3, "sphere", seeded(), dtype=F64)

    def mixed(route, x):
        def slope(b):
            a = x.clone().requires_grad_()
            K = infinite_ntk(a[None], b[None], SIN, weight_law=law, route=route)
            return torch.autograd.grad(K.sum(), a, create_graph=route == "closed")[0]

        if route == "closed":
            return torch.autograd.functional.jacobian(slope, x)
        steps = 1e-5 * torch.eye(3, dtype=F64)
        return torch.stack([(slope(x + e) - slope(x - e)) / 2e-5 for e in steps], 1)

    for x in X:
        torch.testing.assert_close(mixed("closed", x), mixed("quadrature", x), rtol=0, atol=1e-8)


def test_gradients_of_the_empirical_kernel():
    X, Y, c = hard_pairs()
    weights, A = draw_weights(20, 3, seeded(1), dtype=F64), X.clone().requires_grad_()
    for act in SMOOTH:
        ours = torch.autograd.grad((c * empirical_ntk(A, Y, weights, act, block=3)).sum(), A)[0]
        expected = central(lambda Z, act=act: (c * empirical_ntk(Z, Y, weights, act)).sum(), X)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-8)


# ---------------------------------------------------------------- no number silently wrong


@pytest.mark.parametrize("off", [1e-10, 1e-6, 9e-5])
@pytest.mark.parametrize("weight_law", WEIGHT_LAWS)
def test_inputs_beside_the_sphere(off, weight_law):
    X, Y = pair_of_inputs("sphere")
    act, X = activation("sigmoid(z-1)"), (1 + off) * X
    auto, exact = (
        infinite_ntk(X, Y, act, weight_law=weight_law, route=route)
        for route in ("auto", "quadrature")
    )
    torch.testing.assert_close(auto, exact, rtol=1e-9, atol=0)
    if off > 1e-7:
        with pytest.raises(InputError, match=f"off by up to {off:.2g}".replace("+", ".")):
            infinite_ntk(X, Y, act, weight_law=weight_law, route="series")


@pytest.mark.parametrize("weight_law", WEIGHT_LAWS)
@pytest.mark.parametrize("act", ACTIVATIONS.values(), ids=lambda act: act.name)
def test_single_precision_is_right_to_its_rounding(act, weight_law):
    """Also on the diagonal of ReLU, far along the sine's alternating series, and at x = 0."""
    X = torch.cat([draw_inputs(8, D, "gaussian", seeded(), dtype=F64), torch.zeros(1, D)]).float()
    X[1] *= 1.5
    single = infinite_ntk(X, X, act, weight_law=weight_law)
    double = infinite_ntk(X.double(), X.double(), act, weight_law=weight_law)
    assert single.dtype == torch.float32 and bool(single.isfinite().all())
    torch.testing.assert_close(single.double(), double, rtol=1e-7, atol=1e-30)
    assert bool((single[-1] == 0).all())


def test_the_relu_kernel_is_homogeneous_at_any_length():
    X, Y = pair_of_inputs("gaussian")
    K = infinite_ntk(X, Y, RELU)
    for scale in (1e-100, 1e-30, 1e30, 1e100):
        torch.testing.assert_close(
            infinite_ntk(scale * X, scale * Y, RELU) / scale / scale, K, rtol=1e-12, atol=0
        )
