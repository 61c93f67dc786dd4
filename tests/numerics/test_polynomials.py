"""Hermite and Gegenbauer polynomials: orthonormality, two other routes to each, multiplicities."""

import math

import numpy as np
import pytest
import torch
from scipy import special

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation
from escape_ntk.numerics.polynomials import (
    LAWS,
    cumulative_multiplicity,
    gauss_gegenbauer,
    gauss_hermite,
    gauss_jacobi,
    gauss_laguerre,
    gegenbauer,
    gegenbauer_coefficients,
    gegenbauer_sum,
    hermite_coefficients,
    multiplicity,
    normalized_hermite,
    zonal,
    zonal_overlap,
)

D = 6
DEGREES = range(6)


def projection_quadrature(law: str, d: int, n_nodes: int = 30):
    """Nodes z of β·x with weights of its law: exact for polynomials of degree < 2·n_nodes."""
    if law == "gaussian":
        return tuple(torch.from_numpy(a) for a in gauss_hermite(n_nodes))
    tau, w = special.roots_jacobi(n_nodes, (d - 3) / 2, (d - 3) / 2)
    return torch.from_numpy(math.sqrt(d) * tau), torch.from_numpy(w / w.sum())


def standard_errors(samples: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """|mean − expected| in standard errors of the mean; samples along the first axis."""
    error = samples.std(0) / math.sqrt(len(samples))
    return (samples.mean(0) - expected).abs() / error.clamp_min(1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_zonal_polynomials_are_orthonormal_by_quadrature(law):
    z, w = projection_quadrature(law, D)
    values = torch.stack([zonal(z, degree, D, law) for degree in DEGREES])
    gram = (values * w) @ values.T
    torch.testing.assert_close(gram, torch.eye(len(DEGREES)).double(), rtol=0, atol=1e-12)


def test_control_zonal_polynomials_of_one_law_are_not_orthonormal_under_the_other():
    z, w = projection_quadrature("sphere", D)
    assert abs(float((w * zonal(z, 2, D, "gaussian") ** 2).sum()) - 1) > 0.1


@pytest.mark.parametrize("law", LAWS)
def test_zonal_polynomials_are_orthonormal_by_monte_carlo(law):
    X = draw_inputs(40_000, D, law, torch.Generator().manual_seed(1), dtype=torch.float64)
    values = torch.stack([zonal(X[:, 0], degree, D, law) for degree in range(1, 4)], dim=1)
    products = values[:, :, None] * values[:, None, :]
    assert float(standard_errors(products, torch.eye(3).double()).max()) < 4


@pytest.mark.parametrize("d", [3, 4, 10, 100])
@pytest.mark.parametrize("degree", DEGREES)
def test_gegenbauer_agrees_with_two_scipy_routes(d, degree):
    tau = torch.linspace(-1, 1, 41, dtype=torch.float64)
    ours = gegenbauer(tau, degree, d).numpy()
    alpha, beta = (d - 2) / 2, (d - 3) / 2
    ultraspherical = special.eval_gegenbauer(degree, alpha, tau.numpy())
    jacobi = special.eval_jacobi(degree, beta, beta, tau.numpy())
    at_one = special.eval_gegenbauer(degree, alpha, 1.0), special.eval_jacobi(degree, beta, beta, 1)
    np.testing.assert_allclose(ours, ultraspherical / at_one[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours, jacobi / at_one[1], rtol=0, atol=1e-12)


def test_gegenbauer_in_three_dimensions_is_legendre():
    tau = torch.linspace(-1, 1, 21, dtype=torch.float64)
    ours = gegenbauer(tau, 5, 3).numpy()
    np.testing.assert_allclose(ours, special.eval_legendre(5, tau.numpy()), atol=1e-14)


@pytest.mark.parametrize("degree", DEGREES)
def test_hermite_agrees_with_scipy(degree):
    z = torch.linspace(-4, 4, 41, dtype=torch.float64)
    theirs = special.eval_hermitenorm(degree, z.numpy()) / math.sqrt(math.factorial(degree))
    np.testing.assert_allclose(normalized_hermite(z, degree), theirs, rtol=0, atol=1e-11)


def test_sphere_tends_to_gaussian_in_high_dimension():
    z = torch.linspace(-2, 2, 21, dtype=torch.float64)
    d = [100, 1_000, 10_000]
    gap = [float((zonal(z, 3, k, "sphere") - normalized_hermite(z, 3)).abs().max()) for k in d]
    assert np.polyfit(np.log(d), np.log(gap), 1)[0] == pytest.approx(-1, abs=0.03)


# ---------------------------------------------------------------- multiplicities


@pytest.mark.parametrize("degree", DEGREES)
def test_multiplicity_in_three_and_four_dimensions(degree):
    assert multiplicity(3, degree) == 2 * degree + 1
    assert multiplicity(4, degree) == (degree + 1) ** 2


def test_multiplicities_of_the_published_size():
    assert [multiplicity(100, degree) for degree in range(4)] == [1, 100, 5_049, 171_600]
    assert [cumulative_multiplicity(100, k) for k in range(3)] == [1, 101, 5_150]


@pytest.mark.parametrize("d", [3, 5, 20])
def test_multiplicities_sum_to_the_dimension_of_homogeneous_polynomials(d):
    """Homogeneous polynomials of degree ℓ are |x|^{2i} times harmonics of degree ℓ − 2i."""
    for degree in DEGREES:
        harmonics = sum(multiplicity(d, j) for j in range(degree, -1, -2))
        assert harmonics == math.comb(d + degree - 1, degree)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_multiplicity_is_the_rank_of_the_zonal_kernel(degree):
    d, generator = 4, torch.Generator().manual_seed(0)
    X = draw_inputs(60, d, "sphere", generator, dtype=torch.float64)
    kernel = gegenbauer((X @ X.T / d).clamp(-1, 1), degree, d)
    assert int(torch.linalg.matrix_rank(kernel, rtol=1e-9)) == multiplicity(d, degree)


# ---------------------------------------------------------------- overlaps and coefficients


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_zonal_overlap_by_monte_carlo(law, degree):
    """E[p_ℓ(β·x) p_ℓ(β'·x)] at β·β' = 0.6; control: the other law's formula is refuted."""
    d, cosine = 4, 0.6
    X = draw_inputs(100_000, d, law, torch.Generator().manual_seed(degree), dtype=torch.float64)
    second = cosine * X[:, 0] + math.sqrt(1 - cosine**2) * X[:, 1]
    products = zonal(X[:, 0], degree, d, law) * zonal(second, degree, d, law)
    rho = torch.tensor(cosine, dtype=torch.float64)
    assert float(standard_errors(products, zonal_overlap(rho, degree, d, law))) < 4
    if degree > 1:  # degree 1 overlaps alike
        (other,) = set(LAWS) - {law}
        assert float(standard_errors(products, zonal_overlap(rho, degree, d, other))) > 4


def test_gauss_hermite_moments():
    z, w = gauss_hermite(20)
    moments = [float((w * z**k).sum()) for k in range(0, 12, 2)]
    np.testing.assert_allclose(moments, [1, 1, 3, 15, 105, 945], rtol=1e-12)


def test_hermite_coefficients_of_the_sine_in_closed_form():
    """E[sin(Z + φ) he_j(Z)] = e^{−1/2} sin(φ + jπ/2)/√j!: Stein's lemma j times."""
    c = hermite_coefficients(activation("sin(z+pi/4)").value, 8)
    exact = [
        math.exp(-0.5) * math.sin(math.pi / 4 + j * math.pi / 2) / math.sqrt(math.factorial(j))
        for j in range(9)
    ]
    np.testing.assert_allclose(c, exact, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["sigmoid(z-1)", "sin(z+pi/4)"])
def test_hermite_coefficients_obey_parseval(name):
    function = activation(name).first
    z, w = gauss_hermite()
    mean_square = float((torch.from_numpy(w) * function(torch.from_numpy(z)) ** 2).sum())
    c = hermite_coefficients(function, 60)
    assert (c**2).sum() == pytest.approx(mean_square, rel=1e-9)
    assert (c[:3] ** 2).sum() < 0.999 * mean_square  # control: three coefficients do not suffice


# ---------------------------------------------------------------- Gauss–Jacobi and Gegenbauer sums


@pytest.mark.parametrize("d", [3, 4, 10, 100])
def test_gegenbauer_sum_adds_the_polynomials(d):
    tau = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)
    c = [0.3, -1.0, 2.0, 0.0, 0.7]
    expected = sum(a * gegenbauer(tau, j, d) for j, a in enumerate(c))
    torch.testing.assert_close(gegenbauer_sum(tau, c, d), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(gegenbauer_sum(tau, c[:1], d), torch.full_like(tau, 0.3))


@pytest.mark.parametrize("alpha, beta", [(0, 0), (0.5, 0.5), (-0.5, -0.5), (1, 0), (-0.3, 2.5)])
@pytest.mark.parametrize("n", [1, 2, 20])
def test_gauss_jacobi_agrees_with_scipy(alpha, beta, n):
    nodes, weights = gauss_jacobi(n, alpha, beta)
    theirs, mass = special.roots_jacobi(n, alpha, beta)
    np.testing.assert_allclose(nodes, theirs, rtol=0, atol=1e-13)
    np.testing.assert_allclose(weights, mass / mass.sum(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("d", [3, 4, 10, 2_000, 20_000])
def test_gauss_gegenbauer_has_the_moments_of_a_coordinate(d):
    """E τ^{2k} = Π_{i<k} (2i+1)/(d+2i), where SciPy's rule has long failed."""
    tau, w = gauss_gegenbauer(d, 20)
    got = [d**k * float(w @ tau ** (2 * k)) for k in range(6)]
    expected = np.cumprod([1.0] + [(2 * i + 1) * d / (d + 2 * i) for i in range(5)])
    np.testing.assert_allclose(got, expected, rtol=1e-11)
    assert abs(float(w @ tau**3)) * d**1.5 < 1e-12


@pytest.mark.parametrize("d", [3, 10, 200])
def test_gegenbauer_coefficients_are_means_by_the_definition(d):
    function = activation("sigmoid(z-1)").first
    tau, w = (torch.from_numpy(a) for a in gauss_gegenbauer(d))
    z = math.sqrt(d) * tau
    expected = [float((w * function(z) * zonal(z, j, d, "sphere")).sum()) for j in range(8)]
    np.testing.assert_allclose(gegenbauer_coefficients(function, 7, d), expected, atol=1e-13)
    more = gegenbauer_coefficients(function, 60, d)
    assert more @ more == pytest.approx(float((w * function(z) ** 2).sum()), rel=1e-9)
    assert more[:3] @ more[:3] < 0.9999 * more @ more  # control: three do not suffice


def test_gegenbauer_coefficients_tend_to_those_of_hermite():
    function = activation("sin(z+pi/4)").value
    d, hermite = [100, 1_000, 10_000], hermite_coefficients(function, 5)
    gap = [np.abs(gegenbauer_coefficients(function, 5, k) - hermite).max() for k in d]
    assert np.polyfit(np.log(d), np.log(gap), 1)[0] == pytest.approx(-1, abs=0.03)


def test_gauss_laguerre_has_the_moments_of_an_exponential():
    nodes, weights = gauss_laguerre(10)
    got = [float(weights @ nodes**k) for k in range(10)]
    np.testing.assert_allclose(got, [math.factorial(k) for k in range(10)], rtol=1e-11)


def test_float32_is_kept():
    z = torch.linspace(-1, 1, 5)
    assert zonal(z, 3, D, "sphere").dtype == zonal(z, 3, D, "gaussian").dtype == torch.float32
