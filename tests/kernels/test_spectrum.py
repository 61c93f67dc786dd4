"""Eigenvalues by degree: two routes, known values, and what ridge regression learns by them."""

import math

import numpy as np
import pytest
import torch

from escape_ntk.checks import InputError, RankError
from escape_ntk.kernels.ntk import KernelRidge, dual_on_sphere, infinite_ntk
from escape_ntk.kernels.spectrum import (
    Spectrum,
    SphereRidge,
    _spectrum_of_kernel,
    frozen_start_spectrum,
    marchenko_pastur,
    ntk_spectrum,
)
from escape_ntk.models.data import RidgeSum, Target, draw_inputs, random_direction, sparse_part
from escape_ntk.models.network import ACTIVATIONS, WEIGHT_LAWS, activation, draw_weights
from escape_ntk.numerics.polynomials import gauss_gegenbauer, gegenbauer_sum, multiplicity

F64 = torch.float64
SIGMOID, SIN, RELU = (activation(name) for name in ("sigmoid(z-1)", "sin(z+pi/4)", "relu"))
SMOOTH = [act for act in ACTIVATIONS.values() if act is not RELU]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sphere(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return draw_inputs(n, d, "sphere", seeded(seed), dtype=F64)


def harmonics(d: int, degree: int, n: int, seed: int = 5) -> list[RidgeSum]:
    """Random harmonics of population norm 1, each along one direction."""
    g = seeded(seed)
    return [
        sparse_part(random_direction(d, g, dtype=F64), degree, "sphere").scaled_to(1.0)
        for _ in range(n)
    ]


# ---------------------------------------------------------------- eigenvalues


def test_eigenvalues_of_the_published_activation():
    spectrum = ntk_spectrum(SIGMOID, 100)
    expected = [2.80e-3, 3.17e-2, 5.51e-5, 3.43e-7]
    np.testing.assert_allclose(spectrum.eigenvalues[:4], expected, rtol=5e-3)
    np.testing.assert_allclose(spectrum.shares[:4], [0.001, 0.893, 0.078, 0.017], atol=5e-4)


@pytest.mark.parametrize("d", [3, 10, 60])
@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_the_formula_agrees_with_quadrature_of_the_kernel(act, d):
    formula, quadrature = ntk_spectrum(act, d), _spectrum_of_kernel(act, d, 12, "sphere")
    gap = np.abs(formula.eigenvalues - quadrature.eigenvalues)
    assert gap.max() < 3e-15 * d
    assert formula.trace == pytest.approx(quadrature.trace, rel=1e-8)
    other = _spectrum_of_kernel(act, d, 12, "gaussian").eigenvalues
    assert np.abs(formula.eigenvalues - other).max() > 1e-5  # control: the other law of w


@pytest.mark.parametrize("d", [6, 40])
def test_kernel_of_a_frozen_start(d):
    """Against quadrature of K_Q = d τ²/8 E σ''σ'', whose closed form is that of σ' for the sine."""
    tau, weights = (torch.from_numpy(a) for a in gauss_gegenbauer(d, 200))
    kernel = d / 8 * tau**2 * dual_on_sphere(tau, SIN, d)
    ours = frozen_start_spectrum(SIN, d)
    for ell in range(6):
        row = gegenbauer_sum(tau, np.eye(ell + 1)[ell], d)
        assert ours.eigenvalues[ell] == pytest.approx(float((weights * kernel * row).sum()))
    assert ours.trace == pytest.approx(d / 16)  # E σ''² = ½


def test_frozen_start_is_the_mean_over_neurons_and_starts():
    """K_Q(x, y) is the mean of the tangent features of t at t = 0, over w and s."""
    d, draws = 4, 400_000
    exact = {"generator": seeded(3), "dtype": F64}
    w = draw_weights(2 * draws, d, **exact)[:draws]
    s = torch.randn(draws, d, **exact) / math.sqrt(d)
    x, y = draw_inputs(2, d, "sphere", **exact)
    y = (x + y) * (math.sqrt(d) / (x + y).norm())  # not nearly orthogonal to x: K_Q is not small
    terms = SIN.second(w @ x) * SIN.second(w @ y) * (s @ x) * (s @ y) * (x @ y) / 8
    spectrum = frozen_start_spectrum(SIN, d, degree=30)
    expected = gegenbauer_sum((x @ y / d)[None], spectrum.eigenvalues * spectrum.multiplicities, d)
    error = float(terms.std()) / math.sqrt(draws)
    assert abs(float(terms.mean()) - float(expected)) < 4 * error
    assert abs(float(expected)) > 20 * error


@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name)
def test_eigenvalues_rebuild_the_kernel(act):
    d, tau = 20, torch.linspace(-1, 1, 21, dtype=F64)
    spectrum = ntk_spectrum(act, d, degree=30)
    ours = gegenbauer_sum(tau, spectrum.eigenvalues * spectrum.multiplicities, d)
    expected = d * tau * dual_on_sphere(tau, act, d)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-7)
    few = gegenbauer_sum(tau, (spectrum.eigenvalues * spectrum.multiplicities)[:3], d)
    assert float((few - expected).abs().max()) > 1e-2  # control: three degrees do not suffice


def test_the_kernel_multiplies_a_harmonic_by_its_eigenvalue():
    """E_x' K(x, x')h(x') = ζ_ℓ h(x), by Monte Carlo; control: the eigenvalue next to it."""
    d, X, far = 5, sphere(3, 5, seed=8), sphere(40_000, 5)
    lam = ntk_spectrum(SIN, d).eigenvalues
    K = infinite_ntk(X, far, SIN)
    for degree in (1, 2, 3):
        (h,) = harmonics(d, degree, 1)
        terms = K * h(far)
        error = terms.std(1) / math.sqrt(len(far))
        apart = [float(((terms.mean(1) - lam[j] * h(X)) / error).abs().max()) for j in (0, 1)]
        shifted = float(((terms.mean(1) - lam[degree + 1] * h(X)) / error).abs().max())
        assert float(((terms.mean(1) - lam[degree] * h(X)) / error).abs().max()) < 4 < shifted
        assert apart[0] > 4


@pytest.mark.parametrize("weight_law", WEIGHT_LAWS)
@pytest.mark.parametrize("act", ACTIVATIONS.values(), ids=lambda act: act.name)
def test_trace_is_the_diagonal_of_the_kernel(act, weight_law):
    d, X = 10, sphere(1, 10)
    spectrum = ntk_spectrum(act, d, weight_law=weight_law)
    diagonal = float(infinite_ntk(X, X, act, weight_law=weight_law))
    assert spectrum.trace == pytest.approx(diagonal, rel=1e-10)
    assert spectrum.shares.sum() + spectrum.rest / spectrum.trace == pytest.approx(1, rel=1e-12)
    assert spectrum.multiplicities.tolist() == [multiplicity(d, j) for j in range(13)]


def test_bulk_is_what_the_low_degrees_leave():
    spectrum = ntk_spectrum(SIN, 10)
    low = np.cumsum(spectrum.eigenvalues * spectrum.multiplicities)
    ours = [spectrum.bulk(k) for k in range(5)]
    np.testing.assert_allclose(ours, spectrum.trace - low[:5], rtol=1e-11)


def test_bulk_counts_what_is_beyond_the_kept_degrees():
    """Five degrees kept and the rest as a trace, against thirty-one kept."""
    few, many = (ntk_spectrum(SIGMOID, 10, degree=degree) for degree in (4, 30))
    assert few.rest > 1e-4 * few.trace > 1e3 * many.rest
    for k in range(4):
        assert few.bulk(k) == pytest.approx(many.bulk(k), rel=1e-9)


@pytest.mark.parametrize("weight_law", WEIGHT_LAWS)
def test_relu_lacks_the_odd_degrees_from_three_on(weight_law):
    """σ' = ½ + ½ sign: even degrees of K come from odd ones of sign, degree 1 from the ½."""
    lam = ntk_spectrum(RELU, 10, weight_law=weight_law).eigenvalues
    assert (lam[3::2] == 0).all()
    assert (lam[[0, 1, 2, 4, 6]] > 1e-6).all()
    assert lam[1] == pytest.approx(0.25, rel=1e-12)


# ---------------------------------------------------------------- effective ridge


@pytest.mark.parametrize("ridge", [0.0, 0.5])
@pytest.mark.parametrize("n", [10, 500, 20_000])
def test_effective_ridge_solves_its_equation(n, ridge):
    spectrum = ntk_spectrum(SIGMOID, 60)
    kappa = spectrum.effective_ridge(n, ridge)
    lam, count = spectrum.eigenvalues, spectrum.multiplicities
    left = (count * lam / (lam + kappa)).sum() + (spectrum.rest + ridge) / kappa
    assert left == pytest.approx(n, rel=1e-9)
    np.testing.assert_allclose(spectrum.learned(n, ridge), lam / (lam + kappa), rtol=1e-12)


def test_one_eigenvalue_in_closed_form():
    """B ζ/(ζ+κ) + ridge/κ = n with B = ζ = ridge = 1: 1/(1+κ) + 1/κ = n."""
    one = Spectrum(3, np.array([1.0]), 0.0)
    n = 2
    assert one.effective_ridge(n, 1.0) == pytest.approx(1 / math.sqrt(2), rel=1e-10)
    assert one.learned(n, 1.0)[0] == pytest.approx(1 / (1 + 1 / math.sqrt(2)), rel=1e-10)


@pytest.mark.parametrize("ridge", [0.0, 1.0, 5000.0])
def test_a_flat_spectrum_in_closed_form(ridge):
    """Nothing but the trace beyond J: κ = (rest + ridge)/n, for any n."""
    flat = Spectrum(3, np.zeros(2), 0.7)
    for n in range(1, 40):
        assert flat.effective_ridge(n, ridge) == pytest.approx((0.7 + ridge) / n, rel=1e-10)


def test_learned_shares_of_the_laboratory_activation():
    assert ntk_spectrum(SIN, 100).learned(1_000)[1] == pytest.approx(0.85, abs=5e-3)
    assert ntk_spectrum(SIN, 60).learned(int(60**2.5))[3] == pytest.approx(0.42, abs=5e-3)


def test_more_samples_teach_more_and_a_ridge_less():
    spectrum = ntk_spectrum(SIN, 60)
    by_n = np.array([spectrum.learned(n)[:4] for n in (10, 100, 1_000, 10_000)])
    assert (np.diff(by_n, axis=0) > 0).all()
    assert (spectrum.learned(100, 1.0)[:4] < by_n[1]).all()


def test_more_samples_than_functions_are_refused_without_a_ridge():
    finite = Spectrum(3, np.array([1.0, 0.5]), 0.0)  # 1 + 3 functions
    with pytest.raises(InputError, match="4 functions"):
        finite.effective_ridge(5)
    assert finite.effective_ridge(5, 0.1) > 0


# ---------------------------------------------------------------- ridge regression on the sphere


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_learned_share_is_the_average_over_random_harmonics(ridge):
    """⟨f̂, h⟩ = ζ_ℓ Σ_i α_i h(x_i) for y = h(X), 200 random h of each degree."""
    d, X = 8, sphere(60, 8)
    solver = SphereRidge(X, SIN, ridge=ridge)
    ours, lam = solver.learned([0, 1, 2, 3]), ntk_spectrum(SIN, d).eigenvalues
    inverse = torch.linalg.inv(infinite_ntk(X, X, SIN) + ridge * torch.eye(60, dtype=F64))
    for degree in (1, 2, 3):
        values = torch.stack([h(X) for h in harmonics(d, degree, 200)])
        shares = lam[degree] * ((values @ inverse) * values).sum(1)
        error = float(shares.std()) / math.sqrt(len(shares))
        assert abs(float(shares.mean()) - ours[degree]) < 4 * error
        assert abs(float(shares.mean()) - ours[degree - 1]) > 4 * error  # control: other degree


def test_inner_product_with_a_harmonic_by_monte_carlo():
    """⟨f̂, h⟩ against the mean of f̂h over fresh inputs."""
    d, X, far = 6, sphere(40, 6), sphere(40_000, 6, seed=9)
    (h,) = harmonics(d, 2, 1)
    alpha = KernelRidge(infinite_ntk(X, X, SIN)).dual(h(X), 0.1)
    products = (infinite_ntk(far, X, SIN) @ alpha) * h(far)
    exact = ntk_spectrum(SIN, d).eigenvalues[2] * float(alpha @ h(X))
    error = float(products.std()) / math.sqrt(len(far))
    assert abs(float(products.mean()) - exact) < 4 * error < 0.1 * abs(exact)


@pytest.mark.parametrize("ridge", [0.0, 1.0])
@pytest.mark.parametrize("act", [SIN, SIGMOID], ids=lambda act: act.name)
def test_error_against_a_test_set(act, ridge):
    d, X, far = 6, sphere(50, 6), sphere(40_000, 6, seed=9)
    (linear,), (quadratic,) = harmonics(d, 1, 1), harmonics(d, 2, 1)
    target = Target((linear.scaled_to(0.6), quadratic.scaled_to(0.8)))
    exact = SphereRidge(X, act, ridge=ridge).error(target)
    alpha = KernelRidge(infinite_ntk(X, X, act)).dual(target(X), ridge)
    squares = (infinite_ntk(far, X, act) @ alpha - target(far)).square()
    error = float(squares.std()) / math.sqrt(len(far))
    assert abs(float(squares.mean()) - exact) < 4 * error < 0.1 * exact
    other = SphereRidge(X, act, ridge=ridge + 3).error(target)
    assert abs(float(squares.mean()) - other) > 4 * error  # control: another ridge


def test_expected_error_is_the_average_over_random_targets():
    """200 random h of each degree; control: one of another degree.  Degrees add up."""
    solver = SphereRidge(sphere(60, 8), SIN, ridge=0.1)
    one = [solver.expected_error([0.0] * ell + [1.0]) for ell in range(4)]
    for degree in (1, 2):
        errors = torch.tensor([solver.error(Target((h,))) for h in harmonics(8, degree, 200)])
        spread = float(errors.std()) / math.sqrt(len(errors))
        assert abs(float(errors.mean()) - one[degree]) < 4 * spread
        assert abs(float(errors.mean()) - one[degree + 1]) > 4 * spread
    mixed = solver.expected_error([0.1, 0.2, 0.3, 0.4])
    assert mixed == pytest.approx(np.dot([0.1, 0.2, 0.3, 0.4], one), rel=1e-10)


def test_the_prediction_describes_drawn_inputs():
    """In the mean over eight draws: learned shares and error of a degree-2 harmonic."""
    d, n = 12, 120
    spectrum, (h,) = ntk_spectrum(SIN, d), harmonics(d, 2, 1)
    solvers = [SphereRidge(sphere(n, d, seed), SIN, ridge=0.1) for seed in range(8)]
    shares = np.mean([solver.learned([1, 2]) for solver in solvers], axis=0)
    np.testing.assert_allclose(shares, spectrum.learned(n, 0.1)[1:3], atol=0.02)
    error = np.mean([solver.error(Target((h,))) for solver in solvers])
    assert error == pytest.approx(spectrum.predicted_error(n, [0, 0, 1.0], 0.1), rel=0.1)


def test_repeated_inputs_without_a_ridge_are_refused():
    X = sphere(5, 6).repeat(2, 1)
    with pytest.raises(RankError, match="positive definite"):
        SphereRidge(X, SIN)
    assert np.isfinite(SphereRidge(X, SIN, ridge=0.1).learned([1])).all()


# ---------------------------------------------------------------- spectra of Gram matrices


@pytest.mark.parametrize("ratio", [0.0, -0.5, -1.0])
def test_a_ratio_that_is_none_is_refused(ratio):
    with pytest.raises(InputError, match="ratio > 0"):
        marchenko_pastur(ratio, 5)


def test_marchenko_pastur_of_a_square_matrix_in_closed_form():
    """Ratio 1: x = 2 − 2 cos θ of density (1 + cos θ)/π in θ, so that P = (θ + sin θ)/π."""
    x = marchenko_pastur(1.0, 50)
    theta = np.arccos(1 - x / 2)
    levels = (np.arange(50, 0, -1) - 0.5) / 50
    np.testing.assert_allclose((theta + np.sin(theta)) / math.pi, levels, rtol=0, atol=1e-6)


@pytest.mark.parametrize("ratio", [0.01, 0.3, 1.0, 4.0])
def test_marchenko_pastur_has_its_moments(ratio):
    """Mean max(c, 1), mean square max(c, 1)(1 + c): over the nonzero eigenvalues."""
    x = marchenko_pastur(ratio, 20_000)
    assert (np.diff(x) <= 0).all()
    assert x.mean() == pytest.approx(max(ratio, 1), rel=1e-3)
    assert np.square(x).mean() == pytest.approx(max(ratio, 1) * (1 + ratio), rel=1e-3)


def test_marchenko_pastur_against_a_drawn_matrix():
    z = torch.randn(1000, 300, generator=seeded(1), dtype=F64)
    drawn = torch.linalg.eigvalsh(z.T @ z / 1000).flip(0).numpy()
    assert np.abs(drawn - marchenko_pastur(0.3, 300)).max() < 0.1
    assert np.abs(drawn - marchenko_pastur(0.4, 300)).max() > 0.2  # control: another ratio


def test_gram_eigenvalues_foresee_a_drawn_gram():
    """Degrees 0, 1 and the bulk at d = 40, n = 250, with no fitted constant."""
    d, n = 40, 250
    gram = infinite_ntk(X := sphere(n, d, seed=1), X, SIN)
    drawn = torch.linalg.eigvalsh(gram).flip(0).numpy()
    foreseen = ntk_spectrum(SIN, d).gram_eigenvalues(n, 1)
    assert foreseen.sum() == pytest.approx(drawn.sum(), rel=0.02)
    assert np.abs(drawn / foreseen - 1).max() < 0.15
    other = ntk_spectrum(SIGMOID, d).gram_eigenvalues(n, 1)  # control: another activation
    assert np.abs(drawn / other - 1).max() > 0.5


@pytest.mark.parametrize(("k", "n"), [(0, 41), (1, 200)])
def test_gram_eigenvalues_sum_to_the_trace(k, n):
    """tr K = n·K(x, x), as long as the inputs beyond n_k are no more than B(d, k+1)."""
    spectrum = ntk_spectrum(SIN, 40)
    ours = spectrum.gram_eigenvalues(n, k)
    assert len(ours) == n
    assert all((np.diff(part) <= 0).all() for part in np.split(ours, [1 + 40 * k]))
    assert ours.sum() == pytest.approx(n * spectrum.trace, rel=1e-2)
