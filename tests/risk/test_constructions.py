"""Movements that represent (β·x)^degree by f_Q: two routes to each term, and the rate in m."""

import itertools
import math

import numpy as np
import pytest
import torch

from escape_ntk.checks import InputError
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.data import RidgeSum, dense_part, draw_inputs, random_direction, sparse_part
from escape_ntk.models.network import Activation, activation, draw_weights, paired_network
from escape_ntk.models.pairs import PairFeatures, to_pairs
from escape_ntk.models.taylor import linear_term, quadratic_term
from escape_ntk.numerics.polynomials import (
    gauss_gegenbauer,
    gegenbauer_coefficients,
    multiplicity,
    zonal,
)
from escape_ntk.numerics.stats import log_slope
from escape_ntk.risk.constructions import (
    PairMovement,
    RankOneMovement,
    least_norm_of_powers,
    least_norm_to_the_4,
    represent_harmonic,
    represent_power,
    represent_powers,
)
from escape_ntk.risk.regularizer import norm_2_4_to_the_4

D, P = 5, 6
F64 = torch.float64
SIN = activation("sin(z+pi/4)")
COSINE = Activation.from_function("cos", torch.cos)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


BETA = random_direction(D, seeded(1), dtype=F64)
X = draw_inputs(9, D, "sphere", seeded(2), dtype=F64)


def case(degree: int = 3, p: int = P, seed: int = 0) -> RankOneMovement:
    return represent_power(draw_weights(2 * p, D, seeded(seed), dtype=F64), SIN, BETA, degree)


def signs(p: int = P, seed: int = 3) -> torch.Tensor:
    return torch.randn(p, generator=seeded(seed), dtype=F64).sign()


def relative_error(degree: int, p: int, seed: int) -> float:
    _, quadratic, _ = case(degree, p, seed).terms(X)
    exact = (X @ BETA) ** degree
    return float((quadratic - exact).norm() / exact.norm())


# ---------------------------------------------------------------- the terms


@pytest.mark.parametrize("degree", [2, 3, 4])
@pytest.mark.parametrize("drawn", [None, signs()], ids=["ones", "signs"])
def test_terms_are_those_of_the_paired_network(degree, drawn):
    movement = case(degree)
    network, U = paired_network(movement.weights, SIN), movement.movement(drawn)
    linear, quadratic, _ = movement.terms(X, drawn)
    torch.testing.assert_close(linear, linear_term(network, X, U), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(quadratic, quadratic_term(network, X, U), rtol=1e-12, atol=1e-13)
    swapped = U.roll(P, dims=0)  # control: the wrong neuron of each pair
    assert float((quadratic + quadratic_term(network, X, swapped)).abs().max()) < 1e-12


def test_quadratic_term_is_its_formula():
    """f_Q = (β·x)² · mean_r h_r σ''(w_r·x), whatever the signs."""
    movement = case()
    _, quadratic, _ = movement.terms(X, signs())
    mean = SIN.second(X @ movement.weights.T) @ movement.h / P
    torch.testing.assert_close(quadratic, (X @ BETA) ** 2 * mean, rtol=1e-12, atol=1e-13)


def test_linear_term_in_the_mean_over_all_signs():
    """E_S f_L² by all 2^p sign patterns; control: one pattern is something else."""
    movement = case()
    patterns = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=P)), dtype=F64)
    squares = torch.stack([movement.terms(X, pattern)[0] for pattern in patterns]).square()
    leak = movement.terms(X)[2]
    torch.testing.assert_close(squares.mean(0), leak, rtol=1e-12, atol=1e-14)
    assert float((squares[-1] - leak).abs().max()) > 1e-3


@pytest.mark.parametrize("block", [1, 4, 6, 100])
def test_block_size_changes_nothing(block):
    movement = case()
    ours = movement.terms(X, signs(), block=block)
    torch.testing.assert_close(ours, movement.terms(X, signs()), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_norm_is_that_of_the_movement(degree):
    movement = case(degree)
    U = movement.movement(signs())
    fourth, _ = norm_2_4_to_the_4(to_pairs(U))
    assert movement.norm_2_4_to_the_4 == pytest.approx(float(fourth), rel=1e-12)
    assert float(movement.lengths.pow(4).sum()) == pytest.approx(float(fourth), rel=1e-12)
    moved = (U.norm(dim=1) > 0).reshape(2, P)
    assert (moved.sum(0) == 1).all()  # one neuron of each pair rests


def test_movement_has_rank_one():
    assert int(torch.linalg.matrix_rank(case().movement(signs()))) == 1


# ---------------------------------------------------------------- the representation


@pytest.mark.parametrize("degree", [2, 3, 4, 5])
def test_error_falls_like_one_over_root_m(degree):
    widths = np.array([300, 3_000, 30_000])
    errors = [np.mean([relative_error(degree, p, s) for s in range(12)]) for p in widths.tolist()]
    assert np.polyfit(np.log(widths), np.log(errors), 1)[0] == pytest.approx(-0.5, abs=0.1)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_the_mean_over_weights_is_the_power(degree):
    """Within standard errors, entry by entry; control: the next degree."""
    p = 50_000
    movement = case(degree, p)
    z = X @ BETA
    terms = movement.h * SIN.second(X @ movement.weights.T) * (z**2)[:, None]
    error = terms.std(1) / math.sqrt(p)
    assert float(((terms.mean(1) - z**degree).abs() / error).max()) < 4
    assert float(((terms.mean(1) - z ** (degree + 1)).abs() / error).max()) > 6


def test_square_needs_a_constant_only():
    """Degree 2: h = 1/E σ''(w·x), and ‖W‖_{2,4}^4 = 8h²."""
    tau, w = gauss_gegenbauer(D)
    mean = float((torch.from_numpy(w) * SIN.second(torch.from_numpy(math.sqrt(D) * tau))).sum())
    movement = case(2)
    torch.testing.assert_close(movement.h, torch.full((P,), 1 / mean, dtype=F64))
    assert movement.norm_2_4_to_the_4 == pytest.approx(8 / mean**2, rel=1e-12)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_norm_grows_like_a_power_of_the_dimension(degree):
    """‖W‖_{2,4}^4 ~ d^{k−1}, k + 1 the degree, and does not depend on the width."""
    d, norms = np.array([50, 100, 200]), []
    for k in d.tolist():
        weights = draw_weights(20_000, k, seeded(), dtype=F64)
        beta = random_direction(k, seeded(1), dtype=F64)
        norms.append(represent_power(weights, SIN, beta, degree).norm_2_4_to_the_4)
    assert np.polyfit(np.log(d), np.log(norms), 1)[0] == pytest.approx(degree - 2, abs=0.1)


def test_single_precision_agrees():
    movement = case(3)
    single = represent_power(movement.weights.float(), SIN, BETA.float(), 3)
    assert single.h.dtype == torch.float32
    for ours, expected in zip(single.terms(X.float()), movement.terms(X), strict=True):
        torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("degree, component", [(3, 1), (5, 1)])
def test_an_even_curvature_has_no_odd_powers(degree, component):
    """σ = cos, σ'' = −cos.  Control: even degrees it has."""
    weights = draw_weights(2 * P, D, seeded(), dtype=F64)
    with pytest.raises(InputError, match=f"a component of degree {component}"):
        represent_power(weights, COSINE, BETA, degree)
    assert bool(represent_power(weights, COSINE, BETA, 4).h.isfinite().all())


def test_relu_has_no_curvature_at_all():
    weights = draw_weights(2 * P, D, seeded(), dtype=F64)
    with pytest.raises(InputError, match="component"):
        represent_power(weights, activation("relu"), BETA, 2)


# ---------------------------------------------------------------- several directions


C = torch.tensor([1.0, -0.7, 0.4], dtype=F64)


def directions(orthogonal: bool) -> torch.Tensor:
    drawn = torch.randn(3, D, generator=seeded(11), dtype=F64)
    if orthogonal:
        drawn = torch.linalg.qr(drawn.T)[0].T.contiguous()
    return drawn / drawn.norm(dim=1, keepdim=True)


def several(degree: int, p: int, seed: int = 0, orthogonal: bool = False) -> PairMovement:
    weights = draw_weights(2 * p, D, seeded(seed), dtype=F64)
    return represent_powers(weights, SIN, directions(orthogonal), C, degree)


@pytest.mark.parametrize("degree", [2, 3, 4])
@pytest.mark.parametrize("drawn", [None, signs(20)], ids=["ones", "signs"])
def test_terms_for_several_directions_are_those_of_the_paired_network(degree, drawn):
    movement = several(degree, 20)
    network, U = paired_network(movement.weights, SIN), movement.movement(drawn)
    linear, quadratic, leak = movement.terms(X, drawn, block=7)
    torch.testing.assert_close(linear, linear_term(network, X, U), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(quadratic, quadratic_term(network, X, U), rtol=1e-12, atol=1e-13)
    own = [linear_term(network, X, U * chosen) for chosen in torch.eye(20, dtype=F64).repeat(1, 2)
           [:, :, None]]  # fmt: skip
    torch.testing.assert_close(torch.stack(own).square().sum(0), leak, rtol=1e-10, atol=1e-12)
    fourth, _ = norm_2_4_to_the_4(to_pairs(U))
    assert movement.norm_2_4_to_the_4 == pytest.approx(float(fourth), rel=1e-12)


@pytest.mark.parametrize("degree", [2, 3, 4])
@pytest.mark.parametrize("orthogonal", [True, False])
def test_several_directions_are_represented_at_rate_one_over_root_m(degree, orthogonal):
    """Control: the same directions with other coefficients are not approached."""
    exact = (X @ directions(orthogonal).T).pow(degree)
    widths, errors, others = (300, 3_000, 30_000), [], []
    for p in widths:
        made = [several(degree, p, seed, orthogonal).terms(X)[1] for seed in range(12)]
        errors.append(np.mean([float((f - exact @ C).norm()) for f in made]))
        others.append(np.mean([float((f - exact @ C.flip(0)).norm()) for f in made]))
    assert np.polyfit(np.log(widths), np.log(errors), 1)[0] == pytest.approx(-0.5, abs=0.12)
    assert abs(np.polyfit(np.log(widths), np.log(others), 1)[0]) < 0.2


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_the_norm_for_two_directions_is_that_of_quadrature(degree):
    """8 E[τ_+² + τ_−²] over the law of (β_1·w, β_2·w); control: a share of neurons for each."""
    B, c = directions(True)[:2], C[:2]
    (a, p_a), (b, p_b) = gauss_gegenbauer(D, 80), gauss_gegenbauer(D - 1, 80)
    x = torch.from_numpy(a[:, None] + 0 * b)
    y = torch.from_numpy(np.sqrt(1 - a**2)[:, None] * b)
    law = torch.from_numpy(p_a[:, None] * p_b)
    along = torch.stack([x, y], -1).reshape(-1, 2) @ B  # a point of the plane of both
    rest = (1 - along.square().sum(1)).clamp(min=0).sqrt()
    out = torch.linalg.svd(B)[2][2]
    h = represent_power(along + rest[:, None] * out, SIN, B[0], degree).h.reshape(law.shape)
    g = represent_power(along + rest[:, None] * out, SIN, B[1], degree).h.reshape(law.shape)
    up, down = ((s * c[0] * h).clamp(min=0) + (s * c[1] * g).clamp(min=0) for s in (1, -1))
    expected = 8 * float((law * (up**2 + down**2)).sum())
    split = 8 * float((law * h**2).sum() * c.abs().sum() ** 2)
    weights = draw_weights(800_000, D, seeded(), dtype=F64)
    got = represent_powers(weights, SIN, B, c, degree).norm_2_4_to_the_4
    assert got == pytest.approx(expected, rel=0.01)
    assert got < 0.75 * split


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_one_direction_of_several_is_the_one_direction_movement(degree):
    weights = draw_weights(2 * 50, D, seeded(), dtype=F64)
    one = represent_power(weights, SIN, BETA, degree).scaled(-0.3)
    made = represent_powers(weights, SIN, BETA[None], torch.tensor([-0.3], dtype=F64), degree)
    torch.testing.assert_close(made.terms(X)[1], one.terms(X)[1], rtol=1e-10, atol=1e-12)
    assert made.norm_2_4_to_the_4 == pytest.approx(one.norm_2_4_to_the_4, rel=1e-10)
    assert "100 neurons" in repr(made)


def test_equal_directions_add_their_coefficients():
    """β, β and −β: f_Q of the sum, and no more norm than one direction asks for."""
    weights, B = draw_weights(2 * 50, D, seeded(), dtype=F64), torch.stack([BETA, BETA, -BETA])
    for degree, total in ((2, 0.7), (3, -0.1)):
        made = represent_powers(weights, SIN, B, C, degree)
        one = represent_power(weights, SIN, BETA, degree).scaled(total)
        torch.testing.assert_close(made.terms(X)[1], one.terms(X)[1], rtol=1e-8, atol=1e-10)
        assert made.norm_2_4_to_the_4 == pytest.approx(one.norm_2_4_to_the_4, rel=1e-8)


def test_powers_that_cannot_be_made_are_refused():
    weights = draw_weights(2 * P, D, seeded(), dtype=F64)
    with pytest.raises(InputError, match="a component of degree 1"):
        represent_powers(weights, COSINE, directions(True), C, 3)
    with pytest.raises(InputError, match="betas of length 1"):
        represent_powers(weights, SIN, 2 * directions(True), C, 3)
    with pytest.raises(InputError, match="degree"):
        represent_powers(weights, SIN, directions(True), C, 1)
    with pytest.raises(InputError, match="betas of length 1"):
        least_norm_of_powers(weights, SIN, 2 * directions(True), C, 3)


# ---------------------------------------------------------------- harmonics by f_L


N_DRAWS = 30


def harmonic(degree: int) -> RidgeSum:
    if degree == 0:
        return sparse_part(BETA, 0, "sphere")
    return dense_part(D, degree, "sphere", seeded(7), dtype=F64)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_the_movement_for_a_harmonic_has_its_rate_and_its_norm(degree):
    part, widths = harmonic(degree), (1000, 4000, 16_000)
    other = harmonic((degree + 1) % 3)(X)  # control: another harmonic is not approached
    errors, others, norms = [], [], []
    for m in widths:
        square = other_square = 0.0
        for seed in range(N_DRAWS):
            weights = draw_weights(m, D, seeded(seed), dtype=F64)
            t = represent_harmonic(weights, SIN, part)
            output = PairFeatures(X, weights, SIN).linear(t)
            square += float((output - part(X)).square().mean()) / N_DRAWS
            other_square += float((output - other).square().mean()) / N_DRAWS
        errors.append(math.sqrt(square))
        others.append(math.sqrt(other_square))
        norms.append(float(t.square().sum()) / 2)
    assert log_slope(widths, errors) == pytest.approx(-0.5, abs=0.1)
    assert abs(log_slope(widths, others)) < 0.1
    foreseen = 1 / ntk_spectrum(SIN, D).eigenvalues[degree]
    assert norms[-1] == pytest.approx(foreseen, rel=0.05)


def test_a_harmonic_that_the_kernel_does_not_see_is_refused():
    weights = draw_weights(40, D, seeded(), dtype=F64)
    flat = Activation.from_function("identity", lambda z: 1.0 * z)
    with pytest.raises(InputError, match="degree 2"):
        represent_harmonic(weights, flat, harmonic(2))
    gaussian = dense_part(D, 2, "gaussian", seeded(7), dtype=F64)
    with pytest.raises(InputError, match="law"):
        represent_harmonic(weights, SIN, gaussian)


@pytest.mark.parametrize(("degree", "most"), [(2, 1.05), (3, 1.07), (4, 1.11)])
def test_no_movement_is_much_shorter_than_the_construction(degree, most):
    """At d = 50, for wide networks: ‖W_Q‖^4 = 8 E h² over the bound is above 1, and near it."""
    act, d, k = activation("sin(z+pi/4)"), 50, degree - 1
    wanted = gegenbauer_coefficients(lambda z: z ** (k - 1), k - 1, d)
    ratio = wanted / gegenbauer_coefficients(act.second, k - 1, d)
    own = 8 * sum(ratio[j] ** 2 * multiplicity(d, j) for j in range((k - 1) % 2, k, 2))
    assert 1 < own / least_norm_to_the_4(act, d, degree) < most


def test_the_least_norm_bounds_every_movement_of_a_network():
    """The inequality behind it, with T_r from a grid of S² in R³ and drawn movements."""
    act, d, degree, g = activation("sin(z+pi/4)"), 3, 3, torch.Generator().manual_seed(0)
    heights, share = np.polynomial.legendre.leggauss(24)
    turns = 2 * math.pi * np.arange(48) / 48
    x3, turn = (torch.from_numpy(a.ravel()) for a in np.meshgrid(heights, turns, indexing="ij"))
    flat = (1 - x3**2).sqrt()
    X = math.sqrt(d) * torch.stack([x3, flat * turn.cos(), flat * turn.sin()], 1)
    law = torch.from_numpy(np.repeat(share / 2 / 48, 48))
    p = zonal(X[:, 0], degree, d, "sphere")
    assert float(law @ p**2) == pytest.approx(1, rel=1e-10)
    net = paired_network(draw_weights(8, d, g, dtype=torch.float64), act)
    T = torch.einsum("i,ir,ij,ik->rjk", law * p, act.second(X @ net.weights.T), X, X)
    values, vectors = torch.linalg.eigh(net.signs[:, None, None] * T)
    top = values[:, -1].clamp(min=0)
    bound = float(top.square().mean().sqrt()) / 2

    def reached(U: torch.Tensor) -> float:
        """The harmonic's coefficient in f_Q over ‖U‖_{2,4}²."""
        return float(law * p @ quadratic_term(net, X, U)) / float(U.norm(dim=1).pow(4).sum().sqrt())

    drawn = [reached(torch.randn(8, d, generator=g, dtype=torch.float64)) for _ in range(100)]
    assert max(drawn) < bound
    assert reached(vectors[:, :, -1] * top.sqrt()[:, None]) == pytest.approx(bound, rel=1e-10)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_the_least_norm_of_several_powers_holds_the_one_direction_bound(degree):
    """One direction: within sampling of the quadrature.  Several: below the construction."""
    d, g = 30, seeded(5)
    weights = draw_weights(4000, d, g, dtype=F64)
    B, one = torch.eye(d, dtype=F64), torch.ones(1, dtype=F64)
    got = least_norm_of_powers(weights, SIN, B[:1], one, degree, nodes=30)
    assert got == pytest.approx(least_norm_to_the_4(SIN, d, degree), rel=0.15)
    wide = draw_weights(100_000, d, g, dtype=F64)
    for c in (torch.ones(4, dtype=F64), torch.tensor([1.0, -2.0, 0.5, -0.5], dtype=F64)):
        least = least_norm_of_powers(weights[:300], SIN, B[:4], c, degree, nodes=30)
        own = represent_powers(wide, SIN, B[:4], c, degree).norm_2_4_to_the_4
        assert least < 1.05 * own
