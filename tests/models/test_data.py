"""Inputs and targets: population norms, orthogonality of degrees, invariances, precisions."""

import math

import pytest
import torch

from escape_ntk.models.data import (
    RidgeSum,
    Target,
    dense_part,
    dense_plus_sparse,
    dense_quadratic,
    draw_inputs,
    published_target,
    random_direction,
    sparse_part,
)
from escape_ntk.numerics.polynomials import LAWS

D = 5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(n: int, law: str, seed: int = 0, d: int = D) -> torch.Tensor:
    return draw_inputs(n, d, law, generator(seed), dtype=torch.float64)


def ridge_sum(degree: int, law: str) -> RidgeSum:
    g = generator(3)
    directions = torch.stack([random_direction(D, g, dtype=torch.float64) for _ in range(3)])
    directions[1] = directions[0] + directions[1] / 2  # far from orthogonal
    directions /= directions.norm(dim=1, keepdim=True)
    coefficients = torch.tensor([1.0, 0.8, -0.5], dtype=torch.float64)
    return RidgeSum(directions, coefficients, degree, law)


def rotation(d: int = D, seed: int = 9) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(d, d, generator=generator(seed), dtype=torch.float64))[0]


def standard_errors(samples: torch.Tensor, expected: float) -> float:
    error = float(samples.std()) / math.sqrt(len(samples))
    return abs(float(samples.mean()) - expected) / error


# ---------------------------------------------------------------- inputs


@pytest.mark.parametrize("law", LAWS)
def test_inputs_have_the_moments_of_their_law(law):
    X = inputs(40_000, law)
    assert standard_errors(X[:, 0], 0.0) < 4
    assert standard_errors(X[:, 0] ** 2, 1.0) < 4
    assert standard_errors(X[:, 0] * X[:, 1], 0.0) < 4
    fourth = 3.0 if law == "gaussian" else 3 * D / (D + 2)
    assert standard_errors(X[:, 0] ** 4, fourth) < 4


def test_sphere_inputs_lie_on_the_sphere():
    norms = inputs(100, "sphere").norm(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, math.sqrt(D)), rtol=1e-14, atol=0)


@pytest.mark.parametrize("law", LAWS)
def test_both_precisions_see_the_same_points(law):
    X = inputs(7, law)
    assert torch.equal(draw_inputs(7, D, law, generator()), X.float())
    assert not torch.equal(draw_inputs(7, D, law, generator(1)), X.float())


def test_random_direction_is_a_unit_vector_in_both_precisions():
    beta = random_direction(D, generator(), dtype=torch.float64)
    assert float(beta.norm()) == pytest.approx(1, abs=1e-15)
    assert torch.equal(random_direction(D, generator()), beta.float())


# ---------------------------------------------------------------- norms


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_norm_in_closed_form_against_monte_carlo(law, degree):
    """Control: the norm of orthogonal directions, Σ a², is refuted by the same sample."""
    part = ridge_sum(degree, law)
    squares = part(inputs(100_000, law, seed=degree)) ** 2
    assert standard_errors(squares, part.norm**2) < 4
    assert standard_errors(squares, float(part.coefficients.square().sum())) > 4


@pytest.mark.parametrize("law", LAWS)
def test_parts_of_different_degree_are_orthogonal(law):
    """On the same directions, so that nothing else makes them so."""
    X = inputs(100_000, law, seed=4)
    parts = [ridge_sum(degree, law)(X) for degree in (0, 1, 2, 3)]
    for i, f in enumerate(parts):
        for g in parts[:i]:
            assert standard_errors(f * g, 0.0) < 4


@pytest.mark.parametrize("law", LAWS)
def test_scaling_to_a_norm(law):
    part = ridge_sum(2, law).scaled_to(0.3)
    assert part.norm == pytest.approx(0.3, rel=1e-14)


@pytest.mark.parametrize("law", LAWS)
def test_norm_and_values_are_rotation_invariant(law):
    X, part, q = inputs(20, law), ridge_sum(3, law), rotation()
    turned = RidgeSum(part.directions @ q.T, part.coefficients, part.degree, law)
    torch.testing.assert_close(turned(X @ q.T), part(X), rtol=1e-12, atol=1e-13)
    assert turned.norm == pytest.approx(part.norm, rel=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_values_in_single_precision_agree(law):
    X, part = inputs(20, law), ridge_sum(3, law)
    single = RidgeSum(part.directions.float(), part.coefficients.float(), 3, law)
    torch.testing.assert_close(single(X.float()), part(X).float(), rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- targets


def test_published_target_is_the_published_formula():
    X, beta = inputs(50, "gaussian"), random_direction(D, generator(2), dtype=torch.float64)
    target, z = published_target(beta), X @ beta
    torch.testing.assert_close(target(X), (z**2 - 1 + z) / math.sqrt(3), rtol=1e-13, atol=1e-14)
    assert sum(norm**2 for norm in target.norms) == pytest.approx(1, rel=1e-14)


def test_published_target_on_the_sphere_keeps_its_shares():
    """z² − 1 has a smaller norm on the sphere; the target is scaled to the shares 1/3 and 2/3."""
    beta = random_direction(D, generator(2), dtype=torch.float64)
    target, X = published_target(beta, "sphere"), inputs(50, "sphere")
    z = X @ beta
    assert target.norms == pytest.approx((math.sqrt(1 / 3), math.sqrt(2 / 3)), rel=1e-14)
    quadratic = (z**2 - 1) * math.sqrt((D + 2) / (D - 1) / 3)
    torch.testing.assert_close(target.part_values(X)[1], quadratic, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("law", LAWS)
def test_dense_quadratic_is_the_scaled_quadratic_form(law):
    """E (xᵀSx)² = 2‖S‖_F² (Gaussian) or 2d/(d+2) ‖S‖_F² (sphere), S symmetric and traceless."""
    A = torch.randn(D, D, generator=generator(5), dtype=torch.float64)
    S = (A + A.T) / 2
    S = S - torch.eye(D).double() * S.trace() / D
    factor = 2.0 if law == "gaussian" else 2 * D / (D + 2)
    X, part = inputs(30, law), dense_quadratic(A, law)
    form = torch.einsum("ni,ij,nj->n", X, S, X) / (math.sqrt(factor) * S.norm())
    torch.testing.assert_close(part(X), form, rtol=1e-11, atol=1e-12)
    assert part.norm == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_dense_part_has_norm_one_and_its_degree(law, degree):
    """Population norm by Monte Carlo; orthogonal to the degrees beside it."""
    part, X = dense_part(D, degree, law, generator(7), dtype=torch.float64), inputs(100_000, law)
    assert part.norm == pytest.approx(1, rel=1e-12)
    assert part.directions.shape == (D, D)
    values = part(X)
    assert standard_errors(values**2, 1.0) < 4
    for other in (degree - 1, degree + 1):
        assert standard_errors(values * ridge_sum(other, law)(X), 0.0) < 4


def test_dense_part_of_one_direction_is_sparse():
    part = dense_part(D, 3, "sphere", generator(7), n_directions=1, dtype=torch.float64)
    X, sparse = inputs(20, "sphere"), sparse_part(part.directions[0], 3, "sphere")
    torch.testing.assert_close(part(X).abs(), sparse(X).abs(), rtol=1e-12, atol=1e-13)


def test_no_single_direction_carries_a_dense_part():
    """Largest squared inner product with p_2(β·x), the top eigenvalue's share of xᵀAx."""
    d = 40
    shares = []
    for q in (1, d):
        part = dense_part(d, 2, "sphere", generator(7), n_directions=q, dtype=torch.float64)
        A = part.directions.T @ (part.coefficients[:, None] * part.directions)
        A = A - torch.eye(d) * A.trace() / d
        shares.append(float(torch.linalg.eigvalsh(A).abs().max() ** 2 / A.square().sum()))
    assert shares[0] > 0.9
    assert shares[1] < 0.3


def test_dense_part_in_both_precisions_is_the_same():
    double = dense_part(D, 2, "sphere", generator(7), dtype=torch.float64)
    single = dense_part(D, 2, "sphere", generator(7))
    assert single.directions.dtype == torch.float32
    X = inputs(20, "sphere")
    torch.testing.assert_close(single(X.float()).double(), double(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("law", LAWS)
def test_dense_plus_sparse_has_two_equal_halves(law):
    A = torch.randn(D, D, generator=generator(5), dtype=torch.float64)
    beta = random_direction(D, generator(6), dtype=torch.float64)
    target = dense_plus_sparse(dense_quadratic(A, law), sparse_part(beta, 3, law))
    assert target.norms == pytest.approx((math.sqrt(0.5),) * 2, rel=1e-12)
    assert standard_errors(target(inputs(100_000, law, seed=8)) ** 2, 1.0) < 4


def test_target_is_the_sum_of_its_parts():
    X, parts = inputs(10, "gaussian"), (ridge_sum(1, "gaussian"), ridge_sum(2, "gaussian"))
    torch.testing.assert_close(Target(parts)(X), parts[0](X) + parts[1](X))
