"""The bound on the gap at its edges: one input, one draw, the ends of the grid of radii."""

import pytest
import torch

from escape_ntk.checks import InputError, NonFiniteError
from escape_ntk.models.data import draw_inputs, random_signs
from escape_ntk.models.network import activation, draw_weights, paired_network
from escape_ntk.models.taylor import quadratic_term
from escape_ntk.risk.generalization import (
    OCTAVES,
    attained_complexity,
    gap_bound,
    quadratic_complexity,
    radius,
)

F64 = torch.float64
SIN = activation("sin(z+pi/4)")
SIZES = {"mean_kernel": 9.0, "complexity": 0.05, "population": 0.04, "empirical": 0.01}
SIZES |= {"low_degree": 4.0, "norm_fourth": 16.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("draws", [1, 3])
def test_one_input_in_closed_form(draws):
    """n = 1: ‖ε σ''(w_r·x) xxᵀ‖ = |σ''(w_r·x)| |x|² = d |σ''(w_r·x)|."""
    d, g = 4, seeded(3)
    weights = draw_weights(12, d, seeded(1), dtype=F64)
    tops = []
    for _ in range(draws):
        x = draw_inputs(1, d, "sphere", g, dtype=F64)[0]
        random_signs(1, g)  # drawn, and without effect on a norm
        tops.append(d * float(SIN.second(weights @ x).abs().max()))
    ours = quadratic_complexity(weights, SIN, 1, seeded(3), draws=draws)
    assert ours == pytest.approx(sum(tops) / draws / 2, rel=1e-12)


def test_single_precision_is_raised_to_double():
    weights = draw_weights(12, 4, seeded(1), dtype=F64)
    ours = quadratic_complexity(weights.float(), SIN, 5, seeded(3))
    assert ours == pytest.approx(quadratic_complexity(weights, SIN, 5, seeded(3)), rel=1e-5)


@pytest.mark.parametrize("cap", [0.0, -1.0])
def test_a_loss_cut_at_nothing_is_refused(cap):
    with pytest.raises(InputError, match="cap > 0"):
        gap_bound(n=5, cap=cap, **SIZES)


def test_what_has_no_sample_is_refused():
    weights = draw_weights(12, 4, seeded(1), dtype=F64)
    for n, draws in ((0, 1), (1, 0)):
        with pytest.raises(InputError, match="≥ 1"):
            quadratic_complexity(weights, SIN, n, seeded(), draws=draws)
    with pytest.raises(InputError, match="n to be an integer ≥ 1"):
        gap_bound(n=0, **SIZES)
    assert gap_bound(n=1, **SIZES).total > gap_bound(n=2, **SIZES).total  # control: one is enough


def test_the_grid_of_radii_ends_where_it_says():
    largest = 2.0**OCTAVES
    assert radius(largest) == largest and radius(1 / largest) == 1 / largest
    assert radius(1e-300) == radius(0.0) == 1 / largest
    with pytest.raises(InputError, match="largest radius"):
        radius(largest * 1.001)
    with pytest.raises(InputError, match="norm ≥ 0"):
        radius(-0.5)
    with pytest.raises(NonFiniteError):
        radius(float("nan"))


def test_the_complexity_is_attained():
    """By the movement that the docstring names, on the drawn sample; no random one reaches it."""
    n, d, g = 15, 3, seeded(3)
    weights = draw_weights(12, d, seeded(1), dtype=F64)
    net = paired_network(weights, SIN)
    X, signs = draw_inputs(n, d, "sphere", g, dtype=F64), random_signs(n, g)
    ours = attained_complexity(weights, SIN, n, seeded(3), draws=1)

    def value(U: torch.Tensor) -> float:
        """(1/n) Σ ε_i f_Q(x_i; U) over ‖U‖_{2,4}²."""
        return float((signs * quadratic_term(net, X, U)).mean() / U.norm(dim=1).pow(4).sum().sqrt())

    M = torch.einsum("i,ir,ij,ik->rjk", signs / n, SIN.second(X @ net.weights.T), X, X)
    values, vectors = torch.linalg.eigh(net.signs[:, None, None] * M)
    best = vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
    assert value(best) == pytest.approx(ours, rel=1e-12)
    drawn = max(value(torch.randn(12, d, generator=g, dtype=F64)) for _ in range(200))
    assert drawn < ours < quadratic_complexity(weights, SIN, n, seeded(3), draws=1)


def test_the_complexity_is_free_of_the_width_and_falls_like_one_over_root_n():
    """Where the bound by the largest neuron grows."""

    def at(m: int, n: int, measure=attained_complexity) -> float:
        return measure(draw_weights(m, 10, seeded(1), dtype=F64), SIN, n, seeded(4), draws=20)

    assert at(1000, 200) == pytest.approx(at(10, 200), rel=0.1)
    assert at(1000, 200, quadratic_complexity) > 1.2 * at(10, 200, quadratic_complexity)
    assert at(100, 3200) == pytest.approx(at(100, 200) / 4, rel=0.15)
