"""The bound on the gap at its edges: one input, one draw, the ends of the grid of radii."""

import pytest
import torch

from escape_ntk.checks import InputError, NonFiniteError
from escape_ntk.models.data import draw_inputs, random_signs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.risk.generalization import OCTAVES, gap_bound, quadratic_complexity, radius

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
